//! The file as a tree. Every value knows the path of its key and its place in the file, and a table remembers which
//! keys were asked for, so that all others are reported as unknown. Nothing here knows what a key means.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::config::problem::{Position, Problem, nearest};

/// The problems and warnings found in a file so far, shared by all of its values.
pub(crate) struct Notes<'t> {
    file: &'t str,
    /// Where relative paths in the file start.
    dir: &'t Path,
    world_readable: bool,
    text: &'t [u8],
    problems: List,
    warnings: List,
}

/// Nobody reads more, and each costs a walk through the file.
const MOST: usize = 200;

/// The first problems, and how many more there are.
#[derive(Default)]
struct List {
    kept: RefCell<Vec<Problem>>,
    more: Cell<usize>,
}

impl List {
    fn is_full(&self) -> bool {
        self.kept.borrow().len() >= MOST
    }

    fn add(&self, problem: impl FnOnce() -> Problem) {
        if self.is_full() {
            self.more.set(self.more.get() + 1);
        } else {
            self.kept.borrow_mut().push(problem());
        }
    }

    /// In the file's order.
    fn sorted(self, file: &str) -> Vec<Problem> {
        let mut list = self.kept.into_inner();
        list.sort_by_key(|problem| problem.at);
        let more = self.more.get();
        if more > 0 {
            list.push(Problem {
                file: file.to_owned(),
                at: None,
                key: String::new(),
                message: format!("and {more} more"),
                hint: some("mend these first"),
            });
        }
        list
    }
}

impl<'t> Notes<'t> {
    pub(crate) fn new(file: &'t str, dir: &'t Path, world_readable: bool, text: &'t [u8]) -> Self {
        let (problems, warnings) = (List::default(), List::default());
        Self { file, dir, world_readable, text, problems, warnings }
    }

    /// Problems and warnings, in the file's order.
    pub(crate) fn into_parts(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems.sorted(self.file), self.warnings.sorted(self.file))
    }

    /// Notes a syntax error, but only the first one on each line: after that the parser guesses.
    pub(crate) fn syntax(&self, offset: usize, message: &str, hint: Option<String>) {
        let again = || {
            let line = Position::of(self.text, offset).line;
            let kept = self.problems.kept.borrow();
            kept.iter().any(|known| known.at.is_some_and(|at| at.line == line))
        };
        if self.problems.is_full() || !again() {
            self.problems.add(|| self.note(offset, "", message, hint));
        }
    }

    fn note(&self, offset: usize, key: &str, message: &str, hint: Option<String>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            at: Some(Position::of(self.text, offset)),
            key: key.to_owned(),
            message: message.to_owned(),
            hint,
        }
    }
}

/// A value of the file, with its key's path and its place.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    notes: &'a Notes<'a>,
    path: String,
    at: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Node<'a> {
    fn new(notes: &'a Notes<'a>, path: String, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { notes, path, at: value.span().start, value: value.get_ref() }
    }

    /// Notes what is wrong with this value, and what to write.
    pub(crate) fn problem(&self, message: impl AsRef<str>, hint: impl Into<String>) {
        let note = || self.notes.note(self.at, &self.path, message.as_ref(), some(hint));
        self.notes.problems.add(note);
    }

    /// The same place, reported under the key of the list or table that holds the value.
    pub(crate) fn within(&self, holder: &Self) -> Self {
        Self { path: holder.path.clone(), ..self.clone() }
    }

    /// The file it stands in.
    pub(crate) fn file(&self) -> &'a str {
        self.notes.file
    }

    /// Where a relative path that stands here starts.
    pub(crate) fn dir(&self) -> &'a Path {
        self.notes.dir
    }

    /// Whether everybody on the machine may read the file it stands in.
    pub(crate) fn world_readable(&self) -> bool {
        self.notes.world_readable
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Notes what is legal here, but unwise.
    pub(crate) fn warning(&self, message: impl AsRef<str>, hint: impl Into<String>) {
        let note = || self.notes.note(self.at, &self.path, message.as_ref(), some(hint));
        self.notes.warnings.add(note);
    }

    pub(crate) fn text(&self) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.wrong("a text in quotes"))
    }

    /// The text, if the value is one; no problem is noted when it is not.
    pub(crate) fn as_text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong("true or false, without quotes"))
    }

    /// A whole number within limits.
    pub(crate) fn number(&self, within: RangeInclusive<usize>) -> Option<usize> {
        let wanted = format!("a whole number from {} to {}", within.start(), within.end());
        let Some(digits) = self.value.as_integer() else {
            return self.wrong(&format!("{wanted}, without quotes"));
        };
        let number = usize::from_str_radix(digits.as_str(), digits.radix()).ok();
        let number = number.filter(|number| within.contains(number));
        if number.is_none() {
            self.problem(format!("{digits} is out of range"), format!("write {wanted}"));
        }
        number
    }

    /// The members of a list, numbered from 1 as webhooks are everywhere.
    pub(crate) fn list(&self) -> Option<Vec<Self>> {
        self.as_list().or_else(|| self.wrong("a list in [ ]"))
    }

    /// The same; no problem is noted when it is no list.
    pub(crate) fn as_list(&self) -> Option<Vec<Self>> {
        let list = self.value.as_array()?;
        let member = |(i, value)| Self::new(self.notes, format!("{}[{}]", self.path, i + 1), value);
        Some((0_usize..).zip(list.iter()).map(member).collect())
    }

    /// What `read` makes of the members of a list; those that it cannot read are left out.
    pub(crate) fn each<T>(&self, read: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        Some(self.list()?.iter().filter_map(read).collect())
    }

    pub(crate) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// The table, if the value is one; no problem is noted when it is not.
    pub(crate) fn as_table(&self) -> Option<Section<'a>> {
        let table = self.value.as_table()?;
        Some(Section { node: self.clone(), table, asked: Vec::new() })
    }

    pub(crate) fn table(&self) -> Option<Section<'a>> {
        self.as_table().or_else(|| self.wrong("a table"))
    }

    /// What `read` makes of the text. When it answers with what is wrong and what to write, that is noted as a
    /// problem.
    pub(crate) fn parse<T>(
        &self,
        read: impl FnOnce(&str) -> Result<T, (String, String)>,
    ) -> Option<T> {
        read(self.text()?).map_err(|(message, hint)| self.problem(message, hint)).ok()
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(text, &known).map_or_else(
            || format!("write {}", either(&known)),
            |near| format!("did you mean \"{near}\"?"),
        );
        self.problem(format!("\"{text}\" is not known here"), hint);
        None
    }

    fn wrong<T>(&self, wanted: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.problem(format!("this is {found}"), format!("write {wanted}"));
        None
    }
}

/// A table being read.
pub(crate) struct Section<'a> {
    /// The table itself, for problems about it.
    pub(crate) node: Node<'a>,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(crate) fn root(notes: &'a Notes<'a>, value: &'a DeValue<'a>) -> Option<Self> {
        Node { notes, path: String::new(), at: 0, value }.table()
    }

    /// The value of a key. Asking for a key makes it a known one.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.asked.push(key);
        self.table.get(key).map(|value| self.child(key, value))
    }

    /// What `read` makes of the value of a key, or `default` when the key is absent. When the value is bad, a problem
    /// has been noted, and the default takes its place so that reading can go on.
    pub(crate) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> T {
        self.get(key).and_then(|node| read(&node)).unwrap_or(default)
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&mut self, key: &'static str, hint: &str) -> Option<Node<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.node.problem(format!("\"{key}\" is missing"), hint);
        }
        found
    }

    /// Every entry in the file's order, each with the place of its key.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Node<'a>, Node<'a>)> {
        let entry = |(key, value): (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)| {
            let node = self.child(key.get_ref(), value);
            (key.get_ref().as_ref(), Node { at: key.span().start, ..node.clone() }, node)
        };
        let mut entries: Vec<_> = self.table.iter().map(entry).collect();
        entries.sort_by_key(|(_, key, _)| key.at);
        entries
    }

    /// Notes every key that nobody asked for.
    pub(crate) fn finish(self) {
        for (name, key, _) in self.entries() {
            if self.asked.contains(&name) {
                continue;
            }
            let mut known = self.asked.clone();
            known.sort_unstable();
            known.dedup();
            let hint = nearest(name, &known).map_or_else(
                || format!("known here: {}", known.join(", ")),
                |near| format!("did you mean \"{near}\"?"),
            );
            key.within(&self.node).problem(format!("unknown key \"{name}\""), hint);
        }
    }

    fn child(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Node<'a> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let bare = !key.is_empty() && key.bytes().all(plain);
        let name = if bare { key.to_owned() } else { format!("\"{}\"", key.escape_debug()) };
        let dot = if self.node.path.is_empty() { "" } else { "." };
        Node::new(self.node.notes, format!("{}{dot}{name}", self.node.path), value)
    }
}

fn some(hint: impl Into<String>) -> Option<String> {
    Some(hint.into()).filter(|hint| !hint.is_empty())
}

/// `"a", "b" or "c"`.
fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
