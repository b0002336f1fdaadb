//! The body of `POST …/messages` and its reading into a `SendRequest`: one place says what is valid. Nothing is sent or
//! stored here.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Number;

use crate::api::http::problem::{Issue, Problem};
use crate::model::{
    Content, Jid, MediaKind, MediaSource, MessageId, Recipient, SendRequest, SpoolName, Thumbnail,
    web_url,
};

/// WhatsApp refuses longer texts.
const LONGEST_TEXT: usize = 65_536;
/// As a mention: everybody in the group.
const EVERYBODY: &str = "all";
const POLL_OPTIONS: std::ops::RangeInclusive<usize> = 2..=12;

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
    pub(crate) location: Option<LocationBody>,
    pub(crate) contact: Option<ContactBody>,
    pub(crate) poll: Option<PollBody>,
    pub(crate) reaction: Option<ReactionBody>,
    pub(crate) forward: Option<ForwardBody>,
    pub(crate) reply_to: Option<String>,
    pub(crate) mentions: Vec<String>,
    pub(crate) view_once: bool,
    pub(crate) link_preview: bool,
}

/// A file, by URL or in Base64. An upload has it in another part of the body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MediaBody {
    pub(crate) url: Option<String>,
    pub(crate) base64: Option<String>,
    /// Where the file of an upload was put. Never read from a body: no caller may name another's file.
    #[serde(skip)]
    pub(crate) spool: Option<SpoolName>,
    pub(crate) mime: Option<String>,
    pub(crate) filename: Option<String>,
    pub(crate) caption: Option<String>,
    pub(crate) thumbnail: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocationBody {
    latitude: Number,
    longitude: Number,
    name: Option<String>,
    address: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContactBody {
    name: String,
    vcard: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PollBody {
    question: String,
    options: Vec<String>,
    selectable: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReactionBody {
    message: String,
    emoji: String,
    author: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForwardBody {
    message: String,
}

/// Collects what is wrong, so that a caller hears of everything at once.
#[derive(Default)]
struct Issues(Vec<Issue>);

impl Issues {
    fn add(&mut self, path: &str, msg: impl ToString) {
        self.0.push(Issue::new(path, msg));
    }

    fn message(&mut self, path: &str, text: &str) -> Option<MessageId> {
        let id = MessageId::parse(text);
        if id.is_none() {
            self.add(path, "not a message id");
        }
        id
    }

    fn text(&mut self, path: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(path, "must not be empty");
        } else if text.chars().count() > LONGEST_TEXT {
            self.add(path, format!("has at most {LONGEST_TEXT} characters"));
        }
    }
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

    /// Reads the body, or says everything that is wrong with it.
    pub(crate) fn request(mut self, country_code: Option<&str>) -> Result<SendRequest, Problem> {
        let mut issues = Issues::default();
        let to = Recipient::parse(&self.to, country_code);
        if self.to.is_empty() {
            issues.add("to", "required");
        } else if let Err(error) = &to {
            issues.add("to", error);
        }
        let reply_to = self.reply_to.as_deref().and_then(|id| issues.message("reply_to", id));
        let mut mentions = Vec::new();
        let mut mention_all = false;
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
        let mut contents = self.contents(&mut issues);
        if contents.len() != 1 {
            issues.add(
                "",
                "give exactly one of text, image, video, audio, voice, document, sticker, \
                 location, contact, poll, reaction, forward",
            );
        }
        let view_once = self.view_once;
        let once = |content: &Content| match content {
            Content::Media { media, .. } => {
                !matches!(media, MediaKind::Document | MediaKind::Sticker)
            }
            _ => false,
        };
        if self.link_preview && !matches!(contents.first(), Some(Content::LinkedText { .. })) {
            issues.add("link_preview", "only for text");
        }
        let forward = matches!(contents.first(), Some(Content::Forward { .. }));
        if forward && (reply_to.is_some() || !self.mentions.is_empty()) {
            issues.add("forward", "a message is passed on as it is: no reply_to, no mentions");
        }
        if view_once && !contents.iter().all(once) {
            issues.add("view_once", "only for image, video, audio and voice");
        }
        match (to, contents.pop()) {
            (Ok(to), Some(content)) if issues.0.is_empty() => {
                Ok(SendRequest { to, content, reply_to, mentions, mention_all, view_once })
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
        contents.extend(self.contact.take().map(|contact| {
            issues.text("contact.name", &contact.name);
            if !contact.vcard.trim_start().starts_with("BEGIN:VCARD") {
                issues.add("contact.vcard", "must begin with BEGIN:VCARD");
            }
            Content::Contact { name: contact.name, vcard: contact.vcard }
        }));
        contents.extend(self.poll.take().map(|poll| poll.content(issues)));
        contents.extend(self.reaction.take().and_then(|reaction| reaction.content(issues)));
        contents.extend(self.forward.take().and_then(|forward| {
            let message = issues.message("forward.message", &forward.message)?;
            Some(Content::Forward { message })
        }));
        contents
    }
}

impl MediaBody {
    fn content(self, name: &str, media: MediaKind, issues: &mut Issues) -> Content {
        let source = match (self.url, self.base64, self.spool) {
            (Some(url), None, None) => {
                let url = web_url(&url).unwrap_or_else(|error| {
                    issues.add(&format!("{name}.url"), error);
                    url
                });
                MediaSource::Url(url)
            }
            (None, Some(text), None) => {
                let bytes = decode(&text).filter(|bytes| !bytes.is_empty());
                if bytes.is_none() {
                    issues.add(&format!("{name}.base64"), "not valid base64");
                }
                MediaSource::Inline(bytes.unwrap_or_default())
            }
            (None, None, Some(name)) => MediaSource::Uploaded(name),
            _ => {
                issues.add(name, "give either url or base64");
                MediaSource::Inline(Vec::new())
            }
        };
        let captioned = media.has_caption();
        if self.caption.is_some() && !captioned {
            issues.add(&format!("{name}.caption"), "this kind of message has no caption");
        }
        if self.filename.is_some() && media != MediaKind::Document {
            issues.add(&format!("{name}.filename"), "only documents show a file name");
        }
        let thumbnail = self.thumbnail.as_deref().map(|text| {
            let jpeg = decode(text).filter(|_| captioned);
            jpeg.and_then(|jpeg| Thumbnail::new(&jpeg))
        });
        if thumbnail == Some(None) {
            let words = "a JPEG of at most 16 KiB in base64, for image, video and document";
            issues.add(&format!("{name}.thumbnail"), words);
        }
        let Self { mime, filename, caption, .. } = self;
        Content::Media { media, source, mime, filename, caption, thumbnail: thumbnail.flatten() }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // Browsers make `data:` URLs of files. The type in them is not relied on.
    let text = text.split_once(";base64,").map_or(text, |(_, data)| data);
    GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(text).ok()
}

impl LocationBody {
    fn content(self, issues: &mut Issues) -> Content {
        for (path, value, most) in [
            ("location.latitude", &self.latitude, 90.0),
            ("location.longitude", &self.longitude, 180.0),
        ] {
            if !value.as_f64().is_some_and(|degrees| degrees.abs() <= most) {
                issues.add(path, format!("lies between -{most} and {most}"));
            }
        }
        Content::Location {
            latitude: self.latitude.to_string(),
            longitude: self.longitude.to_string(),
            name: self.name,
            address: self.address,
        }
    }
}

impl PollBody {
    fn content(self, issues: &mut Issues) -> Content {
        issues.text("poll.question", &self.question);
        let mut distinct: Vec<&str> = self.options.iter().map(|option| option.trim()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let count = self.options.len();
        if !POLL_OPTIONS.contains(&count) || distinct.len() != count || distinct.contains(&"") {
            issues.add("poll.options", "2 to 12 different answers");
        }
        let selectable = self.selectable.unwrap_or(1);
        if usize::try_from(selectable).map_or(true, |n| n > count) {
            issues.add(
                "poll.selectable",
                "0 for any number, or at most as many as there are answers",
            );
        }
        Content::Poll { question: self.question, options: self.options, selectable }
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
        Content::Text { .. } | Content::LinkedText { .. } => "text",
        Content::Media { media, .. } => media_name(*media),
        Content::Location { .. } => "location",
        Content::Contact { .. } => "contact",
        Content::Poll { .. } => "poll",
        Content::Reaction { .. } => "reaction",
        Content::Edit { .. } => "edit",
        Content::Forward { .. } => "forward",
        Content::Revoke { .. } => "revoke",
        Content::Read { .. } => "read",
    }
}

/// What the API calls a kind of media.
pub(crate) fn media_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
        MediaKind::Voice => "voice",
        MediaKind::Document => "document",
        MediaKind::Sticker => "sticker",
    }
}

pub(crate) fn media_kind(name: &str) -> Option<MediaKind> {
    let all = [
        MediaKind::Image,
        MediaKind::Video,
        MediaKind::Audio,
        MediaKind::Voice,
        MediaKind::Document,
        MediaKind::Sticker,
    ];
    all.into_iter().find(|kind| media_name(*kind) == name)
}

#[cfg(test)]
mod tests;
