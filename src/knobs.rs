//! What tests may change of a process by its environment, read once. Only `simulator` builds look: elsewhere every knob
//! stands as it does for everybody.

use std::env::VarError;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const RETRY_SCALE: &str = "MOONWA_RETRY_SCALE";
const SEGMENT_BYTES: &str = "MOONWA_SEGMENT_BYTES";
const STORE_AGE: &str = "MOONWA_STORE_AGE";
const SENT_BYTES: &str = "MOONWA_SENT_BYTES";
const GROUP_REFRESH: &str = "MOONWA_GROUP_REFRESH";
const CLOCK_LOOK: &str = "MOONWA_CLOCK_LOOK";
const DISK_BYTES: &str = "MOONWA_DISK_BYTES";
const FAILPOINT: &str = "MOONWA_FAILPOINT";
const SLOW_KEEP: &str = "MOONWA_SLOW_KEEP";
const HOLD_COMMIT: &str = "MOONWA_HOLD_COMMIT";
const WHATSAPP_URL: &str = "MOONWA_WHATSAPP_URL";

#[derive(Debug, PartialEq)]
pub(crate) struct Knobs {
    /// `MOONWA_RETRY_SCALE`: what the waits of webhooks and the patience of a fetch are multiplied by, so that an
    /// end-to-end test need not wait out the ladder. Never 0: there is no time in which nothing is too slow.
    pub(crate) retry_scale: f64,
    /// `MOONWA_SEGMENT_BYTES`: a test must see many segments of the log come and go without writing for hours.
    pub(crate) segment_bytes: Option<u64>,
    /// `MOONWA_STORE_AGE`: for how many seconds more the store seems to have been open than it was, so that a test need not
    /// wait for days until something is old.
    pub(crate) store_age: Duration,
    /// `MOONWA_SENT_BYTES`: how many bytes of sent messages a device keeps.
    pub(crate) sent_bytes: Option<u64>,
    /// `MOONWA_GROUP_REFRESH`: for how many seconds the devices of a group's members are known.
    pub(crate) group_refresh: Option<Duration>,
    /// `MOONWA_CLOCK_LOOK`: after how many milliseconds the wall clock is looked at, because the kernel does not tell when that
    /// of a test jumps.
    pub(crate) clock_look: Option<Duration>,
    /// `MOONWA_DISK_BYTES`: the size of a disk that has nothing but the store, so that a test can fill one.
    pub(crate) disk_bytes: Option<u64>,
    /// `MOONWA_SLOW_KEEP`: how many milliseconds pass between decrypting a message and keeping it, which a test could not hit.
    pub(crate) slow_keep: Option<Duration>,
    /// `MOONWA_WHATSAPP_URL`: where the simulated WhatsApp is.
    pub(crate) whatsapp_url: Option<String>,
    /// `MOONWA_FAILPOINT`: the place, and at which visit to it.
    failpoint: Option<(String, u64)>,
    /// `MOONWA_HOLD_COMMIT`
    hold_commit: Option<PathBuf>,
}

impl Knobs {
    const UNTOUCHED: Self = Self {
        retry_scale: 1.0,
        segment_bytes: None,
        store_age: Duration::ZERO,
        sent_bytes: None,
        group_refresh: None,
        clock_look: None,
        disk_bytes: None,
        slow_keep: None,
        whatsapp_url: None,
        failpoint: None,
        hold_commit: None,
    };

    /// Reads what a test has set, or says what is wrong with it: a knob that is misread and ignored would let a test
    /// pass that tests nothing.
    fn read(variable: impl Fn(&str) -> Result<String, VarError>) -> Result<Self, String> {
        let text = |name: &str| match variable(name) {
            Ok(text) => Ok(Some(text)),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(format!("{name} is not UTF-8")),
        };
        let retry_scale = text(RETRY_SCALE)?.map(|text| scale(&text)).transpose()?;
        let number = |name: &str, of: &str| match text(name)? {
            Some(text) => {
                text.parse().map(Some).map_err(|_| format!("{name} must be a number of {of}"))
            }
            None => Ok(None),
        };
        let bytes = |name: &str| number(name, "bytes");
        let seconds =
            |name: &str| Ok::<_, String>(number(name, "seconds")?.map(Duration::from_secs));
        Ok(Self {
            retry_scale: retry_scale.unwrap_or(1.0),
            segment_bytes: bytes(SEGMENT_BYTES)?,
            store_age: seconds(STORE_AGE)?.unwrap_or_default(),
            sent_bytes: bytes(SENT_BYTES)?,
            group_refresh: seconds(GROUP_REFRESH)?,
            clock_look: number(CLOCK_LOOK, "milliseconds")?.map(Duration::from_millis),
            disk_bytes: bytes(DISK_BYTES)?,
            slow_keep: number(SLOW_KEEP, "milliseconds")?.map(Duration::from_millis),
            whatsapp_url: text(WHATSAPP_URL)?.map(loopback_url).transpose()?,
            failpoint: text(FAILPOINT)?.map(|text| place(&text)),
            hold_commit: text(HOLD_COMMIT)?.map(PathBuf::from),
        })
    }
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.001..=1.0).contains(scale));
    scale.ok_or_else(|| format!("{RETRY_SCALE} must be a number from 0.001 to 1"))
}

/// A build that checks no certificate talks to this machine only.
fn loopback_url(url: String) -> Result<String, String> {
    let host = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next());
    match host.unwrap_or_default().parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(url),
        _ => Err(format!(
            "{WHATSAPP_URL} must be ws:// on a loopback address, such as ws://127.0.0.1:7711/ws/chat"
        )),
    }
}

fn place(text: &str) -> (String, u64) {
    match text.rsplit_once(':').map(|(name, nth)| (name, nth.parse())) {
        Some((name, Ok(nth))) => (name.to_owned(), nth),
        _ => (text.to_owned(), 1),
    }
}

static KNOBS: LazyLock<Result<Knobs, String>> = LazyLock::new(|| {
    if cfg!(feature = "simulator") {
        return Knobs::read(|name| std::env::var(name));
    }
    if std::env::var_os(WHATSAPP_URL).is_some() {
        return Err(format!(
            "{WHATSAPP_URL} is set, but this is a release build: it verifies WhatsApp's certificate and talks to no \
             simulator. Unset the variable, or build with --features simulator for tests."
        ));
    }
    Ok(Knobs::UNTOUCHED)
});

/// What is wrong with the knobs, for whoever starts the program.
pub(crate) fn check() -> Result<(), String> {
    KNOBS.as_ref().map(drop).map_err(Clone::clone)
}

pub(crate) fn knobs() -> &'static Knobs {
    KNOBS.as_ref().unwrap_or(&Knobs::UNTOUCHED)
}

/// Aborts the process when `MOONWA_FAILPOINT` names this place, or names it with `:N` and this is the N-th visit:
/// what was promised before must still be there after.
pub(crate) fn failpoint(name: &str) {
    static VISITS: AtomicU64 = AtomicU64::new(0);
    if let Some((wanted, nth)) = &knobs().failpoint
        && wanted == name
        && VISITS.fetch_add(1, Ordering::Relaxed) + 1 == *nth
    {
        std::process::abort();
    }
}

/// Waits while the file that `MOONWA_HOLD_COMMIT` names exists, so that a test can look at the world while a promise
/// is still unmade. A file beside it, `….held`, tells that it waits.
pub(crate) fn hold_commit() {
    let Some(file) = knobs().hold_commit.as_ref().filter(|file| file.exists()) else { return };
    std::fs::write(file.with_extension("held"), "").ok();
    while file.exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Knobs, String> {
        Knobs::read(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned()).ok_or(VarError::NotPresent)
        })
    }

    #[test]
    fn what_a_test_sets_is_read() {
        assert_eq!(read(&[]), Ok(Knobs::UNTOUCHED));
        let url = "ws://127.0.0.1:7711/ws/chat";
        let set = [
            (RETRY_SCALE, "0.01"),
            (SEGMENT_BYTES, "4096"),
            (STORE_AGE, "7200"),
            (SENT_BYTES, "5000"),
            (GROUP_REFRESH, "0"),
            (CLOCK_LOOK, "20"),
            (DISK_BYTES, "1000000"),
            (SLOW_KEEP, "20"),
            (WHATSAPP_URL, url),
            (FAILPOINT, "append.before:7"),
            (HOLD_COMMIT, "/tmp/hold"),
        ];
        let expected = Knobs {
            retry_scale: 0.01,
            segment_bytes: Some(4096),
            store_age: Duration::from_hours(2),
            sent_bytes: Some(5000),
            group_refresh: Some(Duration::ZERO),
            clock_look: Some(Duration::from_millis(20)),
            disk_bytes: Some(1_000_000),
            slow_keep: Some(Duration::from_millis(20)),
            whatsapp_url: Some(url.to_owned()),
            failpoint: Some(("append.before".to_owned(), 7)),
            hold_commit: Some("/tmp/hold".into()),
        };
        assert_eq!(read(&set), Ok(expected));
    }

    #[test]
    fn a_knob_that_says_nothing_is_refused_by_name() {
        for (name, text) in [
            (RETRY_SCALE, "0"),
            (RETRY_SCALE, "0.0001"),
            (RETRY_SCALE, "1.5"),
            (RETRY_SCALE, "NaN"),
            (RETRY_SCALE, "fast"),
            (SEGMENT_BYTES, "4 KiB"),
            (STORE_AGE, "2h"),
            (SENT_BYTES, "-1"),
            (GROUP_REFRESH, "1h"),
            (CLOCK_LOOK, "1s"),
            (SLOW_KEEP, "1s"),
            (DISK_BYTES, "-1"),
            (WHATSAPP_URL, "wss://127.0.0.1:7711/"),
            (WHATSAPP_URL, "ws://192.0.2.1:7711/"),
            (WHATSAPP_URL, "ws://127.0.0.1.example:7711/"),
        ] {
            let said = read(&[(name, text)]).unwrap_err();
            assert!(said.starts_with(name), "{name}={text}: {said}");
        }
    }

    #[test]
    fn a_place_may_carry_a_count() {
        assert_eq!(place("append.before"), ("append.before".to_owned(), 1));
        assert_eq!(place("append.before:7"), ("append.before".to_owned(), 7));
        assert_eq!(place("odd:name"), ("odd:name".to_owned(), 1));
    }
}
