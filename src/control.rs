//! `control.json`: how the command line finds the gateway that runs on this machine. The gateway writes it beside its
//! store at start, readable by its own user only; whoever can read it is the operator.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{Config, SERVICE_STORE};
use crate::model::Secret;
use crate::private;

const FILE: &str = "control.json";

/// Where the gateway listens and the token it accepts from the command line.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) address: SocketAddr,
    /// The path the API lives under.
    pub(crate) base_path: String,
    pub(crate) token: Secret,
}

#[derive(Serialize, Deserialize)]
struct Row {
    address: SocketAddr,
    base_path: String,
    token: String,
}

impl Control {
    /// Writes the file into the store's directory, mode 0600, in one step.
    pub(crate) fn write(&self, directory: &Path) -> std::io::Result<()> {
        let row = Row {
            address: self.address,
            base_path: self.base_path.clone(),
            token: self.token.expose().to_owned(),
        };
        let draft = directory.join(".control.json.draft");
        private::replace(&directory.join(FILE), &draft, &serde_json::to_vec(&row)?)
    }

    /// Finds the gateway of a configuration: in its store, or where systemd keeps the state of the packaged service.
    pub(crate) fn find(config: &Config) -> std::io::Result<Self> {
        Self::read(&config.store.path).or_else(|absent| {
            let refused = |error: &std::io::Error| error.kind() == ErrorKind::PermissionDenied;
            let service = Self::read(Path::new(SERVICE_STORE));
            service.map_err(|error| if refused(&error) { error } else { absent })
        })
    }

    /// Reads the file of the gateway whose store is there.
    pub(crate) fn read(directory: &Path) -> std::io::Result<Self> {
        let row: Row = serde_json::from_slice(&fs::read(directory.join(FILE))?)?;
        Ok(Self { address: row.address, base_path: row.base_path, token: Secret::new(row.token) })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let control = Control {
            address: "127.0.0.1:8080".parse().unwrap(),
            base_path: "/".into(),
            token: Secret::new("mwc_1"),
        };
        control.write(dir.path()).unwrap();
        control.write(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = Control::read(dir.path()).unwrap();
        assert_eq!((read.address, read.token), (control.address, control.token));
    }
}
