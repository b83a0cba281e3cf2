//! Where things lie: the data directory and the configuration beside it, and how both are found.

use std::io;
use std::path::{Path, PathBuf};

/// The data directory of an installed server.
pub(crate) const SYSTEM_DATA: &str = "/var/lib/bongsu";
/// The configuration directory of an installed server.
pub(crate) const SYSTEM_CONFIG: &str = "/etc/bongsu";
/// The settings file in a configuration directory.
pub(crate) const SETTINGS_FILE: &str = "bongsu.toml";
/// Names the data directory where the command line does not.
pub(crate) const DATA_VARIABLE: &str = "BONGSU_DATA";

/// The data directory and what lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    data: PathBuf,
    config: PathBuf,
    settings_file: Option<PathBuf>,
}

impl Layout {
    /// Finds the directories from what the command line and the environment say.
    ///
    /// Data: `--data`, else `$BONGSU_DATA`, else `/var/lib/bongsu` where that or `/etc/bongsu` exists, else the directory
    /// we stand in if it is empty or bongsu's already. Settings: `--config`, else those of `/etc/bongsu` when the data lie in
    /// `/var/lib/bongsu`, else those in the directory `config` of the data directory, so that two servers never share by accident.
    pub(crate) fn find(data: Option<&Path>, config: Option<&Path>) -> io::Result<Self> {
        if let Some(file) = config.filter(|file| !file.is_file()) {
            let text = format!("{} is not there; write it with \"bongsu init --domain DOMAIN\"", file.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Self::find_new(data, config)
    }

    /// As [`Layout::find`], for the command that makes the settings file.
    pub(crate) fn find_new(data: Option<&Path>, config: Option<&Path>) -> io::Result<Self> {
        let data = match data {
            Some(data) => data.to_path_buf(),
            None => match std::env::var_os(DATA_VARIABLE) {
                Some(data) => PathBuf::from(data),
                None => Self::unnamed_data()?,
            },
        };
        let data = std::path::absolute(data)?;
        let (config_dir, settings_file) = match config {
            Some(file) => {
                let file = std::path::absolute(file)?;
                (file.parent().unwrap_or(Path::new("/")).to_path_buf(), Some(file))
            }
            None => {
                let dir = if data == Path::new(SYSTEM_DATA) { PathBuf::from(SYSTEM_CONFIG) } else { data.join("config") };
                let file = dir.join(SETTINGS_FILE);
                let file = file.exists().then_some(file);
                (dir, file)
            }
        };
        Ok(Self { data, config: config_dir, settings_file })
    }

    fn unnamed_data() -> io::Result<PathBuf> {
        if Path::new(SYSTEM_DATA).exists() || Path::new(SYSTEM_CONFIG).exists() {
            return Ok(PathBuf::from(SYSTEM_DATA));
        }
        let here = std::env::current_dir()?;
        if here.join("VERSION").exists() || std::fs::read_dir(&here)?.next().is_none() {
            return Ok(here);
        }
        let text = "name the data directory with --data DIR: this directory holds other things";
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The directory of the settings and the maps; it need not exist.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// The settings file, where there is one.
    pub(crate) fn settings_file(&self) -> Option<&Path> {
        self.settings_file.as_deref()
    }

    /// The configuration directory, where it exists.
    pub(crate) fn existing_config(&self) -> Option<PathBuf> {
        self.config.is_dir().then(|| self.config.clone())
    }

    /// The queue.
    pub(crate) fn spool(&self) -> PathBuf {
        self.data.join("spool")
    }

    /// The mailboxes.
    pub(crate) fn mail(&self) -> PathBuf {
        self.data.join("mail")
    }

    /// Names and rights of accounts.
    pub(crate) fn accounts(&self) -> PathBuf {
        self.data.join("state/accounts")
    }

    /// Password hashes and keys.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.data.join("state/secrets")
    }

    /// Recipients of the primaries that this node is backup for.
    pub(crate) fn pairs(&self) -> PathBuf {
        self.data.join("state").join(lib_account::PAIRS)
    }

    /// Kept events.
    pub(crate) fn events(&self) -> PathBuf {
        self.data.join("state/events")
    }

    /// Sockets.
    pub(crate) fn run(&self) -> PathBuf {
        self.data.join("run")
    }

    /// The supervisor's ear.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.run().join("control.sock")
    }

    /// Directories of the tree, each with the mode it is made with.
    pub(crate) fn directories(&self) -> [(PathBuf, u32); 8] {
        [
            (self.spool(), 0o700),
            (self.mail(), 0o700),
            (self.data.join("state"), 0o755),
            (self.accounts(), 0o755),
            (self.secrets(), 0o700),
            (self.pairs(), 0o755),
            (self.events(), 0o700),
            (self.run(), 0o755),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_beside_the_data_are_found_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let bare = Layout::find(Some(dir.path()), None).unwrap();
        assert_eq!(bare.settings_file(), None);
        assert_eq!(bare.existing_config(), None);
        std::fs::create_dir(dir.path().join("config")).unwrap();
        std::fs::write(dir.path().join("config/bongsu.toml"), "").unwrap();
        let found = Layout::find(Some(dir.path()), None).unwrap();
        assert_eq!(found.settings_file(), Some(dir.path().join("config/bongsu.toml").as_path()));
    }

    #[test]
    fn a_named_settings_file_must_exist() {
        let dir = tempfile::tempdir().unwrap();
        let error = Layout::find(Some(dir.path()), Some(&dir.path().join("no.toml"))).unwrap_err();
        assert!(error.to_string().contains("bongsu init"), "{error}");
    }
}
