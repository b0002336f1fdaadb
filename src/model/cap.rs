//! What a message may take of everybody's memory. People write no texts of a megabyte; programs that want to hurt do, and
//! every reader of the log would have to hold them.

use serde_json::Value;

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
    truncated: bool,
}

impl Cap {
    pub(crate) fn new() -> Self {
        Self { left: WHOLE, truncated: false }
    }

    /// Whether anything was cut off.
    pub(crate) fn has_cut(&self) -> bool {
        self.truncated
    }

    /// Keeps as many mentions as a group can have.
    pub(crate) fn mentions(&mut self, mentions: &mut Vec<String>) {
        if mentions.len() > MENTIONS {
            mentions.truncate(MENTIONS);
            self.truncated = true;
        }
        self.list(mentions);
    }

    pub(crate) fn maybe(&mut self, text: &mut Option<String>) {
        if let Some(text) = text {
            self.text(text);
        }
    }

    pub(crate) fn list(&mut self, texts: &mut Vec<String>) {
        self.entries(texts, Self::text);
    }

    fn text(&mut self, text: &mut String) {
        let allowed = self.left.min(LONGEST);
        let end = text.char_indices().nth(allowed).map(|(end, _)| end);
        if let Some(end) = end {
            text.truncate(end);
            text.shrink_to_fit();
            self.truncated = true;
        }
        self.left -= text.chars().count();
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(values) => self.entries(values, Self::value),
            // Its names are ours.
            Value::Object(fields) => fields.values_mut().for_each(|value| self.value(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn entries<T>(&mut self, entries: &mut Vec<T>, mut each: impl FnMut(&mut Self, &mut T)) {
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

/// The value of a field.
pub(crate) trait Part {
    /// Whether its field is left out.
    fn is_left_out(&self) -> bool {
        false
    }

    /// Cuts off what is too much.
    fn shorten(&mut self, _cap: &mut Cap) {}
}

macro_rules! plain {
    ($($type:ty),*) => { $(impl Part for $type {})* };
}

plain!(bool, f64, i32, i64, u32, usize);

impl Part for String {
    fn shorten(&mut self, cap: &mut Cap) {
        cap.text(self);
    }
}

impl Part for Value {
    fn shorten(&mut self, cap: &mut Cap) {
        cap.value(self);
    }
}

impl<T: Part> Part for Option<T> {
    fn is_left_out(&self) -> bool {
        self.is_none()
    }

    fn shorten(&mut self, cap: &mut Cap) {
        if let Some(value) = self {
            value.shorten(cap);
        }
    }
}

impl<T: Part> Part for Vec<T> {
    fn shorten(&mut self, cap: &mut Cap) {
        cap.entries(self, |cap, value| value.shorten(cap));
    }
}
