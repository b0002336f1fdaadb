//! One request from head to answer: route, access, operation, response. The only place that logs and counts requests.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use tokio::time::Instant;

use crate::api::access::auth::{self, Access, Principal};
use crate::api::access::login;
use crate::api::access::origin;
use crate::api::call::Call;
use crate::api::compat;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};
use crate::api::page;
use crate::api::route::{Found, Op, Routes};
use crate::api::state::State;
use crate::api::v1::config;
use crate::api::v1::device;
use crate::api::v1::device_edit;
use crate::api::v1::event;
use crate::api::v1::health;
use crate::api::v1::live;
use crate::api::v1::media;
use crate::api::v1::message;
use crate::api::v1::qr;
use crate::api::v1::webhook;
use crate::model::DeviceName;
use crate::whatsapp::Backup;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers requests: the routes, and what their operations share.
pub(crate) struct Dispatch {
    pub(crate) state: Arc<State>,
    routes: Routes,
}

impl Dispatch {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Arc::new(state), routes: Routes::new() }
    }
}

/// Answers a request. Never fails and never unwinds.
pub(crate) async fn handle(
    dispatch: &Dispatch,
    request: Request<Incoming>,
    peer: IpAddr,
) -> Response {
    let state = Arc::clone(&dispatch.state);
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let id = request_id(&head);
    let (method, config) = (head.method.clone(), state.api.config.load_full());
    let path = below(&config.server.base_path, head.uri.path()).to_owned();
    let client = origin::client(&head, peer, &config);
    let mut who = Principal::Nobody;
    let (label, access, mut response) = match dispatch.routes.find(&method, &path) {
        Err(problem) => ("none".to_owned(), Access::Public, problem.render(&id)),
        Ok(Found::Options(allow)) => ("none".to_owned(), Access::Public, options(&allow)),
        Ok(Found::Nothing) => {
            let found = page::serve(&head, &config, &path).unwrap_or_else(|p| p.render(&id));
            ("Asset".to_owned(), Access::Public, found)
        }
        Ok(Found::Route(route, params)) => {
            let nobody = Principal::Nobody;
            let body = Some(body);
            let mut call = Call { state, config, head, params, who: nobody, peer, client, body };
            let answer = caught(run(&mut call, route.access, route.op)).await;
            who = call.who;
            let response = match answer {
                Ok(response) => response,
                Err(problem) if route.access == Access::BodyKey => compat::error::refuse(&problem),
                Err(problem) => problem.render(&id),
            };
            (format!("{:?}", route.op), route.access, response)
        }
    };
    finish(&mut response, &id);
    let status = response.status();
    record(&label, status, started);
    let (key, device) = (who.name(), who.device().map(DeviceName::as_str));
    if status.is_server_error() {
        tracing::warn!(request = id, %client, key, device, %method, op = label, %status, "A request failed.");
    } else if status.is_success() && who != Principal::Nobody && !method.is_safe() {
        // Who did it is what people ask later.
        tracing::info!(request = id, %client, key, device, op = label, %status, "Done.");
    } else {
        tracing::debug!(request = id, %client, key, device, %method, op = label, ?access, %status, "Answered.");
    }
    response
}

/// A panic in an operation is an answer like any other, and the connection goes on.
async fn caught(
    operation: impl Future<Output = Result<Response, Problem>> + Send,
) -> Result<Response, Problem> {
    AssertUnwindSafe(Box::pin(operation)).catch_unwind().await.unwrap_or_else(|_panic| {
        tracing::error!("A request handler panicked; the log has its place above.");
        Err(Code::Internal.into())
    })
}

/// Checks the access and does the operation.
async fn run(call: &mut Call, access: Access, op: Op) -> Result<Response, Problem> {
    if is_page(op) {
        origin::host_allowed(&call.head, &call.config)?;
    }
    if !matches!(access, Access::Public | Access::BodyKey) {
        call.who = auth::identify(&call.state, &call.config, &call.head, call.client)?;
    }
    let device = Some(call.params.get("device")).filter(|name| !name.is_empty());
    auth::check(&call.who, access, device)?;
    perform(call, op).await
}

/// Whether an operation belongs to the page's login, which must not answer to a foreign host name.
fn is_page(op: Op) -> bool {
    matches!(op, Op::Session | Op::Login | Op::LoginByLink | Op::Logout)
}

async fn perform(call: &mut Call, op: Op) -> Result<Response, Problem> {
    match op {
        Op::Health => health::alive(call),
        Op::Ready => health::ready(call),
        Op::Metrics => health::metrics(call),
        Op::Session => login::show(call),
        Op::LoginByLink => login::login_by_link(call),
        Op::Login => login::login(call).await,
        Op::Logout => login::logout(call),
        Op::InviteLogin => Ok(login::invite(call)),
        Op::Backup => Ok(response::ok(&Backup::of(&call.state.api.store).await?)),
        Op::ForgetDevice => device::forget(call).await,
        Op::Events => live::events(call),
        Op::ConfigReport => config::show(call).await,
        Op::ConfigPlan => config::plan(call).await,
        Op::ConfigReload => config::reload(call).await,
        Op::ListDevices => device::list(call),
        Op::ShowDevice => device::show(call),
        Op::PutDevice => device_edit::put(call).await,
        Op::DeleteDevice => device_edit::delete(call).await,
        Op::MakeKey => device_edit::make_key(call).await,
        Op::StartDevice => device::start(call).await,
        Op::StopDevice => device::stop(call).await,
        Op::ReconnectDevice => device::reconnect(call).await,
        Op::LogoutDevice => device::logout(call).await,
        Op::LinkingQr => qr::show(call),
        Op::PairCode => device::pair_code(call).await,
        Op::PasskeyResponse => device::passkey_response(call).await,
        Op::PasskeyConfirm => device::passkey_confirm(call).await,
        Op::SendMessage => message::send(call).await,
        Op::ListMessages => message::list(call).await,
        Op::ShowMessage => message::show(call).await,
        Op::EditMessage => message::edit(call).await,
        Op::RevokeMessage => message::revoke(call).await,
        Op::MarkRead => message::mark_read(call).await,
        Op::Typing => message::typing(call).await,
        Op::Contact => media::contact(call).await,
        Op::ListGroups => media::groups(call).await,
        Op::ShowGroup => media::group(call).await,
        Op::Media => media::media(call).await,
        Op::DeviceEvents => event::read(call).await,
        Op::ListWebhooks => webhook::list(call),
        Op::ReplayWebhook => webhook::replay(call).await,
        Op::TestWebhook => webhook::test(call).await,
        Op::PauseWebhook => webhook::pause(call).await,
        Op::ResumeWebhook => webhook::resume(call).await,
        Op::DeadLetters => webhook::dead_letters(call).await,
        Op::RetryDeadLetter => webhook::retry(call).await,
        Op::CompatHello => compat::send::hello(),
        Op::CompatSendText => compat::send::send_text(call).await,
        Op::CompatSendMedia => compat::send::send_media(call).await,
        Op::CompatGroups => compat::send::groups(call).await,
        Op::CompatMembers => compat::send::members(call).await,
    }
}

/// The path below the base path. A proxy that strips the prefix itself is fine too.
fn below<'a>(base: &str, path: &'a str) -> &'a str {
    let prefix = base.trim_end_matches('/');
    match path.strip_prefix(prefix) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

fn options(allow: &str) -> Response {
    let mut response = response::empty(StatusCode::NO_CONTENT);
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The client's request id when it is harmless in a log line, else a fresh one.
fn request_id(head: &Parts) -> String {
    let harmless = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let given = head.headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    given.map_or_else(
        || data_encoding::HEXLOWER.encode(&rand::random::<[u8; 8]>()),
        ToOwned::to_owned,
    )
}

/// The headers that every answer has.
fn finish(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let same_origin = HeaderValue::from_static("same-origin");
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), same_origin);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

fn record(op: &str, status: StatusCode, started: Instant) {
    let op = op.to_owned();
    metrics::histogram!("moonwa_http_request_seconds", "op" => op.clone())
        .record(started.elapsed().as_secs_f64());
    metrics::counter!("moonwa_http_requests_total", "op" => op, "status" => status.as_u16().to_string())
        .increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_path_is_taken_off_once() {
        assert_eq!(below("/", "/v1/devices"), "/v1/devices");
        assert_eq!(below("/wa/", "/wa/v1/devices"), "/v1/devices");
        assert_eq!(below("/wa/", "/wa/"), "/");
        assert_eq!(below("/wa/", "/wa"), "/");
        assert_eq!(below("/wa/", "/wall"), "/wall");
        assert_eq!(below("/wa/", "/v1/devices"), "/v1/devices");
        assert_eq!(below("/wa/", "/wa/wa/x"), "/wa/x");
    }

    #[tokio::test]
    async fn a_panic_is_answered_with_500_and_says_nothing() {
        let problem = caught(async { panic!("row 17") }).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.detail), (500, None));
    }

    #[test]
    fn a_request_id_cannot_forge_a_log_line() {
        let head =
            |id: &str| Request::get("/").header(REQUEST_ID, id).body(()).unwrap().into_parts().0;
        assert_eq!(request_id(&head("abc-1_X")), "abc-1_X");
        assert_eq!(request_id(&head("a b")).len(), 16);
        assert_eq!(request_id(&head(&"a".repeat(65))).len(), 16);
    }
}
