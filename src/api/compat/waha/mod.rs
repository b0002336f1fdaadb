//! The API of WAHA, the WhatsApp HTTP API, as its OpenAPI description has it.

mod config;
mod error;
mod form;
mod message;
mod presence;
mod send;
mod session;
mod view;

use serde_json::json;

use super::face::Face;
use crate::api::access::auth::Access;
use crate::api::http::response;
use crate::api::route::{Route, delete, get, now, post, put, soon};
use crate::config::FaceName;

pub(crate) static FACE: Face = Face {
    name: FaceName::Waha,
    roots: &["api", "ping", "health"],
    routes: ROUTES,
    key: form::key,
    refuse: error::refuse,
};

#[rustfmt::skip]
static ROUTES: &[Route] = &[
    get   ("/ping",                                              Access::Public, "WahaPing",         |_call| now(Ok(response::ok(&json!({ "message": "pong" }))))),
    get   ("/api/version",                                       Access::Read,   "WahaVersion",      |_call| now(Ok(session::version()))),
    get   ("/api/server/version",                                Access::Read,   "WahaServer",       |_call| now(Ok(session::version()))),
    get   ("/api/sessions",                                      Access::Read,   "WahaSessions",     |call| now(Ok(session::list(call)))),
    post  ("/api/sessions",                                      Access::Gateway, "WahaMakeSession",  |call| soon(config::create(call))),
    put   ("/api/sessions/{device}",                             Access::Gateway, "WahaPutSession",   |call| soon(config::change(call))),
    delete("/api/sessions/{device}",                             Access::Gateway, "WahaDeleteSession", |call| soon(config::delete(call))),
    get   ("/api/sessions/{device}",                             Access::Read,   "WahaSession",      |call| now(session::show(call))),
    get   ("/api/sessions/{device}/me",                          Access::Read,   "WahaMe",           |call| now(session::me(call))),
    post  ("/api/sessions/{device}/start",                       Access::Admin,  "WahaStart",        |call| soon(session::start(call))),
    post  ("/api/sessions/{device}/stop",                        Access::Admin,  "WahaStop",         |call| soon(session::stop(call))),
    post  ("/api/sessions/{device}/restart",                     Access::Admin,  "WahaRestart",      |call| soon(session::restart(call))),
    post  ("/api/sessions/{device}/logout",                      Access::Admin,  "WahaLogout",       |call| soon(session::logout(call))),
    get   ("/api/{device}/auth/qr",                              Access::Admin,  "WahaQr",           |call| soon(session::qr(call))),
    post  ("/api/{device}/auth/request-code",                    Access::Admin,  "WahaRequestCode",  |call| soon(session::request_code(call))),
    post  ("/api/sendText",                                      Access::Send,   "WahaSendText",     |call| soon(send::send(call, send::text))),
    post  ("/api/reply",                                         Access::Send,   "WahaReply",        |call| soon(send::send(call, send::text))),
    post  ("/api/sendLinkPreview",                               Access::Send,   "WahaSendLink",     |call| soon(send::send(call, send::link))),
    post  ("/api/sendImage",                                     Access::Send,   "WahaSendImage",    |call| soon(send::send(call, send::image))),
    post  ("/api/sendFile",                                      Access::Send,   "WahaSendFile",     |call| soon(send::send(call, send::file))),
    post  ("/api/sendVoice",                                     Access::Send,   "WahaSendVoice",    |call| soon(send::send(call, send::voice))),
    post  ("/api/sendVideo",                                     Access::Send,   "WahaSendVideo",    |call| soon(send::send(call, send::video))),
    post  ("/api/sendSticker",                                   Access::Send,   "WahaSendSticker",  |call| soon(send::send(call, send::sticker))),
    post  ("/api/sendLocation",                                  Access::Send,   "WahaSendLocation", |call| soon(send::send(call, send::location))),
    post  ("/api/sendContactVcard",                              Access::Send,   "WahaSendContact",  |call| soon(send::send(call, send::contact))),
    post  ("/api/sendPoll",                                      Access::Send,   "WahaSendPoll",     |call| soon(send::send(call, send::poll))),
    post  ("/api/forwardMessage",                                Access::Send,   "WahaForward",      |call| soon(send::send(call, send::forward))),
    put   ("/api/reaction",                                      Access::Send,   "WahaReact",        |call| soon(message::react(call))),
    post  ("/api/sendSeen",                                      Access::Send,   "WahaSeen",         |call| soon(message::seen(call))),
    post  ("/api/startTyping",                                   Access::Send,   "WahaStartTyping",  |call| soon(message::typing(call, true))),
    post  ("/api/stopTyping",                                    Access::Send,   "WahaStopTyping",   |call| soon(message::typing(call, false))),
    get   ("/api/{device}/presence",                             Access::Read,   "WahaPresences",    |call| now(presence::list(call))),
    post  ("/api/{device}/presence",                             Access::Send,   "WahaSetPresence",  |call| soon(presence::set(call))),
    get   ("/api/{device}/presence/{chat}",                      Access::Send,   "WahaPresence",     |call| soon(presence::show(call))),
    post  ("/api/{device}/presence/{chat}/subscribe",            Access::Send,   "WahaSubscribe",    |call| soon(presence::subscribe(call))),
    put   ("/api/{device}/chats/{chat}/messages/{message}",      Access::Send,   "WahaEdit",         |call| soon(message::edit(call))),
    delete("/api/{device}/chats/{chat}/messages/{message}",      Access::Send,   "WahaDelete",       |call| soon(message::delete(call))),
    get   ("/api/contacts/check-exists",                         Access::Read,   "WahaCheckExists",  |call| soon(session::check_exists(call))),
    get   ("/api/checkNumberStatus",                             Access::Read,   "WahaNumberStatus", |call| soon(session::check_exists(call))),
    get   ("/api/{device}/groups",                               Access::Read,   "WahaGroups",       |call| soon(session::groups(call))),
    get   ("/api/{device}/groups/{group}",                       Access::Read,   "WahaGroup",        |call| soon(session::group(call))),
];
