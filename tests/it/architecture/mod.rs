//! The floors of src/lib.rs hold, the engine and the database are named in one directory each, and no file is a barn.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use imports::{Imports, Module};

/// A module by its names from the crate's root, as its file's path has them.
fn module(path: &Path) -> Module {
    let mut names: Module =
        path.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod") || names == ["lib"] {
        names.pop();
    }
    names
}

fn imports() -> Imports {
    let sources =
        sources().into_iter().filter(|(path, _)| !path.to_string_lossy().ends_with("_tests.rs"));
    Imports::read(sources.map(|(path, text)| (module(&path), text)))
}

/// Which floor each top-level module is on, as the map in lib.rs has it.
fn floors() -> BTreeMap<String, u8> {
    let lib = include_str!("../../../src/lib.rs");
    let mut floors = BTreeMap::new();
    for line in lib.lines() {
        let Some(floor) = line.strip_prefix("//! F") else { continue };
        let (number, rest) = floor.split_once(' ').unwrap();
        let names = rest.trim_start().split("  ").next().unwrap_or_default();
        for name in names.split([',', '|']).map(str::trim) {
            floors.insert(name.to_owned(), number.parse().unwrap());
        }
    }
    floors
}

fn sources() -> Vec<(PathBuf, String)> {
    files("src")
}

/// The Rust files below a directory, by their paths from there.
fn files(directory: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
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

#[test]
fn a_module_imports_only_from_lower_floors() {
    let (floors, imports) = (floors(), imports());
    let mut wrong = Vec::new();
    for module in imports.modules().filter(|module| !module.is_empty()) {
        let own = floors.get(&module[0]).unwrap_or_else(|| panic!("{} has no floor", module[0]));
        for other in imports.of(module) {
            if other.first().is_none_or(|top| *top != module[0] && floors[top] >= *own) {
                wrong.push(format!("{} imports {}", module.join("::"), other.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let imports = imports();
    let names = |circle: Vec<&Module>| -> Vec<String> {
        circle.into_iter().map(|module| module.join("::")).collect()
    };
    let circles: Vec<_> = imports.circles().into_iter().map(names).collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

/// Words in the names of files that mean what they mean everywhere.
const PLAIN: &str = "access api auth body cli client config connect content context clock counts database day decode disk document \
    edit encode error fetch fields file find fixture form format good gzip health image include inspect json last lib load local lookup \
    main migrate mod model monitor mp4 net obey observe one origin page problem protocol raw read reader receive repair request \
    resolve response route send server settings state store sync systemd table tag task tests time timeout transfer upload \
    v1 value view watch whatsapp write writer damage hooks http device endpoint durability conformance";

#[test]
fn the_glossary_has_every_word_of_a_files_name() {
    let lib = include_str!("../../../src/lib.rs");
    let words = lib.split("**").skip(1).step_by(2).flat_map(|words| words.split(' '));
    let glossary: BTreeSet<String> = words.map(str::to_lowercase).collect();
    let known = |word: &str| {
        let one = match word.strip_suffix("ies") {
            Some(stem) => format!("{stem}y"),
            None => word.strip_suffix('s').unwrap_or(word).to_owned(),
        };
        [word, &one, &format!("{one}s")].iter().any(|word| glossary.contains(*word))
            || PLAIN.split_whitespace().any(|plain| plain == word)
    };
    let mut unknown = BTreeSet::new();
    for (path, _) in sources() {
        let path = path.with_extension("");
        // What tests are about is said in their names.
        for name in path.iter().take_while(|name| *name != "tests") {
            let name = name.to_string_lossy();
            unknown.extend(name.split('_').filter(|word| !known(word)).map(str::to_owned));
        }
    }
    assert!(unknown.is_empty(), "lib.rs' glossary lacks {unknown:?}");
}

#[test]
fn no_folder_has_more_than_fifteen_files_on_one_level() {
    let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (path, _) in sources() {
        *folders.entry(path.parent().unwrap().to_owned()).or_default() += 1;
    }
    folders.retain(|_, files| *files > 15);
    assert!(folders.is_empty(), "{folders:#?}");
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
fn a_devices_state_is_made_of_its_phase_alone() {
    let mut makers = BTreeSet::new();
    let mut published = Vec::new();
    for (path, text) in sources() {
        if !path.starts_with("whatsapp") {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        if code.contains("DeviceState::") {
            makers.insert(path.to_string_lossy().into_owned());
        }
        published.extend(quoted(code, "status.set(", ';').map(str::to_owned));
        published.extend(quoted(code, "StatusCell::new(name.clone(), ", ',').map(str::to_owned));
    }
    assert_eq!(makers.into_iter().collect::<Vec<_>>(), ["whatsapp/device/phase.rs"]);
    published.sort();
    assert_eq!(published, ["phase.shown()", "self.phase.shown())"]);
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
        let inside = text.replace("pub(crate) mod tests", "mod tests");
        let lines =
            inside.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().lines().count();
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
    for name in ["systemd/alerts.yml", "systemd/grafana.json"] {
        let text = document(name);
        for rest in text.split("moonwa_").skip(1) {
            let asked: String =
                rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let metric = ["_sum", "_count"].iter().find_map(|end| asked.strip_suffix(end));
            let metric = metric.unwrap_or(&asked);
            assert!(listed.contains(metric), "{name} asks for moonwa_{asked}");
        }
    }
}

#[test]
fn the_indonesian_readme_has_the_same_headings_and_examples() {
    // A heading counts by its level: its words are translated.
    let outline = |text: String| {
        let (mut outline, mut inside) = (Vec::new(), false);
        for line in text.lines() {
            let is_fence = line.starts_with("```");
            if inside || is_fence {
                outline.push(line.to_owned());
            } else if line.starts_with('#') {
                outline.push(line.split(' ').next().unwrap().to_owned());
            }
            inside ^= is_fence;
        }
        outline
    };
    let (english, indonesian) =
        (outline(document("README.md")), outline(document(".github/README.id.md")));
    assert!(english.len() > 100, "the examples were not found");
    for (one, other) in english.iter().zip(&indonesian) {
        assert_eq!(one, other, "README.md and .github/README.id.md");
    }
    assert_eq!(english.len(), indonesian.len(), "one of them goes on");
}

#[test]
fn each_fault_of_the_simulator_is_in_a_story() {
    let stories: String = files("tests/it").into_iter().map(|(_, text)| text).collect();
    let faults = document("tests/simulator/src/fault.rs");
    let (_, faults) = faults.split_once("pub enum Fault {").unwrap();
    let (faults, _) = faults.split_once("\n}").unwrap();
    let names = faults.lines().map(str::trim).filter_map(|line| {
        line.starts_with(char::is_uppercase).then(|| line.split([',', '(']).next())?
    });
    let mut count = 0;
    for name in names {
        count += 1;
        // Scenario files have them in small letters.
        let small = format!("fault = \"{}", name.to_lowercase());
        let told = stories.contains(&format!("Fault::{name}")) || stories.contains(&small);
        assert!(told, "no story has Fault::{name}");
    }
    assert!(count > 40, "the faults were not found");
}

#[test]
fn the_files_that_the_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for name in ["README.md", "SECURITY.md", ".github/README.id.md"] {
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
