//! The copy of the last configuration that worked, for `--fallback-last-good`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::read::{Context, Loaded, Others, Rejected};
use super::settings::Config;
use crate::private;

const LAST_GOOD: &str = "last-good.json";

/// One file of the copy.
#[derive(Serialize, Deserialize)]
struct Kept {
    path: PathBuf,
    text: String,
}

/// Copies a configuration that works: the file and the files it includes. Only the owner may read the copy, because
/// it may hold secrets.
pub fn keep_last_good(path: &Path, config: &Config, others: &Others) -> io::Result<()> {
    let keep = |path: &Path| {
        let text = String::from_utf8(fs::read(path)?).map_err(io::Error::other)?;
        Ok(Kept { path: path.to_owned(), text })
    };
    let files = std::iter::once(path).chain(others.included.iter().map(PathBuf::as_path));
    let kept = files.map(keep).collect::<io::Result<Vec<_>>>()?;
    let draft = config.store.path.join(".last-good.draft");
    private::replace(&config.store.path.join(LAST_GOOD), &draft, &serde_json::to_vec(&kept)?)
}

/// Reads the copy that `keep_last_good` made. A broken file cannot say where its store is, so the copy is looked for
/// in the default store.
pub fn last_good(path: &Path) -> Result<Loaded, Rejected> {
    let context = Context::of(path);
    let copy = context.default_store().join(LAST_GOOD);
    let kept = fs::read(&copy).and_then(|bytes| Ok(serde_json::from_slice::<Vec<Kept>>(&bytes)?));
    match kept.as_deref() {
        Ok([file, included @ ..]) => {
            let included =
                included.iter().map(|kept| (kept.path.clone(), kept.text.clone().into_bytes()));
            Config::parse_with(file.text.as_bytes(), &context, Some(included.collect()))
        }
        // `load` fails on it too, with an error that people can read.
        _ => Config::load(&copy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_without_a_file_in_it_is_not_a_gateway_without_devices() {
        let dir = tempfile::tempdir().unwrap();
        let (file, copy) = (dir.path().join("moonwa.toml"), dir.path().join("data/last-good.json"));
        let said = last_good(&file).unwrap_err().to_string();
        assert!(said.starts_with(&format!("{}: there is no such file", copy.display())), "{said}");
        fs::create_dir(dir.path().join("data")).unwrap();
        for text in ["", "[]", "{}", "null", r#"[{"path": "moonwa.toml"}]"#] {
            fs::write(&copy, text).unwrap();
            assert!(last_good(&file).is_err(), "{text}");
        }
        fs::write(&copy, r#"[{"path": "moonwa.toml", "text": "[device.a]"}]"#).unwrap();
        assert_eq!(last_good(&file).unwrap().config.devices.len(), 1);
    }
}
