//! From bytes to a `Config`: reads the file and the files it names, and computes the revision over all of them. What
//! the values mean is decided in `resolve`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::file::{LARGEST_FILE, read_limited};
use super::raw::{Notes, Section};
use super::revision::{Others, Revision};
use super::secret::{Context, Secrets};
use super::{include, resolve};
use crate::config::problem::Problem;
use crate::config::settings::Config;
use crate::model::DeviceName;

#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// What is legal, but unwise.
    pub warnings: Vec<Problem>,
    /// The fingerprint of what was read.
    pub revision: Revision,
    /// The other files that the configuration is made of.
    pub others: Others,
}

/// A configuration that was refused.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Everything wrong with it, in the file's order; never empty.
    pub problems: Vec<Problem>,
    /// The fingerprint of what was read; absent when the file could not be read.
    pub revision: Option<Revision>,
    /// The other files that the configuration is made of, because the fault may be mended in one of them.
    pub others: Box<Others>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Rejected {}

impl Config {
    /// Reads a file and the files it names. An empty file is refused: it may be one being written, and must never
    /// mean "no devices".
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

    /// Reads the text of a configuration and the files it names.
    pub fn parse(text: impl AsRef<[u8]>, context: &Context) -> Result<Loaded, Rejected> {
        Self::parse_with(text.as_ref(), context, None)
    }

    /// Like `parse`, but when `kept` is given, `include` finds exactly those files.
    pub(crate) fn parse_with(
        text: &[u8],
        context: &Context,
        kept: Option<Vec<(PathBuf, Vec<u8>)>>,
    ) -> Result<Loaded, Rejected> {
        let secrets = Secrets::new(context, kept);
        let Read { config, problems, warnings, mut others } = read(text, &secrets);
        let read = secrets.into_read();
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

/// Parses a text. A broken text gives no tree, because its meaning would be a guess.
fn tree<'t>(notes: &Notes<'_>, text: &'t [u8]) -> Option<DeValue<'t>> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            notes.syntax(error.valid_up_to(), "this is not UTF-8 text", None);
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
        notes.syntax(span.start, &message, better_header(text, span.start));
    }
    errors.is_empty().then(|| DeValue::Table(tree.into_inner()))
}

/// What to write in place of a device's header that TOML cannot read, such as `[device.CS 1]`.
fn better_header(text: &str, at: usize) -> Option<String> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(start..)?.lines().next()?;
    let name = line.trim().strip_prefix("[device.")?.split(']').next()?;
    let is_plain = !name.contains(['"', '\'']) && DeviceName::parse(name).is_err();
    is_plain.then(|| resolve::suggested_name(name))
}
