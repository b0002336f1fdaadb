//! What a message may take of everybody's memory. People write no texts of a megabyte; programs that want to hurt do, and
//! every reader of the log would have to hold them.

use serde_json::Value;

use super::MessageData;
use super::detail::Part;

/// The most characters of one text: WhatsApp's own limit for what its apps send.
const LONGEST: usize = 65_536;
/// The most characters of everything that a message says.
const WHOLE: usize = 4 * LONGEST;
/// No group has more members; each of them is looked up.
const MENTIONS: usize = 1024;
/// What an entry of a list takes beside its text.
const ENTRY: usize = 16;

/// What a message may still say.
pub(crate) struct Cap {
    left: usize,
    /// Whether anything was cut off.
    truncated: bool,
}

impl Cap {
    pub(crate) fn new() -> Self {
        Self { left: WHOLE, truncated: false }
    }

    /// Cuts off what is too much of a message, and says so in it.
    pub(crate) fn message(data: &mut MessageData) {
        let mut cap = Self::new();
        cap.maybe(&mut data.text);
        cap.maybe(&mut data.from.name);
        if let Some(reply) = &mut data.reply_to {
            cap.maybe(&mut reply.text);
            cap.maybe(&mut reply.filename);
        }
        if let Some(media) = &mut data.media {
            cap.maybe(&mut media.mime);
            cap.maybe(&mut media.filename);
        }
        data.body.shorten(&mut cap);
        data.circumstances.shorten(&mut cap);
        if data.mentions.len() > MENTIONS {
            data.mentions.truncate(MENTIONS);
            cap.truncated = true;
        }
        cap.list(&mut data.mentions);
        data.truncated = cap.truncated;
    }

    pub(crate) fn maybe(&mut self, text: &mut Option<String>) {
        if let Some(text) = text {
            self.text(text);
        }
    }

    pub(crate) fn list(&mut self, texts: &mut Vec<String>) {
        self.entries(texts, Self::text);
    }

    pub(super) fn text(&mut self, text: &mut String) {
        let allowed = self.left.min(LONGEST);
        let end = text.char_indices().nth(allowed).map(|(end, _)| end);
        if let Some(end) = end {
            text.truncate(end);
            text.shrink_to_fit();
            self.truncated = true;
        }
        self.left -= text.chars().count();
    }

    pub(super) fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(values) => self.entries(values, Self::value),
            // Its names are ours.
            Value::Object(fields) => fields.values_mut().for_each(|value| self.value(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    pub(super) fn entries<T>(
        &mut self,
        entries: &mut Vec<T>,
        mut each: impl FnMut(&mut Self, &mut T),
    ) {
        for n in 0..entries.len() {
            if self.left < ENTRY {
                entries.truncate(n);
                entries.shrink_to_fit();
                self.truncated = true;
                return;
            }
            self.left -= ENTRY;
            if let Some(entry) = entries.get_mut(n) {
                each(self, entry);
            }
        }
    }
}
