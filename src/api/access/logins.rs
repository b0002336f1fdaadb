//! Who is logged in to the admin page, and the links that log somebody in once. Both are in memory only: a restart logs
//! everybody out. What a login may do is decided in `auth`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use hyper::header::{COOKIE, HeaderMap};
use tokio::time::Instant;

use crate::model::{KeyHash, Secret};

/// How long a login lasts without use.
const IDLE: Duration = Duration::from_hours(12);
/// A further login ends the one that was idle longest.
const MOST: usize = 64;
/// How long a link waits to be opened.
const UNUSED: Duration = Duration::from_hours(24);
pub(crate) const COOKIE_NAME: &str = "moonwa_session";

/// A link that logs in the first person who opens it.
#[derive(Clone, Debug)]
pub struct LoginLink(Secret);

impl LoginLink {
    /// A new link: 256 random bits.
    #[expect(clippy::new_without_default, reason = "a default secret would be a strange thing")]
    pub fn new() -> Self {
        Self(random())
    }

    /// What follows `login?t=`.
    pub fn secret(&self) -> &str {
        self.0.expose()
    }
}

fn random() -> Secret {
    Secret::new(BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>()))
}

/// The open logins, by the hash of their cookie, so that the secrets themselves are not kept.
pub(crate) struct Logins(Mutex<Inner>);

struct Inner {
    links: Vec<(LoginLink, Instant)>,
    live: BTreeMap<String, Instant>,
}

impl Logins {
    pub(crate) fn new(link: LoginLink) -> Self {
        Self(Mutex::new(Inner { links: vec![(link, Instant::now())], live: BTreeMap::new() }))
    }

    /// Makes one more link.
    pub(crate) fn invite(&self) -> LoginLink {
        let link = LoginLink::new();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.links.retain(|(_, made)| made.elapsed() < UNUSED);
        inner.links.push((link.clone(), Instant::now()));
        link
    }

    /// Opens a login and gives its cookie.
    pub(crate) fn open(&self) -> Secret {
        let cookie = random();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.live.retain(|_, used| used.elapsed() < IDLE);
        if inner.live.len() >= MOST {
            let oldest = inner.live.iter().min_by_key(|(_, used)| **used).map(|(id, _)| id.clone());
            oldest.and_then(|id| inner.live.remove(&id));
        }
        inner.live.insert(id_of(cookie.expose()), Instant::now());
        cookie
    }

    /// Opens a login with the secret of a link, which is used up by that. A wrong secret uses up nothing.
    pub(crate) fn open_by_link(&self, secret: &str) -> Option<Secret> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = Secret::new(secret);
        inner.links.retain(|(_, made)| made.elapsed() < UNUSED);
        // All links are compared, so that the time it takes tells nothing.
        let found =
            inner.links.iter().enumerate().fold(None, |found, (at, (link, _))| {
                if link.0 == secret { Some(at) } else { found }
            })?;
        inner.links.remove(found);
        drop(inner);
        Some(self.open())
    }

    /// The id of a cookie's login. Asking for it counts as use of the login.
    pub(crate) fn touch(&self, cookie: &str) -> Option<String> {
        let id = id_of(cookie);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = inner.live.get_mut(&id).filter(|used| used.elapsed() < IDLE)?;
        *used = Instant::now();
        Some(id)
    }

    /// Whether a login is still open. Asking does not count as use.
    pub(crate) fn is_open(&self, id: &str) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.live.get(id).is_some_and(|used| used.elapsed() < IDLE)
    }

    pub(crate) fn close(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).live.remove(id);
    }
}

fn id_of(cookie: &str) -> String {
    KeyHash::of(cookie).to_string()
}

pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE_NAME).then_some(value))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn the_login_link_works_once() {
        let link = LoginLink::new();
        let logins = Logins::new(link.clone());
        assert!(logins.open_by_link("guess").is_none(), "a guess does not use it up");
        let cookie = logins.open_by_link(link.secret()).unwrap();
        assert!(logins.open_by_link(link.secret()).is_none());
        let id = logins.touch(cookie.expose()).unwrap();
        assert!(logins.is_open(&id));
        logins.close(&id);
        assert!(logins.touch(cookie.expose()).is_none());
        assert!(!logins.is_open(&id));
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_ends_after_twelve_idle_hours() {
        let logins = Logins::new(LoginLink::new());
        let cookie = logins.open();
        tokio::time::advance(Duration::from_hours(11)).await;
        let id = logins.touch(cookie.expose()).unwrap();
        tokio::time::advance(Duration::from_hours(11)).await;
        assert!(logins.is_open(&id), "use renews it");
        tokio::time::advance(Duration::from_hours(1)).await;
        assert!(!logins.is_open(&id));
        assert!(logins.touch(cookie.expose()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn logins_are_bounded() {
        let logins = Logins::new(LoginLink::new());
        let first = logins.open();
        for _ in 0..MOST {
            tokio::time::advance(Duration::from_secs(1)).await;
            logins.open();
        }
        assert!(logins.touch(first.expose()).is_none());
        assert_eq!(logins.0.lock().unwrap().live.len(), MOST);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b; xmoonwa_session=no"));
        assert_eq!(cookie(&headers), None);
        headers.append(COOKIE, HeaderValue::from_static("theme=dark; moonwa_session=yes; c=d"));
        assert_eq!(cookie(&headers), Some("yes"));
    }
}
