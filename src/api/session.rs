//! Who is logged in to the admin page: the one-time login link, and sessions in memory. A restart logs everybody out.
//! What a session may do is decided in `auth`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use hyper::header::{COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::auth::{self, Principal};
use super::body::{self, MAX_JSON, Response};
use super::form;
use super::handle::Call;
use super::origin;
use super::problem::{Code, Problem};
use crate::model::{KeyHash, Secret};

const IDLE: Duration = Duration::from_hours(12);
/// More browsers than that push out the one that was idle longest.
const MOST: usize = 64;
/// A link that nobody opened stops working.
const UNUSED: Duration = Duration::from_hours(24);
const NAME: &str = "moonwa_session";

/// A link that logs in whoever opens it first.
#[derive(Clone, Debug)]
pub struct LoginLink(Secret);

impl LoginLink {
    /// A fresh one: 256 random bits.
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

/// Live sessions, by the hash of their cookie: what is looked up is not the secret itself.
pub(super) struct AdminSessions(Mutex<Inner>);

struct Inner {
    links: Vec<(LoginLink, Instant)>,
    live: BTreeMap<String, Instant>,
}

impl AdminSessions {
    pub(super) fn new(link: LoginLink) -> Self {
        Self(Mutex::new(Inner { links: vec![(link, Instant::now())], live: BTreeMap::new() }))
    }

    /// A further link, for whoever may read the operator's token.
    fn invite(&self) -> LoginLink {
        let link = LoginLink::new();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.links.retain(|(_, made)| made.elapsed() < UNUSED);
        inner.links.push((link.clone(), Instant::now()));
        link
    }

    /// Opens a session; the answer is its cookie.
    fn open(&self) -> Secret {
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

    /// Uses up the login link. Only the right secret does.
    fn open_by_link(&self, secret: &str) -> Option<Secret> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = Secret::new(secret);
        inner.links.retain(|(_, made)| made.elapsed() < UNUSED);
        // Every link is compared, so that time tells nothing.
        let found =
            inner.links.iter().enumerate().fold(None, |found, (at, (link, _))| {
                if link.0 == secret { Some(at) } else { found }
            })?;
        inner.links.remove(found);
        drop(inner);
        Some(self.open())
    }

    /// The id of the session a cookie belongs to, which counts as use.
    pub(super) fn touch(&self, cookie: &str) -> Option<String> {
        let id = id_of(cookie);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = inner.live.get_mut(&id).filter(|used| used.elapsed() < IDLE)?;
        *used = Instant::now();
        Some(id)
    }

    /// Whether a session is still open; looking is no use of it.
    pub(super) fn is_open(&self, id: &str) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.live.get(id).is_some_and(|used| used.elapsed() < IDLE)
    }

    fn close(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).live.remove(id);
    }
}

fn id_of(cookie: &str) -> String {
    KeyHash::of(cookie).to_string()
}

/// The session cookie of a request.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == NAME).then_some(value))
}

fn set_cookie(call: &Call, value: &str, rest: &str) -> Option<HeaderValue> {
    let path = &call.config.server.base_path;
    let secure =
        if origin::is_https(&call.head, call.peer, &call.config) { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; HttpOnly; SameSite=Strict; Path={path}{secure}{rest}");
    HeaderValue::from_str(&text).ok()
}

fn logged_in(call: &Call, mut response: Response, cookie: &Secret, client: IpAddr) -> Response {
    tracing::info!(%client, "Somebody logged in to the admin page.");
    if let Some(value) = set_cookie(call, cookie.expose(), "") {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    response
}

/// `GET /login?t=…`: the one-time link, opened in a browser.
pub(super) fn login_by_link(call: &Call) -> Result<Response, Problem> {
    // A link preview asks with HEAD; it must not use the link up.
    let opened = match call.query("t")? {
        Some(secret) if call.head.method == Method::GET => {
            throttled(call)?;
            let opened = call.state.sessions.open_by_link(&secret);
            if opened.is_none() {
                call.state.throttle.failed(call.client);
            }
            opened
        }
        _ => None,
    };
    let mut response = body::empty(StatusCode::SEE_OTHER);
    // Relative, so that it stays below whatever path a proxy put in front.
    let to = if opened.is_some() { "./" } else { "./?login=expired" };
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(to));
    Ok(match opened {
        Some(cookie) => logged_in(call, response, &cookie, call.client),
        None => response,
    })
}

/// `POST /v1/login-links`: a fresh one-time link, for the terminal.
pub(super) fn invite(call: &Call) -> Response {
    let link = call.state.sessions.invite();
    let path = format!("{}login?t={}", call.config.server.base_path, link.secret());
    body::json(StatusCode::CREATED, &json!({ "path": path }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginBody {
    token: String,
}

/// `POST /login` with the admin token, as JSON or as a form.
pub(super) async fn login(call: &mut Call) -> Result<Response, Problem> {
    origin::same_site(&call.head)?;
    throttled(call)?;
    let is_form = call.has_type("application/x-www-form-urlencoded");
    let bytes = call.read(MAX_JSON).await?;
    let token = if is_form {
        let text = String::from_utf8_lossy(&bytes);
        let pairs = form::pairs(&text).unwrap_or_default();
        pairs.into_iter().find(|(name, _)| name == "token").map(|(_, token)| token)
    } else {
        Some(body::parse::<LoginBody>(&bytes)?.token)
    };
    let token = token.ok_or_else(|| Problem::field("token", "required"))?;
    let right = call.config.admin.token.is_some_and(|hash| hash.matches(&token));
    if !right {
        call.state.throttle.failed(call.client);
        return Err(Problem::new(Code::Unauthorized, "the token is wrong"));
    }
    let cookie = call.state.sessions.open();
    let admin = Principal::Admin { session: None };
    let response = body::json(StatusCode::OK, &whoami(call, &admin));
    Ok(logged_in(call, response, &cookie, call.client))
}

fn throttled(call: &Call) -> Result<(), Problem> {
    match call.state.throttle.wait(call.client) {
        Some(wait) => Err(Problem::from(Code::TooManyAttempts).retry_after(wait)),
        None => Ok(()),
    }
}

/// `POST /logout`.
pub(super) fn logout(call: &Call) -> Result<Response, Problem> {
    origin::same_site(&call.head)?;
    if let Some(id) = cookie(&call.head.headers).and_then(|c| call.state.sessions.touch(c)) {
        call.state.sessions.close(&id);
    }
    let mut response = body::empty(StatusCode::NO_CONTENT);
    if let Some(value) = set_cookie(call, "", "; Max-Age=0") {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    Ok(response)
}

/// `GET /v1/session`: who the caller is, also when it is nobody.
pub(super) fn show(call: &Call) -> Result<Response, Problem> {
    let who = auth::identify(&call.state, &call.config, &call.head, call.client)?;
    body::ok(&whoami(call, &who))
}

fn whoami(call: &Call, who: &Principal) -> Value {
    json!({
        "role": who.role(),
        "device": who.device(),
        "scopes": who.scopes(),
        "token_login": call.config.admin.token.is_some(),
        "editable": call.config.admin.editable,
        "max_media": call.config.media.max_size,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_login_link_works_once() {
        let link = LoginLink::new();
        let sessions = AdminSessions::new(link.clone());
        assert!(sessions.open_by_link("guess").is_none(), "a guess does not use it up");
        let cookie = sessions.open_by_link(link.secret()).unwrap();
        assert!(sessions.open_by_link(link.secret()).is_none());
        let id = sessions.touch(cookie.expose()).unwrap();
        assert!(sessions.is_open(&id));
        sessions.close(&id);
        assert!(sessions.touch(cookie.expose()).is_none());
        assert!(!sessions.is_open(&id));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_twelve_idle_hours() {
        let sessions = AdminSessions::new(LoginLink::new());
        let cookie = sessions.open();
        tokio::time::advance(Duration::from_hours(11)).await;
        let id = sessions.touch(cookie.expose()).unwrap();
        tokio::time::advance(Duration::from_hours(11)).await;
        assert!(sessions.is_open(&id), "use renews it");
        tokio::time::advance(Duration::from_hours(1)).await;
        assert!(!sessions.is_open(&id));
        assert!(sessions.touch(cookie.expose()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_are_bounded() {
        let sessions = AdminSessions::new(LoginLink::new());
        let first = sessions.open();
        for _ in 0..MOST {
            tokio::time::advance(Duration::from_secs(1)).await;
            sessions.open();
        }
        assert!(sessions.touch(first.expose()).is_none());
        assert_eq!(sessions.0.lock().unwrap().live.len(), MOST);
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
