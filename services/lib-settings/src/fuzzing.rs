//! The proving ground of this crate's parser, for its fuzz target and for the replay of its corpus in the normal test run.

use crate::{Settings, Sources};

/// Reads arbitrary octets as a configuration. The first line, where it begins with `BONGSU_` and holds a `=`, is an environment
/// variable. Panics where a text gives neither settings nor a problem with a reason, or where its settings do not load again.
pub fn settings(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let (environment, text) = match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("BONGSU_") => {
            (first.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())), rest.to_owned())
        }
        _ => (None, text.clone().into_owned()),
    };
    let sources =
        Sources { environment: environment.into_iter().collect(), file: Some(("fuzz".into(), text)), ..Sources::default() };
    match Settings::load(&sources) {
        Ok((settings, _)) => assert!(settings.hostname.as_str().contains('.'), "a host name passed that is none"),
        Err(problems) => assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.what.is_empty())),
    }
}
