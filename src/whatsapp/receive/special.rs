//! What WhatsApp has beside texts, files and polls: events, invitations, calls in a chat, albums, pins.

use wa_rs::waproto::whatsapp as wa;
use wa_rs::waproto::whatsapp::message::{CallLogMessage, EventMessage, PollResultSnapshotMessage};

use super::body::{Said, list, target, word};
use crate::model::Body;
use crate::model::detail::{
    Album, CallLog, ChannelInvite, EventInvite, EventResponse, GroupInvite, Happening, Keep, Pin,
    PollOption, PollResult, ScheduledCall, StickerPack, Venue, Votes,
};

pub(crate) fn special(m: &wa::Message) -> Option<Said> {
    about_a_message(m).or_else(|| happening(m)).or_else(|| invitation(m)).or_else(|| collection(m))
}

/// What is done with another message, or said about it.
fn about_a_message(m: &wa::Message) -> Option<Said> {
    use wa::message::pin_in_chat_message::Type;
    if let Some(pin) = m.pin_in_chat_message.as_option() {
        let pinned = pin.r#type != Some(Type::UNPIN_FOR_ALL);
        return Some(Said::new(Body::Pin(Pin { about: target(pin.key.as_option()), pinned })));
    }
    if let Some(keep) = m.keep_in_chat_message.as_option() {
        let kept = keep.keep_type != Some(wa::KeepType::UNDO_KEEP_FOR_ALL);
        return Some(Said::new(Body::Keep(Keep { about: target(keep.key.as_option()), kept })));
    }
    if let Some(comment) = m.enc_comment_message.as_option() {
        let about = target(comment.target_message_key.as_option());
        return Some(Said::new(Body::Comment(about)));
    }
    if let Some(response) = m.enc_event_response_message.as_option() {
        let event = target(response.event_creation_message_key.as_option());
        let answer = EventResponse { event, ..EventResponse::default() };
        return Some(Said::new(Body::EventResponse(answer)));
    }
    if let Some(added) = m.poll_add_option_message.as_option() {
        let option = added.add_option.as_option().and_then(|option| option.option_name.clone());
        let poll = target(added.poll_creation_message_key.as_option());
        return Some(Said::new(Body::PollOption(PollOption { poll, option })));
    }
    if let Some(answer) = m.question_response_message.as_option() {
        return Some(answered(answer.key.as_option(), answer.text.as_ref()));
    }
    if let Some(answer) = m.status_question_answer_message.as_option() {
        return Some(answered(answer.key.as_option(), answer.text.as_ref()));
    }
    let quoted = m.status_quoted_message.as_option()?;
    Some(answered(quoted.original_status_id.as_option(), quoted.text.as_ref()))
}

fn answered(key: Option<&wa::MessageKey>, text: Option<&String>) -> Said {
    Said::new(Body::text()).text(text).about(key)
}

/// Something that takes place at a time.
fn happening(m: &wa::Message) -> Option<Said> {
    if let Some(message) = m.event_message.as_option() {
        return Some(event(message));
    }
    if let Some(call) = m.scheduled_call_creation_message.as_option() {
        let details =
            ScheduledCall { start_ms: call.scheduled_timestamp_ms, call: call.call_type.map(word) };
        return Some(Said::new(Body::ScheduledCall(details)).text(call.title.as_ref()));
    }
    m.call_log_messsage.as_option().map(call_log)
}

fn event(message: &EventMessage) -> Said {
    let location = message.location.as_option().map(|place| Venue {
        latitude: place.degrees_latitude.filter(|degrees| degrees.is_finite()),
        longitude: place.degrees_longitude.filter(|degrees| degrees.is_finite()),
        name: place.name.clone(),
        address: place.address.clone(),
    });
    let details = Happening {
        start: message.start_time,
        end: message.end_time,
        canceled: message.is_canceled,
        join_link: message.join_link.clone(),
        location,
    };
    Said::new(Body::Event(details)).lines([message.name.as_ref(), message.description.as_ref()])
}

fn call_log(call: &CallLogMessage) -> Said {
    Said::new(Body::CallLog(CallLog {
        video: call.is_video,
        outcome: call.call_outcome.map(word),
        seconds: call.duration_secs,
    }))
}

fn invitation(m: &wa::Message) -> Option<Said> {
    if let Some(invite) = m.group_invite_message.as_option() {
        let details = GroupInvite {
            group: invite.group_jid.clone(),
            name: invite.group_name.clone(),
            code: invite.invite_code.clone(),
            expires: invite.invite_expiration,
        };
        return Some(Said::new(Body::GroupInvite(details)).text(invite.caption.as_ref()));
    }
    if let Some(invite) = m.event_invite_message.as_option() {
        let details = EventInvite {
            event: invite.event_id.clone(),
            start: invite.start_time,
            end: invite.end_time,
        };
        let lines = [invite.event_title.as_ref(), invite.caption.as_ref()];
        return Some(Said::new(Body::EventInvite(details)).lines(lines));
    }
    if let Some(invite) = m.newsletter_admin_invite_message.as_option() {
        let details = ChannelInvite {
            channel: invite.newsletter_jid.clone(),
            name: invite.newsletter_name.clone(),
            admin: true,
        };
        return Some(Said::new(Body::ChannelInvite(details)).text(invite.caption.as_ref()));
    }
    if let Some(invite) = m.newsletter_follower_invite_message_v2.as_option() {
        let details = ChannelInvite {
            channel: invite.newsletter_jid.clone(),
            name: invite.newsletter_name.clone(),
            admin: false,
        };
        return Some(Said::new(Body::ChannelInvite(details)).text(invite.caption.as_ref()));
    }
    m.request_phone_number_message.as_option()?;
    Some(Said::new(Body::PhoneNumberRequest))
}

/// What holds several things.
fn collection(m: &wa::Message) -> Option<Said> {
    if let Some(album) = m.album_message.as_option() {
        return Some(Said::new(Body::Album(Album {
            images: album.expected_image_count,
            videos: album.expected_video_count,
        })));
    }
    if let Some(pack) = m.sticker_pack_message.as_option() {
        let details = StickerPack {
            pack: pack.sticker_pack_id.clone(),
            publisher: pack.publisher.clone(),
            stickers: pack.stickers.len(),
        };
        let lines = [pack.name.as_ref(), pack.caption.as_ref()];
        return Some(Said::new(Body::StickerPack(details)).lines(lines));
    }
    let result = m.poll_result_snapshot_message.as_option();
    result.or(m.poll_result_snapshot_message_v3.as_option()).map(poll_result)
}

fn poll_result(result: &PollResultSnapshotMessage) -> Said {
    let votes = result
        .poll_votes
        .iter()
        .map(|vote| Votes { option: vote.option_name.clone(), votes: vote.option_vote_count });
    let details = PollResult { options: list(votes) };
    Said::new(Body::PollResult(details)).text(result.name.as_ref())
}
