//! Whether a recipient's domain looks mistyped.

use lib_mail::{Address, meant_domain};
use lib_policy::{LocalDomains, RelayDomains};
use lib_settings::Settings;

use crate::layout::Layout;

/// Knows our own domains; the well-known ones are known to `lib-mail`.
pub(crate) struct Meant {
    ours: Vec<String>,
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
        Meant { ours }
    }

    /// ` (did they mean kebi.com?)`, or nothing.
    pub(crate) fn hint(&self, address: Option<&Address>) -> String {
        let meant = address.and_then(|address| self.domain(address));
        meant.map(|domain| format!(" (did they mean {domain}?)")).unwrap_or_default()
    }

    /// The domain that was probably meant.
    pub(crate) fn domain(&self, address: &Address) -> Option<&str> {
        meant_domain(&address.domain(), self.ours.iter().map(String::as_str))
    }
}
