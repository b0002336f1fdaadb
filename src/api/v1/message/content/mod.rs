//! The body of `POST …/messages` and its reading into a `SendRequest`: one place says what is valid. Nothing is sent or
//! stored here.

mod album;
mod contact;
mod event;
mod issues;
pub(crate) mod later;
mod media;
mod poll;

use serde::Deserialize;
use serde_json::Number;

use self::album::{AlbumBody, album};
pub(crate) use self::contact::ContactBody;
use self::event::EventBody;
pub(crate) use self::issues::Issues;
use self::later::Wrong;
pub(crate) use self::media::{KINDS, MediaBody, media_name};
pub(crate) use self::poll::PollBody;
use crate::api::http::problem::{Code, Problem};
use crate::model::{Content, Jid, MediaKind, Recipient, SendRequest, UnixMillis};

/// As a mention: everybody in the group.
const EVERYBODY: &str = "all";

/// The body as callers write it. It must have exactly one of the contents.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SendBody {
    pub(crate) to: String,
    pub(crate) text: Option<String>,
    pub(crate) image: Option<MediaBody>,
    pub(crate) video: Option<MediaBody>,
    pub(crate) audio: Option<MediaBody>,
    pub(crate) voice: Option<MediaBody>,
    pub(crate) document: Option<MediaBody>,
    pub(crate) sticker: Option<MediaBody>,
    pub(crate) album: Option<Vec<AlbumBody>>,
    pub(crate) location: Option<LocationBody>,
    pub(crate) contact: Option<ContactBody>,
    pub(crate) contacts: Option<Vec<ContactBody>>,
    pub(crate) poll: Option<PollBody>,
    pub(crate) event: Option<EventBody>,
    pub(crate) reaction: Option<ReactionBody>,
    pub(crate) forward: Option<ForwardBody>,
    pub(crate) reply_to: Option<String>,
    pub(crate) mentions: Vec<String>,
    pub(crate) view_once: bool,
    pub(crate) link_preview: bool,
    pub(crate) send_at: Option<String>,
    pub(crate) expires: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocationBody {
    pub(crate) latitude: Number,
    pub(crate) longitude: Number,
    pub(crate) name: Option<String>,
    pub(crate) address: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReactionBody {
    pub(crate) message: String,
    pub(crate) emoji: String,
    pub(crate) author: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForwardBody {
    pub(crate) message: String,
}

/// What a body asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) request: SendRequest,
    /// Those of the album that the request announces.
    pub(crate) files: Vec<SendRequest>,
    /// When it is to go; at once when absent.
    pub(crate) at: Option<UnixMillis>,
    /// Until when.
    pub(crate) expires: Option<UnixMillis>,
}

fn announcement(files: &[Content]) -> Content {
    let count = |kind| {
        let of_kind =
            |file: &&Content| matches!(file, Content::Media { media, .. } if *media == kind);
        u32::try_from(files.iter().filter(of_kind).count()).unwrap_or(u32::MAX)
    };
    let (images, videos) = (count(MediaKind::Image), count(MediaKind::Video));
    Content::Album { images, videos, files: String::new() }
}

impl SendBody {
    pub(crate) fn set_media(&mut self, kind: MediaKind, media: MediaBody) {
        *match kind {
            MediaKind::Image => &mut self.image,
            MediaKind::Video => &mut self.video,
            MediaKind::Audio => &mut self.audio,
            MediaKind::Voice => &mut self.voice,
            MediaKind::Document => &mut self.document,
            MediaKind::Sticker => &mut self.sticker,
        } = Some(media);
    }

    /// One contact or several.
    pub(crate) fn set_contacts(&mut self, mut cards: Vec<ContactBody>) {
        match cards.len() {
            1 => self.contact = cards.pop(),
            _ => self.contacts = Some(cards),
        }
    }

    /// Reads the body, or says everything that is wrong with it.
    pub(crate) fn request(mut self, country_code: Option<&str>) -> Result<Wish, Problem> {
        let mut issues = Issues::default();
        let at = send_at(self.send_at.as_deref(), &mut issues);
        let expires = expires(self.expires.as_deref(), &at, &mut issues);
        let to = Recipient::parse(&self.to, country_code);
        if self.to.is_empty() {
            issues.add("to", "required");
        } else if let Err(error) = &to {
            issues.add("to", error);
        }
        let reply_to = self.reply_to.as_deref().and_then(|id| issues.message("reply_to", id));
        let (mut mentions, mut mention_all) = (Vec::new(), false);
        for (n, mention) in self.mentions.iter().enumerate() {
            if mention == EVERYBODY {
                mention_all = true;
                if to.as_ref().is_ok_and(|to| !to.jid().is_group()) {
                    issues.add(&format!("mentions[{n}]"), "\"all\" is for groups");
                }
                continue;
            }
            match Recipient::parse(mention, country_code) {
                Ok(mention) => mentions.push(mention),
                Err(error) => issues.add(&format!("mentions[{n}]"), error),
            }
        }
        let files = self.album.take().map(|items| album(items, &mut issues));
        let mut contents = self.contents(&mut issues);
        contents.extend(files.as_deref().map(announcement));
        if contents.len() != 1 {
            issues.add(
                "",
                "give exactly one of text, image, video, audio, voice, document, sticker, \
                 album, location, contact, contacts, poll, event, reaction, forward",
            );
        }
        let view_once = self.view_once;
        if self.link_preview && !matches!(contents.first(), Some(Content::LinkedText { .. })) {
            issues.add("link_preview", "only for text");
        }
        let forward = matches!(contents.first(), Some(Content::Forward { .. }));
        if forward && (reply_to.is_some() || !self.mentions.is_empty()) {
            issues.add("forward", "a message is passed on as it is: no reply_to, no mentions");
        }
        if view_once && !contents.iter().all(goes_once) {
            issues.add("view_once", "only for image, video, audio and voice, without as_document");
        }
        match (to, contents.pop()) {
            (Ok(to), Some(content)) if issues.0.is_empty() => {
                let request = SendRequest {
                    send_at: self.send_at,
                    expires: self.expires,
                    mentions,
                    mention_all,
                    view_once,
                    ..SendRequest::plain(to, content)
                };
                Ok(match files {
                    // A caption may mention somebody; the announcement says nothing.
                    Some(files) => Wish {
                        at: at?,
                        expires: expires?,
                        files: files
                            .into_iter()
                            .map(|content| SendRequest { content, ..request.clone() })
                            .collect(),
                        request: SendRequest {
                            reply_to,
                            mentions: Vec::new(),
                            mention_all: false,
                            ..request
                        },
                    },
                    None => Wish {
                        at: at?,
                        expires: expires?,
                        request: SendRequest { reply_to, ..request },
                        files: Vec::new(),
                    },
                })
            }
            _ => Err(Problem::invalid(issues.0)),
        }
    }

    fn contents(&mut self, issues: &mut Issues) -> Vec<Content> {
        let mut contents = Vec::new();
        if let Some(text) = self.text.take() {
            issues.text("text", &text);
            contents.push(if self.link_preview {
                Content::LinkedText { text }
            } else {
                Content::Text { text }
            });
        }
        let media = [
            ("image", MediaKind::Image, self.image.take()),
            ("video", MediaKind::Video, self.video.take()),
            ("audio", MediaKind::Audio, self.audio.take()),
            ("voice", MediaKind::Voice, self.voice.take()),
            ("document", MediaKind::Document, self.document.take()),
            ("sticker", MediaKind::Sticker, self.sticker.take()),
        ];
        for (name, kind, media) in media {
            contents.extend(media.map(|media| media.content(name, kind, issues)));
        }
        contents.extend(self.location.take().map(|location| location.content(issues)));
        contents.extend(self.contact.take().map(|contact| contact.content(issues)));
        contents.extend(self.contacts.take().map(|list| contact::several(list, issues)));
        contents.extend(self.poll.take().map(|poll| poll.content(issues)));
        contents.extend(self.event.take().map(|event| event.content(issues)));
        contents.extend(self.reaction.take().and_then(|reaction| reaction.content(issues)));
        contents.extend(self.forward.take().and_then(|forward| {
            let message = issues.message("forward.message", &forward.message)?;
            Some(Content::Forward { message })
        }));
        contents
    }
}

/// Whether a content can be one that is seen once only.
fn goes_once(content: &Content) -> bool {
    match content {
        Content::Media { media, as_document, .. } => {
            !matches!(media, MediaKind::Document | MediaKind::Sticker) && !as_document
        }
        _ => false,
    }
}

/// Reads when a message is to go. A time that does not exist is a problem of its own: only its words are right.
pub(crate) fn send_at(
    words: Option<&str>,
    issues: &mut Issues,
) -> Result<Option<UnixMillis>, Problem> {
    let read = words.map(|words| later::parse(words, UnixMillis::now())).transpose();
    read.or_else(|wrong| match wrong {
        Wrong::Form => {
            issues.add("send_at", Wrong::FORM);
            Ok(None)
        }
        Wrong::Time(why) => Err(Problem::new(Code::TimeRefused, format!("send_at: {why}"))),
    })
}

/// Reads until when a message that goes later may go: for so long after its time, or until a time.
fn expires(
    words: Option<&str>,
    at: &Result<Option<UnixMillis>, Problem>,
    issues: &mut Issues,
) -> Result<Option<UnixMillis>, Problem> {
    // A time that does not exist is told first.
    let (Some(words), Ok(at)) = (words, at) else { return Ok(None) };
    let Some(at) = *at else {
        issues.add("expires", "only with send_at");
        return Ok(None);
    };
    match later::until(words, at, UnixMillis::now()) {
        Ok(until) => Ok(Some(until)),
        Err(Wrong::Form) => {
            issues.add("expires", Wrong::UNTIL);
            Ok(None)
        }
        Err(Wrong::Time(why)) => Err(Problem::new(Code::TimeRefused, format!("expires: {why}"))),
    }
}

impl LocationBody {
    fn content(self, issues: &mut Issues) -> Content {
        issues.degrees("location.latitude", &self.latitude, 90.0);
        issues.degrees("location.longitude", &self.longitude, 180.0);
        Content::Location {
            latitude: self.latitude.to_string(),
            longitude: self.longitude.to_string(),
            name: self.name,
            address: self.address,
        }
    }
}

impl ReactionBody {
    fn content(self, issues: &mut Issues) -> Option<Content> {
        // One emoji can be many code points, but none has as many as 40.
        if self.emoji.chars().count() > 40 {
            issues.add("reaction.emoji", "one emoji, or empty to take the reaction back");
        }
        let author = match self.author.as_deref().map(Jid::parse) {
            Some(Err(error)) => {
                issues.add("reaction.author", error);
                None
            }
            Some(Ok(author)) => Some(author),
            None => None,
        };
        let message = issues.message("reaction.message", &self.message)?;
        Some(Content::Reaction { message, author, emoji: self.emoji })
    }
}

/// What the API calls a kind of message.
pub(crate) fn kind_of(content: &Content) -> &'static str {
    match content {
        Content::Text { .. } | Content::LinkedText { .. } | Content::StatusText { .. } => "text",
        Content::Media { media, .. } => media_name(*media),
        Content::Album { .. } => "album",
        Content::Location { .. } => "location",
        Content::Contact { .. } | Content::Contacts { .. } => "contact",
        Content::Poll { .. } => "poll",
        Content::Event { .. } => "event",
        Content::Reaction { .. } => "reaction",
        Content::Edit { .. } => "edit",
        Content::Pin { .. } => "pin",
        Content::Timer { .. } => "timer",
        Content::Forward { .. } => "forward",
        Content::Revoke { .. } => "revoke",
        Content::Read { .. } => "read",
    }
}

#[cfg(test)]
mod tests;
