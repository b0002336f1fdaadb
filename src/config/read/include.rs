//! Finds and reads the further files that `include` names. What they mean is decided in `resolve`, as for the main
//! file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::file::{LARGEST_FILE, read_limited};
use super::raw::{Node, Section};
use super::secret::Secrets;

/// More files than this are a mistake.
const MOST_FILES: usize = 1000;

/// A file that `include` names.
pub(crate) struct Included {
    pub(crate) path: PathBuf,
    /// Its name, as problems show it.
    pub(crate) file: String,
    pub(crate) world_readable: bool,
    pub(crate) text: Vec<u8>,
}

/// The files that the top of `moonwa.toml` includes, and the patterns that named them.
pub(crate) fn read(root: &mut Section<'_>, secrets: &Secrets<'_>) -> (Vec<Included>, Vec<PathBuf>) {
    let (mut included, mut patterns): (Vec<Included>, Vec<PathBuf>) = Default::default();
    for node in root.get("include").and_then(|node| node.list()).unwrap_or_default() {
        let Some(pattern) = node.parse(|text| pattern(text, &secrets.context.dir)) else {
            continue;
        };
        let found = if secrets.kept.is_some() { Vec::new() } else { find(&node, &pattern) };
        for path in found {
            if included.iter().any(|known| known.path == path) {
                continue;
            }
            let text = read_limited(&path, LARGEST_FILE);
            let failed =
                |error| node.problem(format!("cannot read {}: {error}", path.display()), "");
            let text = text.map_err(failed).ok();
            included.extend(one(&node, path, text, secrets));
        }
        patterns.push(pattern);
    }
    for (path, text) in secrets.kept.iter().flatten() {
        included.extend(one(&root.node, path.clone(), Some(text.clone()), secrets));
    }
    if let Some(extra) = included.get(MOST_FILES) {
        let message = format!("more than {MOST_FILES} files, among them {}", extra.file);
        root.node.problem(message, "include fewer");
        included.truncate(MOST_FILES);
    }
    (included, patterns)
}

fn find(node: &Node<'_>, pattern: &Path) -> Vec<PathBuf> {
    match expand(pattern) {
        Ok(paths) => {
            if paths.is_empty() {
                node.warning("no file matches this yet", "");
            }
            paths
        }
        Err(error) => {
            // A directory that is missing for now must never mean "no devices".
            let dir = pattern.parent().unwrap_or(Path::new("")).display();
            node.problem(
                format!("cannot look into {dir}: {error}"),
                "make it, or remove the entry",
            );
            Vec::new()
        }
    }
}

fn one(
    node: &Node<'_>,
    path: PathBuf,
    text: Option<Vec<u8>>,
    secrets: &Secrets<'_>,
) -> Option<Included> {
    secrets.note(&path, text.as_ref());
    let text = text?;
    if text.trim_ascii().is_empty() {
        // As for the main file: an empty file may be one being written, and must never mean "no devices".
        node.problem(format!("{} is empty", path.display()), "write its devices, or remove it");
        return None;
    }
    let file = path.display().to_string();
    let world_readable = fs::metadata(&path).is_ok_and(|file| file.mode() & 0o004 != 0);
    Some(Included { path, file, world_readable, text })
}

fn pattern(text: &str, dir: &Path) -> Result<PathBuf, (String, String)> {
    let path = Path::new(text);
    let above = path.parent().map(Path::to_string_lossy).unwrap_or_default();
    let name = path.file_name().map(std::ffi::OsStr::to_string_lossy).unwrap_or_default();
    if !name.ends_with(".toml") || above.contains(['*', '?']) {
        let hint =
            "write one such as \"devices.d/*.toml\"; * and ? may stand in the file's name only";
        return Err((format!("\"{}\" names no TOML files", text.escape_debug()), hint.to_owned()));
    }
    Ok(dir.join(path))
}

/// The files that match a pattern, in the order of their names. Hidden files are left out, because editors keep
/// drafts in them.
pub(crate) fn expand(pattern: &Path) -> std::io::Result<Vec<PathBuf>> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains(['*', '?']) {
        return Ok(vec![pattern.to_owned()]);
    }
    let dir = pattern.parent().unwrap_or(Path::new(""));
    let looked = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let mut found = Vec::new();
    for entry in fs::read_dir(looked)? {
        let entry = entry?.file_name();
        let text = entry.to_string_lossy();
        if !text.starts_with('.') && fits(name.as_bytes(), text.as_bytes()) {
            found.push(dir.join(&entry));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a name matches a pattern with `*` and `?`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            fits(rest, name) || name.split_first().is_some_and(|(_, name)| fits(pattern, name))
        }
        ([b'?', pattern @ ..], [_, name @ ..]) => fits(pattern, name),
        ([a, pattern @ ..], [b, name @ ..]) => a == b && fits(pattern, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name, fit) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.toml~", false),
            ("*.toml", ".toml", true),
            ("shop-?.toml", "shop-1.toml", true),
            ("shop-?.toml", "shop-12.toml", false),
            ("a*b*.toml", "axxbyy.toml", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), fit, "{pattern} {name}");
        }
    }
}
