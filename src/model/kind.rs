//! The kinds of message that events tell of. `openapi.json` has an example of each.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::MediaKind;

macro_rules! kinds {
    ($($name:ident = $word:literal;)*) => {
        /// What a message is. Its JSON is a word.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum MessageKind {
            $($name,)*
            /// A word of another version of moonwa's.
            Other(String),
        }

        impl MessageKind {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for MessageKind {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$name,)*
                    _ => Self::Other(word),
                }
            }
        }
    };
}

kinds! {
    Text = "text";
    Image = "image";
    Video = "video";
    Audio = "audio";
    Voice = "voice";
    Document = "document";
    Sticker = "sticker";
    Location = "location";
    LiveLocation = "live_location";
    Contact = "contact";
    Poll = "poll";
    PollResult = "poll_result";
    PollVote = "poll_vote";
    PollOption = "poll_option";
    Reaction = "reaction";
    Revoked = "revoked";
    Pin = "pin";
    Keep = "keep";
    Comment = "comment";
    Album = "album";
    StickerPack = "sticker_pack";
    Event = "event";
    EventResponse = "event_response";
    EventInvite = "event_invite";
    GroupInvite = "group_invite";
    ChannelInvite = "channel_invite";
    PhoneNumberRequest = "phone_number_request";
    ScheduledCall = "scheduled_call";
    CallLog = "call_log";
    Buttons = "buttons";
    List = "list";
    Template = "template";
    Interactive = "interactive";
    Product = "product";
    Catalog = "catalog";
    Order = "order";
    Invoice = "invoice";
    Payment = "payment";
    PaymentRequest = "payment_request";
    PaymentDeclined = "payment_declined";
    PaymentCancelled = "payment_cancelled";
    PaymentReminder = "payment_reminder";
    PaymentSplit = "payment_split";
    PaymentInvite = "payment_invite";
    Unavailable = "unavailable";
    Unsupported = "unsupported";
}

impl From<MessageKind> for String {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Other(word) => word,
            known => known.as_str().to_owned(),
        }
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<MediaKind> for MessageKind {
    fn from(media: MediaKind) -> Self {
        match media {
            MediaKind::Image => Self::Image,
            MediaKind::Video => Self::Video,
            MediaKind::Audio => Self::Audio,
            MediaKind::Voice => Self::Voice,
            MediaKind::Document => Self::Document,
            MediaKind::Sticker => Self::Sticker,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventData, MessageData};
    use serde_json::{Value, json};

    #[test]
    fn a_kind_survives_its_word_also_one_of_another_version() {
        for kind in MessageKind::ALL.iter().cloned().chain([MessageKind::Other("hologram".into())])
        {
            let word = serde_json::to_value(&kind).unwrap();
            assert_eq!(word, kind.as_str());
            assert_eq!(serde_json::from_value::<MessageKind>(word).unwrap(), kind);
        }
    }

    #[test]
    fn openapi_has_an_example_of_every_kind() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/openapi.json"));
        let document: Value = serde_json::from_str(text).unwrap();
        let message = &document["components"]["schemas"]["EventMessage"];
        let forms = message["oneOf"].as_array().unwrap();
        let words: Vec<_> = forms.iter().map(|form| &form["properties"]["kind"]["const"]).collect();
        let known: Vec<_> = MessageKind::ALL.iter().map(|kind| json!(kind)).collect();
        assert_eq!(words, known.iter().collect::<Vec<_>>(), "in the order of the table");
        for (form, kind) in forms.iter().zip(MessageKind::ALL) {
            let example = form["examples"][0].as_object().unwrap();
            assert_eq!(example["kind"], kind.as_str());
            let mut data = json!({
                "id": "3EB0A1", "chat": "628123456789@s.whatsapp.net", "from_me": false, "group": null,
                "from": { "jid": "628123456789@s.whatsapp.net", "phone": null, "lid": null, "name": null },
                "text": null, "mentions": [], "reply_to": null, "media": null,
            });
            data.as_object_mut().unwrap().extend(example.clone());
            let read: EventData = serde_json::from_value(data).unwrap();
            let EventData::Message(read) = read else { panic!("{kind} is no message") };
            let MessageData { kind: found, text, details, .. } = *read;
            assert_eq!(found, *kind);
            for (name, value) in [("text", json!(text)), ("details", json!(details))] {
                assert_eq!(example.get(name).unwrap_or(&Value::Null), &value, "{kind}: {name}");
            }
        }
    }
}
