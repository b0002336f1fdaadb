//! Who is logged in to the admin page, and the links that log somebody in once. A login is kept in the store by the
//! hash of its cookie, so it outlives a restart, and it ends with the token that it came from. Links are in memory
//! only. What a login may do is decided in `auth`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use hyper::header::{COOKIE, HeaderMap};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::{KeyHash, Secret, UnixMillis};
use crate::store::{Batch, Space, StoreError};

/// How long a login lasts without use.
const IDLE: Duration = Duration::from_hours(12);
/// How long it lasts at most.
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// When a login was last used is written down at most so often.
const NOTED: Duration = Duration::from_mins(5);
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

/// What the store keeps of a login. The token is the hash that moonwa.toml had when it was used; a link of the
/// terminal's has none.
/// Who opened a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    Admin,
    /// The holder of the device key with that hash.
    Key(KeyHash),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Login {
    token: Option<String>,
    /// The hash of the device key that opened it; none for an admin's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    opened: UnixMillis,
    used: UnixMillis,
}

impl Login {
    /// With a moonwa.toml that has this token.
    fn is_open(&self, now: UnixMillis, token: Option<KeyHash>) -> bool {
        let same = |own: &String| token.is_some_and(|token| KeyHash::parse(own) == Some(token));
        now.since(self.opened) < LONGEST
            && now.since(self.used) < IDLE
            && self.token.as_ref().is_none_or(same)
    }
}

struct Invitation {
    link: LoginLink,
    made: Instant,
    /// The login that it opens ends with this token.
    token: Option<KeyHash>,
}

/// The open logins, by the hash of their cookie, so that the secrets themselves are not kept.
pub(crate) struct Logins {
    inner: Mutex<Inner>,
    /// The time goes on from here by a clock that does not jump.
    started: (Instant, UnixMillis),
    ended: watch::Sender<()>,
}

#[derive(Default)]
struct Inner {
    links: Vec<Invitation>,
    live: BTreeMap<String, Login>,
    /// Whose row is not as it is here.
    changed: BTreeSet<String>,
}

impl Logins {
    /// Without what the store has.
    pub(crate) fn new(link: LoginLink) -> Self {
        let first = Invitation { link, made: Instant::now(), token: None };
        Self {
            inner: Mutex::new(Inner { links: vec![first], ..Inner::default() }),
            started: (Instant::now(), UnixMillis::now()),
            ended: watch::Sender::new(()),
        }
    }

    /// Takes up the logins of before the restart.
    pub(crate) async fn load(&self, space: &Space) -> Result<(), StoreError> {
        let rows = space.scan("").await?;
        let now = self.now();
        let mut inner = self.inner();
        for (key, row) in rows {
            let Ok(id) = String::from_utf8(key) else { continue };
            match serde_json::from_slice::<Login>(&row) {
                // Of a clock that was ahead no login may live longer.
                Ok(login) => {
                    let (opened, used) = (login.opened.min(now), login.used.min(now));
                    inner.live.insert(id, Login { opened, used, ..login });
                }
                Err(error) => {
                    tracing::warn!(%error, "A stored login cannot be read; whoever had it signs in again.");
                    inner.changed.insert(id);
                }
            }
        }
        Ok(())
    }

    /// Writes down what has changed, durable before `Ok`.
    pub(crate) async fn save(&self, space: &Space) -> Result<(), StoreError> {
        let (mut batch, changed) = (Batch::new(), {
            let mut inner = self.inner();
            std::mem::take(&mut inner.changed)
        });
        for id in &changed {
            match self.inner().live.get(id).map(serde_json::to_vec) {
                Some(Ok(row)) => batch.put(id.as_bytes(), row),
                _ => batch.remove(id.as_bytes()),
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let written = space.write(batch).await;
        if written.is_err() {
            self.inner().changed.extend(changed);
        }
        written
    }

    /// Forgets what is over, so that its rows go.
    pub(crate) fn sweep(&self, token: Option<KeyHash>) {
        let now = self.now();
        let mut inner = self.inner();
        let over: Vec<String> = inner
            .live
            .iter()
            .filter(|(_, login)| !login.is_open(now, token))
            .map(|(id, _)| id.clone())
            .collect();
        for id in &over {
            inner.end(id);
        }
        inner.links.retain(|invitation| invitation.made.elapsed() < UNUSED);
    }

    /// Makes one more link. Whoever opens it is logged in as long as whoever made it.
    pub(crate) fn invite(&self, token: Option<KeyHash>) -> LoginLink {
        let link = LoginLink::new();
        let mut inner = self.inner();
        inner.links.retain(|invitation| invitation.made.elapsed() < UNUSED);
        inner.links.push(Invitation { link: link.clone(), made: Instant::now(), token });
        let surplus = inner.links.len().saturating_sub(MOST);
        inner.links.drain(..surplus);
        link
    }

    /// Opens a login for whoever has shown this token.
    pub(crate) fn open(&self, token: Option<KeyHash>) -> Secret {
        self.add(token, None)
    }

    /// Opens a login for whoever has shown this device key.
    pub(crate) fn open_by_key(&self, key: KeyHash) -> Secret {
        self.add(None, Some(key))
    }

    fn add(&self, token: Option<KeyHash>, key: Option<KeyHash>) -> Secret {
        let (cookie, now) = (random(), self.now());
        let mut inner = self.inner();
        if inner.live.len() >= MOST {
            // A key's holders take no place from the admin as long as one of them has one.
            let order = |(_, login): &(&String, &Login)| (login.key.is_none(), login.used);
            let oldest = inner.live.iter().min_by_key(order).map(|(id, _)| id.clone());
            if let Some(id) = &oldest {
                inner.end(id);
            }
        }
        let id = id_of(cookie.expose());
        let [token, key] = [token, key].map(|hash| hash.map(|hash| hash.to_string()));
        inner.live.insert(id.clone(), Login { token, key, opened: now, used: now });
        inner.changed.insert(id);
        cookie
    }

    /// Opens a login with the secret of a link, which is used up by that. A wrong secret uses up nothing.
    pub(crate) fn open_by_link(&self, secret: &str, token: Option<KeyHash>) -> Option<Secret> {
        let secret = Secret::new(secret);
        let mut inner = self.inner();
        inner.links.retain(|invitation| invitation.made.elapsed() < UNUSED);
        // All links are compared, so that the time it takes tells nothing.
        let found = inner.links.iter().enumerate().fold(None, |found, (at, invitation)| {
            if invitation.link.0 == secret { Some(at) } else { found }
        })?;
        let invitation = inner.links.remove(found);
        drop(inner);
        let over = invitation.token.is_some() && invitation.token != token;
        (!over).then(|| self.open(invitation.token))
    }

    /// The id of a cookie's login. Asking for it counts as use of the login.
    pub(crate) fn touch(&self, cookie: &str, token: Option<KeyHash>) -> Option<String> {
        let (id, now) = (id_of(cookie), self.now());
        let mut inner = self.inner();
        let login = inner.live.get_mut(&id)?;
        if !login.is_open(now, token) {
            inner.end(&id);
            return None;
        }
        if now.since(login.used) >= NOTED {
            login.used = now;
            inner.changed.insert(id.clone());
        }
        Some(id)
    }

    /// Whether a login is still open. Asking does not count as use.
    pub(crate) fn is_open(&self, id: &str, token: Option<KeyHash>) -> bool {
        self.inner().live.get(id).is_some_and(|login| login.is_open(self.now(), token))
    }

    /// The token that a login ends with.
    pub(crate) fn token(&self, id: &str) -> Option<KeyHash> {
        self.inner().live.get(id).and_then(|login| KeyHash::parse(login.token.as_deref()?))
    }

    /// Who opened a login; `None` when it is over, and when that cannot be told.
    pub(crate) fn opener(&self, id: &str) -> Option<Opener> {
        match &self.inner().live.get(id)?.key {
            None => Some(Opener::Admin),
            Some(hash) => KeyHash::parse(hash).map(Opener::Key),
        }
    }

    pub(crate) fn close(&self, id: &str) {
        self.inner().end(id);
        self.ended.send_replace(());
    }

    /// Ends every login and every link that nobody has opened. How many logins there were.
    pub(crate) fn close_all(&self) -> usize {
        let mut inner = self.inner();
        inner.links.clear();
        let all = std::mem::take(&mut inner.live);
        let count = all.len();
        inner.changed.extend(all.into_keys());
        drop(inner);
        self.ended.send_replace(());
        count
    }

    /// Wakes whenever somebody has ended logins.
    pub(crate) fn ended(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> UnixMillis {
        let (began, then) = self.started;
        then.after(began.elapsed())
    }
}

impl Inner {
    fn end(&mut self, id: &str) {
        self.live.remove(id);
        self.changed.insert(id.to_owned());
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

    const OLD: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";
    const NEW: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000002";

    #[tokio::test]
    async fn the_login_link_works_once() {
        let link = LoginLink::new();
        let logins = Logins::new(link.clone());
        assert!(logins.open_by_link("guess", None).is_none(), "a guess does not use it up");
        let cookie = logins.open_by_link(link.secret(), None).unwrap();
        assert!(logins.open_by_link(link.secret(), None).is_none());
        let id = logins.touch(cookie.expose(), None).unwrap();
        assert!(logins.is_open(&id, None));
        logins.close(&id);
        assert!(logins.touch(cookie.expose(), None).is_none());
        assert!(!logins.is_open(&id, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_ends_after_twelve_idle_hours_and_after_seven_days() {
        let logins = Logins::new(LoginLink::new());
        let cookie = logins.open(None);
        let mut id = String::new();
        for _ in 0..15 {
            tokio::time::advance(Duration::from_hours(11)).await;
            id = logins.touch(cookie.expose(), None).expect("use renews it");
        }
        tokio::time::advance(Duration::from_hours(3)).await;
        assert!(!logins.is_open(&id, None), "168 hours");
        let cookie = logins.open(None);
        tokio::time::advance(Duration::from_hours(12)).await;
        assert!(logins.touch(cookie.expose(), None).is_none());
    }

    #[tokio::test]
    async fn a_login_ends_with_its_token_and_so_does_whom_it_invited() {
        let logins = Logins::new(LoginLink::new());
        let own = logins.open(KeyHash::parse(OLD));
        let id = logins.touch(own.expose(), KeyHash::parse(OLD)).unwrap();
        let (first, second) = (logins.invite(logins.token(&id)), logins.invite(logins.token(&id)));
        let guest = logins.open_by_link(first.secret(), KeyHash::parse(OLD)).unwrap();
        let terminal = logins.open(None);
        for now in [KeyHash::parse(NEW), None] {
            assert!(!logins.is_open(&id, now));
        }
        for cookie in [&own, &guest] {
            assert!(logins.touch(cookie.expose(), KeyHash::parse(NEW)).is_none());
            assert!(
                logins.touch(cookie.expose(), KeyHash::parse(OLD)).is_none(),
                "it has ended for good"
            );
        }
        assert!(logins.open_by_link(second.secret(), KeyHash::parse(NEW)).is_none());
        assert!(logins.touch(terminal.expose(), KeyHash::parse(NEW)).is_some());
    }

    #[tokio::test]
    async fn to_sign_out_everywhere_ends_links_too() {
        let logins = Logins::new(LoginLink::new());
        let (ended, link) = (logins.ended(), logins.invite(None));
        let cookies = [logins.open(None), logins.open(KeyHash::parse(NEW))];
        assert_eq!(logins.close_all(), 2);
        assert!(ended.has_changed().unwrap());
        for cookie in cookies {
            assert!(logins.touch(cookie.expose(), KeyHash::parse(NEW)).is_none());
        }
        assert!(logins.open_by_link(link.secret(), None).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn logins_and_links_are_bounded() {
        let logins = Logins::new(LoginLink::new());
        let (first, link) = (logins.open(None), logins.invite(None));
        for _ in 0..MOST {
            tokio::time::advance(Duration::from_secs(1)).await;
            logins.open(None);
            logins.invite(None);
        }
        assert!(logins.touch(first.expose(), None).is_none());
        assert!(logins.open_by_link(link.secret(), None).is_none());
        let inner = logins.inner();
        assert_eq!((inner.live.len(), inner.links.len()), (MOST, MOST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_keys_logins_take_no_place_from_the_admin() {
        let logins = Logins::new(LoginLink::new());
        let admin = logins.open(None);
        let key = KeyHash::parse(NEW).unwrap();
        let first = logins.open_by_key(key);
        let id = logins.touch(first.expose(), None).unwrap();
        assert_eq!(logins.opener(&id), Some(Opener::Key(key)));
        for _ in 0..MOST {
            tokio::time::advance(Duration::from_secs(1)).await;
            logins.open_by_key(key);
        }
        assert!(logins.touch(first.expose(), None).is_none());
        assert_eq!(
            logins.opener(&id),
            None,
            "one that is over is nobody's, least of all an admin's"
        );
        let id = logins.touch(admin.expose(), None).unwrap();
        assert_eq!(logins.opener(&id), Some(Opener::Admin));
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
