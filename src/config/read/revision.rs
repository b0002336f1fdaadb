//! The fingerprint of a configuration: of its file, the files it includes and the files that hold its secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::file::{LARGEST_FILE, read_limited};
use super::include::expand;

/// The files that a configuration is made of beside the main file. They are watched like the main file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// The secret files and the included files.
    pub files: Vec<PathBuf>,
    /// The included files alone.
    pub included: Vec<PathBuf>,
    /// The patterns of `include`, because a new file may match one later.
    pub patterns: Vec<PathBuf>,
}

/// The SHA-256 over a configuration file and every file that it includes or that holds one of its secrets, so that
/// rotating a secret counts as an edit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Revision([u8; 32]);

impl Revision {
    /// Reads the 64 hexadecimal digits that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    pub(super) fn of(text: &[u8], secrets: &BTreeMap<PathBuf, Option<[u8; 32]>>) -> Self {
        let mut hash = Sha256::new();
        hash.update(Sha256::digest(text));
        for (path, digest) in secrets {
            hash.update(Sha256::digest(path.as_os_str().as_encoded_bytes()));
            hash.update(digest.unwrap_or_default());
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Revision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The revision that loading the file now would give; `None` when it cannot be read.
pub(crate) fn revision_on_disk(path: &Path, others: &Others) -> Option<Revision> {
    let text = read_limited(path, LARGEST_FILE).ok()?;
    let secrets = others.files.iter().filter(|path| !others.included.contains(path)).cloned();
    let included = others.patterns.iter().filter_map(|pattern| expand(pattern).ok());
    let digest = |path: PathBuf| {
        let bytes = read_limited(&path, LARGEST_FILE).map(Zeroizing::new).ok();
        (path, bytes.map(|bytes| Sha256::digest(bytes).into()))
    };
    Some(Revision::of(&text, &secrets.chain(included.flatten()).map(digest).collect()))
}
