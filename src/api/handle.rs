//! One request from head to answer: route, access, operation, response. The only place that logs and counts requests.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::auth::{self, Principal};
use super::body::{self, Response};
use super::problem::{Code, Problem};
use super::route::{Access, Found, Op, Params};
use super::{
    State, asset, compat, config, delivery, device, edit, form, health, journal, lookup, message,
    origin, qr, refusal, session, sse,
};
use crate::config::{Config, DeviceConfig};
use crate::model::DeviceName;
use crate::whatsapp::{Backup, DeviceHandle};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request on its way through an operation.
pub(super) struct Call {
    pub(super) state: Arc<State>,
    pub(super) config: Arc<Config>,
    pub(super) head: Parts,
    pub(super) params: Params,
    pub(super) who: Principal,
    pub(super) peer: IpAddr,
    pub(super) client: IpAddr,
    body: Option<Incoming>,
}

impl Call {
    /// The body, unread. There is one.
    pub(super) fn body(&mut self) -> Result<Incoming, Problem> {
        self.body.take().ok_or_else(|| Code::Internal.into())
    }

    /// Reads the whole body.
    pub(super) async fn read(&mut self, max: usize) -> Result<Bytes, Problem> {
        let body = self.body()?;
        body::read_limited(body, max).await
    }

    /// Reads a JSON body.
    pub(super) async fn json<T: DeserializeOwned>(&mut self, max: usize) -> Result<T, Problem> {
        if self.head.headers.contains_key(CONTENT_TYPE) && !self.has_type("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType, "send application/json"));
        }
        body::parse(&self.read(max).await?)
    }

    /// Whether the body is said to be of that type.
    pub(super) fn has_type(&self, wanted: &str) -> bool {
        let value = self.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = value.and_then(|value| value.split(';').next()).unwrap_or_default();
        kind.trim().eq_ignore_ascii_case(wanted)
    }

    /// Whether the `Accept` header names that type, or all of its group.
    pub(super) fn accepts(&self, wanted: &str) -> bool {
        let group = wanted.split('/').next().unwrap_or_default();
        let values = self.head.headers.get_all(ACCEPT).into_iter();
        values.filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(',')).any(|one| {
            let one = one.split(';').next().unwrap_or_default().trim();
            one.eq_ignore_ascii_case(wanted)
                || one.strip_suffix("/*").is_some_and(|asked| asked.eq_ignore_ascii_case(group))
        })
    }

    /// A parameter of the query string.
    pub(super) fn query(&self, name: &str) -> Result<Option<String>, Problem> {
        let pairs = form::pairs(self.head.uri.query().unwrap_or_default())
            .ok_or_else(|| Problem::new(Code::InvalidRequest, "the query string is not valid"))?;
        Ok(pairs.into_iter().find(|(n, _)| n == name).map(|(_, value)| value))
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The device named in the path, as the file has it.
    pub(super) fn device(&self) -> Result<(DeviceName, &DeviceConfig), Problem> {
        let name = DeviceName::parse(self.params.get("device")).ok();
        name.and_then(|name| Some((self.config.devices.get(&name)?, name)))
            .map(|(config, name)| (name, config))
            .ok_or_else(|| Code::DeviceNotFound.into())
    }

    /// The running device named in the path.
    pub(super) fn handle(&self) -> Result<DeviceHandle, Problem> {
        let (name, _) = self.device()?;
        self.state.api.fleet.device(&name).ok_or_else(|| Code::DeviceNotFound.into())
    }
}

/// Answers a request. Never fails and never unwinds.
pub(super) async fn handle(
    state: Arc<State>,
    request: Request<Incoming>,
    peer: IpAddr,
) -> Response {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let id = request_id(&head);
    let (method, config) = (head.method.clone(), state.api.config.load_full());
    let path = below(&config.server.base_path, head.uri.path()).to_owned();
    let client = origin::client(&head, peer, &config);
    let mut who = Principal::Nobody;
    let (label, access, mut response) = match state.routes.find(&method, &path) {
        Err(problem) => ("none".to_owned(), Access::Public, problem.render(&id)),
        Ok(Found::Options(allow)) => ("none".to_owned(), Access::Public, options(&allow)),
        Ok(Found::Nothing) => {
            let found = asset::serve(&head, &config, &path).unwrap_or_else(|p| p.render(&id));
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
                Err(problem) if route.access == Access::BodyKey => refusal::refuse(&problem),
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
        Op::Session => session::show(call),
        Op::LoginByLink => session::login_by_link(call),
        Op::Login => session::login(call).await,
        Op::Logout => session::logout(call),
        Op::InviteLogin => Ok(session::invite(call)),
        Op::Backup => body::ok(&Backup::of(&call.state.api.store).await?),
        Op::ForgetDevice => device::forget(call).await,
        Op::Events => sse::events(call),
        Op::ConfigReport => config::show(call).await,
        Op::ConfigPlan => config::plan(call).await,
        Op::ConfigReload => config::reload(call).await,
        Op::ListDevices => device::list(call),
        Op::ShowDevice => device::show(call),
        Op::PutDevice => edit::put(call).await,
        Op::DeleteDevice => edit::delete(call).await,
        Op::MakeKey => edit::make_key(call).await,
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
        Op::Contact => lookup::contact(call).await,
        Op::ListGroups => lookup::groups(call).await,
        Op::ShowGroup => lookup::group(call).await,
        Op::Media => lookup::media(call).await,
        Op::DeviceEvents => journal::read(call).await,
        Op::ListWebhooks => delivery::list(call),
        Op::ReplayWebhook => delivery::replay(call).await,
        Op::TestWebhook => delivery::test(call).await,
        Op::PauseWebhook => delivery::pause(call).await,
        Op::ResumeWebhook => delivery::resume(call).await,
        Op::DeadLetters => delivery::dead_letters(call).await,
        Op::RetryDeadLetter => delivery::retry(call).await,
        Op::CompatHello => compat::hello(),
        Op::CompatSendText => compat::send_text(call).await,
        Op::CompatSendMedia => compat::send_media(call).await,
        Op::CompatGroups => compat::groups(call).await,
        Op::CompatMembers => compat::members(call).await,
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
    let mut response = body::empty(StatusCode::NO_CONTENT);
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
