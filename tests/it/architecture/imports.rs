//! Which files of a crate use which others, read from their tokens: every path that begins at `crate`, `super`,
//! `self` or a module, in a `use` with all its groups or in the code, outside tests. What a module re-exports counts
//! for the file that defines it, and `mod child;` is no use.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module by its names from the crate's root, which is empty.
pub(super) type Module = Vec<String>;

/// A path as it is written.
type Path = Vec<String>;

/// What one file says.
#[derive(Default)]
struct File {
    /// Paths, each with the module that it is written in.
    paths: Vec<(Module, Path)>,
    /// What `use` gives a name to, in which module.
    names: BTreeMap<(Module, String), Path>,
    /// `mod name { … }`.
    inside: Vec<Module>,
    /// `mod tests;` and others that only tests have.
    tests: Vec<Module>,
}

pub(super) struct Imports {
    files: BTreeMap<Module, File>,
    /// Every module, also those without a file of their own.
    modules: BTreeSet<Module>,
}

impl Imports {
    /// Reads files: the module of each, and its text.
    pub(super) fn read(sources: impl IntoIterator<Item = (Module, String)>) -> Self {
        let mut files: BTreeMap<Module, File> = BTreeMap::new();
        for (module, text) in sources {
            let tokens: TokenStream = text.parse().unwrap_or_else(|error| {
                panic!("{}: {error}", module.join("::"));
            });
            let mut file = File::default();
            read(&mut file, &module, tokens);
            files.insert(module, file);
        }
        let tests: Vec<Module> = files.values().flat_map(|file| file.tests.clone()).collect();
        files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        for (module, file) in &files {
            let glob = file.paths.iter().find(|(_, path)| path.ends_with(&["*".to_owned()]));
            assert!(glob.is_none(), "{}: nobody knows what a glob brings", module.join("::"));
        }
        let inside = files.values().flat_map(|file| file.inside.iter());
        let modules = files.keys().chain(inside).cloned().collect();
        Self { files, modules }
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.files.keys()
    }

    /// The files that a file uses, without itself.
    pub(super) fn of(&self, module: &Module) -> BTreeSet<&Module> {
        let paths = self.files[module].paths.iter();
        let used = paths.filter_map(|(at, path)| self.resolve(module, at, path, 0));
        used.filter(|used| *used != module).collect()
    }

    /// The file that a path leads to; none of this crate's for `std::fmt`.
    fn resolve(
        &self,
        file: &Module,
        at: &Module,
        path: &[String],
        depth: usize,
    ) -> Option<&Module> {
        assert!(depth < 10, "{} leads back to itself", path.join("::"));
        let (mut here, mut rest) = (at.clone(), path);
        match path.first()?.as_str() {
            "crate" => (here, rest) = (Module::new(), &path[1..]),
            "self" | "super" => {
                while let [step, after @ ..] = rest
                    && matches!(step.as_str(), "self" | "super")
                {
                    if step == "super" {
                        here.pop();
                    }
                    rest = after;
                }
            }
            name => {
                // `use log::log` names something of another crate, or of a child.
                let given = self.files[file].names.get(&(at.clone(), name.to_owned()));
                if let Some(given) = given.filter(|given| given[0] != name) {
                    let whole = [&given[..], &path[1..]].concat();
                    return self.resolve(file, at, &whole, depth + 1);
                }
                here.push(name.to_owned());
                rest = &path[1..];
                self.modules.get(&here)?;
            }
        }
        while let [name, after @ ..] = rest {
            let child = [&here[..], std::slice::from_ref(name)].concat();
            if self.modules.contains(&child) {
                (here, rest) = (child, after);
                continue;
            }
            let home = self.file_of(&here);
            let (home, file) = self.files.get_key_value(&home)?;
            return match file.names.get(&(here.clone(), name.clone())) {
                Some(given) => {
                    let whole = [&given[..], after].concat();
                    self.resolve(home, &here, &whole, depth + 1)
                }
                None => Some(home),
            };
        }
        self.files.get_key_value(&self.file_of(&here)).map(|(home, _)| home)
    }

    /// The file that holds a module, which may be written inside it.
    fn file_of(&self, module: &Module) -> Module {
        let mut file = module.clone();
        while !self.files.contains_key(&file) && file.pop().is_some() {}
        file
    }

    /// Groups of files that all use each other, by however many steps.
    pub(super) fn circles(&self) -> Vec<Vec<&Module>> {
        let uses: BTreeMap<&Module, BTreeSet<&Module>> =
            self.files.keys().map(|module| (module, self.of(module))).collect();
        let reach = |from: &Module| {
            let mut seen = BTreeSet::new();
            let mut open: Vec<&Module> = uses[from].iter().copied().collect();
            while let Some(module) = open.pop() {
                if seen.insert(module) {
                    open.extend(&uses[module]);
                }
            }
            seen
        };
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            self.files.keys().map(|module| (module, reach(module))).collect();
        let mut circles = BTreeSet::new();
        for (module, others) in &reached {
            let circle: Vec<&Module> =
                others.iter().copied().filter(|other| reached[*other].contains(*module)).collect();
            if !circle.is_empty() {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }
}

/// Reads the tokens of a module into the file that holds it.
fn read(file: &mut File, at: &Module, tokens: TokenStream) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = &tokens[..];
    let mut only_for_tests = false;
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if let [TokenTree::Group(attribute), after @ ..] = rest {
                    only_for_tests |=
                        attribute.stream().to_string().replace(' ', "") == "cfg(test)";
                    rest = after;
                }
                continue;
            }
            // The next item is not part of the program: up to its body, or to its end.
            _ if only_for_tests => {
                rest = without_item(file, at, first, rest);
            }
            TokenTree::Ident(word) => match word.to_string().as_str() {
                "pub" => {
                    // `pub(in crate::config)` uses nothing.
                    if let [TokenTree::Group(limits), after @ ..] = rest
                        && limits.delimiter() == Delimiter::Parenthesis
                    {
                        rest = after;
                    }
                }
                "mod" => {
                    if let [TokenTree::Ident(name), TokenTree::Group(body), after @ ..] = rest {
                        let inner = [&at[..], &[name.to_string()]].concat();
                        read(file, &inner, body.stream());
                        file.inside.push(inner);
                        rest = after;
                    } else {
                        // `mod name;`
                        rest = rest.get(1..).unwrap_or_default();
                    }
                }
                "use" => {
                    let end = rest.iter().position(|token| is(token, ';')).unwrap_or(rest.len());
                    for (path, name) in tree(&rest[..end]) {
                        file.names.insert((at.clone(), name), path.clone());
                        file.paths.push((at.clone(), path));
                    }
                    rest = &rest[end..];
                }
                word => rest = path(file, at, word, rest),
            },
            TokenTree::Group(group) => read(file, at, group.stream()),
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                // `a::b`: what follows the colons begins no path.
                if let [colon, TokenTree::Ident(_), after @ ..] = rest
                    && is(colon, ':')
                {
                    rest = after;
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        only_for_tests = false;
    }
}

fn is(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

/// Skips an item that begins with `first`, and notes it when it is a module in a file of its own.
fn without_item<'t>(
    file: &mut File,
    at: &Module,
    first: &TokenTree,
    mut rest: &'t [TokenTree],
) -> &'t [TokenTree] {
    let mut words = vec![first.to_string()];
    while let [token, after @ ..] = rest {
        rest = after;
        match token {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => break,
            token if is(token, ';') => {
                if let [.., keyword, name] = &words[..]
                    && keyword == "mod"
                {
                    file.tests.push([&at[..], std::slice::from_ref(name)].concat());
                }
                break;
            }
            token => words.push(token.to_string()),
        }
    }
    rest
}

/// A path in the code that begins with `word`; what follows it.
fn path<'t>(
    file: &mut File,
    at: &Module,
    word: &str,
    mut rest: &'t [TokenTree],
) -> &'t [TokenTree] {
    let mut path = vec![word.to_owned()];
    while let [a, b, TokenTree::Ident(name), after @ ..] = rest
        && is(a, ':')
        && is(b, ':')
    {
        path.push(name.to_string());
        rest = after;
    }
    if path.len() > 1 {
        file.paths.push((at.clone(), path));
    }
    rest
}

/// The paths of a `use`, each with the name that it gives.
fn tree(tokens: &[TokenTree]) -> Vec<(Path, String)> {
    let mut path = Path::new();
    let mut rest = tokens;
    while let [token, after @ ..] = rest {
        rest = after;
        match token {
            TokenTree::Ident(word) if *word == "as" => {
                let name = rest.first().map(ToString::to_string).unwrap_or_default();
                return vec![(path, name)];
            }
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Group(group) => {
                let members: Vec<TokenTree> = group.stream().into_iter().collect();
                let members = members.split(|token| is(token, ',')).flat_map(tree);
                return members
                    .map(|(member, name)| {
                        // `{self, …}` is the module itself, under its own name.
                        let name =
                            if member == ["self"] { path.last().cloned() } else { Some(name) };
                        let member = member.into_iter().filter(|word| word != "self");
                        (path.iter().cloned().chain(member).collect(), name.unwrap_or_default())
                    })
                    .collect();
            }
            token if is(token, '*') => path.push("*".to_owned()),
            _ => {}
        }
    }
    let name = path.last().cloned();
    name.map(|name| vec![(path, name)]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str) -> Module {
        name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn imports(files: &[(&str, &str)]) -> Imports {
        Imports::read(files.iter().map(|(name, text)| (module(name), (*text).to_owned())))
    }

    /// What `a::b` uses when it says that, beside files `a`, `a::c`, `a::c::d`, `e` and `e::f`.
    fn used(text: &str) -> Vec<String> {
        let read = imports(&[
            ("", "pub mod a; mod e;"),
            ("a", "mod b; mod c; pub use c::{Thing, d::{Deep as Renamed}}; pub struct Own;"),
            ("a::b", text),
            ("a::c", "pub(crate) mod d; pub struct Thing;"),
            ("a::c::d", "pub struct Deep;"),
            ("e", "mod f; pub use f::{self, inner}; pub(crate) use crate::a::Thing as Far;"),
            ("e::f", "pub mod inner { pub fn run() {} }"),
        ]);
        read.of(&module("a::b")).into_iter().map(|module| module.join("::")).collect()
    }

    #[test]
    fn every_form_of_a_path_is_read() {
        for (text, files) in [
            ("use std::fmt; use bytes::Bytes; fn e() { serde::de::x(); }", vec![]),
            ("use super::Own;", vec!["a"]),
            ("use super::c::Thing;", vec!["a::c"]),
            ("use super::Thing;", vec!["a::c"]),
            ("use super::Renamed;", vec!["a::c::d"]),
            ("use super::{Own, c::{d::{Deep}, Thing}};", vec!["a", "a::c", "a::c::d"]),
            ("use super::super::e::f;", vec!["e::f"]),
            ("use crate::{a::{Own, c::{self}}, e::f::{self, inner}};", vec!["a", "a::c", "e::f"]),
            ("use crate::e::{Far as Near};", vec!["a::c"]),
            ("use crate::e::inner::run;", vec!["e::f"]),
            ("fn f(x: &crate::e::f::inner::X) {}", vec!["e::f"]),
            ("fn f() { if x { g!(super::super::e::f::run()) } }", vec!["e::f"]),
            ("mod armed { pub(super) fn f() { super::super::c::g() } }", vec!["a::c"]),
            ("use self::own; mod own {}", vec![]),
            // What is named through a module counts beside the module.
            ("use crate::e; fn f() { e::inner::run(e::Far) }", vec!["a::c", "e", "e::f"]),
            ("use crate::e as far; fn f() { far::inner::run() }", vec!["e", "e::f"]),
            ("// crate::e::f\nconst X: &str = \"crate::e::f\"; fn f<'crate_>() {}", vec![]),
            ("fn f() { other::e::f(); x.e(); let e = 1; e.f }", vec![]),
            ("#[cfg(test)] mod tests { use crate::e::f; } use super::Own;", vec!["a"]),
            ("#[cfg(test)] #[allow(x)] pub(crate) use crate::e::f; use super::Own;", vec!["a"]),
            ("#[cfg(test)] fn only() -> X { crate::e::f::run() } use super::Own;", vec!["a"]),
            ("#[derive(Debug)] struct S { x: super::Own }", vec!["a"]),
        ] {
            assert_eq!(used(text), files, "{text}");
        }
    }

    #[test]
    fn a_child_is_used_where_it_is_called() {
        let read = imports(&[("", "mod a;"), ("a", "mod b; fn f() { b::g() }"), ("a::b", "")]);
        assert_eq!(read.of(&module("a")), BTreeSet::from([&module("a::b")]));
        let declared = imports(&[("", "mod a;"), ("a", "mod b;"), ("a::b", "use super::x;")]);
        assert!(declared.of(&module("a")).is_empty() && declared.circles().is_empty());
    }

    #[test]
    fn files_of_tests_do_not_count() {
        let read = imports(&[
            ("", "mod a;"),
            ("a", "#[cfg(test)] mod tests; pub struct Own;"),
            ("a::tests", "mod more; use super::Own;"),
            ("a::tests::more", "use crate::a::Own;"),
        ]);
        assert_eq!(read.modules().collect::<Vec<_>>(), [&module(""), &module("a")]);
    }

    #[test]
    fn a_circle_is_found_when_one_is_added() {
        let circles = |last: &str| {
            let read = imports(&[
                ("", "mod a; mod b; mod c; pub use a::A;"),
                ("a", "mod inner; pub use inner::A;"),
                ("a::inner", "use crate::b::B;"),
                ("b", "use crate::c::C;"),
                ("c", last),
            ]);
            let names = |circle: Vec<&Module>| circle.into_iter().map(|m| m.join("::")).collect();
            read.circles().into_iter().map(names).collect::<Vec<Vec<String>>>()
        };
        assert!(circles("pub struct C;").is_empty());
        // By the name that `a` re-exports, and by its own.
        for last in ["use crate::a::A;", "use crate::A;", "fn f() { crate::a::inner::A::new() }"] {
            assert_eq!(circles(last), [["a::inner", "b", "c"]], "{last}");
        }
        assert_eq!(circles("use crate::b::B;"), [["b", "c"]]);
        assert!(circles("#[cfg(test)] mod tests { use crate::b::B; }").is_empty());
    }
}
