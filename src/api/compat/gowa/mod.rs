//! The API of go-whatsapp-web-multidevice (GOWA), as docs/openapi.yaml of that project describes it.

mod app;
mod error;
mod form;
mod message;
mod send;
mod user;

use super::face::Face;
use crate::api::access::auth::Access;
use crate::api::route::{Route, get, now, post, soon};
use crate::config::FaceName;

pub(crate) static FACE: Face = Face {
    name: FaceName::Gowa,
    roots: &[
        "app",
        "chat",
        "chats",
        "devices",
        "group",
        "message",
        "newsletter",
        "send",
        "statics",
        "user",
    ],
    routes: ROUTES,
    key: form::key,
    refuse: error::refuse,
};

#[rustfmt::skip]
static ROUTES: &[Route] = &[
    get   ("/app/login",                              Access::Admin, "GowaLogin",           |call| soon(app::login(call))),
    get   ("/app/login-with-code",                    Access::Admin, "GowaLoginWithCode",   |call| soon(app::login_with_code(call))),
    get   ("/app/logout",                             Access::Admin, "GowaLogout",          |call| soon(app::logout(call))),
    get   ("/app/reconnect",                          Access::Admin, "GowaReconnect",       |call| soon(app::reconnect(call))),
    get   ("/app/devices",                            Access::Read,  "GowaDevices",         |call| now(Ok(app::devices(call)))),
    get   ("/app/status",                             Access::Read,  "GowaStatus",          |call| now(app::status(call))),
    get   ("/devices",                                Access::Read,  "GowaListDevices",     |call| now(Ok(app::list(call)))),
    get   ("/devices/{device}",                       Access::Read,  "GowaDevice",          |call| now(app::device(call))),
    get   ("/devices/{device}/status",                Access::Read,  "GowaDeviceStatus",    |call| now(app::device_status(call))),
    get   ("/devices/{device}/login",                 Access::Admin, "GowaDeviceLogin",     |call| soon(app::login(call))),
    post  ("/devices/{device}/login/code",            Access::Admin, "GowaDeviceLoginCode", |call| soon(app::login_with_code(call))),
    post  ("/devices/{device}/logout",                Access::Admin, "GowaDeviceLogout",    |call| soon(app::logout(call))),
    post  ("/devices/{device}/reconnect",             Access::Admin, "GowaDeviceReconnect", |call| soon(app::reconnect(call))),
    get   ("/statics/images/qrcode/{device}",         Access::Admin, "GowaQr",              |call| now(app::qr(call))),
    post  ("/send/message",                           Access::Send,  "GowaSendText",        |call| soon(send::send(call, &send::TEXT))),
    post  ("/send/image",                             Access::Send,  "GowaSendImage",       |call| soon(send::send(call, &send::IMAGE))),
    post  ("/send/file",                              Access::Send,  "GowaSendFile",        |call| soon(send::send(call, &send::FILE))),
    post  ("/send/video",                             Access::Send,  "GowaSendVideo",       |call| soon(send::send(call, &send::VIDEO))),
    post  ("/send/audio",                             Access::Send,  "GowaSendAudio",       |call| soon(send::send(call, &send::AUDIO))),
    post  ("/send/sticker",                           Access::Send,  "GowaSendSticker",     |call| soon(send::send(call, &send::STICKER))),
    post  ("/send/contact",                           Access::Send,  "GowaSendContact",     |call| soon(send::send(call, &send::CONTACT))),
    post  ("/send/location",                          Access::Send,  "GowaSendLocation",    |call| soon(send::send(call, &send::LOCATION))),
    post  ("/send/poll",                              Access::Send,  "GowaSendPoll",        |call| soon(send::send(call, &send::POLL))),
    post  ("/send/link",                              Access::Send,  "GowaSendLink",        |call| soon(send::send(call, &send::LINK))),
    post  ("/send/chat-presence",                     Access::Send,  "GowaTyping",          |call| soon(send::typing(call))),
    post  ("/message/{message}/reaction",             Access::Send,  "GowaReact",           |call| soon(message::react(call))),
    post  ("/message/{message}/revoke",               Access::Send,  "GowaRevoke",          |call| soon(message::revoke(call))),
    post  ("/message/{message}/update",               Access::Send,  "GowaUpdate",          |call| soon(message::update(call))),
    post  ("/message/{message}/read",                 Access::Send,  "GowaMarkRead",        |call| soon(message::read(call))),
    post  ("/message/{message}/forward",              Access::Send,  "GowaForward",         |call| soon(message::forward(call))),
    get   ("/message/{message}/download",             Access::Read,  "GowaDownload",        |call| soon(message::download(call))),
    get   ("/user/info",                              Access::Read,  "GowaUserInfo",        |call| soon(user::info(call))),
    get   ("/user/check",                             Access::Read,  "GowaUserCheck",       |call| soon(user::check(call))),
    get   ("/user/my/groups",                         Access::Read,  "GowaMyGroups",        |call| soon(user::groups(call))),
    get   ("/group/info",                             Access::Read,  "GowaGroup",           |call| soon(user::group(call))),
];
