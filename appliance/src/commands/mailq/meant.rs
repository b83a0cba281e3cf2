//! Whether a recipient's domain looks mistyped.

use lib_mail::{Address, meant_domain};
use lib_policy::{LocalDomains, RelayDomains};
use lib_settings::Settings;
use serde_json::{Value, json};

use super::said::Said;
use crate::commands::select::Waiting;
use crate::layout::Layout;

/// Knows our own domains; the well-known ones are known to `lib-mail`.
pub(crate) struct Meant {
    ours: Vec<String>,
    said: Said<String, Option<String>>,
}

impl Meant {
    /// With the domains of the settings and the map files. A file with a bad line counts as empty: `check` complains of it.
    pub(crate) fn of(layout: &Layout, settings: &Settings) -> Meant {
        let domains = &settings.domains;
        let read = |file: &std::path::Path| crate::plan::read(&layout.config().join(file)).unwrap_or_default();
        let local = LocalDomains::parse(&read(&domains.local_file)).unwrap_or_default().with(&domains.local);
        let relay = RelayDomains::parse(&read(&domains.relay_file)).unwrap_or_default().with(&domains.relay);
        let mut ours: Vec<String> = local.iter().chain(relay.iter()).map(str::to_owned).collect();
        ours.push(settings.default_domain().key());
        Meant { ours, said: Said::default() }
    }

    /// ` (did they mean kebi.com?)`, or nothing.
    pub(crate) fn hint(&self, address: Option<&Address>) -> String {
        let meant = address.and_then(|address| self.domain(address));
        meant.map(|domain| format!(" (did they mean {domain}?)")).unwrap_or_default()
    }

    /// Adds to a recipient in JSON what a person should know about why it waits: `did_they_mean`, `block_list`.
    pub(crate) fn tell(&self, waiting: &Waiting<'_>, recipient: &mut Value) {
        if waiting.why().is_empty() {
            return;
        }
        if let Some(meant) = waiting.address().as_ref().and_then(|address| self.domain(address)) {
            recipient["did_they_mean"] = json!(meant);
        }
        if let Some(list) = waiting.block_list() {
            recipient["block_list"] = json!({ "name": list.name, "url": list.url });
        }
    }

    /// The domain that was probably meant.
    fn domain(&self, address: &Address) -> Option<String> {
        let domain = address.domain();
        let meant = || meant_domain(&domain, self.ours.iter().map(String::as_str)).map(str::to_owned);
        self.said.of(domain.as_str(), meant)
    }
}
