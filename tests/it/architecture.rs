//! The floors of src/lib.rs hold, the engine and the database are named in one directory each, and no file is a barn.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which floor a top-level module is on.
fn floor(module: &str) -> Option<u8> {
    Some(match module {
        "console" | "knobs" | "model" | "net" | "task" => 0,
        "config" | "store" => 1,
        "whatsapp" | "hooks" => 2,
        "api" => 3,
        "app" | "control" | "reload" | "systemd" | "telemetry" => 4,
        "cli" | "main" => 5,
        _ => return None,
    })
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 40, "the sources were not found");
    found
}

/// The top-level module a file belongs to.
fn module_of(path: &Path) -> String {
    let first = path.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Every `crate::module` that a text names.
fn imports(text: &str) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let list = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for item in list {
            let word: String = item
                .trim()
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            named.push(word);
        }
    }
    named
}

#[test]
fn a_module_imports_only_from_lower_floors() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let own = floor(&module).unwrap_or_else(|| panic!("{module} has no floor"));
        for other in imports(&text) {
            if other == module {
                continue;
            }
            if floor(&other).is_some_and(|other| other > own || (other == own && own != 4)) {
                wrong.push(format!("{}: {module} imports {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_engine_and_the_database_have_one_room_each() {
    for (path, text) in sources() {
        for (word, room) in [("wa_rs", "whatsapp"), ("fjall", "store")] {
            let named = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| line.match_indices(&format!("{word}::")).next().is_some());
            assert!(!named || path.starts_with(room), "{} names {word}", path.display());
        }
    }
}

#[test]
fn tasks_and_blocking_work_have_their_owners() {
    for (path, text) in sources() {
        let spawns = text.contains("tokio::spawn(") || text.contains("task::spawn(");
        assert!(
            !spawns || path == Path::new("task.rs"),
            "{} spawns a task of its own",
            path.display()
        );
        assert!(!text.contains("spawn_blocking("), "{} blocks a runtime thread", path.display());
    }
}

#[test]
fn no_file_is_a_barn() {
    for (path, text) in sources() {
        // A list of tests may be long.
        if path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("tests")) {
            continue;
        }
        let lines =
            text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What begins with `start` and ends before `end`, wherever it stands in a text.
fn quoted<'t>(text: &'t str, start: &str, end: char) -> impl Iterator<Item = &'t str> {
    text.split(start).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0))
}

#[test]
fn the_readme_lists_every_metric_and_no_other() {
    // Names that begin like a metric's: the cookie, and the first key of a backup.
    const OTHERS: [&str; 2] = ["session", "backup"];
    let listed: BTreeSet<String> =
        quoted(&document("README.md"), "\n| `moonwa_", '`').map(str::to_owned).collect();
    let mut known = BTreeSet::new();
    for (_, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        known.extend(quoted(code, "\"moonwa_", '"').map(str::to_owned));
    }
    for other in OTHERS {
        known.remove(other);
    }
    assert!(known.len() > 10, "the metrics were not found: {known:?}");
    assert_eq!(listed, known, "README.md, \"Metrics\", and the code");
}

#[test]
fn the_files_that_the_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for name in ["README.md", "SECURITY.md"] {
        for words in document(name).split('`').skip(1).step_by(2) {
            let is_ours = ["src/", "tests/", "web/", "systemd/", ".ci/", ".github/"]
                .iter()
                .any(|directory| words.starts_with(directory));
            if is_ours && !words.contains(char::is_whitespace) {
                named += 1;
                assert!(root.join(words).exists(), "{name} names {words}, which does not exist");
            }
        }
    }
    assert!(named > 10, "no file was found in the documents");
}
