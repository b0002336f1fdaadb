//! Notices that `moonwa.toml` or another file of the configuration changed, however it was saved: in place, by
//! rename, by moving a symlink anywhere on the way, or on a file system that sends no events. It only nudges the
//! reloader, which reads the files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::read::{Others, Revision, expand, revision_on_disk};
use super::{ReloadHandle, Trigger};

/// How long a file must stay as it is before it counts as written.
const QUIET: Duration = Duration::from_millis(300);
/// How long a missing or empty file counts as one being written.
const PATIENCE: Duration = Duration::from_secs(2);
/// The kernel follows no more symlinks than this either.
const MOST_LINKS: usize = 40;

/// The shortest time between two looks: another file of the directory, a log perhaps, may change a thousand times a second.
const CALM: Duration = Duration::from_millis(50);

/// How many times the watches are set up again before a look, when directories come and go meanwhile.
const MOST_ROUNDS: usize = 8;

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether the kernel is asked for events.
    pub events: bool,
    /// How often the files are looked at anyway: network file systems send no events.
    pub poll: Duration,
}

impl Default for Notice {
    fn default() -> Self {
        Self { events: true, poll: Duration::from_secs(2) }
    }
}

/// Watches the configuration until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    followed: Arc<Mutex<Followed>>,
    wake: SyncSender<()>,
}

/// What was loaded last: only a difference from it is news.
#[derive(Clone, Debug)]
struct Followed {
    known: Option<Revision>,
    others: Others,
    stopped: bool,
}

impl Watcher {
    /// Starts to watch a file that was loaded with the revision `known`, and the other files of the configuration. A
    /// change between that load and this call is noticed too.
    pub fn start(
        path: PathBuf,
        known: Revision,
        others: Others,
        notice: Notice,
        handle: ReloadHandle,
    ) -> io::Result<Self> {
        let followed = Followed { known: Some(known), others, stopped: false };
        let followed = Arc::new(Mutex::new(followed));
        // One place is enough: a wake-up says "look", and a second one would add nothing.
        let (wake, woken) = sync_channel(1);
        let events = notice.events.then(|| events(wake.clone())).flatten();
        let watch = Watch {
            path,
            followed: followed.clone(),
            woken,
            poll: notice.poll,
            events,
            watched: BTreeMap::new(),
        };
        std::thread::Builder::new()
            .name("config watch".to_owned())
            .spawn(move || watch.run(&handle))?;
        Ok(Self { followed, wake })
    }

    /// Takes note of what was just loaded, good or bad: from now on only another revision is news, and its other
    /// files are watched.
    pub fn follow(&self, known: Option<Revision>, others: Others) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.known = known;
        followed.others = others;
        drop(followed);
        poke(&self.wake);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        poke(&self.wake);
    }
}

/// Wakes the thread to look. When a wake-up waits already, that one is enough.
fn poke(wake: &SyncSender<()>) {
    wake.try_send(()).unwrap_or_default();
}

/// Lets the kernel's events wake the thread; `None` when there are none to get.
fn events(wake: SyncSender<()>) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        let reading = event.is_ok_and(|event| match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            kind => kind.is_access(),
        });
        if !reading {
            poke(&wake);
        }
    };
    notify::recommended_watcher(tell)
        .inspect_err(
            |error| tracing::warn!(%error, "No file events: only looking from time to time."),
        )
        .ok()
}

/// What tells two versions of a file apart without reading it; absent when there is no file.
type Look = Option<(u64, u64, u64, i64, i64, i64, i64)>;

fn look(path: &Path) -> Look {
    let file = fs::metadata(path).ok()?;
    let (mtime, ctime) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
    Some((file.dev(), file.ino(), file.size(), mtime.0, mtime.1, ctime.0, ctime.1))
}

/// What the watching thread owns.
struct Watch {
    path: PathBuf,
    followed: Arc<Mutex<Followed>>,
    woken: Receiver<()>,
    poll: Duration,
    events: Option<RecommendedWatcher>,
    /// The watched paths, each with the inode that it had when the watch was set up.
    watched: BTreeMap<PathBuf, u64>,
}

impl Watch {
    fn run(mut self, handle: &ReloadHandle) {
        let mut settled = None;
        loop {
            let looked = Instant::now();
            let now = self.looks();
            if settled.as_ref() != Some(&now) {
                let Some(quiet) = self.settle(now) else { return };
                settled = Some(quiet);
                self.judge(handle);
            }
            let woken = self.woken.recv_timeout(self.poll);
            if woken == Err(RecvTimeoutError::Disconnected) || self.followed().stopped {
                return;
            }
            std::thread::sleep(CALM.saturating_sub(looked.elapsed()));
        }
    }

    /// Waits until the files no longer change; `None` when the watch is over.
    fn settle(&mut self, mut now: BTreeMap<PathBuf, Look>) -> Option<BTreeMap<PathBuf, Look>> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let quiet = Instant::now() + QUIET;
            while let Some(left) = quiet.checked_duration_since(Instant::now()) {
                // Other files in the directory may wake us all the time, so only the looks decide.
                let woken = self.woken.recv_timeout(left);
                if woken == Err(RecvTimeoutError::Disconnected) || self.followed().stopped {
                    return None;
                }
            }
            let next = self.looks();
            let complete = next.values().all(|look| look.is_some_and(|(_, _, size, ..)| size > 0));
            if next == now && (complete || Instant::now() >= patience) {
                return Some(now);
            }
            now = next;
        }
    }

    /// Nudges the reloader when the files have another revision than the known one.
    fn judge(&self, handle: &ReloadHandle) {
        loop {
            let others = self.followed().others;
            let found = revision_on_disk(&self.path, &others);
            let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
            if followed.others != others {
                // The list of files has changed meanwhile, so the revision that was found is out of date.
                continue;
            }
            if followed.known != found {
                followed.known = found;
                drop(followed);
                handle.nudge(Trigger::File);
            }
            return;
        }
    }

    fn followed(&self) -> Followed {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Watches every file from now on, and says how each one looks.
    fn looks(&mut self) -> BTreeMap<PathBuf, Look> {
        let Others { files, patterns, .. } = self.followed().others;
        let mut paths: BTreeSet<PathBuf> = files.into_iter().collect();
        paths.insert(self.path.clone());
        // A pattern is watched as a file of that name would be: what matters is its directory.
        let found = |pattern: &PathBuf| expand(pattern).unwrap_or_default();
        paths.extend(patterns.iter().flat_map(found));
        // The watches come before the looks, so that a change between the two wakes us. A directory that is made
        // meanwhile is one more place to watch, so this goes on until nothing is new.
        for _ in 0..MOST_ROUNDS {
            let watched = paths.iter().chain(&patterns).flat_map(|path| places(path));
            if !self.rewatch(watched.collect()) {
                break;
            }
        }
        // A file that was created meanwhile is looked at too, and watched from the next look on.
        paths.extend(patterns.iter().flat_map(found));
        paths.into_iter().map(|path| (path.clone(), look(&path))).collect()
    }

    /// Watches these places instead of the old ones; says whether anything changed.
    fn rewatch(&mut self, places: BTreeSet<PathBuf>) -> bool {
        let Some(events) = &mut self.events else { return false };
        let inode = |path: PathBuf| fs::metadata(&path).map(|file| (path, file.ino())).ok();
        let wanted: BTreeMap<PathBuf, u64> = places.into_iter().filter_map(inode).collect();
        if wanted == self.watched {
            return false;
        }
        for path in self.watched.keys() {
            // The path may be gone, and its watch with it, so an error does not matter.
            drop(events.unwatch(path));
        }
        self.watched.clear();
        for (path, inode) in wanted {
            match events.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(path, inode)),
                Err(error) => tracing::debug!(%error, path = %path.display(), "Not watched."),
            }
        }
        true
    }
}

/// Every directory in which a change can make the path lead to another file: those that hold the symlinks on the way,
/// and the one that holds the file. Where that is missing, the nearest existing one above it, in which it would be
/// made. And the file itself, because behind a bind mount a change does not show in its directory.
fn places(path: &Path) -> BTreeSet<PathBuf> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let owned = |path: &Path| -> Vec<OsString> {
        path.components().map(|part| part.as_os_str().to_owned()).collect()
    };
    let mut ahead: VecDeque<OsString> = owned(&whole).into();
    let (mut at, mut places, mut links) = (PathBuf::new(), BTreeSet::new(), 0);
    while let Some(part) = ahead.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => drop(at.pop()),
            Some(Component::Normal(name)) => {
                let next = at.join(name);
                match fs::read_link(&next) {
                    Ok(target) if links < MOST_LINKS => {
                        places.insert(at.clone());
                        links += 1;
                        for part in owned(&target).into_iter().rev() {
                            ahead.push_front(part);
                        }
                    }
                    _ => at = next,
                }
            }
            // An absolute symlink starts over at the root.
            Some(Component::RootDir) => at = PathBuf::from("/"),
            _ => {}
        }
    }
    places.extend(at.ancestors().skip(1).find(|above| above.exists()).map(Path::to_owned));
    places.insert(at);
    places
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_directory_on_the_way_is_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["etc", "etc/..2026", "nix", "nix/store"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        fs::write(root.join("etc/..2026/moonwa.toml"), "x").unwrap();
        symlink("..2026", root.join("etc/..data")).unwrap();
        symlink("..data/moonwa.toml", root.join("etc/moonwa.toml")).unwrap();
        symlink(root.join("etc/moonwa.toml"), root.join("nix/store/moonwa.toml")).unwrap();
        symlink("store/../store/moonwa.toml", root.join("nix/moonwa.toml")).unwrap();
        let found: BTreeSet<PathBuf> = places(&root.join("nix/moonwa.toml"))
            .into_iter()
            .map(|place| place.strip_prefix(&root).unwrap().to_owned())
            .collect();
        let expected = ["nix", "nix/store", "etc", "etc/..2026", "etc/..2026/moonwa.toml"];
        assert_eq!(found, expected.into_iter().map(PathBuf::from).collect());
    }

    #[test]
    fn of_a_missing_directory_the_one_above_is_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let file = root.join("etc/moonwa/devices.d/a.toml");
        assert_eq!(places(&file), BTreeSet::from([root.clone(), file.clone()]));
        fs::create_dir_all(root.join("etc/moonwa")).unwrap();
        assert_eq!(places(&file), BTreeSet::from([root.join("etc/moonwa"), file]));
    }

    #[test]
    fn a_ring_of_symlinks_ends() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert!(places(&dir.path().join("a")).contains(&dir.path().canonicalize().unwrap()));
    }
}
