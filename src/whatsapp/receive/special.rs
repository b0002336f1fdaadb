//! What WhatsApp has beside texts, files and polls: events, invitations, calls in a chat, albums, pins.

use serde_json::{Value, json};
use wa_rs::waproto::whatsapp as wa;
use wa_rs::waproto::whatsapp::message::{CallLogMessage, EventMessage, PollResultSnapshotMessage};

use super::body::{Body, target, word};
use crate::model::MessageKind;

pub(crate) fn special(m: &wa::Message) -> Option<Body> {
    about_a_message(m).or_else(|| happening(m)).or_else(|| invitation(m)).or_else(|| collection(m))
}

/// What is done with another message, or said about it.
fn about_a_message(m: &wa::Message) -> Option<Body> {
    use wa::message::pin_in_chat_message::Type;
    if let Some(pin) = m.pin_in_chat_message.as_option() {
        let pinned = pin.r#type != Some(Type::UNPIN_FOR_ALL);
        return Some(
            target(Body::new(MessageKind::Pin), pin.key.as_option()).detail("pinned", pinned),
        );
    }
    if let Some(keep) = m.keep_in_chat_message.as_option() {
        let kept = keep.keep_type != Some(wa::KeepType::UNDO_KEEP_FOR_ALL);
        return Some(
            target(Body::new(MessageKind::Keep), keep.key.as_option()).detail("kept", kept),
        );
    }
    if let Some(comment) = m.enc_comment_message.as_option() {
        return Some(target(
            Body::new(MessageKind::Comment),
            comment.target_message_key.as_option(),
        ));
    }
    if let Some(response) = m.enc_event_response_message.as_option() {
        let event = response.event_creation_message_key.as_option();
        return Some(target(Body::new(MessageKind::EventResponse), event));
    }
    if let Some(added) = m.poll_add_option_message.as_option() {
        let option = added.add_option.as_option().and_then(|option| option.option_name.clone());
        let poll = added.poll_creation_message_key.as_option();
        return Some(target(Body::new(MessageKind::PollOption), poll).detail("option", option));
    }
    if let Some(answer) = m.question_response_message.as_option() {
        return Some(
            target(Body::new(MessageKind::Text), answer.key.as_option()).text(answer.text.as_ref()),
        );
    }
    if let Some(answer) = m.status_question_answer_message.as_option() {
        return Some(
            target(Body::new(MessageKind::Text), answer.key.as_option()).text(answer.text.as_ref()),
        );
    }
    let quoted = m.status_quoted_message.as_option()?;
    Some(
        target(Body::new(MessageKind::Text), quoted.original_status_id.as_option())
            .text(quoted.text.as_ref()),
    )
}

/// Something that takes place at a time.
fn happening(m: &wa::Message) -> Option<Body> {
    if let Some(message) = m.event_message.as_option() {
        return Some(event(message));
    }
    if let Some(call) = m.scheduled_call_creation_message.as_option() {
        let body = Body::new(MessageKind::ScheduledCall)
            .text(call.title.as_ref())
            .detail("start_ms", call.scheduled_timestamp_ms)
            .detail("call", call.call_type.map(word));
        return Some(body);
    }
    m.call_log_messsage.as_option().map(call_log)
}

fn event(message: &EventMessage) -> Body {
    let place = message.location.as_option().map(|place| {
        json!({
            "latitude": place.degrees_latitude,
            "longitude": place.degrees_longitude,
            "name": place.name,
            "address": place.address,
        })
    });
    Body::new(MessageKind::Event)
        .lines([message.name.as_ref(), message.description.as_ref()])
        .detail("start", message.start_time)
        .detail("end", message.end_time)
        .detail("canceled", message.is_canceled)
        .detail("join_link", message.join_link.clone())
        .detail("location", place)
}

fn call_log(call: &CallLogMessage) -> Body {
    Body::new(MessageKind::CallLog)
        .detail("video", call.is_video)
        .detail("outcome", call.call_outcome.map(word))
        .detail("seconds", call.duration_secs)
}

fn invitation(m: &wa::Message) -> Option<Body> {
    if let Some(invite) = m.group_invite_message.as_option() {
        let body = Body::new(MessageKind::GroupInvite)
            .text(invite.caption.as_ref())
            .detail("group", invite.group_jid.clone())
            .detail("name", invite.group_name.clone())
            .detail("code", invite.invite_code.clone())
            .detail("expires", invite.invite_expiration);
        return Some(body);
    }
    if let Some(invite) = m.event_invite_message.as_option() {
        let body = Body::new(MessageKind::EventInvite)
            .lines([invite.event_title.as_ref(), invite.caption.as_ref()])
            .detail("event", invite.event_id.clone())
            .detail("start", invite.start_time)
            .detail("end", invite.end_time);
        return Some(body);
    }
    if let Some(invite) = m.newsletter_admin_invite_message.as_option() {
        let body = Body::new(MessageKind::ChannelInvite)
            .text(invite.caption.as_ref())
            .detail("channel", invite.newsletter_jid.clone())
            .detail("name", invite.newsletter_name.clone())
            .detail("admin", true);
        return Some(body);
    }
    if let Some(invite) = m.newsletter_follower_invite_message_v2.as_option() {
        let body = Body::new(MessageKind::ChannelInvite)
            .text(invite.caption.as_ref())
            .detail("channel", invite.newsletter_jid.clone())
            .detail("name", invite.newsletter_name.clone())
            .detail("admin", false);
        return Some(body);
    }
    m.request_phone_number_message.as_option()?;
    Some(Body::new(MessageKind::PhoneNumberRequest))
}

/// What holds several things.
fn collection(m: &wa::Message) -> Option<Body> {
    if let Some(album) = m.album_message.as_option() {
        let body = Body::new(MessageKind::Album)
            .detail("images", album.expected_image_count)
            .detail("videos", album.expected_video_count);
        return Some(body);
    }
    if let Some(pack) = m.sticker_pack_message.as_option() {
        let body = Body::new(MessageKind::StickerPack)
            .lines([pack.name.as_ref(), pack.caption.as_ref()])
            .detail("pack", pack.sticker_pack_id.clone())
            .detail("publisher", pack.publisher.clone())
            .detail("stickers", pack.stickers.len());
        return Some(body);
    }
    let result = m.poll_result_snapshot_message.as_option();
    result.or(m.poll_result_snapshot_message_v3.as_option()).map(poll_result)
}

fn poll_result(result: &PollResultSnapshotMessage) -> Body {
    let vote = |vote: &wa::message::poll_result_snapshot_message::PollVote| -> Value {
        json!({ "option": vote.option_name, "votes": vote.option_vote_count })
    };
    Body::new(MessageKind::PollResult)
        .text(result.name.as_ref())
        .list("options", result.poll_votes.iter().map(vote))
}
