//! However a file is saved, the change is noticed, once the file is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use moonwa::facade::config::{
    Config, Notice, Others, ReloadHandle, ReloadMailbox, ReloadOutcome, ReloadReport, Trigger,
    Watcher,
};
use moonwa::facade::model::UnixMillis;

use super::reload::styles::{STYLES, Style};

const DEADLINE: Duration = Duration::from_secs(20);
/// Without the other's help, each way must do alone.
const EVENTS: Notice = Notice { events: true, poll: Duration::from_hours(1) };
const POLLING: Notice = Notice { events: false, poll: Duration::from_millis(50) };

/// A watched file, which begins as a good configuration.
struct Watched {
    dir: tempfile::TempDir,
    path: PathBuf,
    watcher: Watcher,
    mailbox: ReloadMailbox,
}

fn text(label: &str) -> String {
    format!("# watched\n[device.a]\nlabel = \"{label}\"\n")
}

fn label(path: &Path) -> String {
    let config = Config::load(path).unwrap_or_else(|rejected| panic!("{rejected}")).config;
    config.devices.values().next().unwrap().label.clone()
}

impl Watched {
    /// `lay` puts files into a directory and says which one is the configuration.
    fn new(notice: Notice, lay: impl FnOnce(&Path) -> PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = lay(dir.path());
        let loaded = Config::load(&path).unwrap();
        let (handle, mailbox) = ReloadHandle::new(ReloadReport {
            at: UnixMillis::now(),
            trigger: Trigger::Start,
            outcome: ReloadOutcome::Applied,
            revision: loaded.revision,
            rejected: None,
            problems: Vec::new(),
            warnings: Vec::new(),
            changed: Vec::new(),
        });
        let watcher =
            Watcher::start(path.clone(), loaded.revision, loaded.others, notice, handle).unwrap();
        Self { dir, path, watcher, mailbox }
    }

    fn plain(notice: Notice) -> Self {
        Self::new(notice, |dir| {
            let path = dir.join("moonwa.toml");
            fs::write(&path, text("first")).unwrap();
            path
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn noticed(&mut self) -> Duration {
        let start = Instant::now();
        let request = tokio::time::timeout(DEADLINE, self.mailbox.next()).await;
        let request = request.expect("the change was not noticed").unwrap();
        assert_eq!(request.trigger, Trigger::File);
        start.elapsed()
    }
}

/// Saves again and again in one way: what is deaf after the first one is found out by the second.
async fn saves(style: &Style, notice: Notice) {
    let mut watched = Watched::new(notice, |dir| {
        (style.lay)(dir, &text("s")).unwrap();
        dir.join("moonwa.toml")
    });
    for round in 2..=4 {
        let name = "s".repeat(round);
        (style.save)(watched.dir.path(), &text(&name)).unwrap();
        watched.noticed().await;
        // What is read then is whole, and what was saved last.
        assert_eq!(label(&watched.path), name, "{}", style.name);
    }
}

#[tokio::test]
async fn the_kernels_events_alone_tell_of_every_way_to_save() {
    join_all(STYLES.iter().map(|style| saves(style, EVENTS))).await;
}

#[tokio::test]
async fn looking_from_time_to_time_alone_finds_every_way_to_save() {
    join_all(STYLES.iter().map(|style| saves(style, POLLING))).await;
}

#[tokio::test]
async fn a_secrets_file_is_watched_too() {
    let mut watched = Watched::plain(EVENTS);
    fs::write(watched.file("key"), "the first key of the device").unwrap();
    fs::write(&watched.path, "[device.a]\napi_key = { file = \"key\" }\n").unwrap();
    watched.noticed().await;
    let loaded = Config::load(&watched.path).unwrap();
    watched.watcher.follow(Some(loaded.revision), loaded.others);
    fs::write(watched.file("key"), "the second key of the device").unwrap();
    watched.noticed().await;
    assert_ne!(Config::load(&watched.path).unwrap().revision, loaded.revision);
}

#[tokio::test]
async fn included_files_are_watched_and_new_ones_too() {
    for notice in [EVENTS, POLLING] {
        let mut watched = Watched::new(notice, |dir| {
            fs::create_dir(dir.join("d")).unwrap();
            fs::write(dir.join("d/a.toml"), text("first")).unwrap();
            fs::write(dir.join("moonwa.toml"), "include = [\"d/*.toml\"]\n").unwrap();
            dir.join("moonwa.toml")
        });
        let steps: [fn(&Path) -> std::io::Result<()>; 3] = [
            |dir| fs::write(dir.join("a.toml"), text("second")),
            |dir| fs::write(dir.join("b.toml"), "[device.b]\n"),
            |dir| fs::remove_file(dir.join("a.toml")),
        ];
        for (devices, step) in [1, 2, 1].into_iter().zip(steps) {
            step(&watched.file("d")).unwrap();
            watched.noticed().await;
            let loaded = Config::load(&watched.path).unwrap();
            assert_eq!(loaded.config.devices.len(), devices);
            watched.watcher.follow(Some(loaded.revision), loaded.others);
        }
    }
}

#[tokio::test]
async fn a_directory_that_goes_and_comes_back_is_noticed() {
    for notice in [EVENTS, POLLING] {
        let mut watched = Watched::new(notice, |dir| {
            fs::create_dir_all(dir.join("d/e")).unwrap();
            fs::write(dir.join("d/e/a.toml"), text("first")).unwrap();
            fs::write(dir.join("moonwa.toml"), "include = [\"d/e/*.toml\"]\n").unwrap();
            dir.join("moonwa.toml")
        });
        fs::rename(watched.file("d"), watched.file("away")).unwrap();
        watched.noticed().await;
        let rejected = Config::load(&watched.path).unwrap_err();
        watched.watcher.follow(rejected.revision, *rejected.others);
        fs::rename(watched.file("away"), watched.file("d")).unwrap();
        watched.noticed().await;
        assert_eq!(label(&watched.path), "first");
    }
}

#[tokio::test]
async fn an_edit_between_the_load_and_the_watch_is_noticed() {
    let mut watched = Watched::new(EVENTS, |dir| {
        fs::write(dir.join("moonwa.toml"), text("first")).unwrap();
        dir.join("moonwa.toml")
    });
    // To the watch, going on from a revision that the file no longer has is the same as starting late.
    let other = watched.file("other.toml");
    fs::write(&other, text("other")).unwrap();
    watched.watcher.follow(
        Some(Config::load(&other).unwrap().revision),
        Others { files: vec![other], ..Others::default() },
    );
    watched.noticed().await;
}

#[tokio::test]
async fn an_emptied_file_counts_as_being_written_for_a_while_and_is_then_reported() {
    let mut watched = Watched::plain(EVENTS);
    let start = Instant::now();
    fs::write(&watched.path, "").unwrap();
    watched.noticed().await;
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(1900), "reported after {waited:?} already");
    assert!(Config::load(&watched.path).unwrap_err().to_string().contains("the file is empty"));
    fs::write(&watched.path, text("second")).unwrap();
    watched.noticed().await;
    assert_eq!(label(&watched.path), "second");
}
