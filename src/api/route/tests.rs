//! The table and `openapi.json`, which describe the same operations.

use std::collections::BTreeSet;

use super::*;

fn find(method: &Method, path: &str) -> Result<Found, Problem> {
    Routes::new().find(method, path)
}

#[test]
fn every_label_and_every_path_is_there_once() {
    let mut labels = BTreeSet::new();
    let mut paths = BTreeSet::new();
    for route in ROUTES {
        assert!(labels.insert(route.label), "{}", route.label);
        assert!(paths.insert((route.verb, route.path)), "{}", route.path);
    }
}

/// Dashboards and alerts are written with these labels.
const LABELS: &[&str] = &[
    "GET /healthz Health",
    "GET /readyz Ready",
    "GET /metrics Metrics",
    "GET /login LoginByLink",
    "POST /login Login",
    "POST /logout Logout",
    "POST /v1/login-links InviteLogin",
    "DELETE /v1/logins EndLogins",
    "GET /v1/backup Backup",
    "POST /v1/forgotten/{device} ForgetDevice",
    "POST /v1/foreign ListForeign",
    "GET /v1/session Session",
    "GET /v1/events Events",
    "GET /v1/config ConfigReport",
    "POST /v1/config/plan ConfigPlan",
    "POST /v1/config/reload ConfigReload",
    "GET /v1/faces Faces",
    "GET /v1/devices ListDevices",
    "GET /v1/devices/{device} ShowDevice",
    "PUT /v1/devices/{device} PutDevice",
    "DELETE /v1/devices/{device} DeleteDevice",
    "POST /v1/devices/{device}/key MakeKey",
    "POST /v1/devices/{device}/start StartDevice",
    "POST /v1/devices/{device}/stop StopDevice",
    "POST /v1/devices/{device}/reconnect ReconnectDevice",
    "POST /v1/devices/{device}/logout LogoutDevice",
    "POST /v1/devices/{device}/adopt AdoptDevice",
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
    "POST /v1/devices/{device}/status PostStatus",
    "POST /v1/devices/{device}/lists MakeList",
    "GET /v1/devices/{device}/lists ListLists",
    "GET /v1/devices/{device}/lists/{list} ShowList",
    "POST /v1/devices/{device}/lists/{list}/stop StopList",
    "GET /v1/devices/{device}/lists/{list}/report ListReport",
    "PUT /v1/devices/{device}/messages/{message}/star StarMessage",
    "DELETE /v1/devices/{device}/messages/{message}/star UnstarMessage",
    "PUT /v1/devices/{device}/messages/{message}/pin PinMessage",
    "DELETE /v1/devices/{device}/messages/{message}/pin UnpinMessage",
    "POST /v1/devices/{device}/typing Typing",
    "GET /v1/devices/{device}/contacts ListContacts",
    "GET /v1/devices/{device}/contacts/{phone} Contact",
    "POST /v1/devices/{device}/contacts/check CheckContacts",
    "GET /v1/devices/{device}/contacts/{contact}/profile ContactProfile",
    "GET /v1/devices/{device}/contacts/{contact}/picture ContactPicture",
    "PUT /v1/devices/{device}/contacts/{contact}/block Block",
    "DELETE /v1/devices/{device}/contacts/{contact}/block Unblock",
    "GET /v1/devices/{device}/blocks ListBlocks",
    "GET /v1/devices/{device}/presence ListPresences",
    "PUT /v1/devices/{device}/contacts/{contact}/presence WatchPresence",
    "DELETE /v1/devices/{device}/contacts/{contact}/presence UnwatchPresence",
    "GET /v1/devices/{device}/profile ShowProfile",
    "PATCH /v1/devices/{device}/profile ChangeProfile",
    "PUT /v1/devices/{device}/profile/picture PutPicture",
    "DELETE /v1/devices/{device}/profile/picture DeletePicture",
    "PATCH /v1/devices/{device}/chats/{chat} ChangeChat",
    "DELETE /v1/devices/{device}/chats/{chat} DeleteChat",
    "GET /v1/devices/{device}/labels ListLabels",
    "POST /v1/devices/{device}/labels MakeLabel",
    "PATCH /v1/devices/{device}/labels/{label} ChangeLabel",
    "DELETE /v1/devices/{device}/labels/{label} DeleteLabel",
    "GET /v1/devices/{device}/chats/{chat}/labels ChatLabels",
    "PUT /v1/devices/{device}/chats/{chat}/labels/{label} LabelChat",
    "DELETE /v1/devices/{device}/chats/{chat}/labels/{label} UnlabelChat",
    "PUT /v1/devices/{device}/messages/{message}/labels/{label} LabelMessage",
    "DELETE /v1/devices/{device}/messages/{message}/labels/{label} UnlabelMessage",
    "GET /v1/devices/{device}/chats ListChats",
    "GET /v1/devices/{device}/chats/{chat}/messages ChatMessages",
    "POST /v1/devices/{device}/chats/{chat}/older AskOlder",
    "GET /v1/devices/{device}/search Search",
    "GET /v1/devices/{device}/channels ListChannels",
    "POST /v1/devices/{device}/channels CreateChannel",
    "GET /v1/devices/{device}/channels/preview PreviewChannel",
    "GET /v1/devices/{device}/channels/{channel} ShowChannel",
    "PUT /v1/devices/{device}/channels/{channel}/follow FollowChannel",
    "DELETE /v1/devices/{device}/channels/{channel}/follow UnfollowChannel",
    "GET /v1/devices/{device}/channels/{channel}/posts ChannelPosts",
    "PUT /v1/devices/{device}/channels/{channel}/posts/{post}/reaction ReactToPost",
    "DELETE /v1/devices/{device}/channels/{channel}/posts/{post}/reaction UnreactToPost",
    "GET /v1/devices/{device}/standing Standing",
    "GET /v1/devices/{device}/groups ListGroups",
    "POST /v1/devices/{device}/groups CreateGroup",
    "POST /v1/devices/{device}/groups/join JoinGroup",
    "GET /v1/devices/{device}/groups/preview PreviewGroup",
    "GET /v1/devices/{device}/groups/{group} ShowGroup",
    "PATCH /v1/devices/{device}/groups/{group} ChangeGroup",
    "POST /v1/devices/{device}/groups/{group}/leave LeaveGroup",
    "POST /v1/devices/{device}/groups/{group}/members ChangeMembers",
    "GET /v1/devices/{device}/groups/{group}/requests JoinRequests",
    "POST /v1/devices/{device}/groups/{group}/requests AnswerRequests",
    "GET /v1/devices/{device}/groups/{group}/invite GroupInvite",
    "POST /v1/devices/{device}/groups/{group}/invite ResetGroupInvite",
    "GET /v1/devices/{device}/groups/{group}/picture GroupPicture",
    "PUT /v1/devices/{device}/groups/{group}/picture PutGroupPicture",
    "DELETE /v1/devices/{device}/groups/{group}/picture DeleteGroupPicture",
    "GET /v1/devices/{device}/media/{message} Media",
    "GET /v1/devices/{device}/events DeviceEvents",
    "GET /v1/devices/{device}/webhooks ListWebhooks",
    "GET /v1/devices/{device}/rules ListRules",
    "POST /v1/devices/{device}/webhooks/{n}/replay ReplayWebhook",
    "POST /v1/devices/{device}/webhooks/{n}/test TestWebhook",
    "POST /v1/devices/{device}/webhooks/{n}/pause PauseWebhook",
    "POST /v1/devices/{device}/webhooks/{n}/resume ResumeWebhook",
    "GET /v1/devices/{device}/webhooks/{n}/dead-letters DeadLetters",
    "POST /v1/devices/{device}/webhooks/{n}/dead-letters/{event}/retry RetryDeadLetter",
    "POST /v1/devices/{device}/chatwoot/{inbox} Chatwoot",
    "POST /mcp Mcp",
    "GET /api CompatHello",
    "POST /api/send-message CompatSendText",
    "POST /api/send-media CompatSendMedia",
    "POST /api/fetch-group CompatGroups",
    "POST /api/fetch-group-members CompatMembers",
];

#[test]
fn the_labels_of_the_metrics_stay() {
    let labels: Vec<_> =
        ROUTES.iter().map(|r| format!("{} {} {}", r.verb.as_str(), r.path, r.label)).collect();
    assert_eq!(labels, LABELS);
}

#[test]
fn every_name_in_a_path_can_be_asked_for() {
    for route in ROUTES {
        for name in names(route.path) {
            assert!(PathName::parse(name).is_some(), "{}: {{{name}}}", route.path);
        }
    }
}

#[test]
fn what_changes_something_is_never_public_by_accident() {
    let public: Vec<_> = ROUTES
        .iter()
        .filter(|r| matches!(r.access, Access::Public | Access::Page))
        .map(|r| (r.verb, r.path))
        .collect();
    let expected = [
        (Verb::Get, "/healthz"),
        (Verb::Get, "/readyz"),
        (Verb::Get, "/login"),
        (Verb::Post, "/login"),
        (Verb::Post, "/logout"),
        (Verb::Get, "/v1/session"),
        // Chatwoot signs what it posts.
        (Verb::Post, "/v1/devices/{device}/chatwoot/{inbox}"),
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

    let open = route.access.is_open();
    assert_eq!(operation.get("security").is_some(), open, "{at}: security");
    let mut expected = if open { vec![] } else { vec!["401", "403", "429"] };
    if route.path.contains("{device}") {
        expected.push("404");
    }
    if given.iter().any(|parameter| parameter["in"] == "query") {
        expected.push("400");
    }
    if route.path.contains("/messages") && !matches!(route.verb, Verb::Get) {
        expected.extend(["503", "507"]);
    }
    if let Some(contents) = operation["requestBody"]["content"].as_object() {
        expected.extend(["400", "408", "413"]);
        for (kind, content) in contents.iter().filter(|(kind, _)| *kind != "multipart/form-data") {
            assert!(has_example(document, content), "{at}: {kind} has no example");
        }
    }
    let answers = operation["responses"].as_object().unwrap();
    for status in expected {
        assert!(answers.contains_key(status), "{at}: {status} is not described");
    }
    let good: Vec<_> = answers.iter().filter(|(code, _)| code.starts_with(['2', '3'])).collect();
    assert!(!good.is_empty(), "{at}");
    for (status, answer) in good {
        assert!(answer["headers"].get("x-request-id").is_some(), "{at} {status}: no request id");
        let json = answer["content"].get("application/json");
        assert!(json.is_none_or(|json| has_example(document, json)), "{at} {status}: no example");
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
    let Ok(Found::Route(route, values)) =
        find(&Method::GET, "/v1/devices/admin-toko/messages/3EB0%41")
    else {
        panic!("not found")
    };
    assert_eq!(route.label, "ShowMessage");
    let given = [(PathName::Device, "admin-toko"), (PathName::Message, "3EB0A")];
    let given = given.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(values, PathValues::new(given.into()));
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
