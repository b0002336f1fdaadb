//! Files and places, what is done with another message, invitations and calls.

use moonwa_simulator::wa;
use moonwa_simulator::wa::message::{
    self, AudioMessage, CallLogMessage, DocumentMessage, EncCommentMessage,
    EncEventResponseMessage, EventInviteMessage, KeepInChatMessage, LiveLocationMessage,
    LocationMessage, NewsletterAdminInviteMessage, PollAddOptionMessage, PollUpdateMessage,
    ProtocolMessage, ReactionMessage, RequestPhoneNumberMessage, ScheduledCallCreationMessage,
    StickerMessage,
};

use super::{Sample, image, key, message, says, some, text};

pub(super) fn all() -> Vec<Sample> {
    [files(), places(), about(), invitations()].concat()
}

fn sound(ptt: bool) -> AudioMessage {
    AudioMessage {
        direct_path: text("/v/t62/sound"),
        mimetype: text("audio/ogg; codecs=opus"),
        media_key: Some(vec![7; 32]),
        seconds: Some(4),
        ptt: Some(ptt),
        ..Default::default()
    }
}

fn files() -> Vec<Sample> {
    let document = DocumentMessage {
        direct_path: text("/v/t62/document"),
        mimetype: text("application/pdf"),
        media_key: Some(vec![7; 32]),
        file_name: text("nota.pdf"),
        caption: text("Nota bulan ini"),
        ..Default::default()
    };
    let sticker = StickerMessage {
        direct_path: text("/v/t62/sticker"),
        mimetype: text("image/webp"),
        media_key: Some(vec![7; 32]),
        ..Default::default()
    };
    vec![
        ("text", says("halo")),
        ("picture", message!(image_message: image("bukti transfer"))),
        ("sound", message!(audio_message: sound(false))),
        ("voice note", message!(audio_message: sound(true))),
        ("document", message!(document_message: document)),
        ("sticker", message!(sticker_message: sticker)),
    ]
}

fn places() -> Vec<Sample> {
    let place = LocationMessage {
        degrees_latitude: Some(-6.2),
        degrees_longitude: Some(106.8),
        name: text("Toko"),
        address: text("Jl. Melati 7"),
        ..Default::default()
    };
    let moving = LiveLocationMessage {
        degrees_latitude: Some(-6.2),
        degrees_longitude: Some(106.8),
        accuracy_in_meters: Some(12),
        caption: text("sebentar lagi"),
        ..Default::default()
    };
    vec![
        ("place", message!(location_message: place)),
        ("moving place", message!(live_location_message: moving)),
    ]
}

/// What is done with another message.
fn about() -> Vec<Sample> {
    let reaction = ReactionMessage { key: key("LIKED"), text: text("👍"), ..Default::default() };
    let revoke = ProtocolMessage {
        key: key("REVOKED"),
        r#type: Some(message::protocol_message::Type::REVOKE),
        ..Default::default()
    };
    let edit = ProtocolMessage {
        key: key("EDITED"),
        r#type: Some(message::protocol_message::Type::MESSAGE_EDIT),
        edited_message: some(says("besok jam 9")),
        ..Default::default()
    };
    let keep = KeepInChatMessage {
        key: key("KEPT"),
        keep_type: Some(wa::KeepType::KEEP_FOR_ALL),
        ..Default::default()
    };
    let vote = PollUpdateMessage { poll_creation_message_key: key("POLL"), ..Default::default() };
    let option =
        message::poll_creation_message::Option { option_name: text("Rabu"), ..Default::default() };
    let added = PollAddOptionMessage {
        poll_creation_message_key: key("POLL"),
        add_option: some(option),
        ..Default::default()
    };
    let response =
        EncEventResponseMessage { event_creation_message_key: key("EVENT"), ..Default::default() };
    let comment = EncCommentMessage { target_message_key: key("POST"), ..Default::default() };
    vec![
        ("comment that only members read", message!(enc_comment_message: comment)),
        ("reaction", message!(reaction_message: reaction)),
        ("revoke", message!(protocol_message: revoke)),
        ("edit", message!(protocol_message: edit)),
        ("keep", message!(keep_in_chat_message: keep)),
        ("vote in a poll nobody saw", message!(poll_update_message: vote)),
        ("option added to a poll", message!(poll_add_option_message: added)),
        ("answer to an event nobody saw", message!(enc_event_response_message: response)),
    ]
}

fn invitations() -> Vec<Sample> {
    use message::call_log_message::CallOutcome;
    use message::scheduled_call_creation_message::CallType;
    let event = EventInviteMessage {
        event_id: text("e-1"),
        event_title: text("Arisan"),
        caption: text("Datang ya"),
        start_time: Some(1_780_000_000),
        ..Default::default()
    };
    let channel = NewsletterAdminInviteMessage {
        newsletter_jid: text("1203@newsletter"),
        newsletter_name: text("Kabar Toko"),
        caption: text("Bantu kami"),
        ..Default::default()
    };
    let call = ScheduledCallCreationMessage {
        scheduled_timestamp_ms: Some(1_780_000_000_000),
        call_type: Some(CallType::VIDEO),
        title: text("Rapat"),
    };
    let log = CallLogMessage {
        is_video: Some(true),
        call_outcome: Some(CallOutcome::MISSED),
        ..Default::default()
    };
    vec![
        ("invitation to an event", message!(event_invite_message: event)),
        ("invitation to a channel", message!(newsletter_admin_invite_message: channel)),
        (
            "asks for the number",
            message!(request_phone_number_message: RequestPhoneNumberMessage::default()),
        ),
        ("planned call", message!(scheduled_call_creation_message: call)),
        ("call", message!(call_log_messsage: log)),
    ]
}
