//! The map files and the accounts as `check`, `up` and `reload` see them: read once, and every bad line told.
//!
//! The roles that use a map watch and read it themselves; this is for the operator, before a mistake is in force.

use std::path::Path;

use lib_policy::{Aliases, LineProblem, LocalDomains, RelayDomains};
use lib_settings::Settings;

use crate::layout::Layout;
use crate::plan::read;

/// Everything that is wrong with the maps and the account file, one line each.
pub(crate) fn problems(layout: &Layout, settings: &Settings) -> Vec<String> {
    let domains = &settings.domains;
    let mut problems = Vec::new();
    problems.extend(map(layout, &domains.local_file, |text| LocalDomains::parse(text).err()));
    problems.extend(map(layout, &domains.relay_file, |text| RelayDomains::parse(text).err()));
    problems.extend(map(layout, &domains.aliases_file, |text| Aliases::parse(text).err()));
    if layout.accounts().is_dir()
        && let Err(error) = lib_account::Names::open(&layout.accounts()).current()
    {
        problems.push(error.to_string());
    }
    problems
}

/// The problems of one map. A map need not exist.
fn map(layout: &Layout, file: &Path, parse: impl FnOnce(&str) -> Option<Vec<LineProblem>>) -> Vec<String> {
    let path = layout.config().join(file);
    if !path.exists() {
        return Vec::new();
    }
    match read(&path) {
        Ok(text) => parse(&text).into_iter().flatten().map(|problem| format!("{}:{problem}", path.display())).collect(),
        Err(problem) => vec![problem],
    }
}

/// Warnings of the aliases file: entries that are taken and will not do what they say.
pub(crate) fn warnings(layout: &Layout, settings: &Settings) -> Vec<String> {
    let path = layout.config().join(&settings.domains.aliases_file);
    let aliases = std::fs::read_to_string(&path).ok().and_then(|text| Aliases::parse(&text).ok());
    let warnings = aliases.map(|aliases| aliases.warnings().to_vec()).unwrap_or_default();
    warnings.iter().map(|warning| format!("{}:{warning}", path.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_line_is_told_with_its_file_and_number() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("config")).unwrap();
        std::fs::write(dir.path().join("config/local-host-names"), "example.net\n.example.org\n").unwrap();
        std::fs::write(dir.path().join("config/relay-domains"), "# none\ntwo words\n").unwrap();
        let layout = Layout::find(Some(dir.path()), None).unwrap();
        let problems = problems(&layout, &Settings::defaults(lib_settings::Profile::Office));
        let ends: Vec<bool> = problems.iter().map(|problem| problem.contains("local-host-names:2: ")).collect();
        assert_eq!(ends, [true, false], "{problems:?}");
        assert!(problems[1].contains("relay-domains:2: "), "{problems:?}");
    }
}
