//! The API of Evolution API v2, as its routes, DTOs and its documentation describe it.

mod form;
mod group;
mod instance;
mod message;
mod send;

use hyper::http::request::Parts;

use super::face::{self, Face};
use crate::api::access::auth::Access;
use crate::api::route::{Route, delete, get, now, post, soon};
use crate::config::FaceName;

pub(crate) static FACE: Face = Face {
    name: FaceName::Evolution,
    roots: &[
        "baileys",
        "business",
        "call",
        "chat",
        "chatwoot",
        "dify",
        "evoai",
        "evolutionBot",
        "flowise",
        "group",
        "instance",
        "label",
        "message",
        "n8n",
        "nats",
        "openai",
        "proxy",
        "pusher",
        "rabbitmq",
        "settings",
        "sqs",
        "template",
        "typebot",
        "webhook",
        "websocket",
    ],
    routes: ROUTES,
    key,
    refuse: form::refuse,
};

#[rustfmt::skip]
static ROUTES: &[Route] = &[
    get   ("/instance/fetchInstances",              Access::Read,  "EvolutionInstances",    |call| now(instance::list(call))),
    get   ("/instance/connectionState/{device}",    Access::Read,  "EvolutionState",        |call| now(instance::state(call))),
    get   ("/instance/connect/{device}",            Access::Admin, "EvolutionConnect",      |call| soon(instance::connect(call))),
    post  ("/instance/restart/{device}",            Access::Admin, "EvolutionRestart",      |call| soon(instance::restart(call))),
    delete("/instance/logout/{device}",             Access::Admin, "EvolutionLogout",       |call| soon(instance::logout(call))),
    post  ("/message/sendText/{device}",            Access::Send,  "EvolutionSendText",     |call| soon(send::send(call, &send::TEXT))),
    post  ("/message/sendMedia/{device}",           Access::Send,  "EvolutionSendMedia",    |call| soon(send::send(call, &send::MEDIA))),
    post  ("/message/sendWhatsAppAudio/{device}",   Access::Send,  "EvolutionSendVoice",    |call| soon(send::send(call, &send::VOICE))),
    post  ("/message/sendSticker/{device}",         Access::Send,  "EvolutionSendSticker",  |call| soon(send::send(call, &send::STICKER))),
    post  ("/message/sendLocation/{device}",        Access::Send,  "EvolutionSendLocation", |call| soon(send::send(call, &send::LOCATION))),
    post  ("/message/sendContact/{device}",         Access::Send,  "EvolutionSendContact",  |call| soon(send::send(call, &send::CONTACT))),
    post  ("/message/sendPoll/{device}",            Access::Send,  "EvolutionSendPoll",     |call| soon(send::send(call, &send::POLL))),
    post  ("/message/sendReaction/{device}",        Access::Send,  "EvolutionSendReaction", |call| soon(send::react(call))),
    post  ("/chat/whatsappNumbers/{device}",        Access::Read,  "EvolutionNumbers",      |call| soon(message::numbers(call))),
    post  ("/chat/markMessageAsRead/{device}",      Access::Send,  "EvolutionMarkRead",     |call| soon(message::read(call))),
    post  ("/chat/sendPresence/{device}",           Access::Send,  "EvolutionTyping",       |call| soon(message::typing(call))),
    get   ("/group/fetchAllGroups/{device}",        Access::Read,  "EvolutionGroups",       |call| soon(group::list(call))),
    get   ("/group/findGroupInfos/{device}",        Access::Read,  "EvolutionGroup",        |call| soon(group::show(call))),
    get   ("/group/participants/{device}",          Access::Read,  "EvolutionMembers",      |call| soon(group::members(call))),
];

fn key(head: &Parts) -> Option<String> {
    face::header(head, "apikey")
}
