//! Channels: which the account follows, what is posted in them, and what it does there. Each is a question to WhatsApp on the
//! caller's task; posts in an own channel go through the send queue like any message.

use serde::Serialize;
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::{
    MexError, NewsletterError, NewsletterMessage, NewsletterMetadata, NewsletterRole,
    NewsletterState, NewsletterVerification,
};

use crate::model::{Jid, UnixMillis};
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, inside, outside, timely};

/// What all links begin with.
const LINKS: &str = "https://whatsapp.com/channel/";

/// The code in a channel's link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChannelCode(String);

impl ChannelCode {
    /// Reads a link, or the code alone.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let code = text.strip_prefix(LINKS).unwrap_or(text);
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        ((8..=64).contains(&code.len()) && code.bytes().all(good)).then(|| Self(code.to_owned()))
    }
}

/// What is known of a channel.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Channel {
    id: Jid,
    name: String,
    description: Option<String>,
    /// Its link.
    link: Option<String>,
    followers: u64,
    verified: bool,
    /// `active`, `suspended` or `geosuspended`.
    state: &'static str,
    /// What the account is there; none when it does not follow it.
    role: Option<&'static str>,
    created: Option<UnixMillis>,
}

/// A post, as WhatsApp keeps it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Post {
    /// WhatsApp's number for it within its channel.
    #[serde(rename = "post")]
    number: u64,
    /// The id of its message; none where WhatsApp does not say it.
    message: Option<String>,
    from_me: bool,
    text: Option<String>,
    at: UnixMillis,
    reactions: Vec<Reactions>,
}

#[derive(Clone, Debug, Serialize)]
struct Reactions {
    emoji: String,
    count: u64,
}

impl Channel {
    fn of(found: NewsletterMetadata) -> Result<Self, WhatsAppError> {
        Ok(Self {
            id: outside(&found.jid)?,
            name: found.name,
            description: found.description.filter(|text| !text.is_empty()),
            link: found.invite_code.map(|code| format!("{LINKS}{code}")),
            followers: found.subscriber_count,
            verified: found.verification == NewsletterVerification::Verified,
            state: match found.state {
                NewsletterState::Suspended => "suspended",
                NewsletterState::Geosuspended => "geosuspended",
                _ => "active",
            },
            role: found.role.and_then(|role| match role {
                NewsletterRole::Owner => Some("owner"),
                NewsletterRole::Admin => Some("admin"),
                NewsletterRole::Subscriber => Some("follower"),
                _ => None,
            }),
            created: found.creation_time.map(UnixMillis::from_secs),
        })
    }
}

impl Post {
    fn of(post: NewsletterMessage) -> Self {
        let base = post.message.as_ref().map(MessageExt::get_base_message);
        let text = base.and_then(|base| {
            let long = base.extended_text_message.as_option().and_then(|text| text.text.clone());
            base.conversation.clone().or(long).or_else(|| base.get_caption().map(str::to_owned))
        });
        let reactions = post.reactions.into_iter();
        Self {
            number: post.server_id,
            message: Some(post.message_id).filter(|id| !id.is_empty()),
            from_me: post.is_sender,
            text,
            at: UnixMillis::from_secs(post.timestamp),
            reactions: reactions
                .map(|one| Reactions { emoji: one.code, count: one.count })
                .collect(),
        }
    }
}

impl DeviceHandle {
    /// The channels that the account follows, its own among them, by name.
    pub(crate) async fn channels(&self) -> Result<Vec<Channel>, WhatsAppError> {
        let client = self.client()?;
        let found = asked(client.newsletter().list_subscribed()).await?;
        let mut channels = found.into_iter().map(Channel::of).collect::<Result<Vec<_>, _>>()?;
        channels.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(channels)
    }

    pub(crate) async fn channel(&self, id: &Jid) -> Result<Channel, WhatsAppError> {
        let (client, jid) = (self.client()?, inside(id)?);
        Channel::of(asked(client.newsletter().get_metadata(&jid)).await?)
    }

    /// The channel that a link leads to.
    pub(crate) async fn preview_channel(
        &self,
        code: &ChannelCode,
    ) -> Result<Channel, WhatsAppError> {
        let client = self.client()?;
        Channel::of(asked(client.newsletter().get_metadata_by_invite(&code.0)).await?)
    }

    pub(crate) async fn create_channel(
        &self,
        name: &str,
        description: Option<&str>,
    ) -> Result<Channel, WhatsAppError> {
        let client = self.client()?;
        Channel::of(asked(client.newsletter().create(name, description)).await?)
    }

    /// Follows a channel, or no longer does.
    pub(crate) async fn follow(&self, id: &Jid, on: bool) -> Result<(), WhatsAppError> {
        let (client, jid) = (self.client()?, inside(id)?);
        if on {
            return asked(client.newsletter().join(&jid)).await.map(drop);
        }
        asked(client.newsletter().leave(&jid)).await
    }

    /// The newest posts before one, newest last.
    pub(crate) async fn posts(
        &self,
        id: &Jid,
        most: u32,
        before: Option<u64>,
    ) -> Result<Vec<Post>, WhatsAppError> {
        let (client, jid) = (self.client()?, inside(id)?);
        let posts = asked(client.newsletter().get_messages(jid, most, before)).await?;
        Ok(posts.into_iter().map(Post::of).collect())
    }

    /// Reacts to a post; without an emoji the reaction is taken back.
    pub(crate) async fn react_to_post(
        &self,
        id: &Jid,
        post: u64,
        emoji: &str,
    ) -> Result<(), WhatsAppError> {
        let (client, jid) = (self.client()?, inside(id)?);
        asked(client.newsletter().send_reaction(&jid, post, emoji)).await
    }
}

async fn asked<T>(
    question: impl Future<Output = Result<T, NewsletterError>>,
) -> Result<T, WhatsAppError> {
    Ok(timely(Box::pin(question)).await??)
}

impl From<NewsletterError> for WhatsAppError {
    fn from(error: NewsletterError) -> Self {
        match error {
            NewsletterError::Iq(error) | NewsletterError::Mex(MexError::Request(error)) => {
                error.into()
            }
            NewsletterError::Client(_) => Self::NotConnected,
            NewsletterError::Mex(MexError::ExtensionError { code: 404 | 410, .. }) => {
                Self::NotFound
            }
            // The engine's words for an answer without a channel.
            NewsletterError::InvalidRequest(why) if why.starts_with("newsletter not found") => {
                Self::NotFound
            }
            error => Self::Refused(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_out_of_a_link_or_alone() {
        let code = Some(ChannelCode("0029Va4K0PZ5a245NkngBA2M".to_owned()));
        for text in
            ["0029Va4K0PZ5a245NkngBA2M", " https://whatsapp.com/channel/0029Va4K0PZ5a245NkngBA2M "]
        {
            assert_eq!(ChannelCode::parse(text), code, "{text}");
        }
        for text in
            ["", "short", "https://chat.whatsapp.com/0029Va4K0PZ5a245NkngBA2M", "a b c d e f"]
        {
            assert_eq!(ChannelCode::parse(text), None, "{text}");
        }
    }
}
