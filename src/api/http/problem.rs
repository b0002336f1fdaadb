//! What goes wrong, as callers see it: `application/problem+json` (RFC 9457) with a stable `code` from one table. A
//! problem with status 5xx never says anything about the inside of moonwa; that goes to the log.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Map, Value, json};

use super::response::{self, Response};
use crate::hooks::HookError;
use crate::model::UnixMillis;
use crate::store::{SpoolFull, StoreError};
use crate::whatsapp::WhatsAppError;

/// What a problem's `type` starts with; its code follows. README.md, "Errors", explains the codes.
const TYPES: &str = "urn:moonwa:problem:";

macro_rules! codes {
    ($($name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $(#[doc = $title] $name,)* }

        impl Code {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name, the status and the title.
            pub(crate) const fn row(self) -> (&'static str, StatusCode, &'static str) {
                match self { $(Self::$name => ($code, StatusCode::$status, $title),)* }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", BAD_REQUEST, "The request is not valid.";
    Unauthorized = "unauthorized", UNAUTHORIZED, "A valid API key or login is needed.";
    Forbidden = "forbidden", FORBIDDEN, "This key may not do that.";
    CrossSite = "cross_site", FORBIDDEN, "The request came from another site.";
    NotFound = "not_found", NOT_FOUND, "There is nothing here.";
    DeviceNotFound = "device_not_found", NOT_FOUND, "There is no such device in moonwa.toml.";
    MessageNotFound = "message_not_found", NOT_FOUND, "There is no such message, group or file.";
    ListNotFound = "list_not_found", NOT_FOUND, "There is no such list.";
    NoQr = "no_qr", NOT_FOUND, "No QR code is live.";
    WebhookNotFound = "webhook_not_found", NOT_FOUND, "The device has no such webhook.";
    EventNotFound = "event_not_found", NOT_FOUND, "There is no such event any more.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This method does not work here.";
    Timeout = "timeout", REQUEST_TIMEOUT, "The request body came too slowly.";
    Conflict = "conflict", CONFLICT, "The request does not fit the present state.";
    EditConflict = "edit_conflict", CONFLICT, "moonwa.toml was changed meanwhile.";
    ConfigReadOnly = "config_read_only", CONFLICT, "moonwa may not write moonwa.toml; `toml` is what to write into it.";
    IdempotencyConflict = "idempotency_conflict", CONFLICT, "The Idempotency-Key was used for another request.";
    DeviceNotConnected = "device_not_connected", CONFLICT, "The device is not connected.";
    SendingLocked = "sending_locked", CONFLICT, "WhatsApp does not let this number write to new contacts for now.";
    AlreadyLinked = "already_linked", CONFLICT, "The device is linked already.";
    Disabled = "disabled", CONFLICT, "The device is disabled in moonwa.toml.";
    HistoryOff = "history_off", CONFLICT, "No history is kept.";
    NotAsked = "not_asked", CONFLICT, "WhatsApp did not ask for this step.";
    MediaExpired = "media_expired", GONE, "WhatsApp no longer has the file.";
    UrlExpired = "url_expired", GONE, "The signed URL has expired.";
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The request is too large.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body has the wrong type.";
    HostNotAllowed = "host_not_allowed", MISDIRECTED_REQUEST, "The admin page does not answer to this Host name.";
    ConfigInvalid = "config_invalid", UNPROCESSABLE_ENTITY, "moonwa.toml would be refused; `problems` says why.";
    SourceUnreadable = "source_unreadable", UNPROCESSABLE_ENTITY, "No session in it can be adopted; `detail` says why.";
    WhatsAppRefused = "whatsapp_refused", UNPROCESSABLE_ENTITY, "WhatsApp refused.";
    TimeRefused = "time_refused", UNPROCESSABLE_ENTITY, "No message can be sent at that time.";
    MediaUnavailable = "media_unavailable", UNPROCESSABLE_ENTITY, "The file could not be fetched.";
    TooManyAttempts = "too_many_attempts", TOO_MANY_REQUESTS, "Too many attempts.";
    QueueFull = "queue_full", TOO_MANY_REQUESTS, "Too many messages are waiting to be sent.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong in moonwa; the log says what.";
    NotOffered = "not_offered", NOT_IMPLEMENTED, "moonwa does not offer this part of that product's API.";
    TooManyConnections = "too_many_connections", SERVICE_UNAVAILABLE, "Too many connections are open.";
    TooManyStreams = "too_many_streams", SERVICE_UNAVAILABLE, "Too many event streams are open.";
    ShuttingDown = "shutting_down", SERVICE_UNAVAILABLE, "moonwa is shutting down.";
    StoreFailed = "store_failed", SERVICE_UNAVAILABLE, "The store cannot keep a promise now.";
    DiskFull = "disk_full", INSUFFICIENT_STORAGE, "The disk is full.";
    WhatsAppTimeout = "whatsapp_timeout", GATEWAY_TIMEOUT, "WhatsApp did not answer in time.";
}

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Issue {
    pub(crate) path: String,
    pub(crate) msg: String,
}

impl Issue {
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over errors and texts alike")]
    pub(crate) fn new(path: impl Into<String>, msg: impl ToString) -> Self {
        Self { path: path.into(), msg: msg.to_string() }
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: Option<String>,
    pub(crate) issues: Vec<Issue>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) allow: Option<String>,
    /// Members of the body beside those of the RFC.
    pub(crate) more: Vec<(&'static str, Value)>,
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        let (issues, more) = (Vec::new(), Vec::new());
        Self { code, detail: None, issues, retry_after: None, allow: None, more }
    }
}

impl Problem {
    /// A problem with a sentence about this very request.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..code.into() }
    }

    pub(crate) fn invalid(issues: Vec<Issue>) -> Self {
        let detail = issues.iter().map(|i| format!("{}: {}", i.path, i.msg)).collect::<Vec<_>>();
        Self { issues, ..Self::new(Code::InvalidRequest, detail.join("; ")) }
    }

    pub(crate) fn field(path: &str, msg: impl ToString) -> Self {
        Self::invalid(vec![Issue::new(path, msg)])
    }

    /// Adds a member to the body, or replaces it.
    pub(crate) fn with(mut self, name: &'static str, value: impl serde::Serialize) -> Self {
        self.more.retain(|(known, _)| *known != name);
        self.more.push((name, json!(value)));
        self
    }

    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.code.row().1
    }

    /// How many seconds a client should wait: whole ones, as the header wants them, and at least 1.
    pub(crate) fn retry_secs(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs().max(1))
    }

    fn json(&self, instance: &str) -> Value {
        let (code, status, title) = self.code.row();
        let mut body = Map::new();
        body.insert("type".into(), format!("{TYPES}{}", self.code.row().0).into());
        body.insert("title".into(), title.into());
        body.insert("status".into(), status.as_u16().into());
        body.insert("code".into(), code.into());
        body.insert("detail".into(), json!(self.detail));
        body.insert("instance".into(), instance.into());
        if !self.issues.is_empty() {
            body.insert("errors".into(), json!(self.issues));
        }
        if let Some(secs) = self.retry_secs() {
            body.insert("retry_after".into(), secs.into());
        }
        body.extend(self.more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Value::Object(body)
    }

    /// The body without a request's id, for an answer in another protocol.
    pub(crate) fn described(&self) -> Value {
        let mut body = self.json("");
        if let Value::Object(body) = &mut body {
            body.remove("instance");
        }
        body
    }

    /// `instance` is the id of the request.
    pub(crate) fn render(&self, instance: &str) -> Response {
        let mut response = response::json(self.status(), &self.json(instance));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.add_headers(&mut response);
        response
    }

    /// Adds the headers that go with the problem, whatever the form of the body.
    pub(crate) fn add_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(secs) = self.retry_secs() {
            headers.insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        if let Some(allow) = self.allow.as_deref().and_then(|a| HeaderValue::from_str(a).ok()) {
            headers.insert(ALLOW, allow);
        }
        if self.code == Code::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.code == Code::TooManyConnections {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DiskFull => Code::DiskFull.into(),
            StoreError::Closed => Code::ShuttingDown.into(),
            error => {
                tracing::error!(%error, "The store failed a request.");
                Code::StoreFailed.into()
            }
        }
    }
}

impl From<SpoolFull> for Problem {
    fn from(full: SpoolFull) -> Self {
        match full {
            SpoolFull::Disk => Self::new(Code::DiskFull, full.to_string()),
            // What waits is sent, and makes room.
            SpoolFull::Device | SpoolFull::All => {
                Self::new(Code::QueueFull, full.to_string()).retry_after(Duration::from_secs(30))
            }
        }
    }
}

impl From<WhatsAppError> for Problem {
    fn from(error: WhatsAppError) -> Self {
        let code = match error {
            WhatsAppError::NotConnected => Code::DeviceNotConnected,
            WhatsAppError::AlreadyLinked => Code::AlreadyLinked,
            WhatsAppError::Disabled => Code::Disabled,
            WhatsAppError::NotAsked => Code::NotAsked,
            WhatsAppError::Timeout => Code::WhatsAppTimeout,
            WhatsAppError::NotFound => Code::MessageNotFound,
            WhatsAppError::NotOnWhatsApp | WhatsAppError::NoLabel => {
                return Self::new(Code::NotFound, error.to_string());
            }
            WhatsAppError::NoSettings | WhatsAppError::Unseen | WhatsAppError::Crowded(_) => {
                return Self::new(Code::Conflict, error.to_string());
            }
            WhatsAppError::OutOfSight => {
                return Self::new(Code::MessageNotFound, error.to_string());
            }
            WhatsAppError::Expired => Code::MediaExpired,
            WhatsAppError::TooLarge => return Self::new(Code::TooLarge, error.to_string()),
            WhatsAppError::Refused(why) => return Self::new(Code::WhatsAppRefused, why),
            WhatsAppError::Media(why) => return Self::new(Code::MediaUnavailable, why),
            WhatsAppError::TooFast(until) => {
                let wait = until.map_or(Duration::from_mins(1), |u| u.since(UnixMillis::now()));
                return Self::from(Code::TooManyAttempts).retry_after(wait);
            }
            WhatsAppError::QueueFull => {
                return Self::from(Code::QueueFull).retry_after(Duration::from_mins(1));
            }
            WhatsAppError::NoRoom(full) => return full.into(),
            WhatsAppError::Store(error) => return error.into(),
        };
        code.into()
    }
}

impl From<HookError> for Problem {
    fn from(error: HookError) -> Self {
        match error {
            HookError::NoEndpoint => Code::WebhookNotFound.into(),
            HookError::NoEvent => Code::EventNotFound.into(),
            HookError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_snake_case_and_errors() {
        let mut seen = BTreeSet::new();
        for code in Code::ALL {
            let (name, status, title) = code.row();
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(status.is_client_error() || status.is_server_error(), "{name}");
            assert!(title.ends_with('.'), "{name}");
            let line = format!("| {} | `{name}` | {title} |", status.as_u16());
            assert!(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).contains(&line),
                "README.md lacks: {line}"
            );
        }
    }

    #[test]
    fn the_body_is_rfc_9457_in_a_fixed_order() {
        let problem =
            Problem::field("to", "required").retry_after(Duration::from_millis(10)).json("r1");
        assert_eq!(
            problem.to_string(),
            format!(
                "{{\"type\":\"{TYPES}invalid_request\",\"title\":\"The request is not valid.\",\"status\":400,\
                 \"code\":\"invalid_request\",\"detail\":\"to: required\",\"instance\":\"r1\",\
                 \"errors\":[{{\"path\":\"to\",\"msg\":\"required\"}}],\"retry_after\":1}}"
            )
        );
    }

    #[test]
    fn a_broken_store_tells_callers_nothing_about_itself() {
        let problem = Problem::from(StoreError::Damaged("row 17 of /var/lib".into()));
        assert!(problem.status().is_server_error());
        assert!(!problem.json("r1").to_string().contains("row 17"));
    }
}
