//! Whom a message mentions. A group writes its members by LID or by number, and a phone shows and notifies only those who are
//! written as the group does it, in the list as well as in the text.

use wa_rs::client::Client;
use wa_rs::types::message::AddressingMode;
use wa_rs::{GroupError, Jid};

use crate::model::{Recipient, SendRequest};
use crate::whatsapp::send::failure::Failure;

/// Somebody who is mentioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// The digits that stand in the text after an `@`.
    pub(crate) written: String,
    /// The address that the chat knows them by.
    pub(crate) jid: String,
}

impl Mention {
    fn as_written(recipient: &Recipient) -> Self {
        let jid = recipient.jid();
        Self { written: jid.user().to_owned(), jid: jid.into() }
    }
}

/// Those whom a request mentions, by the addresses that its chat uses.
pub(crate) async fn of(
    client: &Client,
    to: &Jid,
    request: &SendRequest,
) -> Result<Vec<Mention>, Failure> {
    let mut mentions: Vec<_> = request.mentions.iter().map(Mention::as_written).collect();
    if (mentions.is_empty() && !request.mention_all) || !request.to.jid().is_group() {
        return Ok(mentions);
    }
    let group = client.groups().query_info(to).await.map_err(|error| match error {
        GroupError::Iq(error) => error.into(),
        error => Failure::Later(error.to_string()),
    })?;
    for mention in &mut mentions {
        let user = &mention.written;
        let lid = group.lid_user_for_phone_user(user).map(|lid| format!("{lid}@lid"));
        let phone = group.phone_jid_for_lid_user(user).map(Jid::to_non_ad_string);
        let other = if group.addressing_mode == AddressingMode::Lid { lid } else { phone };
        mention.jid = other.unwrap_or_else(|| std::mem::take(&mut mention.jid));
    }
    if request.mention_all {
        for member in group.participants.iter().map(Jid::to_non_ad_string) {
            if !mentions.iter().any(|mention| mention.jid == member) {
                let written = member.split('@').next().unwrap_or_default().to_owned();
                mentions.push(Mention { written, jid: member });
            }
        }
    }
    Ok(mentions)
}

/// A text with everybody who is mentioned written as in the list.
pub(crate) fn written(text: &str, mentions: &[Mention]) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, piece) in text.split('@').enumerate() {
        let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (digits, rest) = piece.split_at(digits);
        let known = mentions.iter().find(|mention| n > 0 && mention.written == digits);
        let user = known.and_then(|mention| mention.jid.split('@').next()).unwrap_or(digits);
        if n > 0 {
            out.push('@');
        }
        out.push_str(user);
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_after_an_at_are_mentions() {
        let mentions = [("628111", "1555@lid"), ("6281", "6281@s.whatsapp.net")]
            .map(|(written, jid)| Mention { written: written.to_owned(), jid: jid.to_owned() });
        for (text, expected) in [
            ("@628111 dan @6281, ya", "@1555 dan @6281, ya"),
            ("628111 @6281110 a@628111", "628111 @6281110 a@1555"),
            ("@", "@"),
            ("", ""),
            ("@@628111@", "@@1555@"),
        ] {
            assert_eq!(written(text, &mentions), expected);
        }
    }
}
