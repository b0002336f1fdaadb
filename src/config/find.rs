//! Which file is meant, the copy of the last one that worked, and fresh API keys.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use serde::{Deserialize, Serialize};

use super::{Config, Loaded, Others, Rejected};
use crate::model::Secret;

/// Where a file is looked for when none is named.
const PLACES: [&str; 2] = ["moonwa.toml", "/etc/moonwa/moonwa.toml"];
const LAST_GOOD: &str = "last-good.json";

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

/// One file of the copy.
#[derive(Serialize, Deserialize)]
struct Kept {
    path: PathBuf,
    text: String,
}

/// Keeps a copy of a configuration that works, for `--fallback-last-good`: the file, and those that it includes. Its owner
/// alone may read it: secrets may be in it.
pub fn keep_last_good(path: &Path, config: &Config, others: &Others) -> io::Result<()> {
    let keep = |path: &Path| {
        let text = String::from_utf8(fs::read(path)?).map_err(io::Error::other)?;
        Ok(Kept { path: path.to_owned(), text })
    };
    let files = std::iter::once(path).chain(others.included.iter().map(PathBuf::as_path));
    let kept = files.map(keep).collect::<io::Result<Vec<_>>>()?;
    let draft = config.store.path.join(".last-good.draft");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&serde_json::to_vec(&kept)?)?;
    fs::rename(draft, config.store.path.join(LAST_GOOD))
}

/// The copy that `keep_last_good` left. A broken file cannot say where its store is, so the copy is looked for where
/// stores are by default.
pub fn last_good(path: &Path) -> Result<Loaded, Rejected> {
    let beside = path.parent().unwrap_or(Path::new("")).join("data");
    let state = std::env::var_os("STATE_DIRECTORY").map_or(beside, PathBuf::from);
    let copy = state.join(LAST_GOOD);
    let kept = fs::read(&copy).and_then(|bytes| Ok(serde_json::from_slice::<Vec<Kept>>(&bytes)?));
    match kept.as_deref() {
        Ok([file, included @ ..]) => {
            let included =
                included.iter().map(|kept| (kept.path.clone(), kept.text.clone().into_bytes()));
            let context = super::Context::of(path);
            Config::parse_with(file.text.as_bytes(), &context, Some(included.collect()))
        }
        // The same failure again, said as people need it.
        _ => Config::load(&copy),
    }
}

/// A fresh API key: `mw_`, eight characters to tell it by, and 256 random bits.
pub fn new_key() -> Secret {
    let id = BASE32_NOPAD.encode(&rand::random::<[u8; 5]>()).to_ascii_lowercase();
    Secret::new(format!("mw_{id}_{}", BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_differ() {
        let (one, two) = (new_key(), new_key());
        assert_eq!(one.expose().len(), "mw_".len() + 8 + 1 + 43);
        assert_ne!(one, two);
    }

    #[test]
    fn no_copy_is_not_a_gateway_without_devices() {
        let dir = tempfile::tempdir().unwrap();
        assert!(last_good(&dir.path().join("moonwa.toml")).is_err());
    }

    #[test]
    fn a_named_file_is_taken_as_it_is() {
        assert_eq!(find(Some(Path::new("/no/such/file"))).unwrap(), Path::new("/no/such/file"));
    }
}
