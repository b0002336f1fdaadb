//! Puts an edit on the disk, whole or not at all: never over somebody else's edit, never a configuration that would be
//! refused, never half a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, StatxFlags, Uid, statx};

use super::document::Edit;
use crate::config::read::{LARGEST_FILE, read_limited, revision_on_disk};
use crate::config::{Config, ConfigDiff, Context, Others, Problem, Rejected, Revision};

/// Why an edit was not made.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file has changed since the caller read it.
    #[error("moonwa.toml was changed meanwhile")]
    Conflict {
        /// The revision that the edit was made for.
        expected: Revision,
        /// The revision that the file has.
        found: Revision,
    },
    /// There is no such device, or the file is written in a form that cannot be edited.
    #[error("there is nothing to edit in moonwa.toml")]
    NotFound,
    /// The file would be refused after the edit, or is refused already.
    #[error("moonwa.toml would be refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
    /// moonwa may not write the file, so a person must.
    #[error("moonwa.toml cannot be written")]
    ReadOnly {
        file: String,
        /// What to write into it.
        toml: String,
    },
    #[error("moonwa.toml cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl Edit {
    /// Makes the edit in the file, if the file has the revision `expected` (any, when absent) and a gateway that runs
    /// with `running` can apply the result without a restart. Returns the new revision. The file keeps its mode, its
    /// owner and the symlinks to it. Blocks.
    pub fn write(
        &self,
        path: &Path,
        expected: Option<Revision>,
        running: &Config,
    ) -> Result<Revision, EditError> {
        let ready = self.prepare(path, expected, running)?;
        if let Some(draft) = &ready.draft {
            let unchanged = ready.unchanged(path);
            unchanged.and_then(|()| draft.put()).map_err(|error| self.told(error, &ready))?;
        }
        Ok(ready.after)
    }

    /// Does everything that `write` does but its last step, to find out whether the edit can be made. Returns the
    /// revision that it would change. Blocks.
    pub fn rehearse(
        &self,
        path: &Path,
        expected: Option<Revision>,
        running: &Config,
    ) -> Result<Revision, EditError> {
        self.prepare(path, expected, running).map(|ready| ready.before)
    }

    /// The file that the edit would change. Blocks.
    pub(crate) fn file(&self, path: &Path, running: &Config) -> Result<PathBuf, EditError> {
        self.prepare(path, None, running).map(|ready| ready.home.path)
    }

    fn prepare(
        &self,
        path: &Path,
        expected: Option<Revision>,
        running: &Config,
    ) -> Result<Ready, EditError> {
        let invalid = |rejected: Rejected| EditError::Invalid(rejected.problems);
        let context = Context::of(path);
        let bytes = read_limited(path, LARGEST_FILE)?;
        let loaded = Config::parse(&bytes, &context).map_err(invalid)?;
        let (before, found) = (loaded.revision, loaded.revision);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(EditError::Conflict { expected, found });
        }
        let home = self.home(path, &bytes, &loaded.others)?;
        let new = self.apply(&home.text).ok_or(EditError::NotFound)?;
        let kept = |(path, text): &(PathBuf, Vec<u8>)| {
            let text = if *path == home.path { new.clone().into_bytes() } else { text.clone() };
            (path.clone(), text)
        };
        let main = if home.path == path { new.as_bytes() } else { &bytes };
        let kept = home.included.iter().map(kept).collect();
        let edited = Config::parse_with(main, &context, Some(kept)).map_err(invalid)?;
        let refusals = ConfigDiff::between(running, &edited.config).refusals(&context.file);
        if !refusals.is_empty() {
            return Err(EditError::Invalid(refusals));
        }
        let editable = running.admin.editable && loaded.config.admin.editable;
        let mut ready =
            Ready { before, after: edited.revision, others: loaded.others, home, draft: None };
        if !editable {
            return Err(self.paste(&ready));
        }
        if new != ready.home.text {
            let draft = fs::canonicalize(&ready.home.path)
                .and_then(|target| Draft::new(&target, new.as_bytes()));
            ready.draft = Some(draft.map_err(|error| self.told(error.into(), &ready))?);
        }
        Ok(ready)
    }

    /// The file that has the device's table; a new device goes into the main file.
    fn home(&self, path: &Path, bytes: &[u8], others: &Others) -> Result<Home, EditError> {
        let included = others
            .included
            .iter()
            .map(|path| read_limited(path, LARGEST_FILE).map(|text| (path.clone(), text)));
        let included = included.collect::<io::Result<Vec<_>>>()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let home = included.iter().find(|(_, bytes)| self.concerns(&text(bytes)));
        let (path, text) =
            home.map_or((path, text(bytes)), |(path, bytes)| (path.as_path(), text(bytes)));
        Ok(Home { path: path.to_owned(), text, included })
    }

    fn told(&self, error: EditError, ready: &Ready) -> EditError {
        match error {
            EditError::Io(error) if forbids(&error) => self.paste(ready),
            error => error,
        }
    }

    fn paste(&self, ready: &Ready) -> EditError {
        let file = ready.home.path.display().to_string();
        let toml = self.to_paste(&ready.home.text);
        toml.map_or(EditError::NotFound, |toml| EditError::ReadOnly { file, toml })
    }
}

/// The file that has a device's table, and all included files.
struct Home {
    path: PathBuf,
    text: String,
    included: Vec<(PathBuf, Vec<u8>)>,
}

/// An edit that can be made.
struct Ready {
    before: Revision,
    after: Revision,
    others: Others,
    home: Home,
    /// Absent when the edit changes nothing.
    draft: Option<Draft>,
}

impl Ready {
    /// Fails when somebody has saved a file meanwhile.
    fn unchanged(&self, path: &Path) -> Result<(), EditError> {
        let found = revision_on_disk(path, &self.others).ok_or(EditError::NotFound)?;
        let expected = self.before;
        if found == expected { Ok(()) } else { Err(EditError::Conflict { expected, found }) }
    }
}

/// Whether moonwa may write a file, as far as that can be told without trying. Blocks.
pub(crate) fn is_writable(path: &Path) -> bool {
    fs::canonicalize(path).and_then(|target| may_replace(&target)).is_ok()
}

/// Whether a new file may take the place of this one.
fn may_replace(target: &Path) -> io::Result<()> {
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let dir = target.parent().ok_or_else(denied)?;
    let file = fs::metadata(target)?;
    // Root could write a read-only file, but whoever made it read-only meant it.
    if file.permissions().readonly() {
        return Err(denied());
    }
    let me = rustix::process::geteuid();
    if !me.is_root() && me.as_raw() != file.uid() {
        return Err(denied());
    }
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK)?;
    // A file that is mounted by itself cannot be replaced, and writing into it could leave half a file.
    let mount = |path: &Path| {
        statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).map(|stat| stat.stx_mnt_id)
    };
    if mount(target)? == mount(dir)? { Ok(()) } else { Err(io::ErrorKind::CrossesDevices.into()) }
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

/// A new file beside the old one, with the same mode and owner. It is removed unless it takes the old one's place.
struct Draft {
    path: PathBuf,
    target: PathBuf,
}

impl Draft {
    fn new(target: &Path, bytes: &[u8]) -> io::Result<Self> {
        may_replace(target)?;
        let dir = target.parent().unwrap_or(Path::new("/"));
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        // Always the same name, so that what a crash leaves behind is replaced and does not pile up.
        let draft = Self { path: dir.join(format!(".{name}.new")), target: target.to_owned() };
        draft.remove();
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.path)?;
        file.write_all(bytes)?;
        let old = fs::metadata(target)?;
        let new = file.metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            let owner = (Uid::from_raw(old.uid()), Gid::from_raw(old.gid()));
            rustix::fs::fchown(&file, Some(owner.0), Some(owner.1)).map_err(io::Error::from)?;
        }
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        file.sync_all()?;
        Ok(draft)
    }

    fn put(&self) -> Result<(), EditError> {
        fs::rename(&self.path, &self.target)?;
        File::open(self.target.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        Ok(())
    }

    fn remove(&self) {
        // Usually it is not there any more.
        fs::remove_file(&self.path).unwrap_or_default();
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.remove();
    }
}
