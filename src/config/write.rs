//! Puts an edit on the disk, whole or not at all: never over somebody else's edit, never a configuration that would be
//! refused, never half a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};

use super::load::{LARGEST_FILE, read_limited};
use super::{Config, Context, Edit, Problem, Rejected, Revision};

/// Why an edit was not made.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file is another one by now.
    #[error("moonwa.toml was changed meanwhile")]
    Conflict {
        /// The revision that the edit was made for.
        expected: Revision,
        /// The revision that the file has.
        found: Revision,
    },
    /// There is no such device, or the file's form is beyond an edit.
    #[error("there is nothing to edit in moonwa.toml")]
    NotFound,
    /// The file would be refused after the edit, or is already.
    #[error("moonwa.toml would be refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
    /// moonwa may not write the file: a person must.
    #[error("moonwa.toml cannot be written")]
    ReadOnly {
        /// What to write into it.
        toml: String,
    },
    /// The disk failed.
    #[error("moonwa.toml cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl Edit {
    /// Makes the edit in a file that has the revision `expected`, and tells its new revision. The file's mode, owner and
    /// the symlinks to it stay. Blocks.
    pub fn write(&self, path: &Path, expected: Revision) -> Result<Revision, EditError> {
        let invalid = |rejected: Rejected| EditError::Invalid(rejected.problems);
        let context = Context::of(path);
        let old = read_limited(path, LARGEST_FILE)?;
        let loaded = Config::parse(&old, &context).map_err(invalid)?;
        if loaded.revision != expected {
            return Err(EditError::Conflict { expected, found: loaded.revision });
        }
        let text = String::from_utf8_lossy(&old);
        let new = self.apply(&text).ok_or(EditError::NotFound)?;
        let edited = Config::parse(&new, &context).map_err(invalid)?;
        let paste = || {
            self.to_paste(&text).map_or(EditError::NotFound, |toml| EditError::ReadOnly { toml })
        };
        if !loaded.config.admin.editable {
            return Err(paste());
        }
        let target = fs::canonicalize(path)?;
        if fs::metadata(&target)?.permissions().readonly() {
            return Err(paste());
        }
        let unchanged = || -> Result<(), EditError> {
            let now = read_limited(path, LARGEST_FILE)?;
            let found = Config::parse(&now, &context).map(|loaded| loaded.revision);
            let found = found.or_else(|rejected| rejected.revision.ok_or(EditError::NotFound))?;
            if now == old { Ok(()) } else { Err(EditError::Conflict { expected, found }) }
        };
        match replace(&target, new.as_bytes(), unchanged) {
            Ok(()) => Ok(edited.revision),
            Err(EditError::Io(error)) if forbids(&error) => Err(paste()),
            Err(error) => Err(error),
        }
    }
}

/// Whether an error means that moonwa may not write here: no permission, a read-only file system, a bind mount.
fn forbids(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::CrossesDevices
    )
}

/// Replaces a file by a new one of the same mode and owner, once `still_wanted` agrees.
fn replace(
    target: &Path,
    bytes: &[u8],
    still_wanted: impl FnOnce() -> Result<(), EditError>,
) -> Result<(), EditError> {
    let dir = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    // One name, so that a leftover of a crash is overwritten and not added to.
    let draft = Draft(dir.join(format!(".{name}.new")));
    draft.remove();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0)?;
    file.write_all(bytes)?;
    let old = fs::metadata(target)?;
    let new = file.metadata()?;
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        let owner = (Uid::from_raw(old.uid()), Gid::from_raw(old.gid()));
        rustix::fs::fchown(&file, Some(owner.0), Some(owner.1)).map_err(io::Error::from)?;
    }
    file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
    file.sync_all()?;
    still_wanted()?;
    fs::rename(&draft.0, target)?;
    File::open(dir)?.sync_all()?;
    Ok(())
}

/// A file that goes unless it has been renamed.
struct Draft(PathBuf);

impl Draft {
    fn remove(&self) {
        // Not being there is the usual case, and fine.
        fs::remove_file(&self.0).unwrap_or_default();
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.remove();
    }
}
