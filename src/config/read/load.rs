//! From bytes to a `Config`: the file, the secrets it names, and the revision that covers both. Deciding what the values
//! mean is `resolve`'s; noticing a change is `watch`'s.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use rustix::fs::OFlags;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::raw::{Node, Notes, Section};
use super::{include, resolve};
use crate::config::Config;
use crate::config::problem::Problem;

/// A configuration larger than this is a mistake.
pub(crate) const LARGEST_FILE: u64 = 1 << 20;
/// So is a secret larger than this.
const LARGEST_SECRET: u64 = 64 << 10;

/// What moonwa writes in the place of a secret that it does not show; no secret is that.
pub(crate) const NOT_SHOWN: &str = "(as before, not shown)";

/// How a secret may stand in the file.
const WAYS: &str = "write a text, { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }";

/// Looks a variable up.
type Environment = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a configuration's text is read against.
pub struct Context {
    /// The file's name, as problems show it.
    pub file: String,
    /// The directory that relative paths in the file start from.
    pub dir: PathBuf,
    /// The environment: `$STATE_DIRECTORY`, `$CREDENTIALS_DIRECTORY` and the variables that the file names.
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
}

/// A good configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// What is legal, but unwise.
    pub warnings: Vec<Problem>,
    /// Which text this is.
    pub revision: Revision,
    /// The other files it is made of.
    pub others: Others,
}

/// What a configuration is made of beside its own file: to be watched like that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// The secret files that are named, and the files that are included.
    pub files: Vec<PathBuf>,
    /// Those of them that are included.
    pub included: Vec<PathBuf>,
    /// The patterns of `include`: new files may come to fit them.
    pub patterns: Vec<PathBuf>,
}

/// A configuration that was refused.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Everything wrong with it, in the file's order; never empty.
    pub problems: Vec<Problem>,
    /// Which text this is; absent when the file could not be read.
    pub revision: Option<Revision>,
    /// The other files it is made of: putting one right may be what is needed.
    pub others: Box<Others>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Rejected {}

/// The SHA-256 of a configuration file and of every file it includes or finds a secret in, so that rotating a secret is an edit too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Revision([u8; 32]);

impl Revision {
    /// Reads the 64 hexadecimal digits that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    fn of(text: &[u8], secrets: &BTreeMap<PathBuf, Option<[u8; 32]>>) -> Self {
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

impl Config {
    /// Reads a file, and whatever secret files it names. An empty file is refused: it is one being written, and must
    /// never mean "no devices".
    pub fn load(path: &Path) -> Result<Loaded, Rejected> {
        let context = Context::of(path);
        let unreadable = |message: String, hint: &str| {
            let file = context.file.clone();
            let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
            let problem = Problem { file, at: None, key: String::new(), message, hint };
            Rejected { problems: vec![problem], revision: None, others: Box::default() }
        };
        let text = match read_limited(path, LARGEST_FILE) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let hint = "\"moonwa init\" writes a commented sample";
                return Err(unreadable("there is no such file".to_owned(), hint));
            }
            Err(error) => return Err(unreadable(format!("cannot be read: {error}"), "")),
        };
        if text.trim_ascii().is_empty() {
            let hint = "\"moonwa init\" writes a commented sample";
            return Err(unreadable("the file is empty".to_owned(), hint));
        }
        Self::parse(text.as_slice(), &context)
    }

    /// Reads a configuration's text, and whatever files it names.
    pub fn parse(text: impl AsRef<[u8]>, context: &Context) -> Result<Loaded, Rejected> {
        Self::parse_with(text.as_ref(), context, None)
    }

    /// The same, as if `include` found exactly these files.
    pub(crate) fn parse_with(
        text: &[u8],
        context: &Context,
        kept: Option<Vec<(PathBuf, Vec<u8>)>>,
    ) -> Result<Loaded, Rejected> {
        let secrets = Secrets { context, kept, read: RefCell::default() };
        let Read { config, problems, warnings, mut others } = read(text, &secrets);
        let read = secrets.read.into_inner();
        let revision = Revision::of(text, &read);
        others.files = read.into_keys().collect();
        match config {
            Some(config) if problems.is_empty() => {
                Ok(Loaded { config, warnings, revision, others })
            }
            _ => {
                let others = Box::new(others);
                Err(Rejected { problems, revision: Some(revision), others })
            }
        }
    }
}

/// What reading came to.
struct Read {
    config: Option<Config>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    others: Others,
}

fn read(text: &[u8], secrets: &Secrets<'_>) -> Read {
    let context = secrets.context;
    let notes = Notes::new(&context.file, &context.dir, context.world_readable, text);
    let tree = tree(&notes, text);
    let mut root = tree.as_ref().and_then(|tree| Section::root(&notes, tree));
    let (included, patterns) =
        root.as_mut().map(|root| include::read(root, secrets)).unwrap_or_default();
    let further: Vec<Notes<'_>> = included
        .iter()
        .map(|one| {
            let dir = one.path.parent().unwrap_or(Path::new(""));
            Notes::new(&one.file, dir, one.world_readable, &one.text)
        })
        .collect();
    let trees: Vec<_> =
        further.iter().zip(&included).map(|(notes, one)| self::tree(notes, &one.text)).collect();
    let roots = further.iter().zip(&trees);
    let roots = roots.filter_map(|(notes, tree)| Section::root(notes, tree.as_ref()?)).collect();
    let config = root.map(|root| resolve::config(root, roots, secrets));
    drop((tree, trees));
    let (mut problems, mut warnings) = notes.into_parts();
    for notes in further {
        let (more, unwise) = notes.into_parts();
        problems.extend(more);
        warnings.extend(unwise);
    }
    let included = included.iter().map(|one| one.path.clone()).collect();
    Read { config, problems, warnings, others: Others { files: Vec::new(), included, patterns } }
}

/// The tree of a text; nothing of a broken one, of which the meaning is a guess.
fn tree<'t>(notes: &Notes<'_>, text: &'t [u8]) -> Option<DeValue<'t>> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            notes.syntax(error.valid_up_to(), "this is not UTF-8 text");
            return None;
        }
    };
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        let key = text.get(span.clone()).filter(|_| error.message() == "duplicate key");
        let message = key.map_or_else(
            || error.message().replace('\n', " "),
            |key| format!("the key \"{key}\" stands here a second time"),
        );
        notes.syntax(span.start, &message);
    }
    errors.is_empty().then(|| DeValue::Table(tree.into_inner()))
}

/// The secrets that a configuration names, wherever they are.
pub(crate) struct Secrets<'c> {
    pub(crate) context: &'c Context,
    /// What `include` is to find, when that is not on the disk.
    pub(crate) kept: Option<Vec<(PathBuf, Vec<u8>)>>,
    read: RefCell<BTreeMap<PathBuf, Option<[u8; 32]>>>,
}

/// A secret, and whether it stands in the configuration itself.
pub(crate) struct Found {
    pub(crate) text: Zeroizing<String>,
    pub(crate) plain: bool,
}

impl Secrets<'_> {
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

    /// Remembers what a file held: it is part of the revision.
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

/// What a load of the file would call its revision; `None` when it cannot be read.
pub(crate) fn revision_on_disk(path: &Path, others: &Others) -> Option<Revision> {
    let text = read_limited(path, LARGEST_FILE).ok()?;
    let secrets = others.files.iter().filter(|path| !others.included.contains(path)).cloned();
    let included = others.patterns.iter().filter_map(|pattern| include::expand(pattern).ok());
    let digest = |path: PathBuf| {
        let bytes = read_limited(&path, LARGEST_FILE).map(Zeroizing::new).ok();
        (path, bytes.map(|bytes| Sha256::digest(bytes).into()))
    };
    Some(Revision::of(&text, &secrets.chain(included.flatten()).map(digest).collect()))
}

/// The bytes of a regular file of a reasonable size. A FIFO is refused without waiting for its writer.
pub(crate) fn read_limited(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        let message = format!("it is larger than {} KiB", largest >> 10);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}
