//! The kinds of messages people send besides text: files, replies, reactions, edits, revokes,
//! polls, places and contacts.

use anyhow::{Context as _, Result};
use buffa::MessageField;
use wacore::download::MediaType;
use wacore_binary::Server;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::{
    AudioMessage, ContactMessage, DocumentMessage, ExtendedTextMessage, FutureProofMessage,
    ImageMessage, LocationMessage, PollCreationMessage, ProtocolMessage, ReactionMessage,
    StickerMessage, VideoMessage, poll_creation_message, protocol_message,
};

use crate::Phone;
use crate::util::{now, random};
use crate::world::World;

/// A file to send.
#[derive(Clone, Debug)]
pub enum File {
    /// A picture with an optional caption.
    Image(Option<String>),
    /// A film with an optional caption.
    Video(Option<String>),
    /// Sound; true for a voice message.
    Audio(bool),
    /// A document with its file name.
    Document(String),
    /// A sticker.
    Sticker,
}

impl World {
    fn file_message(&mut self, bytes: &[u8], mime: &str, file: File) -> Result<wa::Message> {
        let kind = match file {
            File::Image(_) => MediaType::Image,
            File::Video(_) => MediaType::Video,
            File::Audio(_) => MediaType::Audio,
            File::Document(_) => MediaType::Document,
            File::Sticker => MediaType::Sticker,
        };
        let stored = self.phone_upload(bytes, kind)?;
        // The five messages have the same fields for the file, but no common type.
        macro_rules! filled {
            ($kind:ident { $($field:ident : $value:expr),* }) => {
                MessageField::some($kind {
                    url: Some(stored.url),
                    direct_path: Some(stored.direct_path),
                    mimetype: Some(mime.to_owned()),
                    file_sha256: Some(stored.media.file_sha256.to_vec()),
                    file_enc_sha256: Some(stored.media.file_enc_sha256.to_vec()),
                    media_key: Some(stored.media.media_key.to_vec()),
                    media_key_timestamp: i64::try_from(now()).ok(),
                    file_length: Some(stored.length),
                    $($field: $value,)*
                    ..Default::default()
                })
            };
        }
        let mut message = wa::Message::default();
        match file {
            File::Image(caption) => {
                message.image_message = filled!(ImageMessage { caption: caption });
            }
            File::Video(caption) => {
                message.video_message = filled!(VideoMessage { caption: caption });
            }
            File::Audio(voice) => {
                message.audio_message = filled!(AudioMessage { ptt: Some(voice) });
            }
            File::Document(name) => {
                message.document_message = filled!(DocumentMessage { file_name: Some(name) });
            }
            File::Sticker => {
                message.sticker_message =
                    filled!(StickerMessage { width: Some(512), height: Some(512) });
            }
        }
        Ok(message)
    }

    /// The key of a message the phone knows: one it received, or one it sent.
    /// Whether that phone's owner wrote a message of the time before companions were linked.
    fn wrote_before(&self, pn: &str, id: &str) -> Result<bool> {
        let mut all = self.accounts.iter().flat_map(|(owner, account)| {
            account.phone.past.iter().map(move |past| (owner == pn, past))
        });
        let found = all.find(|(own, past)| past.id == id && (*own || past.chat == pn));
        let (own, past) = found.with_context(|| format!("{pn} knows no message {id}"))?;
        Ok(own == past.from_me)
    }

    fn message_key(&self, pn: &str, chat: &str, id: &str) -> Result<(wa::MessageKey, wa::Message)> {
        let account = self.accounts.get(pn).context("no such phone")?;
        let received =
            account.phone.inbox.iter().rev().find_map(|item| item.message().filter(|m| m.id == id));
        let sent = account.phone.sent.get(id);
        let (from_me, content) = match (received, sent) {
            (Some(m), _) => (m.from_me, m.message.clone()),
            (None, Some(sent)) => (true, sent.message.clone()),
            (None, None) => (self.wrote_before(pn, id)?, wa::Message::default()),
        };
        let author = received.map_or(pn, |m| m.from.as_str());
        let group = self.groups.get(chat).map(crate::group::GroupState::jid);
        let participant = match (&group, self.accounts.get(author)) {
            (Some(_), Some(author)) => Some(author.jid(Server::Lid).to_string()),
            _ => None,
        };
        let form = account.server();
        let remote = match group {
            Some(group) => group,
            None => self.accounts.get(chat).context("no such chat")?.jid(form),
        };
        let key = wa::MessageKey {
            remote_jid: Some(remote.to_string()),
            from_me: Some(from_me),
            id: Some(id.to_owned()),
            participant,
        };
        Ok((key, content))
    }
}

impl Phone {
    /// Sends a file.
    pub async fn send_file(
        &self,
        to: impl AsRef<str>,
        bytes: &[u8],
        mime: &str,
        file: File,
    ) -> Result<String> {
        let message = self.sim.world().file_message(bytes, mime, file)?;
        self.send(to, message).await
    }

    /// Sends a picture.
    pub async fn send_image(
        &self,
        to: impl AsRef<str>,
        bytes: &[u8],
        caption: Option<&str>,
    ) -> Result<String> {
        let caption = caption.map(ToOwned::to_owned);
        self.send_file(to, bytes, "image/jpeg", File::Image(caption)).await
    }

    /// Reacts to a message; an empty emoji takes the reaction back.
    pub async fn react(&self, to: impl AsRef<str>, id: &str, emoji: &str) -> Result<String> {
        let (key, _) = self.sim.world().message_key(self.number(), to.as_ref(), id)?;
        let message = wa::Message {
            reaction_message: MessageField::some(ReactionMessage {
                key: MessageField::some(key),
                text: Some(emoji.to_owned()),
                sender_timestamp_ms: i64::try_from(now() * 1000).ok(),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.send(to, message).await
    }

    /// Answers a message, quoting it.
    pub async fn reply(&self, to: impl AsRef<str>, id: &str, text: &str) -> Result<String> {
        let message = {
            let world = self.sim.world();
            let (key, quoted) = world.message_key(self.number(), to.as_ref(), id)?;
            let own = key.from_me == Some(true);
            let author = if own { self.number() } else { to.as_ref() };
            let form = world.accounts.get(self.number()).context("no such phone")?.server();
            let direct = world.accounts.get(author).map(|a| a.jid(form).to_string());
            wa::Message {
                extended_text_message: MessageField::some(ExtendedTextMessage {
                    text: Some(text.to_owned()),
                    context_info: MessageField::some(wa::ContextInfo {
                        stanza_id: Some(id.to_owned()),
                        participant: key.participant.or(direct),
                        quoted_message: MessageField::some(quoted),
                        ..Default::default()
                    }),
                    ..Default::default()
                }),
                ..Default::default()
            }
        };
        self.send(to, message).await
    }

    /// Changes the text of a message sent before.
    pub async fn edit(&self, to: impl AsRef<str>, id: &str, text: &str) -> Result<String> {
        let (key, _) = self.sim.world().message_key(self.number(), to.as_ref(), id)?;
        let edited = wa::Message { conversation: Some(text.to_owned()), ..Default::default() };
        let inner = protocol(ProtocolMessage {
            key: MessageField::some(key),
            r#type: Some(protocol_message::Type::MESSAGE_EDIT),
            edited_message: MessageField::some(edited),
            timestamp_ms: i64::try_from(now() * 1000).ok(),
            ..Default::default()
        });
        let message = wa::Message {
            edited_message: MessageField::some(FutureProofMessage {
                message: MessageField::some(inner),
            }),
            ..Default::default()
        };
        self.send(to, message).await
    }

    /// Takes a message back.
    pub async fn revoke(&self, to: impl AsRef<str>, id: &str) -> Result<String> {
        let (key, _) = self.sim.world().message_key(self.number(), to.as_ref(), id)?;
        let message = protocol(ProtocolMessage {
            key: MessageField::some(key),
            r#type: Some(protocol_message::Type::REVOKE),
            ..Default::default()
        });
        self.send(to, message).await
    }

    /// Asks a question with answers to choose from.
    pub async fn send_poll(
        &self,
        to: impl AsRef<str>,
        question: &str,
        answers: &[&str],
    ) -> Result<String> {
        let option = |name: &&str| poll_creation_message::Option {
            option_name: Some((*name).to_owned()),
            ..Default::default()
        };
        let message = wa::Message {
            message_context_info: MessageField::some(wa::MessageContextInfo {
                message_secret: Some(random::<32>().to_vec()),
                ..Default::default()
            }),
            poll_creation_message_v3: MessageField::some(PollCreationMessage {
                name: Some(question.to_owned()),
                options: answers.iter().map(option).collect(),
                selectable_options_count: Some(1),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.send(to, message).await
    }

    /// Sends a place.
    pub async fn send_location(
        &self,
        to: impl AsRef<str>,
        latitude: f64,
        longitude: f64,
        name: &str,
    ) -> Result<String> {
        let message = wa::Message {
            location_message: MessageField::some(LocationMessage {
                degrees_latitude: Some(latitude),
                degrees_longitude: Some(longitude),
                name: Some(name.to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.send(to, message).await
    }

    /// Sends a contact.
    pub async fn send_contact(
        &self,
        to: impl AsRef<str>,
        name: &str,
        vcard: &str,
    ) -> Result<String> {
        let message = wa::Message {
            contact_message: MessageField::some(ContactMessage {
                display_name: Some(name.to_owned()),
                vcard: Some(vcard.to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.send(to, message).await
    }
}

fn protocol(message: ProtocolMessage) -> wa::Message {
    wa::Message { protocol_message: MessageField::some(message), ..Default::default() }
}
