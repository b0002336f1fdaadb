//! The readers of this module that fuzzing feeds with bytes.
#![expect(clippy::expect_used, reason = "what must hold is asserted")]

use std::path::PathBuf;

use super::read::value;
use super::{Config, Context, DeviceEdit, Edit};
use crate::model::DeviceName;

/// Reads a configuration file. It may name any other file on the machine, so a text that names a special one is left
/// out, and `include` finds nothing.
pub(crate) fn file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if ["/dev", "/proc", "/sys"].iter().any(|special| text.contains(special)) {
        return;
    }
    let context = Context {
        file: "moonwa.toml".to_owned(),
        dir: PathBuf::from("/nonexistent"),
        env: Box::new(|name| {
            name.len().is_multiple_of(2).then(|| "from-the-environment".to_owned())
        }),
        world_readable: bytes.len().is_multiple_of(2),
    };
    if let Err(rejected) = Config::parse_with(bytes, &context, Some(Vec::new())) {
        assert!(!rejected.problems.is_empty(), "a file is refused for no reason");
    }
}

/// Whether this is accepted as a webhook's URL.
pub(crate) fn url(text: &str) -> bool {
    value::url(text).is_ok()
}

/// What the page edits: a device as a table, as an inline table, and one that is not there yet.
const EDITED: [&str; 3] = [
    "# Mine\n[device.toko]\nlabel = \"Toko\" # why\npace = \"20/min\"\n\n[[device.toko.webhooks]]\nurl = \"https://a.example/\"\n\n[device.lain]\n",
    "[device]\ntoko = { label = \"Toko\", webhooks = [{ url = \"https://a.example/\" }] }\n",
    "\u{feff}[server]\r\nlisten = \"127.0.0.1:0\"\r\n",
];

/// The body of an edit of a device: what comes of it is TOML, and making it again changes nothing.
pub(crate) fn edit(bytes: &[u8]) {
    let Ok(change) = serde_json::from_slice::<DeviceEdit>(bytes) else { return };
    // An entry's number is its place before the edit, so the same numbers mean others after it.
    let moves = change.webhooks.iter().flatten().any(|webhook| webhook.n.is_some());
    let name = DeviceName::parse("toko").expect("a device's name");
    let edit = Edit::Put(name.clone(), Box::new(change));
    for text in EDITED {
        let edited = edit.apply(text).expect("an edit of a file in order succeeds");
        assert!(edited.parse::<toml_edit::DocumentMut>().is_ok(), "an edit leaves a broken file");
        if !moves {
            assert_eq!(
                edit.apply(&edited).as_ref(),
                Some(&edited),
                "an edit made again changes it"
            );
        }
        assert!(Edit::Remove(name.clone()).apply(&edited).is_some(), "the device cannot go");
    }
}
