//! What Chatwoot posts to moonwa, and how it is known that Chatwoot did.

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::content::SOURCE;
use crate::model::{Content, MediaKind, Secret};

/// What somebody in Chatwoot wants of WhatsApp.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Send(Box<Wanted>),
    /// A message was deleted.
    Delete {
        message: u64,
    },
    Typing {
        conversation: u64,
        on: bool,
    },
    /// Nothing, and why.
    Nothing(&'static str),
}

/// A message that somebody in Chatwoot wrote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) conversation: u64,
    pub(crate) contact: u64,
    pub(crate) message: u64,
    /// The contact's identifier and phone number, for a conversation that was begun in Chatwoot.
    pub(crate) identifier: Option<String>,
    pub(crate) phone: Option<String>,
    /// The message that it answers: its id on WhatsApp, and its number in Chatwoot.
    pub(crate) answers_id: Option<String>,
    pub(crate) answers: Option<u64>,
    text: String,
    files: Vec<(MediaKind, String)>,
}

impl Asked {
    /// Reads what was posted about that inbox. What is not understood is nothing to do.
    pub(crate) fn read(posted: &Value, inbox: u64) -> Self {
        let about = ["/inbox/id", "/conversation/inbox_id"].map(|at| number(posted.pointer(at)));
        if about.iter().flatten().any(|other| *other != inbox) {
            return Self::Nothing("it is about another inbox");
        }
        let conversation = number(posted.pointer("/conversation/id"));
        let typing = |on| match conversation {
            Some(conversation) if !is_true(posted.get("is_private")) => {
                Self::Typing { conversation, on }
            }
            _ => Self::Nothing("it is private"),
        };
        match posted.get("event").and_then(Value::as_str) {
            Some("message_created") => Self::created(posted, conversation),
            Some("message_updated") => {
                let deleted = is_true(posted.pointer("/content_attributes/deleted"));
                match number(posted.get("id")).filter(|_| deleted && is_for_contact(posted)) {
                    Some(message) => Self::Delete { message },
                    None => Self::Nothing("nothing was deleted"),
                }
            }
            Some("conversation_typing_on") => typing(true),
            Some("conversation_typing_off") => typing(false),
            _ => Self::Nothing("nothing is done about such events"),
        }
    }

    fn created(posted: &Value, conversation: Option<u64>) -> Self {
        if !is_for_contact(posted) {
            return Self::Nothing("it is not for the contact");
        }
        let text = |at: &str| posted.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let message = number(posted.get("id"));
        let known =
            |source: &Value| source.as_str().is_some_and(|source| source.starts_with(SOURCE));
        // Some versions tell the source only with the conversation's newest message.
        let newest = posted.pointer("/conversation/messages/0");
        let newest = newest.filter(|newest| number(newest.get("id")) == message);
        let sources = [posted.get("source_id"), newest.and_then(|newest| newest.get("source_id"))];
        if sources.into_iter().flatten().any(known) {
            return Self::Nothing("it came from WhatsApp");
        }
        let (Some(conversation), Some(message)) = (conversation, message) else {
            return Self::Nothing("it has no number");
        };
        let attachments = posted.get("attachments").and_then(Value::as_array);
        let files: Vec<(MediaKind, String)> =
            attachments.into_iter().flatten().filter_map(file).collect();
        let words = on_whatsapp(&text("/content").unwrap_or_default());
        if files.is_empty() && words.trim().is_empty() {
            return Self::Nothing("it says nothing");
        }
        let answers_id = text("/content_attributes/in_reply_to_external_id");
        let answers_id = answers_id.and_then(|id| id.strip_prefix(SOURCE).map(str::to_owned));
        Self::Send(Box::new(Wanted {
            conversation,
            contact: number(posted.pointer("/conversation/meta/sender/id")).unwrap_or_default(),
            message,
            identifier: text("/conversation/meta/sender/identifier"),
            phone: text("/conversation/meta/sender/phone_number"),
            answers_id,
            answers: number(posted.pointer("/content_attributes/in_reply_to")),
            text: words,
            files,
        }))
    }
}

impl Wanted {
    /// The messages that it becomes on WhatsApp, where one has at most one file. The text is under the first.
    pub(crate) fn contents(&self) -> Vec<Content> {
        let text = || Some(self.text.clone()).filter(|text| !text.trim().is_empty());
        if self.files.is_empty() {
            return text().map(|text| Content::Text { text }).into_iter().collect();
        }
        let mut caption = text();
        let files = self
            .files
            .iter()
            .flat_map(|(kind, url)| Content::file(*kind, url.clone(), caption.take(), true));
        files.collect()
    }
}

fn number(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).filter(|number| *number > 0)
}

fn is_true(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or_default()
}

/// Whether somebody or something in Chatwoot wrote it to the contact. A template is what Chatwoot says by itself.
fn is_for_contact(posted: &Value) -> bool {
    let kind = posted.get("message_type");
    let to_contact = match kind.and_then(Value::as_str) {
        Some(word) => matches!(word, "outgoing" | "template"),
        None => kind.and_then(Value::as_u64).is_some_and(|kind| kind == 1 || kind == 3),
    };
    to_contact && !is_true(posted.get("private"))
}

fn file(attachment: &Value) -> Option<(MediaKind, String)> {
    let url = attachment.get("data_url").and_then(Value::as_str).filter(|url| !url.is_empty())?;
    let kind = match attachment.get("file_type").and_then(Value::as_str) {
        Some("image") => MediaKind::Image,
        Some("video") => MediaKind::Video,
        Some("audio") => MediaKind::Audio,
        Some("file") | None => MediaKind::Document,
        // A place or a contact card, which has no file.
        Some(_) => return None,
    };
    Some((kind, url.to_owned()))
}

/// Chatwoot's editor writes Markdown; WhatsApp has one mark where Markdown has two.
fn on_whatsapp(text: &str) -> String {
    text.replace("**", "*").replace("~~", "~")
}

/// What came with a request to show that Chatwoot made it.
#[derive(Default)]
pub(crate) struct Told<'a> {
    /// `X-Chatwoot-Timestamp` and `X-Chatwoot-Signature`, which newer versions send.
    pub(crate) timestamp: Option<&'a str>,
    pub(crate) signature: Option<&'a str>,
    /// The secret itself in the address, for versions that sign nothing.
    pub(crate) key: Option<&'a str>,
}

/// Whether Chatwoot made the request. Its age does not matter: a message is sent once however often it is posted, and a
/// clock that goes wrong must not cost one.
pub(crate) fn is_genuine(secrets: &[Secret], told: &Told<'_>, body: &[u8]) -> bool {
    let signed = |secret: &Secret| {
        let (timestamp, signature) = (told.timestamp?, told.signature?);
        let signature = signature.strip_prefix("sha256=").unwrap_or(signature);
        let signature = HEXLOWER_PERMISSIVE.decode(signature.as_bytes()).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        // Compares in constant time.
        mac.verify_slice(&signature).ok()
    };
    let given = told.key.map(Secret::new);
    secrets.iter().any(|secret| signed(secret).is_some() || given.as_ref() == Some(secret))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn posted() -> Value {
        json!({
            "event": "message_created", "id": 900, "content": "Halo **Budi**", "message_type": "outgoing",
            "content_type": "text", "private": false, "source_id": null, "content_attributes": {},
            "inbox": {"id": 5, "name": "WA"}, "account": {"id": 1, "name": "Toko"},
            "conversation": {"id": 31, "inbox_id": 5, "status": "open",
                "contact_inbox": {"source_id": "abc"},
                "meta": {"sender": {"id": 11, "identifier": "628111@s.whatsapp.net", "phone_number": "+628111"}}},
        })
    }

    fn changed(change: impl FnOnce(&mut Value)) -> Asked {
        let mut value = posted();
        change(&mut value);
        Asked::read(&value, 5)
    }

    fn contents(asked: Asked) -> Vec<Content> {
        let Asked::Send(wanted) = asked else { panic!("{asked:?}") };
        wanted.contents()
    }

    #[test]
    fn only_what_is_for_the_contact_is_sent() {
        assert_eq!(contents(changed(|_| ())), [Content::Text { text: "Halo *Budi*".into() }]);
        assert!(matches!(changed(|v| v["message_type"] = json!(1)), Asked::Send(_)));
        for change in [
            |v: &mut Value| v["private"] = json!(true),
            |v: &mut Value| v["message_type"] = json!("incoming"),
            |v: &mut Value| v["message_type"] = json!("activity"),
            |v: &mut Value| v["source_id"] = json!("WAID:3EB0"),
            |v: &mut Value| {
                v["conversation"]["messages"] = json!([{"id": 900, "source_id": "WAID:3EB0"}]);
            },
            |v: &mut Value| v["inbox"]["id"] = json!(6),
            |v: &mut Value| v["content"] = json!(null),
            |v: &mut Value| v["conversation"] = json!(null),
            |v: &mut Value| v["event"] = json!("conversation_created"),
            |v: &mut Value| *v = json!([]),
        ] {
            assert!(matches!(changed(change), Asked::Nothing(_)));
        }
    }

    #[test]
    fn files_go_by_their_address_and_the_text_is_under_the_first() {
        let sent = contents(changed(|v| {
            v["attachments"] = json!([
                {"file_type": "image", "data_url": "https://chat.example/a.png"},
                {"file_type": "audio", "data_url": "https://chat.example/b.ogg"},
                {"file_type": "location", "data_url": ""},
            ]);
        }));
        let [
            Content::Media { media: MediaKind::Image, caption: Some(caption), .. },
            Content::Media { media: MediaKind::Audio, caption: None, .. },
        ] = &sent[..]
        else {
            panic!("{sent:?}")
        };
        assert_eq!(caption, "Halo *Budi*");
    }

    #[test]
    fn deleted_is_what_says_so_and_typing_is_in_a_conversation() {
        let updated = |deleted: bool| {
            changed(|v| {
                v["event"] = json!("message_updated");
                v["content_attributes"] = json!({"deleted": deleted});
            })
        };
        assert_eq!(updated(true), Asked::Delete { message: 900 });
        assert!(matches!(updated(false), Asked::Nothing(_)));
        let typing = changed(|v| v["event"] = json!("conversation_typing_on"));
        assert_eq!(typing, Asked::Typing { conversation: 31, on: true });
    }

    #[test]
    fn chatwoots_signature_or_the_secret_itself() {
        let secrets =
            [Secret::new("wh_secret_of_the_inbox_1"), Secret::new("an older one, still valid")];
        let body = br#"{"event":"message_created"}"#;
        let signature = {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"wh_secret_of_the_inbox_1").unwrap();
            mac.update(b"1800000000.{\"event\":\"message_created\"}");
            format!("sha256={}", data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()))
        };
        let told = |timestamp, signature, key| Told { timestamp, signature, key };
        let good = told(Some("1800000000"), Some(&*signature), None);
        assert!(is_genuine(&secrets, &good, body));
        assert!(!is_genuine(&secrets, &good, b"{}"));
        assert!(!is_genuine(&secrets, &told(Some("1800000001"), Some(&*signature), None), body));
        assert!(!is_genuine(&secrets, &told(Some("1800000000"), Some("sha256=zz"), None), body));
        assert!(is_genuine(&secrets, &told(None, None, Some("an older one, still valid")), body));
        assert!(!is_genuine(&secrets, &told(None, None, Some("")), body));
        assert!(!is_genuine(&[], &good, body));
        assert!(!is_genuine(&secrets, &Told::default(), body));
    }
}
