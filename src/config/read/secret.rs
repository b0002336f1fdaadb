//! Finds secrets where the file says they are: in the file itself, in another file, in the environment or in
//! systemd's credentials. It remembers the digest of each file that was read, because that is part of the revision.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::file::read_limited;
use super::raw::Node;
use crate::config::find::{SERVICE_FOLDER, SERVICE_STORE};
use crate::config::settings::StoreConfig;

/// A secret larger than this is a mistake.
const LARGEST_SECRET: u64 = 64 << 10;

/// What moonwa writes in place of a secret that it does not show. It is refused as a value.
pub(crate) const NOT_SHOWN: &str = "(as before, not shown)";

/// A hint: the ways to write a secret in the file.
const WAYS: &str = "write a text, { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }";

type Environment = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the meaning of a configuration depends on beside its text.
pub struct Context {
    /// The file's name, as problems show it.
    pub file: String,
    /// The directory that relative paths in the file start from.
    pub dir: PathBuf,
    /// Looks up an environment variable: `$STATE_DIRECTORY`, `$CREDENTIALS_DIRECTORY` or one that the file names.
    pub env: Environment,
    /// Whether everybody on the machine may read the file.
    pub world_readable: bool,
}

impl Context {
    /// The context of a file on disk, in this process's environment.
    pub fn of(path: &Path) -> Self {
        Self {
            file: path.display().to_string(),
            dir: path.parent().map(Path::to_owned).unwrap_or_default(),
            env: Box::new(|name| std::env::var(name).ok()),
            world_readable: fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 != 0),
        }
    }

    /// Where the store is when the file does not say: in systemd's state directory, also for a command that systemd did
    /// not start but that reads the service's file; otherwise beside the file.
    pub(crate) fn default_store(&self) -> PathBuf {
        let state = (self.env)("STATE_DIRECTORY");
        // systemd lists several directories with colons; the first one is ours.
        let given = state.as_deref().and_then(|state| state.split(':').next());
        match given.filter(|state| !state.is_empty()) {
            Some(state) => PathBuf::from(state),
            None if self.dir == Path::new(SERVICE_FOLDER) => PathBuf::from(SERVICE_STORE),
            None => self.dir.join(StoreConfig::default().path),
        }
    }
}

/// Finds the secrets that a configuration names, and what `include` may find.
pub(crate) struct Secrets<'c> {
    pub(crate) context: &'c Context,
    /// What `include` finds, when that is not to come from the disk.
    pub(crate) kept: Option<Vec<(PathBuf, Vec<u8>)>>,
    read: RefCell<BTreeMap<PathBuf, Option<[u8; 32]>>>,
}

/// A secret, and whether it is in the configuration in clear.
pub(crate) struct Found {
    pub(crate) text: Zeroizing<String>,
    pub(crate) plain: bool,
}

impl<'c> Secrets<'c> {
    pub(super) fn new(context: &'c Context, kept: Option<Vec<(PathBuf, Vec<u8>)>>) -> Self {
        Self { context, kept, read: RefCell::default() }
    }

    /// The digest of each file that was read; `None` for one that could not be read.
    pub(super) fn into_read(self) -> BTreeMap<PathBuf, Option<[u8; 32]>> {
        self.read.into_inner()
    }

    /// The secret that a value is, or names by `{ file }`, `{ env }` or `{ credential }`.
    pub(crate) fn find(&self, node: &Node<'_>) -> Option<Found> {
        if let Some(text) = node.as_text() {
            if text.is_empty() {
                node.problem("this is empty", "write the value, or remove the key");
                return None;
            }
            if text == NOT_SHOWN {
                node.problem(
                    "this stands for a secret that was not shown",
                    "write the secret itself",
                );
                return None;
            }
            return Some(Found { text: Zeroizing::new(text.to_owned()), plain: true });
        }
        let Some(mut table) = node.as_table() else {
            node.problem("this is no text and names no place to find one", WAYS);
            return None;
        };
        let (file, env, credential) =
            (table.get("file"), table.get("env"), table.get("credential"));
        let text = match (file, env, credential) {
            (Some(file), None, None) => self.file(&file, &file.dir().join(file.text()?)),
            (None, Some(env), None) => self.variable(&env),
            (None, None, Some(credential)) => self.credential(&credential),
            _ => {
                node.problem("exactly one of file, env and credential belongs here", WAYS);
                None
            }
        };
        table.finish();
        Some(Found { text: text?, plain: false })
    }

    /// Remembers the digest of a file for the revision.
    pub(crate) fn note(&self, path: &Path, bytes: Option<&Vec<u8>>) {
        let digest = bytes.map(|bytes| Sha256::digest(bytes).into());
        self.read.borrow_mut().insert(path.to_owned(), digest);
    }

    fn variable(&self, node: &Node<'_>) -> Option<Zeroizing<String>> {
        let name = node.text()?;
        let text = (self.context.env)(name).filter(|text| !text.is_empty());
        if text.is_none() {
            node.problem(
                format!("the environment has no {name}"),
                "set it where moonwa is started",
            );
        }
        text.map(Zeroizing::new)
    }

    fn credential(&self, node: &Node<'_>) -> Option<Zeroizing<String>> {
        let name = node.text()?;
        let line = format!("add \"LoadCredential={name}:/path/of/the/secret\" to the service");
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            node.problem("this is not a credential's name", "write it as the service names it");
            return None;
        }
        let Some(dir) = (self.context.env)("CREDENTIALS_DIRECTORY") else {
            node.problem("systemd has given moonwa no credentials", line);
            return None;
        };
        self.file(node, &Path::new(&dir).join(name))
    }

    fn file(&self, node: &Node<'_>, path: &Path) -> Option<Zeroizing<String>> {
        let bytes = read_limited(path, LARGEST_SECRET).map(Zeroizing::new);
        self.note(path, bytes.as_deref().ok());
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                node.problem(format!("cannot read {}: {error}", path.display()), "");
                return None;
            }
        };
        let text = std::str::from_utf8(&bytes).unwrap_or_default().trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            let hint = "write the secret into it, as text on one line";
            node.problem(format!("{} holds no text", path.display()), hint);
            return None;
        }
        if fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 != 0) {
            let hint = format!("chmod 600 {}", path.display());
            node.warning("everybody on this machine can read the secret's file", hint);
        }
        Some(Zeroizing::new(text.to_owned()))
    }
}
