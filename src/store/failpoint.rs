//! Places where a test may stop the process dead, to prove that what was promised before is still there after. Only in
//! `simulator` builds; elsewhere every function here is empty.

/// Aborts the process when `MOONWA_FAILPOINT` names this place, or names it with `:N` and this is the N-th visit.
pub fn failpoint(name: &str) {
    if cfg!(feature = "simulator") {
        armed::visit(name);
    }
}

/// Waits while the file that `MOONWA_HOLD_COMMIT` names exists, so that a test can look at the world while a promise
/// is still unmade.
pub(super) fn hold_commit() {
    if cfg!(feature = "simulator") {
        armed::hold();
    }
}

mod armed {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    static TARGET: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static VISITS: AtomicU64 = AtomicU64::new(0);
    static HOLD: OnceLock<Option<PathBuf>> = OnceLock::new();

    pub(super) fn parse(text: &str) -> (String, u64) {
        match text.rsplit_once(':').map(|(name, nth)| (name, nth.parse())) {
            Some((name, Ok(nth))) => (name.to_owned(), nth),
            _ => (text.to_owned(), 1),
        }
    }

    pub(super) fn visit(name: &str) {
        let target =
            TARGET.get_or_init(|| std::env::var("MOONWA_FAILPOINT").ok().map(|t| parse(&t)));
        if let Some((wanted, nth)) = target
            && wanted == name
            && VISITS.fetch_add(1, Ordering::Relaxed) + 1 == *nth
        {
            std::process::abort();
        }
    }

    pub(super) fn hold() {
        let file = HOLD.get_or_init(|| std::env::var_os("MOONWA_HOLD_COMMIT").map(PathBuf::from));
        if let Some(file) = file {
            while file.exists() {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::armed::parse;

    #[test]
    fn a_target_may_carry_a_count() {
        assert_eq!(parse("append.before"), ("append.before".to_owned(), 1));
        assert_eq!(parse("append.before:7"), ("append.before".to_owned(), 7));
        assert_eq!(parse("odd:name"), ("odd:name".to_owned(), 1));
    }
}
