//! Commands that need no running gateway: `init`, `check`, `doctor`, `backup`, `restore` and `repair`.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::client;
use super::user::{self, configuration, own};
use crate::app;
use crate::config::{self, Config};
use crate::console::{Exit, complain, say};
use crate::model::UnixMillis;
use crate::private;
use crate::store::{self, Spool, Store, StoreError};
use crate::whatsapp::{Backup, identities};

/// `moonwa init`: the sample, where there is nothing yet. Its group may read it where the user's umask lets groups read.
pub(super) fn init(config: Option<&Path>, allowed: u32) -> Result<Exit> {
    let path = config.unwrap_or(Path::new("moonwa.toml"));
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} exists already and was left as it is", path.display())
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    file.write_all(config::SAMPLE.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(0o640 & !allowed))?;
    say(&format!("Wrote {}. Look it over, then run: moonwa", path.display()));
    Ok(Exit::Clean)
}

/// `moonwa check`: every problem and every warning.
pub(super) fn check(config: Option<&Path>) -> Exit {
    let path = match config::find(config) {
        Ok(path) => path,
        Err(problem) => {
            complain(&format!("moonwa: {problem}"));
            return Exit::Config;
        }
    };
    match Config::load(&path) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                complain(&format!("warning: {warning}"));
            }
            let (devices, hooks) =
                loaded.config.devices.values().fold((0, 0), |(devices, hooks), device| {
                    (devices + 1, hooks + device.webhooks.len())
                });
            say(&format!("{}: good. {devices} devices, {hooks} webhooks.", path.display()));
            Exit::Clean
        }
        Err(rejected) => {
            complain(&rejected.to_string());
            Exit::Config
        }
    }
}

/// `moonwa backup`: from the gateway that runs, or from the store when none does.
pub(super) fn backup(config: Option<&Path>, path: &Path) -> Result<Exit> {
    let (text, devices) = match backup_of_store(config)? {
        Some(backup) => (serde_json::to_string(&backup)?, backup.count()),
        None => {
            // When none runs, the store would have been opened, were it this user's.
            let (_, read) = configuration(config)?;
            let not_ours = |error| own(&read.store.path).and(Err(error));
            let text = client::backup(config).or_else(not_ours)?;
            let devices = Backup::parse(text.as_bytes())?.count();
            (text, devices)
        }
    };
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.with_context(|| path.display().to_string())?;
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        // Half a backup must not be taken for one.
        fs::remove_file(path)?;
        return Err(error).with_context(|| path.display().to_string());
    }
    say(&format!(
        "{}: {devices} linked devices. Whoever has this file can be them: keep it like a password.",
        path.display()
    ));
    Ok(Exit::Clean)
}

/// `None` when the store is not ours to open, because a gateway has it or another user does.
fn backup_of_store(config: Option<&Path>) -> Result<Option<Backup>> {
    let (_, config) = configuration(config)?;
    let path = &config.store.path;
    if own(path).is_err() || !path.join("state").exists() {
        return Ok(None);
    }
    on_runtime(async {
        let store = match Store::open(app::store_options(&config)).await {
            Err(StoreError::Locked(_)) => return Ok(None),
            store => store?,
        };
        let backup = Backup::of(&store).await;
        store.close().await?;
        Ok(Some(backup?))
    })
}

pub(super) fn on_runtime<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(work)
}

/// `moonwa repair`: makes again what is damaged of a store that nobody uses.
pub(super) fn repair(config: Option<&Path>) -> Result<Exit> {
    let (_, config) = configuration(config)?;
    let path = &config.store.path;
    own(path)?;
    let notes = on_runtime(async {
        let (store, notes) = identities::repair(app::store_options(&config)).await?;
        store.close().await?;
        Ok(notes)
    })?;
    for note in &notes {
        say(note);
    }
    if notes.is_empty() {
        say(&format!("{} is not damaged; nothing was changed.", path.display()));
    }
    Ok(Exit::Clean)
}

/// `moonwa restore`: the devices of a backup, into a store that nobody uses.
pub(super) fn restore(config: Option<&Path>, file: &Path) -> Result<Exit> {
    let text = fs::read(file).with_context(|| file.display().to_string())?;
    let backup = Backup::parse(&text).with_context(|| file.display().to_string())?;
    let (_, config) = configuration(config)?;
    own(&config.store.path)?;
    let (created, named) = (backup.created(), |name| config.devices.contains_key(name));
    let done = on_runtime(async {
        let store = Store::open(app::store_options(&config)).await?;
        let done = backup.restore(&store).await;
        store.close().await?;
        Ok(done?)
    })?;
    for (name, restored) in &done {
        let line = match (restored, named(name)) {
            (false, _) => "is linked already and was left as it is",
            (true, true) => "is back; it connects when moonwa starts",
            (true, false) => "is back, but not in moonwa.toml: add its table",
        };
        say(&format!("{name} {line}"));
    }
    say(&format!("The backup is of {created}: {} devices.", done.len()));
    Ok(if done.iter().all(|(_, restored)| *restored) { Exit::Clean } else { Exit::Failure })
}

/// One line of `moonwa doctor`: what was looked at, whether it is well, and what to do.
struct Finding {
    good: bool,
    text: String,
}

/// `moonwa doctor`: looks at everything that is usually the matter.
pub(super) fn doctor(config: Option<&Path>) -> Result<Exit> {
    let mut findings = Vec::new();
    let mut note = |good: bool, text: String| findings.push(Finding { good, text });
    let path = match config::find(config) {
        Ok(path) => path,
        Err(problem) => bail!("{problem}"),
    };
    match Config::load(&path) {
        Err(rejected) if fs::File::open(&path).is_err() => {
            note(false, format!("configuration: {rejected}{}", user::advice(&path)));
        }
        Err(rejected) => note(false, format!("configuration: {rejected}")),
        Ok(loaded) => {
            note(true, format!("configuration: {} is good", path.display()));
            let mode = fs::metadata(&path)?.mode();
            note(
                mode & 0o004 == 0,
                format!("configuration: mode {:o}; it may hold secrets: chmod o-r", mode & 0o777),
            );
            look_at_store(&loaded.config, &mut note);
            look_at_listener(&loaded.config, &mut note);
            // Without a running gateway there is nobody to ask.
            for advice in client::advice(config).unwrap_or_default() {
                note(false, advice);
            }
        }
    }
    // A Raspberry Pi has no clock battery; with a wrong clock TLS fails and receivers refuse signatures.
    let built = UnixMillis::from_secs(BUILT_AFTER);
    note(UnixMillis::now() >= built, format!("clock: it is {}", UnixMillis::now()));
    let resolved = std::net::ToSocketAddrs::to_socket_addrs(&("web.whatsapp.com", 443));
    let names = match resolved {
        Ok(mut found) => found.next().is_some(),
        Err(_unresolved) => false,
    };
    note(
        names,
        "name service: web.whatsapp.com; if this fails, look at /etc/resolv.conf and the firewall"
            .to_owned(),
    );
    for finding in &findings {
        say(&format!("{} {}", if finding.good { "ok  " } else { "LOOK" }, finding.text));
    }
    Ok(if findings.iter().all(|finding| finding.good) { Exit::Clean } else { Exit::Failure })
}

/// A clock before this is wrong: moonwa did not exist yet (2026-11-01).
const BUILT_AFTER: u64 = 1_793_491_200;

fn look_at_store(config: &Config, note: &mut impl FnMut(bool, String)) {
    let directory = &config.store.path;
    if !directory.exists() {
        let there = directory.display();
        return note(true, format!("store: {there} is not there yet; the first start makes it"));
    }
    if let Err(error) = own(directory) {
        return note(false, format!("store: {error}"));
    }
    match sync_time(directory) {
        Ok(took) => note(
            took < Duration::from_millis(250),
            format!(
                "store: a write to the disk takes {} ms; every message waits for one",
                took.as_millis()
            ),
        ),
        Err(error) => {
            note(false, format!("store: {} cannot be written: {error}", directory.display()));
        }
    }
    match private::open_to_others(directory) {
        Ok(open) => note(
            open.is_empty(),
            format!(
                "store: {} of its files can be used by other users of this machine; a start of moonwa ends that",
                open.len()
            ),
        ),
        Err(error) => {
            note(false, format!("store: who may use {} is unknown: {error}", directory.display()));
        }
    }
    look_at_files(directory, note);
    // A store that was never opened has no spool.
    let waiting = Spool::size(directory).unwrap_or_default();
    note(
        waiting < config.media.spool,
        format!(
            "store: files that wait to be sent have {} of {} MiB (media.spool)",
            waiting >> 20,
            config.media.spool >> 20
        ),
    );
    match store::free_space(directory) {
        Ok(free) => note(
            free > 512 << 20,
            format!(
                "store: {} MiB free; below 192 MiB no file is accepted, below 128 MiB nothing",
                free >> 20
            ),
        ),
        Err(error) => note(
            false,
            format!("store: the free space of {} is unknown: {error}", directory.display()),
        ),
    }
}

fn look_at_files(directory: &Path, note: &mut impl FnMut(bool, String)) {
    let files = directory.display();
    match on_runtime(async { Ok(Store::inspect(directory.to_owned()).await) }) {
        Ok(Ok(damages)) if damages.is_empty() => {
            note(true, format!("store: the files in {files} are whole"));
        }
        Ok(Ok(damages)) => {
            for damage in damages {
                note(false, format!("store: {damage}; stop moonwa and run: moonwa repair"));
            }
        }
        Ok(Err(StoreError::Locked(_))) => {
            note(
                true,
                format!("store: moonwa has {files} open; its files are checked when it is stopped"),
            );
        }
        Ok(Err(error)) => note(false, format!("store: {error}")),
        Err(error) => note(false, format!("store: {error}")),
    }
}

/// The slowest of ten small synchronous writes.
fn sync_time(directory: &Path) -> std::io::Result<Duration> {
    let path = directory.join(".doctor");
    let mut file = private::create(&path)?;
    let mut slowest = Duration::ZERO;
    for _round in 0..10 {
        let began = Instant::now();
        file.write_all(&[0; 512])?;
        file.sync_data()?;
        slowest = slowest.max(began.elapsed());
    }
    fs::remove_file(path)?;
    Ok(slowest)
}

fn look_at_listener(config: &Config, note: &mut impl FnMut(bool, String)) {
    let address = config.server.listen;
    match TcpListener::bind(address) {
        Ok(_free) => note(true, format!("listen: {address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            note(true, format!("listen: {address} is in use; that is well if it is this moonwa"));
        }
        Err(error) => note(false, format!("listen: {address}: {error}")),
    }
}
