//! What people send each other.

use moonwa_simulator::wa;
use moonwa_simulator::wa::message::{
    self, AlbumMessage, CommentMessage, ContactMessage, EventMessage, ExtendedTextMessage,
    GroupInviteMessage, InteractiveResponseMessage, PinInChatMessage, PollCreationMessage,
    PollResultSnapshotMessage, StickerPackMessage, VideoMessage,
};

use super::{Sample, image, key, message, says, some, text, wrapped};

pub(super) fn all() -> Vec<Sample> {
    [shared(), people(), answers()].concat()
}

/// What people plan and share.
fn shared() -> Vec<(&'static str, wa::Message)> {
    let event = EventMessage {
        name: text("Arisan"),
        description: text("di rumah Bob"),
        start_time: Some(1_780_000_000),
        ..Default::default()
    };
    let pack =
        StickerPackMessage { name: text("Kucing"), publisher: text("Ann"), ..Default::default() };
    let poll = PollCreationMessage {
        name: text("Jam berapa?"),
        options: vec![message::poll_creation_message::Option {
            option_name: text("8"),
            ..Default::default()
        }],
        ..Default::default()
    };
    let result = PollResultSnapshotMessage {
        name: text("Jam berapa?"),
        poll_votes: vec![message::poll_result_snapshot_message::PollVote {
            option_name: text("8"),
            option_vote_count: Some(3),
        }],
        ..Default::default()
    };
    let invite = GroupInviteMessage {
        group_jid: text("1203@g.us"),
        group_name: text("Tim"),
        caption: text("Gabung ya"),
        ..Default::default()
    };
    vec![
        ("event", message!(event_message: event)),
        ("sticker pack", message!(sticker_pack_message: pack)),
        ("poll, newest form", message!(poll_creation_message_v6: poll)),
        ("poll's result", message!(poll_result_snapshot_message: result)),
        ("group invite", message!(group_invite_message: invite)),
    ]
}

/// What people say about something else.
fn people() -> Vec<(&'static str, wa::Message)> {
    let comment = CommentMessage { message: some(says("setuju")), target_message_key: key("POST") };
    let pin = PinInChatMessage {
        key: key("PINNED"),
        r#type: Some(message::pin_in_chat_message::Type::PIN_FOR_ALL),
        ..Default::default()
    };
    let gif =
        VideoMessage { gif_playback: Some(true), caption: text("lucu"), ..Default::default() };
    let vcard = "BEGIN:VCARD\nFN:Cid\nitem1.TEL;waid=628123456789:+62 812-3456-789\nTEL;TYPE=HOME:(021) 555 01\nEND:VCARD";
    let contact =
        ContactMessage { display_name: text("Cid"), vcard: text(vcard), ..Default::default() };
    let mut child = message!(image_message: image("satu dari dua"));
    child.message_context_info = some(wa::MessageContextInfo {
        message_association: some(wa::MessageAssociation {
            association_type: Some(wa::message_association::AssociationType::MEDIA_ALBUM),
            parent_message_key: key("ALBUM"),
            ..Default::default()
        }),
        ..Default::default()
    });
    let album = AlbumMessage { expected_image_count: Some(2), ..Default::default() };
    let chat = message::Chat { id: text("7"), ..Default::default() };
    vec![
        ("comment", message!(comment_message: comment)),
        ("pin", message!(pin_in_chat_message: pin)),
        ("gif", message!(video_message: gif)),
        ("contact", message!(contact_message: contact)),
        ("album", message!(album_message: album)),
        ("picture of an album", child),
        (
            "group status",
            wa::Message {
                group_status_message_v2: wrapped(says("buka jam 8")),
                ..Default::default()
            },
        ),
        (
            "forwarded by a bot",
            wa::Message { bot_forwarded_message: wrapped(says("jawaban")), ..Default::default() },
        ),
        ("not understood", message!(chat: chat)),
    ]
}

/// What is said in answer to something.
fn answers() -> Vec<(&'static str, wa::Message)> {
    use message::interactive_response_message::{
        Body as Pressed, InteractiveResponseMessage as Response, NativeFlowResponseMessage,
    };
    use wa::context_info::ExternalAdReplyInfo;
    let ad = ExternalAdReplyInfo {
        title: text("Diskon"),
        source_id: text("ad-7"),
        ctwa_clid: text("click-7"),
        source_url: text("https://fb.example/ad"),
        ..Default::default()
    };
    let context = |context: wa::ContextInfo, words: &str| ExtendedTextMessage {
        text: text(words),
        context_info: some(context),
        ..Default::default()
    };
    let from_ad = wa::ContextInfo {
        external_ad_reply: some(ad),
        expiration: Some(86_400),
        ..Default::default()
    };
    let quoted = message!(image_message: image("bukti transfer"));
    let reply = wa::ContextInfo {
        stanza_id: text("QUOTED"),
        quoted_message: some(quoted),
        mentioned_jid: vec!["628555000112@s.whatsapp.net".to_owned()],
        ..Default::default()
    };
    let pressed = InteractiveResponseMessage {
        body: some(Pressed { text: text("Beli"), ..Default::default() }),
        interactive_response_message: Some(Response::NativeFlowResponseMessage(Box::new(
            NativeFlowResponseMessage {
                name: text("quick_reply"),
                params_json: text(r#"{"id":"buy-1","note":"x"}"#),
                ..Default::default()
            },
        ))),
        ..Default::default()
    };
    vec![
        ("from an advertisement", message!(extended_text_message: context(from_ad, "masih ada?"))),
        ("answer to a picture", message!(extended_text_message: context(reply, "sudah"))),
        ("press", message!(interactive_response_message: pressed)),
    ]
}
