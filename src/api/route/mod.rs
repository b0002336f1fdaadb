//! The table of routes: method, path, who may use it, its name in the metrics, and its handler. The files of the admin
//! page are not in it; see `page`.

use std::future::ready;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::Method;
use matchit::Params;

use crate::api::access::auth::Access;
use crate::api::access::login;
use crate::api::call::{Answer, Call, PathName, PathValues};
use crate::api::compat;
use crate::api::http::form;
use crate::api::http::problem::{Code, Problem};
use crate::api::mcp;
use crate::api::v1::chat::{channel, history, label, mark};
use crate::api::v1::contact::{account, block, presence};
use crate::api::v1::{
    backup, chat, chatwoot, config, contact, device, device_edit, event, foreign, group, health,
    live, media, message, metrics, qr, standing, webhook,
};

/// The methods in the table. A `HEAD` is handled as `Get`, and `OPTIONS` is answered from the table itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    pub(crate) fn of(method: &Method) -> Option<Self> {
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

/// Answers a request that may use the route.
pub(crate) type Handler = for<'a> fn(&'a mut Call) -> BoxFuture<'a, Answer>;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    /// The route's name in metrics and log. It must not change: dashboards and alerts are written with it.
    pub(crate) label: &'static str,
    pub(crate) handler: Handler,
}

pub(crate) const fn get(
    path: &'static str,
    access: Access,
    label: &'static str,
    handler: Handler,
) -> Route {
    Route { verb: Verb::Get, path, access, label, handler }
}

pub(crate) const fn post(
    path: &'static str,
    access: Access,
    label: &'static str,
    handler: Handler,
) -> Route {
    Route { verb: Verb::Post, path, access, label, handler }
}

pub(crate) const fn put(
    path: &'static str,
    access: Access,
    label: &'static str,
    handler: Handler,
) -> Route {
    Route { verb: Verb::Put, path, access, label, handler }
}

pub(crate) const fn patch(
    path: &'static str,
    access: Access,
    label: &'static str,
    handler: Handler,
) -> Route {
    Route { verb: Verb::Patch, path, access, label, handler }
}

pub(crate) const fn delete(
    path: &'static str,
    access: Access,
    label: &'static str,
    handler: Handler,
) -> Route {
    Route { verb: Verb::Delete, path, access, label, handler }
}

/// For a handler that waits for nothing.
pub(crate) fn now(answer: Answer) -> BoxFuture<'static, Answer> {
    ready(answer).boxed()
}

/// For a handler that waits.
pub(crate) fn soon<'a>(answer: impl Future<Output = Answer> + Send + 'a) -> BoxFuture<'a, Answer> {
    answer.boxed()
}

#[rustfmt::skip]
pub(crate) static ROUTES: &[Route] = &[
    get   ("/healthz",                                                      Access::Public,  "Health",           |call| now(health::alive(call))),
    get   ("/readyz",                                                       Access::Public,  "Ready",            |call| now(health::ready(call))),
    get   ("/metrics",                                                      Access::Metrics, "Metrics",          |call| soon(metrics::metrics(call))),
    get   ("/login",                                                        Access::Page,    "LoginByLink",      |call| soon(login::by_link(call))),
    post  ("/login",                                                        Access::Page,    "Login",            |call| soon(login::by_token(call))),
    post  ("/logout",                                                       Access::Page,    "Logout",           |call| soon(login::logout(call))),
    post  ("/v1/login-links",                                               Access::Gateway, "InviteLogin",      |call| now(Ok(login::invite(call)))),
    delete("/v1/logins",                                                    Access::Gateway, "EndLogins",        |call| soon(login::end_all(call))),
    get   ("/v1/backup",                                                    Access::Token,   "Backup",           |call| soon(backup::show(call))),
    post  ("/v1/forgotten/{device}",                                        Access::Gateway, "ForgetDevice",     |call| soon(device::forget(call))),
    post  ("/v1/foreign",                                                   Access::Gateway, "ListForeign",      |call| soon(foreign::list(call))),
    get   ("/v1/session",                                                   Access::Page,    "Session",          |call| now(login::show(call))),
    get   ("/v1/events",                                                    Access::Read,    "Events",           |call| now(live::events(call))),
    get   ("/v1/config",                                                    Access::Gateway, "ConfigReport",     |call| soon(config::show(call))),
    post  ("/v1/config/plan",                                               Access::Gateway, "ConfigPlan",       |call| soon(config::plan(call))),
    post  ("/v1/config/reload",                                             Access::Gateway, "ConfigReload",     |call| soon(config::reload(call))),
    get   ("/v1/faces",                                                     Access::Gateway, "Faces",            |call| now(Ok(compat::spoken(call)))),
    get   ("/v1/devices",                                                   Access::Read,    "ListDevices",      |call| now(Ok(device::list(call)))),
    get   ("/v1/devices/{device}",                                          Access::Read,    "ShowDevice",       |call| soon(device::show(call))),
    put   ("/v1/devices/{device}",                                          Access::Gateway, "PutDevice",        |call| soon(device_edit::put(call))),
    delete("/v1/devices/{device}",                                          Access::Gateway, "DeleteDevice",     |call| soon(device_edit::delete(call))),
    post  ("/v1/devices/{device}/key",                                      Access::Gateway, "MakeKey",          |call| soon(device_edit::make_key(call))),
    post  ("/v1/devices/{device}/start",                                    Access::Admin,   "StartDevice",      |call| soon(device::start(call))),
    post  ("/v1/devices/{device}/stop",                                     Access::Admin,   "StopDevice",       |call| soon(device::stop(call))),
    post  ("/v1/devices/{device}/reconnect",                                Access::Admin,   "ReconnectDevice",  |call| soon(device::reconnect(call))),
    post  ("/v1/devices/{device}/logout",                                   Access::Admin,   "LogoutDevice",     |call| soon(device::logout(call))),
    post  ("/v1/devices/{device}/adopt",                                    Access::Gateway, "AdoptDevice",      |call| soon(foreign::adopt(call))),
    get   ("/v1/devices/{device}/qr",                                       Access::Admin,   "LinkingQr",        |call| now(qr::show(call))),
    post  ("/v1/devices/{device}/pair-code",                                Access::Admin,   "PairCode",         |call| soon(device::pair_code(call))),
    post  ("/v1/devices/{device}/passkey",                                  Access::Admin,   "PasskeyResponse",  |call| soon(device::passkey_response(call))),
    post  ("/v1/devices/{device}/passkey/confirm",                          Access::Admin,   "PasskeyConfirm",   |call| soon(device::passkey_confirm(call))),
    post  ("/v1/devices/{device}/messages",                                 Access::Send,    "SendMessage",      |call| soon(message::send(call))),
    get   ("/v1/devices/{device}/messages",                                 Access::Read,    "ListMessages",     |call| soon(message::list(call))),
    get   ("/v1/devices/{device}/messages/{message}",                       Access::Read,    "ShowMessage",      |call| soon(message::show(call))),
    patch ("/v1/devices/{device}/messages/{message}",                       Access::Send,    "EditMessage",      |call| soon(message::edit(call))),
    delete("/v1/devices/{device}/messages/{message}",                       Access::Send,    "RevokeMessage",    |call| soon(message::revoke(call))),
    post  ("/v1/devices/{device}/messages/{message}/read",                  Access::Send,    "MarkRead",         |call| soon(message::mark_read(call))),
    post  ("/v1/devices/{device}/status",                                   Access::Send,    "PostStatus",       |call| soon(message::status::post(call))),
    post  ("/v1/devices/{device}/lists",                                    Access::Send,    "MakeList",         |call| soon(message::list::make(call))),
    get   ("/v1/devices/{device}/lists",                                    Access::Read,    "ListLists",        |call| soon(message::list::list(call))),
    get   ("/v1/devices/{device}/lists/{list}",                             Access::Read,    "ShowList",         |call| soon(message::list::show(call))),
    post  ("/v1/devices/{device}/lists/{list}/stop",                        Access::Send,    "StopList",         |call| soon(message::list::stop(call))),
    get   ("/v1/devices/{device}/lists/{list}/report",                      Access::Read,    "ListReport",       |call| soon(message::list::table(call))),
    put   ("/v1/devices/{device}/messages/{message}/star",                  Access::Send,    "StarMessage",      |call| soon(mark::star(call))),
    delete("/v1/devices/{device}/messages/{message}/star",                  Access::Send,    "UnstarMessage",    |call| soon(mark::unstar(call))),
    put   ("/v1/devices/{device}/messages/{message}/pin",                   Access::Send,    "PinMessage",       |call| soon(mark::pin(call))),
    delete("/v1/devices/{device}/messages/{message}/pin",                   Access::Send,    "UnpinMessage",     |call| soon(mark::unpin(call))),
    post  ("/v1/devices/{device}/typing",                                   Access::Send,    "Typing",           |call| soon(message::typing(call))),
    get   ("/v1/devices/{device}/contacts",                                 Access::Read,    "ListContacts",     |call| soon(contact::list(call))),
    get   ("/v1/devices/{device}/contacts/{phone}",                         Access::Read,    "Contact",          |call| soon(contact::show(call))),
    post  ("/v1/devices/{device}/contacts/check",                           Access::Read,    "CheckContacts",    |call| soon(contact::check(call))),
    get   ("/v1/devices/{device}/contacts/{contact}/profile",               Access::Read,    "ContactProfile",   |call| soon(contact::profile(call))),
    get   ("/v1/devices/{device}/contacts/{contact}/picture",               Access::Read,    "ContactPicture",   |call| soon(contact::picture(call))),
    put   ("/v1/devices/{device}/contacts/{contact}/block",                 Access::Send,    "Block",            |call| soon(block::put(call))),
    delete("/v1/devices/{device}/contacts/{contact}/block",                 Access::Send,    "Unblock",          |call| soon(block::delete(call))),
    get   ("/v1/devices/{device}/blocks",                                   Access::Read,    "ListBlocks",       |call| soon(block::list(call))),
    get   ("/v1/devices/{device}/presence",                                 Access::Read,    "ListPresences",    |call| now(presence::list(call))),
    put   ("/v1/devices/{device}/contacts/{contact}/presence",              Access::Send,    "WatchPresence",    |call| soon(presence::put(call))),
    delete("/v1/devices/{device}/contacts/{contact}/presence",              Access::Send,    "UnwatchPresence",  |call| soon(presence::delete(call))),
    get   ("/v1/devices/{device}/profile",                                  Access::Read,    "ShowProfile",      |call| soon(account::show(call))),
    patch ("/v1/devices/{device}/profile",                                  Access::Admin,   "ChangeProfile",    |call| soon(account::change(call))),
    put   ("/v1/devices/{device}/profile/picture",                          Access::Admin,   "PutPicture",       |call| soon(account::put_picture(call))),
    delete("/v1/devices/{device}/profile/picture",                          Access::Admin,   "DeletePicture",    |call| soon(account::delete_picture(call))),
    patch ("/v1/devices/{device}/chats/{chat}",                             Access::Send,    "ChangeChat",       |call| soon(chat::change(call))),
    delete("/v1/devices/{device}/chats/{chat}",                             Access::Admin,   "DeleteChat",       |call| soon(chat::delete(call))),
    get   ("/v1/devices/{device}/labels",                                   Access::Read,    "ListLabels",       |call| soon(label::list(call))),
    post  ("/v1/devices/{device}/labels",                                   Access::Send,    "MakeLabel",        |call| soon(label::make(call))),
    patch ("/v1/devices/{device}/labels/{label}",                           Access::Send,    "ChangeLabel",      |call| soon(label::change(call))),
    delete("/v1/devices/{device}/labels/{label}",                           Access::Admin,   "DeleteLabel",      |call| soon(label::delete(call))),
    get   ("/v1/devices/{device}/chats/{chat}/labels",                      Access::Read,    "ChatLabels",       |call| soon(label::of_chat(call))),
    put   ("/v1/devices/{device}/chats/{chat}/labels/{label}",              Access::Send,    "LabelChat",        |call| soon(label::chat(call, true))),
    delete("/v1/devices/{device}/chats/{chat}/labels/{label}",              Access::Send,    "UnlabelChat",      |call| soon(label::chat(call, false))),
    put   ("/v1/devices/{device}/messages/{message}/labels/{label}",        Access::Send,    "LabelMessage",     |call| soon(label::message(call, true))),
    delete("/v1/devices/{device}/messages/{message}/labels/{label}",        Access::Send,    "UnlabelMessage",   |call| soon(label::message(call, false))),
    get   ("/v1/devices/{device}/chats",                                    Access::History, "ListChats",        |call| soon(history::chats(call))),
    get   ("/v1/devices/{device}/chats/{chat}/messages",                    Access::History, "ChatMessages",     |call| soon(history::messages(call))),
    post  ("/v1/devices/{device}/chats/{chat}/older",                       Access::History, "AskOlder",         |call| soon(history::older(call))),
    get   ("/v1/devices/{device}/search",                                   Access::History, "Search",           |call| soon(history::search(call))),
    get   ("/v1/devices/{device}/channels",                                 Access::Read,    "ListChannels",     |call| soon(channel::list(call))),
    post  ("/v1/devices/{device}/channels",                                 Access::Admin,   "CreateChannel",    |call| soon(channel::create(call))),
    get   ("/v1/devices/{device}/channels/preview",                         Access::Read,    "PreviewChannel",   |call| soon(channel::preview(call))),
    get   ("/v1/devices/{device}/channels/{channel}",                       Access::Read,    "ShowChannel",      |call| soon(channel::show(call))),
    put   ("/v1/devices/{device}/channels/{channel}/follow",                Access::Send,    "FollowChannel",    |call| soon(channel::follow(call, true))),
    delete("/v1/devices/{device}/channels/{channel}/follow",                Access::Send,    "UnfollowChannel",  |call| soon(channel::follow(call, false))),
    get   ("/v1/devices/{device}/channels/{channel}/posts",                 Access::Read,    "ChannelPosts",     |call| soon(channel::posts(call))),
    put   ("/v1/devices/{device}/channels/{channel}/posts/{post}/reaction", Access::Send,    "ReactToPost",      |call| soon(channel::react(call))),
    delete("/v1/devices/{device}/channels/{channel}/posts/{post}/reaction", Access::Send,    "UnreactToPost",    |call| soon(channel::unreact(call))),
    get   ("/v1/devices/{device}/standing",                                 Access::Read,    "Standing",         |call| soon(standing::show(call))),
    get   ("/v1/devices/{device}/groups",                                   Access::Read,    "ListGroups",       |call| soon(group::list(call))),
    post  ("/v1/devices/{device}/groups",                                   Access::Groups,  "CreateGroup",      |call| soon(group::create(call))),
    post  ("/v1/devices/{device}/groups/join",                              Access::Groups,  "JoinGroup",        |call| soon(group::invite::join(call))),
    get   ("/v1/devices/{device}/groups/preview",                           Access::Read,    "PreviewGroup",     |call| soon(group::invite::preview(call))),
    get   ("/v1/devices/{device}/groups/{group}",                           Access::Read,    "ShowGroup",        |call| soon(group::show(call))),
    patch ("/v1/devices/{device}/groups/{group}",                           Access::Groups,  "ChangeGroup",      |call| soon(group::change(call))),
    post  ("/v1/devices/{device}/groups/{group}/leave",                     Access::Groups,  "LeaveGroup",       |call| soon(group::leave(call))),
    post  ("/v1/devices/{device}/groups/{group}/members",                   Access::Groups,  "ChangeMembers",    |call| soon(group::member::change(call))),
    get   ("/v1/devices/{device}/groups/{group}/requests",                  Access::Groups,  "JoinRequests",     |call| soon(group::member::requests(call))),
    post  ("/v1/devices/{device}/groups/{group}/requests",                  Access::Groups,  "AnswerRequests",   |call| soon(group::member::answer(call))),
    get   ("/v1/devices/{device}/groups/{group}/invite",                    Access::Groups,  "GroupInvite",      |call| soon(group::invite::show(call))),
    post  ("/v1/devices/{device}/groups/{group}/invite",                    Access::Groups,  "ResetGroupInvite", |call| soon(group::invite::reset(call))),
    get   ("/v1/devices/{device}/groups/{group}/picture",                   Access::Read,    "GroupPicture",     |call| soon(group::picture::show(call))),
    put   ("/v1/devices/{device}/groups/{group}/picture",                   Access::Groups,  "PutGroupPicture",  |call| soon(group::picture::put(call))),
    delete("/v1/devices/{device}/groups/{group}/picture",                       Access::Groups,  "DeleteGroupPicture",|call| soon(group::picture::delete(call))),
    get   ("/v1/devices/{device}/media/{message}",                          Access::File,    "Media",            |call| soon(media::show(call))),
    get   ("/v1/devices/{device}/events",                                   Access::Read,    "DeviceEvents",     |call| soon(event::read(call))),
    get   ("/v1/devices/{device}/webhooks",                                 Access::Read,    "ListWebhooks",     |call| now(webhook::list(call))),
    get   ("/v1/devices/{device}/rules",                                    Access::Read,    "ListRules",        |call| now(webhook::rules(call))),
    post  ("/v1/devices/{device}/webhooks/{n}/replay",                      Access::Admin,   "ReplayWebhook",    |call| soon(webhook::replay(call))),
    post  ("/v1/devices/{device}/webhooks/{n}/test",                        Access::Admin,   "TestWebhook",      |call| soon(webhook::test(call))),
    post  ("/v1/devices/{device}/webhooks/{n}/pause",                       Access::Admin,   "PauseWebhook",     |call| soon(webhook::pause(call))),
    post  ("/v1/devices/{device}/webhooks/{n}/resume",                      Access::Admin,   "ResumeWebhook",    |call| soon(webhook::resume(call))),
    get   ("/v1/devices/{device}/webhooks/{n}/dead-letters",                Access::Read,    "DeadLetters",      |call| soon(webhook::dead_letters(call))),
    post  ("/v1/devices/{device}/webhooks/{n}/dead-letters/{event}/retry",  Access::Admin,   "RetryDeadLetter",  |call| soon(webhook::retry(call))),
    post  ("/v1/devices/{device}/chatwoot/{inbox}",                         Access::Public,  "Chatwoot",         |call| soon(chatwoot::receive(call))),
    post  ("/mcp",                                                          Access::Read,    "Mcp",              |call| soon(mcp::answer(call))),
    get   ("/api",                                                          Access::Public,  "CompatHello",      |_call| now(Ok(compat::hello()))),
    post  ("/api/send-message",                                             Access::BodyKey, "CompatSendText",   |call| soon(compat::send::text(call))),
    post  ("/api/send-media",                                               Access::BodyKey, "CompatSendMedia",  |call| soon(compat::send::media(call))),
    post  ("/api/fetch-group",                                              Access::BodyKey, "CompatGroups",     |call| soon(compat::groups::list(call))),
    post  ("/api/fetch-group-members",                                      Access::BodyKey, "CompatMembers",    |call| soon(compat::groups::members(call))),
];

#[derive(Debug)]
pub(crate) enum Found {
    Route(&'static Route, PathValues),
    /// An `OPTIONS` request, and the methods of its path.
    Options(String),
    /// No route; perhaps a file of the admin page.
    Nothing,
}

/// The table as a search tree.
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
        // People write `/api/` for `/api`, so one slash at the end is ignored.
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
        Ok(Found::Route(route, values(route, &matched.params)?))
    }
}

/// What the names in a route's path stand for in this one.
pub(crate) fn values(route: &Route, given: &Params<'_, '_>) -> Result<PathValues, Problem> {
    // matchit gives the values in the order of the pattern.
    let values = given.iter().map(|(_, value)| form::decode(value));
    let names = names(route.path).map(PathName::parse);
    let values = names.zip(values).map(|(name, value)| Some((name?, value?)));
    let values = values.collect::<Option<_>>().map(PathValues::new);
    values.ok_or_else(|| Problem::new(Code::InvalidRequest, "the path is not valid UTF-8"))
}

/// The names in a route's path, as the table writes them.
pub(crate) fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests;
