//! Leads one request to its answer: finds the route, checks the access, calls the handler. Requests are logged and
//! counted here and nowhere else.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, EXPECT, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use tokio::time::{Instant, sleep};

use crate::api::access::auth::{self, Access, Principal};
use crate::api::access::origin;
use crate::api::call::{Answer, Call, PathValues};
use crate::api::compat::face::Face;
use crate::api::compat::faces::{Asked, Faces};
use crate::api::http::body::Received;
use crate::api::http::connection::Place;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request;
use crate::api::http::response::{self, Response};
use crate::api::route::{Found, Route, Routes};
use crate::api::state::State;
use crate::api::v1::media;
use crate::api::{compat, page};
use crate::config::Config;
use crate::model::{DeviceName, UnixMillis};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The metrics' labels of requests that reach no route.
const NO_ROUTE: &str = "none";
const PAGE_FILE: &str = "Asset";
const NOT_OFFERED: &str = "NotOffered";

/// A histogram keeps every value until it is seen to. The tick is not enough for a hundred thousand requests a second.
const UPKEEP: u32 = 4096;

const MINUTE: Duration = Duration::from_secs(60);

/// When a client for whom there is no place may ask again.
const BUSY: Duration = Duration::from_secs(1);

pub(crate) struct Dispatch {
    pub(crate) state: Arc<State>,
    routes: Routes,
    faces: Faces,
    /// How many requests were recorded.
    recorded: AtomicU32,
    /// When the log was told last of an address that hides moonwa from people.
    told: Mutex<Option<Instant>>,
}

impl Dispatch {
    pub(crate) fn new(state: Arc<State>) -> Self {
        let (routes, faces, told) = (Routes::new(), Faces::new(), Mutex::default());
        Self { state, routes, faces, recorded: AtomicU32::new(0), told }
    }

    /// Answers a request, whatever goes wrong with it.
    pub(crate) async fn answer(&self, request: Request<Incoming>, place: &Place) -> Response {
        let (started, peer) = (Instant::now(), place.peer());
        let (head, body) = request.into_parts();
        let id = request_id(&head);
        let (method, config) = (head.method.clone(), self.state.api.config.load_full());
        let path = below(&config.server.base_path, head.uri.path()).to_owned();
        let client = origin::client(&head, peer, &config);
        let many = origin::is_many(client, &config);
        let body = Received::new(body, place.clone());
        let admitted = place.begin(client, many, !body.is_end_stream()).map_err(|_| no_place());
        // A client that waits for `100 Continue` would be asked for its body by reading.
        let may_spend = admitted.is_ok() && !head.headers.contains_key(EXPECT);
        let admitted = admitted.and_then(|()| origin::one_host(&head));
        let mut who = Principal::Nobody;
        let (label, access, mut response, unread) = match self.find(&config, &head, &path) {
            Err(problem) => (NO_ROUTE, Access::Public, problem.render(&id), Some(body)),
            Ok(Target::Options(allow)) => (NO_ROUTE, Access::Public, options(&allow), Some(body)),
            Ok(Target::Nothing) => {
                let found = admitted.and_then(|()| page::serve(&head, &config, &path));
                let found =
                    found.unwrap_or_else(|problem| self.refusal(&head, &problem, None, &id));
                (PAGE_FILE, Access::Public, found, Some(body))
            }
            Ok(Target::Operation(to, path)) => {
                let state = Arc::clone(&self.state);
                let mut call = Call::new(state, config, head, body, path, peer, client);
                let answer = match admitted {
                    Ok(()) => caught(to.run(&mut call)).await,
                    Err(problem) => Err(problem),
                };
                if call.guessed {
                    self.hold_up(client, place).await;
                }
                let unread = call.body().ok();
                who = call.who;
                let mut response = answer
                    .unwrap_or_else(|problem| self.refusal(&call.head, &problem, Some(to), &id));
                if place.is_gone() && response.status().is_client_error() {
                    // The body broke off because another connection took the place, not by the client's fault.
                    response = self.refusal(&call.head, &no_place(), Some(to), &id);
                }
                (to.label(), to.access(), response, unread)
            }
        };
        if let Some(unread) = unread.filter(|_| may_spend) {
            request::spend(unread).await;
        }
        finish(&mut response, &id);
        let status = response.status();
        self.record(label, status, started);
        let (key, device) = (who.name(), who.device().map(DeviceName::as_str));
        if status.is_server_error() {
            tracing::warn!(request = id, %client, key, device, %method, op = label, %status, "A request failed.");
        } else if status.is_success() && who != Principal::Nobody && !method.is_safe() {
            // People ask later who did it.
            tracing::info!(request = id, %client, key, device, op = label, %status, "Done.");
        } else {
            tracing::debug!(request = id, %client, key, device, %method, op = label, ?access, %status, "Answered.");
        }
        response
    }

    /// What a request is for: moonwa's own routes come before those of the faces that are on.
    fn find(&self, config: &Config, head: &Parts, path: &str) -> Result<Target, Problem> {
        let own = match self.routes.find(&head.method, path) {
            Ok(Found::Route(route, values)) => {
                return Ok(Target::Operation(Operation::Own(route), values));
            }
            Ok(Found::Options(allow)) => return Ok(Target::Options(allow)),
            Ok(Found::Nothing) => Ok(Target::Nothing),
            Err(problem) => Err(problem),
        };
        let asked = self.faces.find(&config.server.faces, head, path)?;
        let Some(Asked { face, route }) = asked else { return own };
        Ok(match route {
            Some((route, values)) => Target::Operation(Operation::Face(face, route), values),
            None => Target::Operation(Operation::NotOffered(face), PathValues::default()),
        })
    }

    /// Lets a client wait that guesses keys. Meanwhile its connection gives way to others.
    async fn hold_up(&self, client: IpAddr, place: &Place) {
        if let Some(delay) = self.state.throttle.delay(client) {
            place.wait();
            place.gone_token().run_until_cancelled(sleep(delay)).await;
        }
    }

    /// Says what is wrong in the form that the caller knows.
    fn refusal(
        &self,
        head: &Parts,
        problem: &Problem,
        to: Option<Operation>,
        id: &str,
    ) -> Response {
        self.tell_of_address(head, problem.code);
        match to {
            Some(Operation::Face(face, _) | Operation::NotOffered(face)) => {
                let mut response = (face.refuse)(problem);
                problem.add_headers(&mut response);
                response
            }
            Some(Operation::Own(route)) if route.access == Access::BodyKey => {
                compat::error::refuse(problem)
            }
            _ => page::refusal(head, problem.code).unwrap_or_else(|| problem.render(id)),
        }
    }

    /// A proxy that hides the address which a person typed keeps them out, and they look into the log. Once a minute,
    /// because anybody can have it written.
    fn tell_of_address(&self, head: &Parts, code: Code) {
        if !matches!(code, Code::HostNotAllowed | Code::CrossSite) {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|when| when.elapsed() < MINUTE) {
            return;
        }
        *told = Some(Instant::now());
        let [host, origin] = [HOST, ORIGIN].map(|name| head.headers.get(name));
        if code == Code::HostNotAllowed {
            tracing::warn!(
                ?host,
                "The admin page was asked for by a name that it does not answer to. If a person typed it, add it to hosts under \
                 [server]; if they typed another one, the proxy before moonwa hides that: nginx passes it on with \
                 \"proxy_set_header Host $http_host;\"."
            );
        } else {
            tracing::warn!(
                ?host,
                ?origin,
                "A browser's request to the admin page was refused, because it seems to come from another site. If a person made it, \
                 the proxy before moonwa hides the address that they typed: nginx passes it on with \
                 \"proxy_set_header Host $http_host;\"."
            );
        }
    }

    fn record(&self, label: &'static str, status: StatusCode, started: Instant) {
        metrics::histogram!("moonwa_http_request_seconds", "op" => label)
            .record(started.elapsed().as_secs_f64());
        metrics::counter!("moonwa_http_requests_total", "op" => label, "status" => status.as_u16().to_string())
            .increment(1);
        let recorded = self.recorded.fetch_add(1, Ordering::Relaxed);
        if recorded % UPKEEP == UPKEEP - 1
            && let Some(metrics) = &self.state.api.metrics
        {
            metrics.run_upkeep();
        }
    }
}

/// The answer to a client for whom there is no place, or no longer.
fn no_place() -> Problem {
    Problem::from(Code::TooManyConnections).retry_after(BUSY)
}

/// A handler that panics costs its own request an answer of 500, and nothing else.
async fn caught(handler: impl Future<Output = Answer> + Send) -> Answer {
    AssertUnwindSafe(Box::pin(handler)).catch_unwind().await.unwrap_or_else(|_panic| {
        tracing::error!("A request handler panicked; the log has its place above.");
        Err(Code::Internal.into())
    })
}

/// What a request is for.
enum Target {
    Operation(Operation, PathValues),
    /// An `OPTIONS` request, and the methods of its path.
    Options(String),
    /// No route; perhaps a file of the admin page.
    Nothing,
}

/// What is done for a request.
#[derive(Clone, Copy)]
enum Operation {
    Own(&'static Route),
    Face(&'static Face, &'static Route),
    /// The product has it, and moonwa does not offer it.
    NotOffered(&'static Face),
}

impl Operation {
    fn label(self) -> &'static str {
        match self {
            Self::Own(route) | Self::Face(_, route) => route.label,
            Self::NotOffered(_) => NOT_OFFERED,
        }
    }

    fn access(self) -> Access {
        match self {
            Self::Own(route) | Self::Face(_, route) => route.access,
            Self::NotOffered(_) => Access::Read,
        }
    }

    async fn run(self, call: &mut Call) -> Answer {
        match self {
            Self::Own(route) => run(call, route).await,
            Self::Face(face, route) => {
                face.admit(call, route.access)?;
                (route.handler)(call).await
            }
            Self::NotOffered(face) => {
                face.identify(call)?;
                let path = below(&call.config.server.base_path, call.head.uri.path());
                let wanted = &call.state.wanted;
                wanted.note(face.name, call.head.method.as_str(), path, UnixMillis::now());
                Err(Code::NotOffered.into())
            }
        }
    }
}

async fn run(call: &mut Call, route: &Route) -> Answer {
    if route.access == Access::Page {
        origin::host_allowed(&call.head, &call.config)?;
    }
    if route.access != Access::File || !media::is_signed(call)? {
        if !route.access.is_open() {
            call.who = call.identify()?;
        }
        auth::check(&call.who, route.access, call.path.device())?;
    }
    (route.handler)(call).await
}

/// The path below the base path. A proxy may have taken the base path off already.
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

/// The client's request id if a log line can hold it safely, else a new one.
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

/// Adds the headers that every answer has.
fn finish(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if page::is_document(headers) {
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    let same_origin = HeaderValue::from_static("same-origin");
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), same_origin);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
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
