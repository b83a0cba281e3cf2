//! What must not be shown: kept apart from the settings, so that those can be printed and sent whole.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The texts behind the settings that name files with secrets. The appliance reads them; `Debug` shows none of them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// The password for `relay.smart_host`, without line end.
    pub smart_host_password: Option<String>,
    /// The passwords of `relay.routes`, in their order.
    pub route_passwords: Vec<Option<String>>,
    /// The certificates of `tls.certificates`, in their order; or the one made at the first start.
    pub certificates: Vec<CertificateText>,
    /// The certificate of `pair`.
    pub pair: Option<CertificateText>,
}

/// A certificate with its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateText {
    /// The host names it is offered for; empty: for every name that no other certificate has.
    pub names: Vec<String>,
    /// The chain in PEM, the host's own first.
    pub chain: String,
    /// The private key in PEM.
    pub key: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets {{ password: {}, certificates: {:?} }}", self.smart_host_password.is_some(), self.certificates)
    }
}

impl fmt::Debug for CertificateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let secrets = Secrets {
            smart_host_password: Some("hunter2".into()),
            route_passwords: vec![Some("hunter2".into())],
            certificates: vec![CertificateText { names: vec!["a.example".into()], chain: "CHAIN".into(), key: "KEY".into() }],
            pair: Some(CertificateText { names: vec![], chain: "CHAIN".into(), key: "KEY".into() }),
        };
        let shown = format!("{secrets:?}");
        assert!(shown.contains("a.example"));
        assert!(!shown.contains("hunter2") && !shown.contains("KEY") && !shown.contains("CHAIN"), "{shown}");
    }
}
