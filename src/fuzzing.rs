//! Every reader of bytes from outside, as a function that returns for any input. tests/fuzz looks for inputs that
//! take new paths through them; tests/it/fuzz.rs feeds its corpus, and changes of it, in every run of CI. Beside not
//! panicking, each says what else must hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{DeviceName, Jid, PhoneNumber, Recipient};
use crate::net::Network;
use crate::{api, config as configuration, hooks, store as storage, whatsapp};

/// A reader, under the name of its folder in tests/fuzz/corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 13] = [
    ("address", address),
    ("answer", answer),
    ("compat", compat),
    ("config", config),
    ("edit", edit),
    ("journal", journal),
    ("media", media),
    ("message", message),
    ("multipart", multipart),
    ("policy", policy),
    ("preview", preview),
    ("protobuf", protobuf),
    ("row", row),
];

/// The configuration's file.
pub fn config(bytes: &[u8]) {
    configuration::fuzz::file(bytes);
}

/// A change of a device in that file, as the page and callers ask for it.
pub fn edit(bytes: &[u8]) {
    configuration::fuzz::edit(bytes);
}

/// The body of a message to send.
pub fn message(bytes: &[u8]) {
    api::fuzz::message(bytes);
}

/// The same with its file beside it.
pub fn multipart(bytes: &[u8]) {
    api::fuzz::multipart(bytes);
}

/// The same as older programs write it.
pub fn compat(bytes: &[u8]) {
    api::fuzz::compat(bytes);
}

/// Phone numbers, addresses and device names, as callers write them.
pub fn address(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for country in [None, Some("62")] {
        if let Ok(number) = PhoneNumber::parse(text, country) {
            assert_eq!(PhoneNumber::parse(number.as_str(), country), Ok(number));
        }
        if let Ok(to) = Recipient::parse(text, country) {
            assert_eq!(
                Recipient::parse(to.jid().as_str(), country),
                Ok(to),
                "an address names somebody else"
            );
        }
    }
    if let Ok(jid) = Jid::parse(text) {
        assert_eq!(Jid::parse(jid.as_str()), Ok(jid));
    }
    if let Ok(name) = DeviceName::parse(text) {
        assert_eq!(name.as_str(), text);
    }
}

/// Where a request may go: URLs, and the addresses that a name may stand for.
pub fn policy(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        configuration::fuzz::url(text);
        if let Ok(ip) = text.parse() {
            judge(ip);
        }
    }
    if let Some(bits) = bytes.first_chunk() {
        judge(IpAddr::V4(Ipv4Addr::from(*bits)));
    }
    if let Some(bits) = bytes.first_chunk::<16>() {
        judge(IpAddr::V6(Ipv6Addr::from(*bits)));
    }
}

/// An IPv4 address in IPv6's clothes is judged as what it is, and a reserved one is never connected to.
fn judge(ip: IpAddr) {
    let network = Network::of(ip);
    if let IpAddr::V4(v4) = ip {
        assert_eq!(Network::of(IpAddr::V6(v4.to_ipv6_mapped())), network, "{ip}");
    }
    assert_eq!(whatsapp::fuzz::may_connect(ip), network == Network::Public, "{ip}");
}

/// A receiver's answer, which may be a reply.
pub fn answer(bytes: &[u8]) {
    hooks::fuzz::answer(bytes);
}

/// A row of the store.
pub fn row(bytes: &[u8]) {
    storage::fuzz::row(bytes);
    whatsapp::fuzz::row(bytes);
}

/// A journal of the store that lost power.
pub fn journal(bytes: &[u8]) {
    storage::fuzz::journal(bytes);
}

/// A message in WhatsApp's protobuf, which becomes an event.
pub fn protobuf(bytes: &[u8]) {
    whatsapp::fuzz::message(bytes);
}

/// A file's first bytes: MP4, Ogg, JPEG, PNG, WebP, GIF.
pub fn media(bytes: &[u8]) {
    whatsapp::fuzz::media(bytes);
}

/// A page that a text links to.
pub fn preview(bytes: &[u8]) {
    whatsapp::fuzz::preview(bytes);
}
