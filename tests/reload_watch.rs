//! However a file is saved, the change is noticed, once the file is whole.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use moonwa::config::{
    Config, Notice, Others, ReloadHandle, ReloadMailbox, ReloadOutcome, ReloadReport, Trigger,
    Watcher,
};
use moonwa::model::UnixMillis;

/// How many ways to save there are below.
const STYLES: usize = 11;
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

    /// Saves again and again in the same way: what is deaf after the first save is found out by the second. The
    /// README's "Developing" has the command for a thousand.
    async fn saves(mut self, save: impl Fn(&Self, &str)) {
        let all = std::env::var("MOONWA_SAVES").ok().and_then(|all| all.parse().ok()).unwrap_or(22);
        let mut slowest = Duration::ZERO;
        // One label longer than the other: some ways to save need a name for each.
        for round in 1..=usize::min(all / STYLES, 100) {
            let name = "s".repeat(round);
            save(&self, &text(&name));
            slowest = slowest.max(self.noticed().await);
            // What is read then is whole, and what was saved last.
            assert_eq!(label(&self.path), name);
        }
        println!("the slowest save was noticed after {slowest:?}");
    }
}

#[tokio::test]
async fn written_in_place() {
    let watched = Watched::plain(EVENTS);
    watched.saves(|watched, text| fs::write(&watched.path, text).unwrap()).await;
}

#[tokio::test]
async fn truncated_and_written_piece_by_piece() {
    let save = |watched: &Watched, text: &str| {
        let mut file = fs::File::create(&watched.path).unwrap();
        for byte in text.bytes() {
            file.write_all(&[byte]).unwrap();
        }
    };
    Watched::plain(EVENTS).saves(save).await;
}

#[tokio::test]
async fn renamed_into_place() {
    let save = |watched: &Watched, text: &str| {
        fs::write(watched.file("new"), text).unwrap();
        fs::rename(watched.file("new"), &watched.path).unwrap();
    };
    Watched::plain(EVENTS).saves(save).await;
}

#[tokio::test]
async fn as_vim_does_with_backupcopy_yes() {
    let save = |watched: &Watched, text: &str| {
        fs::copy(&watched.path, watched.file("moonwa.toml~")).unwrap();
        fs::write(&watched.path, text).unwrap();
        fs::remove_file(watched.file("moonwa.toml~")).unwrap();
    };
    Watched::plain(EVENTS).saves(save).await;
}

#[tokio::test]
async fn as_vim_does_with_backupcopy_no() {
    let save = |watched: &Watched, text: &str| {
        fs::write(watched.file("4913"), "").unwrap();
        fs::remove_file(watched.file("4913")).unwrap();
        fs::rename(&watched.path, watched.file("moonwa.toml~")).unwrap();
        fs::write(&watched.path, text).unwrap();
        fs::remove_file(watched.file("moonwa.toml~")).unwrap();
    };
    Watched::plain(EVENTS).saves(save).await;
}

#[tokio::test]
async fn by_sed_in_place() {
    let save = |watched: &Watched, text: &str| {
        let line = text.lines().last().unwrap();
        let script = format!("s/^label.*/{line}/");
        let mut sed = std::process::Command::new("sed");
        assert!(sed.args(["-i", &script]).arg(&watched.path).status().unwrap().success());
    };
    Watched::plain(EVENTS).saves(save).await;
}

#[tokio::test]
async fn deleted_and_created() {
    let save = |watched: &Watched, text: &str| {
        fs::remove_file(&watched.path).unwrap();
        fs::write(&watched.path, text).unwrap();
    };
    Watched::plain(EVENTS).saves(save).await;
}

#[tokio::test]
async fn by_pointing_a_symlink_elsewhere() {
    let watched = Watched::new(EVENTS, |dir| {
        fs::create_dir_all(dir.join("etc")).unwrap();
        fs::create_dir_all(dir.join("store")).unwrap();
        fs::write(dir.join("store/first"), text("first")).unwrap();
        symlink("../store/first", dir.join("etc/moonwa.toml")).unwrap();
        dir.join("etc/moonwa.toml")
    });
    let save = |watched: &Watched, text: &str| {
        let name = format!("store/{}", text.len());
        fs::write(watched.file(&name), text).unwrap();
        symlink(format!("../{name}"), watched.file("etc/new")).unwrap();
        fs::rename(watched.file("etc/new"), &watched.path).unwrap();
    };
    watched.saves(save).await;
}

#[tokio::test]
async fn in_the_file_behind_a_symlink() {
    let watched = Watched::new(EVENTS, |dir| {
        fs::create_dir_all(dir.join("git")).unwrap();
        fs::write(dir.join("git/real.toml"), text("first")).unwrap();
        symlink(dir.join("git/real.toml"), dir.join("moonwa.toml")).unwrap();
        dir.join("moonwa.toml")
    });
    let save = |watched: &Watched, text: &str| {
        fs::write(watched.file("git/new"), text).unwrap();
        fs::rename(watched.file("git/new"), watched.file("git/real.toml")).unwrap();
    };
    watched.saves(save).await;
}

#[tokio::test]
async fn by_swapping_the_data_directory_as_kubernetes_does() {
    let watched = Watched::new(EVENTS, |dir| {
        fs::create_dir(dir.join("..1")).unwrap();
        fs::write(dir.join("..1/moonwa.toml"), text("first")).unwrap();
        symlink("..1", dir.join("..data")).unwrap();
        symlink("..data/moonwa.toml", dir.join("moonwa.toml")).unwrap();
        dir.join("moonwa.toml")
    });
    let save = |watched: &Watched, text: &str| {
        let name = format!("..{}", text.len());
        fs::create_dir(watched.file(&name)).unwrap();
        fs::write(watched.file(&name).join("moonwa.toml"), text).unwrap();
        symlink(&name, watched.file("..data_tmp")).unwrap();
        let old = fs::read_link(watched.file("..data")).unwrap();
        fs::rename(watched.file("..data_tmp"), watched.file("..data")).unwrap();
        fs::remove_dir_all(watched.dir.path().join(old)).unwrap();
    };
    watched.saves(save).await;
}

#[tokio::test]
async fn without_any_events() {
    let save = |watched: &Watched, text: &str| {
        fs::write(watched.file("new"), text).unwrap();
        fs::rename(watched.file("new"), &watched.path).unwrap();
    };
    Watched::plain(POLLING).saves(save).await;
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
    fs::write(&watched.path, "").unwrap();
    let waited = watched.noticed().await;
    assert!(waited >= Duration::from_millis(1900), "reported after {waited:?} already");
    assert!(Config::load(&watched.path).unwrap_err().to_string().contains("the file is empty"));
    fs::write(&watched.path, text("second")).unwrap();
    watched.noticed().await;
    assert_eq!(label(&watched.path), "second");
}
