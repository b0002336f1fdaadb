//! The routes that log somebody in to the admin page and out again, and say who is logged in.

use hyper::header::{HeaderValue, LOCATION, SET_COOKIE};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{self, Access, Principal};
use super::logins::{COOKIE_NAME, cookie};
use super::origin;
use super::proof::Proof;
use super::throttle::Attempt;
use crate::api::call::{Answer, Call};
use crate::api::http::form;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request::{self, MAX_JSON};
use crate::api::http::response::{self, Response};
use crate::model::{KeyHash, Secret};

fn set_cookie(call: &Call, value: &str, rest: &str) -> Option<HeaderValue> {
    let path = &call.config.server.base_path;
    let secure =
        if origin::is_https(&call.head, call.peer, &call.config) { "; Secure" } else { "" };
    let text =
        format!("{COOKIE_NAME}={value}; HttpOnly; SameSite=Strict; Path={path}{secure}{rest}");
    HeaderValue::from_str(&text).ok()
}

async fn logged_in(call: &Call, mut response: Response, cookie: &Secret) -> Response {
    tracing::info!(client = %call.client, "Somebody logged in to the admin page.");
    call.state.throttle.welcome(call.client);
    // With a store that fails, the admin must get in all the more.
    if let Err(error) = call.state.save_logins().await {
        tracing::warn!(%error, "A login is not kept: it ends with the next restart.");
    }
    if let Some(value) = set_cookie(call, cookie.expose(), "") {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    response
}

/// `GET /login?t=…`: a login link, opened in a browser.
pub(crate) async fn by_link(call: &Call) -> Answer {
    // Programs that preview links ask with HEAD, which must not use the link up.
    let opened = match call.query("t")? {
        Some(secret) if call.head.method == Method::GET => {
            call.state.logins.open_by_link(&secret, call.config.admin.token)
        }
        _ => None,
    };
    let mut response = response::empty(StatusCode::SEE_OTHER);
    // Relative, because a proxy may have put another path in front.
    let to = if opened.is_some() { "./" } else { "./?login=expired" };
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(to));
    Ok(match opened {
        Some(cookie) => logged_in(call, response, &cookie).await,
        None => response,
    })
}

/// `POST /v1/login-links`: a new login link, for the terminal.
pub(crate) fn invite(call: &Call) -> Response {
    let proof = Proof::of(&call.head, &call.who);
    let link = call.state.logins.invite(proof.token(&call.state, &call.config));
    let path = format!("{}login?t={}", call.config.server.base_path, link.secret());
    response::json(StatusCode::CREATED, &json!({ "path": path }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginBody {
    token: String,
}

/// `POST /login` with the admin token, or with a device's key, as JSON or as a form.
pub(crate) async fn by_token(call: &mut Call) -> Answer {
    origin::same_site(&call.head)?;
    let is_form = call.has_type("application/x-www-form-urlencoded");
    let bytes = call.read(MAX_JSON).await?;
    let token = if is_form {
        let text = String::from_utf8_lossy(&bytes);
        let pairs = form::pairs(&text).unwrap_or_default();
        pairs.into_iter().find(|(name, _)| name == "token").map(|(_, token)| token)
    } else {
        Some(request::parse::<LoginBody>(&bytes)?.token)
    };
    let token = token.ok_or_else(|| Problem::field("token", "required"))?;
    if let Some(who) = auth::key_with(&call.config, KeyHash::of(&token)) {
        return by_key(call, who, &token).await;
    }
    if !auth::is_token(&call.state, &call.config, Attempt::Login, call.client, &token)? {
        call.guessed = true;
        return Err(Problem::new(Code::Unauthorized, "the token is wrong"));
    }
    let cookie = call.state.logins.open(call.config.admin.token);
    let login = call.state.logins.touch(cookie.expose(), call.config.admin.token);
    let admin = Principal::Admin { login };
    let response = response::json(StatusCode::OK, &whoami(call, &admin));
    Ok(logged_in(call, response, &cookie).await)
}

/// A device's key logs in to its conversations, to do there what the key may do. Without `read` there is nothing to show.
async fn by_key(call: &Call, who: Principal, key: &str) -> Answer {
    auth::check(&who, Access::Read, None)?;
    let cookie = call.state.logins.open_by_key(KeyHash::of(key));
    let response = response::json(StatusCode::OK, &whoami(call, &who));
    Ok(logged_in(call, response, &cookie).await)
}

/// `POST /logout`.
pub(crate) async fn logout(call: &Call) -> Answer {
    origin::same_site(&call.head)?;
    let (logins, token) = (&call.state.logins, call.config.admin.token);
    if let Some(id) = cookie(&call.head.headers).and_then(|c| logins.touch(c, token)) {
        logins.close(&id);
        call.state.save_logins().await?;
    }
    let mut response = response::empty(StatusCode::NO_CONTENT);
    if let Some(value) = set_cookie(call, "", "; Max-Age=0") {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    Ok(response)
}

/// `DELETE /v1/logins`: nobody is logged in any more, wherever the browser is, and no link logs in.
pub(crate) async fn end_all(call: &Call) -> Answer {
    let ended = call.state.logins.close_all();
    tracing::warn!(client = %call.client, ended, "All logins to the admin page were ended.");
    call.state.save_logins().await?;
    Ok(response::ok(&json!({ "ended": ended })))
}

/// `GET /v1/session`: who the caller is, even if nobody in particular.
pub(crate) fn show(call: &mut Call) -> Answer {
    let who = call.identify()?;
    Ok(response::ok(&whoami(call, &who)))
}

fn whoami(call: &Call, who: &Principal) -> Value {
    json!({
        "role": who.role(),
        "device": who.device(),
        "scopes": who.scopes(),
        "name": who.author(),
        "history": call.config.history.is_some(),
        "token_login": call.config.admin.token.is_some(),
        "key_login": call.config.devices.values().any(|device| !device.keys.is_empty()),
        "editable": call.config.admin.editable,
        "max_media": call.config.media.max_size,
        "version": env!("CARGO_PKG_VERSION"),
    })
}
