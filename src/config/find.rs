//! Finds the configuration file.

use std::path::{Path, PathBuf};

/// Where the file is looked for, in this order, when the command line names none.
const PLACES: [&str; 2] = ["moonwa.toml", "/etc/moonwa/moonwa.toml"];

/// Where the service has its file.
pub(crate) const SERVICE_FOLDER: &str = "/etc/moonwa";
/// Where systemd keeps the state of the service.
pub(crate) const SERVICE_STORE: &str = "/var/lib/moonwa";

/// No configuration was named and none was found.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no moonwa.toml here and none in /etc/moonwa; \"moonwa init\" writes a commented one")]
pub(crate) struct NotFound;

/// The file that the command line names, whether it exists or not; otherwise the first of `PLACES` that exists.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, NotFound> {
    named.map(Path::to_owned).or_else(|| first(&PLACES.map(Path::new))).ok_or(NotFound)
}

fn first(places: &[&Path]) -> Option<PathBuf> {
    // One that may not be looked at is there all the same: reading it says why it cannot be used.
    let is_there = |path: &&&Path| path.try_exists().unwrap_or(true);
    places.iter().find(is_there).map(|path| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_file_that_exists_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let (here, etc) = (dir.path().join("here.toml"), dir.path().join("etc.toml"));
        let places = [here.as_path(), etc.as_path()];
        assert_eq!(first(&places), None);
        fs::write(&etc, "").unwrap();
        assert_eq!(first(&places), Some(etc.clone()));
        fs::write(&here, "").unwrap();
        assert_eq!(first(&places), Some(here));
    }

    #[test]
    fn a_named_file_is_meant_though_another_one_exists() {
        // Tests run in the root of the repository, where moonwa.toml is.
        assert_eq!(find(None).unwrap(), Path::new("moonwa.toml"));
        assert_eq!(find(Some(Path::new("/no/such/file"))).unwrap(), Path::new("/no/such/file"));
    }
}
