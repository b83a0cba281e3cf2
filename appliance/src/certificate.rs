//! The certificate of a node that was given none: self-signed, made once, kept beside the other secrets.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use lib_settings::{CertificateText, Settings};

use crate::plan::read;

/// The chain's file in `state/secrets`.
pub(crate) const CHAIN: &str = "self-signed.crt";
/// The key's file.
const KEY: &str = "self-signed.key";

/// The self-signed certificate for the host name; made where there is none yet, or where the host got another name.
pub(crate) fn self_signed(secrets: &Path, settings: &Settings) -> Result<Option<CertificateText>, String> {
    let name = settings.hostname.as_str().to_owned();
    if !secrets.is_dir() {
        // `check` before the first `up`: nothing to read yet, and checking makes nothing.
        return Ok(None);
    }
    let (chain_file, key_file) = (secrets.join(CHAIN), secrets.join(KEY));
    let named = std::fs::read_to_string(secrets.join("self-signed.name")).unwrap_or_default();
    if named.trim() == name && chain_file.exists() && key_file.exists() {
        return Ok(Some(CertificateText { names: Vec::new(), chain: read(&chain_file)?, key: read(&key_file)? }));
    }
    let made = rcgen::generate_simple_self_signed([name.clone()])
        .map_err(|error| format!("cannot make a certificate for {name}: {error}"))?;
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (file, text) in [(KEY, key.as_str()), (CHAIN, chain.as_str()), ("self-signed.name", name.as_str())] {
        write_closed(&secrets.join(file), text)?;
    }
    Ok(Some(CertificateText { names: Vec::new(), chain, key }))
}

/// Writes a file that only its owner reads, never visible with less than its whole content.
fn write_closed(path: &Path, text: &str) -> Result<(), String> {
    let fresh = path.with_extension("new");
    let write = || {
        let _ = std::fs::remove_file(&fresh);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(|error: std::io::Error| format!("{}: cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str) -> Settings {
        let mut settings = Settings::defaults(lib_settings::Profile::Office);
        settings.hostname = name.parse().unwrap();
        settings
    }

    #[test]
    fn it_is_made_once_and_again_for_another_name() {
        let dir = tempfile::tempdir().unwrap();
        let first = self_signed(dir.path(), &settings("mail.example.net")).unwrap().unwrap();
        lib_net::tls::parse_pair(&first.chain, &first.key).unwrap();
        assert_eq!(self_signed(dir.path(), &settings("mail.example.net")).unwrap(), Some(first.clone()));
        assert_ne!(self_signed(dir.path(), &settings("mx.example.net")).unwrap(), Some(first));
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(dir.path().join(KEY)).unwrap().mode() & 0o077, 0);
    }
}
