//! The kinds of message that events tell of. `openapi.json` has an example of each.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::MediaKind;
use super::cap::{Cap, Part};
use super::detail::{self, Circumstances, Pressed};

macro_rules! kinds {
    ($($name:ident $(($details:ident))? = $word:literal;)*) => {
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

        /// What a message says beside its text and its file. Its JSON is the `kind` and the `details` of the message.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Body {
            $($name $((detail::$details))?,)*
            /// One that this version does not know, or knows in another form.
            Other(MessageKind, Map<String, Value>),
        }

        impl Body {
            pub fn kind(&self) -> MessageKind {
                match self {
                    $(Self::$name $((detail::$details { .. }))? => MessageKind::$name,)*
                    Self::Other(kind, _) => kind.clone(),
                }
            }

            fn details(&self) -> Map<String, Value> {
                match self {
                    $(Self::$name $((details @ detail::$details { .. }))? => {
                        None$(.or_else(|| Some(fields(details as &detail::$details))))?.unwrap_or_default()
                    })*
                    Self::Other(_, details) => details.clone(),
                }
            }

            /// The body of a known kind, if its details have the form they have in this version.
            fn known(kind: &MessageKind, details: &Map<String, Value>) -> Option<Self> {
                Some(match kind {
                    $(MessageKind::$name => {
                        Self::$name $((detail::$details::deserialize(details).ok()?))?
                    })*
                    MessageKind::Other(_) => return None,
                })
            }
        }

        impl Part for Body {
            fn shorten(&mut self, cap: &mut Cap) {
                match self {
                    $(Self::$name $((details @ detail::$details { .. }))? => {
                        $(detail::$details::shorten(details, cap);)?
                    })*
                    Self::Other(_, details) => {
                        details.values_mut().for_each(|value| value.shorten(cap));
                    }
                }
            }
        }
    };
}

kinds! {
    Text(Pressed) = "text";
    Image = "image";
    Video(Film) = "video";
    Audio(Sound) = "audio";
    Voice(Sound) = "voice";
    Document = "document";
    Sticker = "sticker";
    Location(Place) = "location";
    LiveLocation(MovingPlace) = "live_location";
    Contact(Contacts) = "contact";
    Poll(Poll) = "poll";
    PollResult(PollResult) = "poll_result";
    PollVote(PollVote) = "poll_vote";
    PollOption(PollOption) = "poll_option";
    Reaction(Reaction) = "reaction";
    Revoked(Target) = "revoked";
    Pin(Pin) = "pin";
    Keep(Keep) = "keep";
    Comment(Target) = "comment";
    Album(Album) = "album";
    StickerPack(StickerPack) = "sticker_pack";
    Event(Happening) = "event";
    EventResponse(EventResponse) = "event_response";
    EventInvite(EventInvite) = "event_invite";
    GroupInvite(GroupInvite) = "group_invite";
    ChannelInvite(ChannelInvite) = "channel_invite";
    PhoneNumberRequest = "phone_number_request";
    ScheduledCall(ScheduledCall) = "scheduled_call";
    CallLog(CallLog) = "call_log";
    Buttons(Buttons) = "buttons";
    List(List) = "list";
    Template(Template) = "template";
    Interactive(Interactive) = "interactive";
    Product(Product) = "product";
    Catalog = "catalog";
    Order(Order) = "order";
    Invoice = "invoice";
    Payment(Target) = "payment";
    PaymentRequest(PaymentRequest) = "payment_request";
    PaymentDeclined(Target) = "payment_declined";
    PaymentCancelled(Target) = "payment_cancelled";
    PaymentReminder(Amount) = "payment_reminder";
    PaymentSplit(Amount) = "payment_split";
    PaymentInvite(PaymentInvite) = "payment_invite";
    Unavailable(Unavailable) = "unavailable";
    Unsupported(Unsupported) = "unsupported";
}

impl Body {
    /// A text that is nothing else.
    pub fn text() -> Self {
        Self::Text(Pressed::default())
    }

    /// The details of a message that says this in those circumstances.
    pub(crate) fn details_in(&self, circumstances: &Circumstances) -> Map<String, Value> {
        let mut details = self.details();
        details.extend(fields(circumstances));
        details
    }

    /// What a message says, and its circumstances, as its JSON has both. What does not have the form that this version
    /// gives it stays as it is.
    pub(crate) fn read(kind: MessageKind, details: Map<String, Value>) -> (Self, Circumstances) {
        let Some(body) = Self::known(&kind, &details) else {
            return (Self::Other(kind, details), Circumstances::default());
        };
        // Several kinds have a target of their own.
        let own = body.details();
        let mut others = details.clone();
        others.retain(|name, _| !own.contains_key(name));
        match Circumstances::deserialize(others) {
            Ok(circumstances) => (body, circumstances),
            Err(_) => (Self::Other(kind, details), Circumstances::default()),
        }
    }
}

/// The fields of a struct.
pub(super) fn fields(details: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(details) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
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
    use crate::model::EventData;
    use serde_json::json;

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
            assert_eq!(read.kind(), *kind);
            assert!(!matches!(read.body, Body::Other(..)), "{kind} has another form");
            let written = json!(read);
            for name in ["text", "details"] {
                let value = written.get(name).unwrap_or(&Value::Null);
                assert_eq!(example.get(name).unwrap_or(&Value::Null), value, "{kind}: {name}");
            }
        }
    }

    #[test]
    fn what_has_another_form_stays_as_it_is() {
        let read = |kind: &str, details: Value| {
            let Value::Object(details) = details else { panic!() };
            let (body, circumstances) =
                Body::read(MessageKind::from(kind.to_owned()), details.clone());
            let same = body.details_in(&circumstances) == details;
            (body, circumstances, same)
        };
        for (kind, details) in [
            ("hologram", json!({ "depth": 3, "forwarded": true })),
            ("location", json!({ "latitude": "south", "name": "Toko" })),
            ("sticker", json!({ "album": ["A"] })),
        ] {
            let (body, circumstances, same) = read(kind, details);
            assert!(matches!(&body, Body::Other(other, _) if other.as_str() == kind), "{body:?}");
            assert_eq!((circumstances, same), (Circumstances::default(), true), "{kind}");
        }
        let (body, circumstances, same) =
            read("reaction", json!({ "message": "3EB0", "emoji": "👍", "forwarded": true }));
        let about = detail::Target { message: Some("3EB0".into()), author: None };
        assert_eq!(body, Body::Reaction(detail::Reaction { about, emoji: "👍".into() }));
        assert_eq!(circumstances.about, detail::Target::default());
        assert!(same && circumstances.forwarded == Some(true));
    }
}
