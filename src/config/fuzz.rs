//! The readers of this module that fuzzing feeds with bytes.

use std::path::PathBuf;

use super::read::value;
use super::{Config, Context};

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
