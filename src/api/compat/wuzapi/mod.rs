//! The API of wuzapi, as its API.md and its handlers describe it.

mod form;
mod message;
mod send;
mod session;
mod user;

use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;

use super::face::{self, Face};
use crate::api::access::auth::Access;
use crate::api::route::{Route, get, now, post, soon};
use crate::config::FaceName;

pub(crate) static FACE: Face = Face {
    name: FaceName::Wuzapi,
    roots: &[
        "admin",
        "call",
        "chat",
        "community",
        "group",
        "label",
        "newsletter",
        "session",
        "status",
        "user",
        "webhook",
    ],
    routes: ROUTES,
    key,
    refuse: form::refuse,
};

#[rustfmt::skip]
static ROUTES: &[Route] = &[
    post("/session/connect",      Access::Admin, "WuzapiConnect",      |call| soon(session::connect(call))),
    post("/session/disconnect",   Access::Admin, "WuzapiDisconnect",   |call| soon(session::disconnect(call))),
    get ("/session/status",       Access::Read,  "WuzapiStatus",       |call| now(session::status(call))),
    get ("/session/qr",           Access::Admin, "WuzapiQr",           |call| soon(session::qr(call))),
    post("/session/pairphone",    Access::Admin, "WuzapiPairCode",     |call| soon(session::pair_code(call))),
    post("/session/logout",       Access::Admin, "WuzapiLogout",       |call| soon(session::logout(call))),
    post("/chat/send/text",       Access::Send,  "WuzapiSendText",     |call| soon(send::send(call, &send::TEXT))),
    post("/chat/send/image",      Access::Send,  "WuzapiSendImage",    |call| soon(send::send(call, &send::IMAGE))),
    post("/chat/send/audio",      Access::Send,  "WuzapiSendAudio",    |call| soon(send::send(call, &send::AUDIO))),
    post("/chat/send/document",   Access::Send,  "WuzapiSendDocument", |call| soon(send::send(call, &send::DOCUMENT))),
    post("/chat/send/video",      Access::Send,  "WuzapiSendVideo",    |call| soon(send::send(call, &send::VIDEO))),
    post("/chat/send/sticker",    Access::Send,  "WuzapiSendSticker",  |call| soon(send::send(call, &send::STICKER))),
    post("/chat/send/location",   Access::Send,  "WuzapiSendLocation", |call| soon(send::send(call, &send::LOCATION))),
    post("/chat/send/contact",    Access::Send,  "WuzapiSendContact",  |call| soon(send::send(call, &send::CONTACT))),
    post("/chat/send/poll",       Access::Send,  "WuzapiSendPoll",     |call| soon(send::send(call, &send::POLL))),
    post("/chat/send/edit",       Access::Send,  "WuzapiEdit",         |call| soon(message::edit(call))),
    post("/chat/delete",          Access::Send,  "WuzapiDelete",       |call| soon(message::delete(call))),
    post("/chat/react",           Access::Send,  "WuzapiReact",        |call| soon(message::react(call))),
    post("/chat/markread",        Access::Send,  "WuzapiMarkRead",     |call| soon(message::read(call))),
    post("/chat/presence",        Access::Send,  "WuzapiTyping",       |call| soon(message::typing(call))),
    post("/user/check",           Access::Read,  "WuzapiUserCheck",    |call| soon(user::check(call))),
    post("/user/info",            Access::Read,  "WuzapiUserInfo",     |call| soon(user::info(call))),
    get ("/group/list",           Access::Read,  "WuzapiGroups",       |call| soon(user::groups(call))),
];

/// A user's token, in a header of its own, in the query, or bare where others write a scheme before it.
fn key(head: &Parts) -> Option<String> {
    let bare = || face::header(head, AUTHORIZATION.as_str()).filter(|value| !value.contains(' '));
    face::header(head, "token").or_else(|| face::query(head, "token")).or_else(bare)
}
