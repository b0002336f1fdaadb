//! What WhatsApp's codes mean where groups are concerned.

use wa_rs::{GroupError, IqError};

use crate::whatsapp::error::WhatsAppError;

/// Why WhatsApp does not do what was asked of a group.
pub(super) fn refused(error: GroupError) -> WhatsAppError {
    match error {
        GroupError::Iq(error) => of_iq(error),
        GroupError::DescriptionConflict => {
            WhatsAppError::Refused("409: the description was changed meanwhile".to_owned())
        }
        error => WhatsAppError::Refused(error.to_string()),
    }
}

pub(super) fn of_iq(error: IqError) -> WhatsAppError {
    match error {
        IqError::ServerError { code, .. } if let Some(words) = words(code) => {
            WhatsAppError::Refused(format!("{code}: {words}"))
        }
        error => error.into(),
    }
}

fn words(code: u16) -> Option<&'static str> {
    Some(match code {
        304 => "the account is a member already",
        401 | 403 => {
            "only an admin of the group may do this, or the account is not in the group (any more)"
        }
        405 => "an admin has removed the account from the group",
        406 => "WhatsApp does not take this text, code or address",
        409 => "it is so already, or was changed meanwhile",
        410 => "the invite link was reset, or the group is gone",
        412 => "the community is full",
        416 | 423 => "WhatsApp has locked the group",
        419 => "the group is full",
        436 => "WhatsApp has switched the group's invite link off for now",
        _ => return None,
    })
}

/// Why WhatsApp did not do it with one member.
pub(super) fn of_member(code: &str) -> &'static str {
    match code {
        "401" => "they have blocked the account, or it is not an admin of the group",
        "403" => "they let only their contacts add them to groups; they have to be invited",
        "404" => "they are not in the group, or not on WhatsApp",
        "406" => "this cannot be done with the owner of the group",
        "408" => "they left the group not long ago; they have to be invited",
        "409" => "it is so already",
        "419" => "the group is full",
        "500" => "WhatsApp could not do it now",
        _ => "WhatsApp refused",
    }
}
