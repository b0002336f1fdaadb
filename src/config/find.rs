//! Which file is meant.

use std::path::{Path, PathBuf};

/// Where a file is looked for when none is named.
const PLACES: [&str; 2] = ["moonwa.toml", "/etc/moonwa/moonwa.toml"];

/// No configuration was named and none was found.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no moonwa.toml here and none in /etc/moonwa; \"moonwa init\" writes a commented one")]
pub struct NotFound;

/// The file that is meant: the one named, else the first that exists.
pub fn find(named: Option<&Path>) -> Result<PathBuf, NotFound> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => PLACES.iter().map(PathBuf::from).find(|path| path.exists()).ok_or(NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_is_taken_as_it_is() {
        assert_eq!(find(Some(Path::new("/no/such/file"))).unwrap(), Path::new("/no/such/file"));
    }
}
