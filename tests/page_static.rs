//! What can be said about the admin page without a browser: both languages have the same words and every word is used,
//! nothing in it needs a looser content policy than the strict one, every name points at something, and it stays small.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "what a test does not expect shall end it loudly"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The kinds of file the page may consist of.
const KINDS: [&str; 4] = ["html", "js", "css", "svg"];
/// What a browser fetches to show the device list in one language, uncompressed.
const FIRST_VIEW: usize = 80 * 1000;
/// Everything, both languages and every view, uncompressed.
const ALL: usize = 137 * 1000;

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("web")
}

/// Every asset by its path below `web/`. The API's description lies there too, but is no part of the page.
fn assets() -> BTreeMap<String, String> {
    fn walk(dir: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(web()).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                walk(&path, found);
            } else if name != "openapi.json" {
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&web(), &mut found);
    found
}

/// What follows the last dot of a name.
fn kind(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

fn scripts() -> BTreeMap<String, String> {
    assets().into_iter().filter(|(name, _)| kind(name) == "js").collect()
}

/// The dictionary of a language: one key, a space and its words per line.
fn words(language: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(web().join(format!("lang/{language}.js"))).unwrap();
    let lines = text.split('`').nth(1).unwrap();
    let mut words = BTreeMap::new();
    for line in lines.lines() {
        let (key, text) = line.split_once(' ').unwrap_or((line, ""));
        assert!(!text.trim().is_empty(), "{language}: {key} says nothing");
        let earlier = words.insert(key.to_owned(), text.to_owned());
        assert!(earlier.is_none(), "{language}: {key} stands twice");
    }
    words
}

/// What stands between `before` and `after`, at each place.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split_once(after).map(|(name, _)| name))
        .collect()
}

/// The values of an attribute, quoted or not.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=");
    let value = |rest: &'a str| match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([' ', '>', '\n']).next(),
    };
    page.split(&start).skip(1).filter_map(value).collect()
}

fn placeholders(text: &str) -> BTreeSet<&str> {
    between(text, "{", "}").into_iter().collect()
}

#[test]
fn both_languages_say_the_same_things() {
    let (en, id) = (words("en"), words("id"));
    // Indonesian has no plural: `key.one` is for languages that do.
    let keys = |words: &BTreeMap<String, String>| -> BTreeSet<String> {
        words.keys().filter(|key| kind(key) != "one").cloned().collect()
    };
    assert_eq!(keys(&en), keys(&id));
    assert!(en.len() > 100, "the dictionaries were not read");
    for (key, text) in &id {
        assert_eq!(placeholders(text), placeholders(&en[key]), "{key}");
    }
}

#[test]
fn every_word_asked_for_exists_and_every_word_is_asked_for() {
    let words = words("en");
    let mut asked = BTreeSet::new();
    let mut families = BTreeSet::new();
    let page = &assets()["index.html"];
    for attribute in ["data-t", "data-t-label", "data-t-ph", "data-t-alt"] {
        asked.extend(values(page, attribute).into_iter().map(str::to_owned));
    }
    for (name, script) in scripts().iter().filter(|(name, _)| !name.starts_with("lang/")) {
        // A key made up of parts is known by its beginning: t(`r.${reason}`).
        for part in script.split('`') {
            if let Some((family, _)) = part.split_once("${") {
                families.insert(family.to_owned());
            }
        }
        for before in ["say(\"", "word(\""] {
            families.extend(between(script, before, "\"").into_iter().map(|f| format!("{f}.")));
        }
        for literal in script.split('"') {
            if words.contains_key(literal) {
                asked.insert(literal.to_owned());
            }
        }
        for key in between(script, " t(\"", "\"").into_iter().chain(between(script, "(t(\"", "\""))
        {
            assert!(words.contains_key(key), "{name} asks for {key}");
        }
    }
    for key in &asked {
        assert!(words.contains_key(key), "nobody wrote {key}");
    }
    let families: Vec<_> = families.into_iter().filter(|f| f.ends_with(['.', '_'])).collect();
    for key in words.keys() {
        let key = key.trim_end_matches(".one").trim_end_matches(".until");
        assert!(
            asked.contains(key) || families.iter().any(|family| key.starts_with(family.as_str())),
            "nobody asks for {key}"
        );
    }
}

#[test]
fn text_only_enters_as_text() {
    for (name, script) in scripts() {
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "DOMParser",
            "srcdoc",
            "createContextualFragment",
            "javascript:",
            ".onclick",
        ] {
            assert!(!script.contains(sink), "{name} uses {sink}");
        }
    }
}

#[test]
fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
    let assets = assets();
    let page = &assets["index.html"];
    for tag in between(page, "<", ">") {
        for attribute in tag.split_ascii_whitespace().skip(1) {
            let name = attribute.split_once('=').map_or("", |(name, _)| name);
            assert!(!name.starts_with("on"), "a handler in <{tag}>");
            assert!(name != "style", "a style in <{tag}>");
        }
        assert!(!tag.starts_with("style"), "a style sheet in the page");
        assert!(!tag.starts_with("script") || tag.contains(" src="), "a script in the page");
        for address in values(tag, "src").into_iter().chain(values(tag, "href")) {
            // Relative, so that the page also works below a path.
            let known = ["v1/session", "openapi.json"].contains(&address);
            assert!(
                known || address.starts_with('#') || assets.contains_key(address),
                "{address} is no asset of the page"
            );
        }
    }
    let style = &assets["style.css"];
    assert!(
        !style.contains("url(") && !style.contains("@import"),
        "the style sheet fetches something"
    );
    for (name, script) in scripts() {
        let folder = Path::new(&name).parent().unwrap();
        for (before, after) in [(" from \"", "\""), ("import(\"", "\"")] {
            for import in between(&script, before, after) {
                assert!(
                    import.starts_with("./") || import.starts_with("../"),
                    "{name} imports {import}"
                );
                let target = web().join(folder).join(import);
                assert!(target.exists(), "{name} imports {import}, which is not there");
            }
        }
    }
}

#[test]
fn every_template_icon_and_field_is_there() {
    let assets = assets();
    let page = &assets["index.html"];
    let code: String = scripts().into_values().collect();
    let ids = |start: &'static str| -> BTreeSet<&str> {
        values(page, "id").into_iter().filter_map(|id| id.strip_prefix(start)).collect()
    };
    let templates = ids("t-");
    let cloned: BTreeSet<_> = between(&code, "clone(\"", "\"").into_iter().collect();
    assert_eq!(templates, cloned);
    let icons = ids("i-");
    let mut used: BTreeSet<_> = values(page, "data-i").into_iter().collect();
    used.extend(between(&code, "icon(\"", "\""));
    for icon in &used {
        assert!(icons.contains(icon), "no icon {icon}");
    }
    for icon in icons.difference(&used) {
        assert!(code.contains(&format!("\"{icon}\"")), "nobody uses the icon {icon}");
    }
    for field in values(page, "data-f") {
        let mentioned = code.contains(&format!("\"{field}\""))
            || code.contains(&format!("{field}:"))
            || code.contains(&format!("{field},"))
            || code.contains(&format!("{field} }}"));
        assert!(mentioned, "nobody fills {field}");
    }
}

#[test]
fn only_known_kinds_of_file_and_few_bytes() {
    let assets = assets();
    for (name, text) in &assets {
        assert!(KINDS.contains(&kind(name)), "{name} is of no kind the server knows");
        assert!(text.lines().count() <= 400, "{name} has more than 400 lines");
    }
    let page = &assets["index.html"];
    let named = [values(page, "href"), values(page, "src")].concat();
    let later =
        |name: &str| name.starts_with("lang/") || (kind(name) == "js" && !named.contains(&name));
    let first: usize =
        assets.iter().filter(|(name, _)| !later(name)).map(|(_, text)| text.len()).sum();
    let language =
        ["lang/en.js", "lang/id.js"].map(|name| assets[name].len()).into_iter().max().unwrap();
    let all: usize = assets.values().map(String::len).sum();
    println!("first view {} bytes, all {all} bytes", first + language);
    assert!(first + language <= FIRST_VIEW, "the first view has {} bytes", first + language);
    assert!(all <= ALL, "the page has {all} bytes");
}

#[test]
fn the_first_view_is_three_requests_deep() {
    // The page; what it names: style, modules, session; and what app.js asks for then: words, devices, live stream.
    let assets = assets();
    let page = &assets["index.html"];
    let named = [values(page, "href"), values(page, "src")].concat();
    let mut reached = BTreeSet::from(["app.js".to_owned()]);
    let mut open = vec!["app.js".to_owned()];
    while let Some(name) = open.pop() {
        let folder = Path::new(&name).parent().unwrap();
        for import in between(&assets[&name], " from \"", "\"") {
            let path = folder.join(import);
            let mut plain = PathBuf::new();
            for part in path.components() {
                match part {
                    std::path::Component::ParentDir => drop(plain.pop()),
                    std::path::Component::Normal(name) => plain.push(name),
                    _ => {}
                }
            }
            let target = plain.to_str().unwrap().to_owned();
            if reached.insert(target.clone()) {
                open.push(target);
            }
        }
    }
    for module in &reached {
        assert!(named.contains(&module.as_str()), "{module} is found only after app.js was read");
    }
    assert!(named.contains(&"v1/session"), "who is there is asked at once");
}
