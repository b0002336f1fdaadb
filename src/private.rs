//! Files for their owner alone. The store holds what makes moonwa the linked devices: who can copy it is them.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::{geteuid, umask};

/// What others could do with a file.
const OTHERS: u32 = 0o077;

/// Whatever this process and its libraries make from now on is for its user alone. Returns what the user would have had.
pub(crate) fn by_default() -> u32 {
    umask(Mode::from_raw_mode(OTHERS)).as_raw_mode()
}

/// Makes a directory, and those above it that are missing.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A new file in place of whatever has that name. A link that somebody planted there is removed, never followed.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Replaces a file in one step, by way of a draft beside it.
pub(crate) fn replace(path: &Path, draft: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = create(draft)?;
    file.write_all(content)?;
    fs::rename(draft, path)
}

/// Whose it is, when it is not this process's user's.
pub(crate) fn other_owner(path: &Path) -> io::Result<Option<u32>> {
    Ok(Some(fs::metadata(path)?.uid()).filter(|owner| *owner != geteuid().as_raw()))
}

/// A directory and everything in it that others may use; links are not followed.
pub(crate) fn open_to_others(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        // The directory itself may be a link of the operator's.
        let at = if path == directory { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        let at = match at {
            // A running gateway removes files meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            at => at?,
        };
        if at.is_dir() {
            for entry in fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        }
        if !at.is_symlink() && at.mode() & OTHERS != 0 {
            found.push(path);
        }
    }
    Ok(found)
}

/// How many bytes of the disk a directory uses, with everything in it.
pub(crate) fn used_by(directory: &Path) -> io::Result<u64> {
    let mut used = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        used += match entry.metadata() {
            // A running gateway removes files meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Ok(found) if found.is_dir() => used_by(&entry.path())?,
            found => found?.blocks() * 512,
        };
    }
    Ok(used)
}

/// Takes from others what they may do with these files.
pub(crate) fn close_to_others(paths: &[PathBuf]) -> io::Result<()> {
    for path in paths {
        let mode = fs::metadata(path)?.mode() & 0o7777 & !OTHERS;
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let [victim, draft, file] = ["victim", ".draft", "file"].map(|name| dir.path().join(name));
        fs::write(&victim, "theirs").unwrap();
        symlink(&victim, &draft).unwrap();
        replace(&file, &draft, b"ours").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"theirs");
        assert_eq!((fs::read(&file).unwrap(), mode(&file)), (b"ours".to_vec(), 0o600));
        assert!(!file.is_symlink() && !draft.exists());
    }

    #[test]
    fn what_is_open_to_others_is_found_and_closed_and_links_are_left() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let [store, link] = ["store", "store/link"].map(|name| dir.path().join(name));
        let inner = store.join("state/tables");
        create_folder(&inner).unwrap();
        assert_eq!([mode(&store), mode(&inner)], [0o700, 0o700]);
        let (table, theirs) = (inner.join("1"), outside.path().join("theirs"));
        for file in [&table, &theirs] {
            fs::write(file, "").unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o664)).unwrap();
        }
        fs::set_permissions(&store, Permissions::from_mode(0o755)).unwrap();
        symlink(&theirs, link).unwrap();
        let mut found = open_to_others(&store).unwrap();
        found.sort();
        assert_eq!(found, [store.clone(), table.clone()]);
        close_to_others(&found).unwrap();
        assert_eq!([mode(&store), mode(&table), mode(&theirs)], [0o700, 0o600, 0o664]);
        assert!(open_to_others(&store).unwrap().is_empty());
        assert_eq!(other_owner(&store).unwrap(), None);
    }
}
