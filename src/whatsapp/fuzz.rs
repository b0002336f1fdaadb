//! What fuzzing feeds here: messages of strangers, files from anywhere, and rows of the store.

use std::io::Cursor as File;
use std::net::IpAddr;

use wa_rs::buffa::Message as _;
use wa_rs::types::message::MessageInfo;
use wa_rs::waproto::whatsapp as wa;

use super::history::row::MediaRow;
use super::media::{fetch, image, mp4};
use super::receive::decode;
use super::send::preview;
use crate::model::{DeviceName, Person};

const CHAT: &str = "628111@s.whatsapp.net";

/// A message as it arrives, after decryption. Its first byte says who sent it.
pub(crate) fn message(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let (Ok(message), Ok(device)) =
        (wa::Message::decode_from_slice(bytes), DeviceName::parse("toko"))
    else {
        return;
    };
    let mut info = MessageInfo { id: "3EB0".to_owned(), ..MessageInfo::default() };
    info.source.is_group = first & 1 == 1;
    info.source.is_from_me = first & 2 == 2;
    let from = Person { jid: CHAT.to_owned(), phone: None, lid: None, name: None };
    if let Some(decoded) = decode::message(&device, &info, &message, from, CHAT.to_owned()) {
        let json = serde_json::to_vec(&decoded.event);
        assert!(json.is_ok_and(|json| !json.is_empty()), "an event is not JSON");
    }
}

/// A file's first bytes.
pub(crate) fn media(bytes: &[u8]) {
    image::sniff(bytes);
    image::dimensions(&mut File::new(bytes));
    mp4::header(&mut File::new(bytes));
    mp4::opus(&mut File::new(bytes));
}

/// A page that a text links to.
pub(crate) fn preview(bytes: &[u8]) {
    let page = String::from_utf8_lossy(bytes);
    preview::link(&page);
    preview::read("https://example.com/", &page);
}

/// The keys of a file that may be downloaded later.
pub(crate) fn row(bytes: &[u8]) {
    drop(serde_json::from_slice::<MediaRow>(bytes));
}

/// Whether a caller's URL may be fetched from an address, when no network is opened to them.
pub(crate) fn may_connect(ip: IpAddr) -> bool {
    fetch::may_connect(ip, &[])
}
