//! What is marked in a chat, for everybody there: a message that is pinned, and the timer.

use wa_rs::buffa::MessageField;
use wa_rs::waproto::whatsapp as wa;

/// Pins a message, or takes the pin off: for 0 seconds.
pub(crate) fn pin(key: wa::MessageKey, seconds: u32, now: i64) -> wa::Message {
    use wa::message::pin_in_chat_message::Type;
    let kind = if seconds == 0 { Type::UNPIN_FOR_ALL } else { Type::PIN_FOR_ALL };
    let pin = wa::message::PinInChatMessage {
        key: MessageField::some(key),
        r#type: Some(kind),
        sender_timestamp_ms: Some(now),
    };
    let info = wa::MessageContextInfo {
        message_add_on_duration_in_secs: Some(seconds),
        ..Default::default()
    };
    wa::Message {
        pin_in_chat_message: MessageField::some(pin),
        message_context_info: MessageField::some(info),
        ..Default::default()
    }
}

/// Says after how long the messages of a chat disappear.
pub(crate) fn timer(seconds: u32, now: i64) -> wa::message::ProtocolMessage {
    wa::message::ProtocolMessage {
        r#type: Some(wa::message::protocol_message::Type::EPHEMERAL_SETTING),
        ephemeral_expiration: Some(seconds),
        ephemeral_setting_timestamp: Some(now / 1000),
        ..Default::default()
    }
}
