//! The table of everything that can be asked for: method, path, who may, which operation. Adding a line without
//! handling its operation does not compile. Files of the page are not here: they come from the embedded list.

use hyper::Method;

use crate::api::access::auth::Access;
use crate::api::call::Params;
use crate::api::http::form;
use crate::api::http::problem::{Code, Problem};

/// What is to be done. The metric's label is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Health,
    Ready,
    Metrics,
    Session,
    LoginByLink,
    Login,
    Logout,
    Events,
    ConfigReport,
    ConfigPlan,
    ConfigReload,
    ListDevices,
    ShowDevice,
    PutDevice,
    DeleteDevice,
    MakeKey,
    StartDevice,
    StopDevice,
    ReconnectDevice,
    LogoutDevice,
    LinkingQr,
    PairCode,
    PasskeyResponse,
    PasskeyConfirm,
    SendMessage,
    ListMessages,
    ShowMessage,
    EditMessage,
    RevokeMessage,
    MarkRead,
    Typing,
    Contact,
    ListGroups,
    ShowGroup,
    Media,
    DeviceEvents,
    ListWebhooks,
    ReplayWebhook,
    TestWebhook,
    PauseWebhook,
    ResumeWebhook,
    DeadLetters,
    RetryDeadLetter,
    InviteLogin,
    Backup,
    ForgetDevice,
    CompatHello,
    CompatSendText,
    CompatSendMedia,
    CompatGroups,
    CompatMembers,
}

/// The methods the table uses. `HEAD` goes with `Get`; `OPTIONS` is answered from the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD => Some(Self::Get),
            Method::POST => Some(Self::Post),
            Method::PUT => Some(Self::Put),
            Method::PATCH => Some(Self::Patch),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) op: Op,
}

const fn get(path: &'static str, access: Access, op: Op) -> Route {
    Route { verb: Verb::Get, path, access, op }
}

const fn post(path: &'static str, access: Access, op: Op) -> Route {
    Route { verb: Verb::Post, path, access, op }
}

const fn put(path: &'static str, access: Access, op: Op) -> Route {
    Route { verb: Verb::Put, path, access, op }
}

const fn patch(path: &'static str, access: Access, op: Op) -> Route {
    Route { verb: Verb::Patch, path, access, op }
}

const fn delete(path: &'static str, access: Access, op: Op) -> Route {
    Route { verb: Verb::Delete, path, access, op }
}

/// Every route.
#[rustfmt::skip]
pub(crate) static ROUTES: &[Route] = &[
    get   ("/healthz",                                                       Access::Public,  Op::Health),
    get   ("/readyz",                                                        Access::Public,  Op::Ready),
    get   ("/metrics",                                                       Access::AnyKey,  Op::Metrics),
    get   ("/login",                                                         Access::Public,  Op::LoginByLink),
    post  ("/login",                                                         Access::Public,  Op::Login),
    post  ("/logout",                                                        Access::Public,  Op::Logout),
    post  ("/v1/login-links",                                                Access::Gateway, Op::InviteLogin),
    get   ("/v1/backup",                                                     Access::Token,   Op::Backup),
    post  ("/v1/forgotten/{device}",                                         Access::Gateway, Op::ForgetDevice),
    get   ("/v1/session",                                                    Access::Public,  Op::Session),
    get   ("/v1/events",                                                     Access::Read,    Op::Events),
    get   ("/v1/config",                                                     Access::Gateway, Op::ConfigReport),
    post  ("/v1/config/plan",                                                Access::Gateway, Op::ConfigPlan),
    post  ("/v1/config/reload",                                              Access::Gateway, Op::ConfigReload),
    get   ("/v1/devices",                                                    Access::Read,    Op::ListDevices),
    get   ("/v1/devices/{device}",                                           Access::Read,    Op::ShowDevice),
    put   ("/v1/devices/{device}",                                           Access::Gateway, Op::PutDevice),
    delete("/v1/devices/{device}",                                           Access::Gateway, Op::DeleteDevice),
    post  ("/v1/devices/{device}/key",                                       Access::Gateway, Op::MakeKey),
    post  ("/v1/devices/{device}/start",                                     Access::Admin,   Op::StartDevice),
    post  ("/v1/devices/{device}/stop",                                      Access::Admin,   Op::StopDevice),
    post  ("/v1/devices/{device}/reconnect",                                 Access::Admin,   Op::ReconnectDevice),
    post  ("/v1/devices/{device}/logout",                                    Access::Admin,   Op::LogoutDevice),
    get   ("/v1/devices/{device}/qr",                                        Access::Admin,   Op::LinkingQr),
    post  ("/v1/devices/{device}/pair-code",                                 Access::Admin,   Op::PairCode),
    post  ("/v1/devices/{device}/passkey",                                   Access::Admin,   Op::PasskeyResponse),
    post  ("/v1/devices/{device}/passkey/confirm",                           Access::Admin,   Op::PasskeyConfirm),
    post  ("/v1/devices/{device}/messages",                                  Access::Send,    Op::SendMessage),
    get   ("/v1/devices/{device}/messages",                                  Access::Read,    Op::ListMessages),
    get   ("/v1/devices/{device}/messages/{message}",                        Access::Read,    Op::ShowMessage),
    patch ("/v1/devices/{device}/messages/{message}",                        Access::Send,    Op::EditMessage),
    delete("/v1/devices/{device}/messages/{message}",                        Access::Send,    Op::RevokeMessage),
    post  ("/v1/devices/{device}/messages/{message}/read",                   Access::Send,    Op::MarkRead),
    post  ("/v1/devices/{device}/typing",                                    Access::Send,    Op::Typing),
    get   ("/v1/devices/{device}/contacts/{phone}",                          Access::Read,    Op::Contact),
    get   ("/v1/devices/{device}/groups",                                    Access::Read,    Op::ListGroups),
    get   ("/v1/devices/{device}/groups/{group}",                            Access::Read,    Op::ShowGroup),
    get   ("/v1/devices/{device}/media/{message}",                           Access::Read,    Op::Media),
    get   ("/v1/devices/{device}/events",                                    Access::Read,    Op::DeviceEvents),
    get   ("/v1/devices/{device}/webhooks",                                  Access::Read,    Op::ListWebhooks),
    post  ("/v1/devices/{device}/webhooks/{n}/replay",                       Access::Admin,   Op::ReplayWebhook),
    post  ("/v1/devices/{device}/webhooks/{n}/test",                         Access::Admin,   Op::TestWebhook),
    post  ("/v1/devices/{device}/webhooks/{n}/pause",                        Access::Admin,   Op::PauseWebhook),
    post  ("/v1/devices/{device}/webhooks/{n}/resume",                       Access::Admin,   Op::ResumeWebhook),
    get   ("/v1/devices/{device}/webhooks/{n}/dead-letters",                 Access::Read,    Op::DeadLetters),
    post  ("/v1/devices/{device}/webhooks/{n}/dead-letters/{event}/retry",   Access::Admin,   Op::RetryDeadLetter),
    get   ("/api",                                                           Access::Public,  Op::CompatHello),
    post  ("/api/send-message",                                              Access::BodyKey, Op::CompatSendText),
    post  ("/api/send-media",                                                Access::BodyKey, Op::CompatSendMedia),
    post  ("/api/fetch-group",                                               Access::BodyKey, Op::CompatGroups),
    post  ("/api/fetch-group-members",                                       Access::BodyKey, Op::CompatMembers),
];

/// What a request asked for.
#[derive(Debug)]
pub(crate) enum Found {
    /// A route.
    Route(&'static Route, Params),
    /// `OPTIONS`: the methods the path knows.
    Options(String),
    /// Nothing in the table; perhaps a file of the page.
    Nothing,
}

/// The table, ready to be searched.
pub(crate) struct Routes(matchit::Router<Vec<&'static Route>>);

impl Routes {
    #[expect(clippy::expect_used, reason = "the table is constant and a test builds it")]
    pub(crate) fn new() -> Self {
        let mut router = matchit::Router::new();
        for (place, route) in ROUTES.iter().enumerate() {
            if ROUTES.iter().take(place).any(|earlier| earlier.path == route.path) {
                continue;
            }
            let same = ROUTES.iter().filter(|other| other.path == route.path).collect();
            router.insert(route.path, same).expect("paths do not conflict");
        }
        Self(router)
    }

    /// Finds the route of a request; `path` is below the base path and still percent-encoded.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Result<Found, Problem> {
        // One slash at the end is forgiven: `/api/` is how people write `/api`.
        let path = path.strip_suffix('/').filter(|p| !p.is_empty()).unwrap_or(path);
        let Ok(matched) = self.0.at(path) else { return Ok(Found::Nothing) };
        let allowed = || {
            let mut verbs: Vec<&str> = matched.value.iter().map(|r| r.verb.as_str()).collect();
            if verbs.contains(&"GET") {
                verbs.push("HEAD");
            }
            verbs.push("OPTIONS");
            verbs.join(", ")
        };
        if *method == Method::OPTIONS {
            return Ok(Found::Options(allowed()));
        }
        let verb = Verb::of(method);
        let Some(route) = matched.value.iter().find(|route| Some(route.verb) == verb) else {
            let problem = Problem::from(Code::MethodNotAllowed);
            return Err(Problem { allow: Some(allowed()), ..problem });
        };
        let values = matched.params.iter().map(|(_, value)| form::decode(value));
        // matchit gives the values in the order of the pattern, whose names live as long as the table.
        let params = names(route.path).zip(values).map(|(name, value)| Some((name, value?)));
        match params.collect::<Option<Vec<_>>>() {
            Some(params) => Ok(Found::Route(route, Params::new(params))),
            None => Err(Problem::new(Code::InvalidRequest, "the path is not valid UTF-8")),
        }
    }
}

fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn find(method: &Method, path: &str) -> Result<Found, Problem> {
        Routes::new().find(method, path)
    }

    #[test]
    fn every_operation_and_every_path_is_there_once() {
        let mut ops = BTreeSet::new();
        let mut paths = BTreeSet::new();
        for route in ROUTES {
            assert!(ops.insert(route.op), "{:?}", route.op);
            assert!(paths.insert((route.verb, route.path)), "{}", route.path);
        }
    }

    /// Dashboards and alerts know the labels.
    #[test]
    fn the_labels_of_the_metrics_stay() {
        let labels: Vec<_> =
            ROUTES.iter().map(|r| format!("{} {} {:?}", r.verb.as_str(), r.path, r.op)).collect();
        let known = [
            "GET /healthz Health",
            "GET /readyz Ready",
            "GET /metrics Metrics",
            "GET /login LoginByLink",
            "POST /login Login",
            "POST /logout Logout",
            "POST /v1/login-links InviteLogin",
            "GET /v1/backup Backup",
            "POST /v1/forgotten/{device} ForgetDevice",
            "GET /v1/session Session",
            "GET /v1/events Events",
            "GET /v1/config ConfigReport",
            "POST /v1/config/plan ConfigPlan",
            "POST /v1/config/reload ConfigReload",
            "GET /v1/devices ListDevices",
            "GET /v1/devices/{device} ShowDevice",
            "PUT /v1/devices/{device} PutDevice",
            "DELETE /v1/devices/{device} DeleteDevice",
            "POST /v1/devices/{device}/key MakeKey",
            "POST /v1/devices/{device}/start StartDevice",
            "POST /v1/devices/{device}/stop StopDevice",
            "POST /v1/devices/{device}/reconnect ReconnectDevice",
            "POST /v1/devices/{device}/logout LogoutDevice",
            "GET /v1/devices/{device}/qr LinkingQr",
            "POST /v1/devices/{device}/pair-code PairCode",
            "POST /v1/devices/{device}/passkey PasskeyResponse",
            "POST /v1/devices/{device}/passkey/confirm PasskeyConfirm",
            "POST /v1/devices/{device}/messages SendMessage",
            "GET /v1/devices/{device}/messages ListMessages",
            "GET /v1/devices/{device}/messages/{message} ShowMessage",
            "PATCH /v1/devices/{device}/messages/{message} EditMessage",
            "DELETE /v1/devices/{device}/messages/{message} RevokeMessage",
            "POST /v1/devices/{device}/messages/{message}/read MarkRead",
            "POST /v1/devices/{device}/typing Typing",
            "GET /v1/devices/{device}/contacts/{phone} Contact",
            "GET /v1/devices/{device}/groups ListGroups",
            "GET /v1/devices/{device}/groups/{group} ShowGroup",
            "GET /v1/devices/{device}/media/{message} Media",
            "GET /v1/devices/{device}/events DeviceEvents",
            "GET /v1/devices/{device}/webhooks ListWebhooks",
            "POST /v1/devices/{device}/webhooks/{n}/replay ReplayWebhook",
            "POST /v1/devices/{device}/webhooks/{n}/test TestWebhook",
            "POST /v1/devices/{device}/webhooks/{n}/pause PauseWebhook",
            "POST /v1/devices/{device}/webhooks/{n}/resume ResumeWebhook",
            "GET /v1/devices/{device}/webhooks/{n}/dead-letters DeadLetters",
            "POST /v1/devices/{device}/webhooks/{n}/dead-letters/{event}/retry RetryDeadLetter",
            "GET /api CompatHello",
            "POST /api/send-message CompatSendText",
            "POST /api/send-media CompatSendMedia",
            "POST /api/fetch-group CompatGroups",
            "POST /api/fetch-group-members CompatMembers",
        ];
        assert_eq!(labels, known);
    }

    #[test]
    fn what_changes_something_is_never_public_by_accident() {
        let public: Vec<_> = ROUTES
            .iter()
            .filter(|r| r.access == Access::Public)
            .map(|r| (r.verb, r.path))
            .collect();
        let expected = [
            (Verb::Get, "/healthz"),
            (Verb::Get, "/readyz"),
            (Verb::Get, "/login"),
            (Verb::Post, "/login"),
            (Verb::Post, "/logout"),
            (Verb::Get, "/v1/session"),
            (Verb::Get, "/api"),
        ];
        assert_eq!(public, expected);
    }

    #[test]
    fn openapi_lists_the_same_operations() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/openapi.json"));
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let routes: BTreeSet<_> =
            ROUTES.iter().map(|route| format!("{} {}", route.verb.as_str(), route.path)).collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn openapi_is_complete() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/openapi.json"));
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut names = BTreeSet::new();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.verb.as_str().to_lowercase()];
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} is there twice");
            complete(&document, route, operation);
        }
        let schemes = document["components"]["securitySchemes"].as_object().unwrap();
        assert_eq!(schemes.keys().collect::<Vec<_>>(), ["key", "session"]);
        let listed = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.row().0).collect();
        assert_eq!(*listed, serde_json::json!(codes), "the codes, in the order of the table");
    }

    type Json = serde_json::Value;

    /// An operation's parameters, answers, types and examples: what a reader of the reference, or a generator of
    /// clients, needs.
    fn complete(document: &Json, route: &Route, operation: &Json) {
        let at = format!("{} {}", route.verb.as_str(), route.path);
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{at}");
        let tags = document["tags"].as_array().unwrap();
        let tag = &operation["tags"][0];
        assert!(tags.iter().any(|known| known["name"] == *tag), "{at}: {tag} is not described");
        let given = operation["parameters"].as_array().cloned().unwrap_or_default();
        for name in names(route.path) {
            let there = given.iter().any(|p| p["name"] == name && p["in"] == "path");
            assert!(there, "{at}: {{{name}}} is not described");
        }
        for parameter in &given {
            let known = ["description", "schema", "example"];
            assert!(known.iter().all(|word| parameter.get(word).is_some()), "{at}: {parameter}");
        }

        let open = matches!(route.access, Access::Public | Access::BodyKey);
        assert_eq!(operation.get("security").is_some(), open, "{at}: security");
        let mut expected = if open { vec![] } else { vec!["401", "403", "429"] };
        if route.path.contains("{device}") {
            expected.push("404");
        }
        if let Some(contents) = operation["requestBody"]["content"].as_object() {
            expected.extend(["400", "413"]);
            for (kind, content) in
                contents.iter().filter(|(kind, _)| *kind != "multipart/form-data")
            {
                assert!(has_example(document, content), "{at}: {kind} has no example");
            }
        }
        let answers = operation["responses"].as_object().unwrap();
        for status in expected {
            assert!(answers.contains_key(status), "{at}: {status} is not described");
        }
        let good: Vec<_> =
            answers.iter().filter(|(code, _)| code.starts_with(['2', '3'])).collect();
        assert!(!good.is_empty(), "{at}");
        for (status, answer) in good {
            assert!(
                answer["headers"].get("x-request-id").is_some(),
                "{at} {status}: no request id"
            );
            let json = answer["content"].get("application/json");
            assert!(
                json.is_none_or(|json| has_example(document, json)),
                "{at} {status}: no example"
            );
        }
    }

    /// Its own example, or one of its schema.
    fn has_example(document: &Json, content: &Json) -> bool {
        let named = content["schema"]["$ref"].as_str();
        let schema = named.and_then(|name| document.pointer(name.trim_start_matches('#')));
        content.get("example").is_some()
            || schema.is_some_and(|schema| schema.get("examples").is_some())
    }

    #[test]
    fn openapi_names_only_what_it_has() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/openapi.json"));
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        for (at, start) in text.match_indices("\"#/") {
            let pointer = text.get(at + start.len() - 1..).unwrap().split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer} does not exist");
        }
    }

    #[test]
    fn paths_give_their_values_decoded() {
        let Ok(Found::Route(route, params)) =
            find(&Method::GET, "/v1/devices/admin-toko/messages/3EB0%41")
        else {
            panic!("not found")
        };
        assert_eq!(route.op, Op::ShowMessage);
        assert_eq!((params.get("device"), params.get("message")), ("admin-toko", "3EB0A"));
        assert_eq!(params.get("event"), "");
        assert!(find(&Method::GET, "/v1/devices/%ff").is_err());
    }

    #[test]
    fn wrong_methods_are_told_the_right_ones() {
        let problem = find(&Method::PUT, "/v1/devices/x/messages").unwrap_err();
        assert_eq!(problem.code, Code::MethodNotAllowed);
        assert_eq!(problem.allow.as_deref(), Some("POST, GET, HEAD, OPTIONS"));
        assert!(matches!(find(&Method::HEAD, "/v1/devices"), Ok(Found::Route(..))));
        assert!(
            matches!(find(&Method::OPTIONS, "/api/send-message"), Ok(Found::Options(a)) if a == "POST, OPTIONS")
        );
        assert!(matches!(find(&Method::GET, "/v1/nothing"), Ok(Found::Nothing)));
        assert!(matches!(find(&Method::GET, "/api/"), Ok(Found::Route(..))));
    }
}
