//! Chatwoot's application API: the requests that the bridge makes, one at a time, and how each is refused.

use bytes::Bytes;
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::phones::File;
use crate::config::{EndpointConfig, Inbox};
use crate::hooks::client::{Answer, Ask, Client, KeepAlive, PostError};
use crate::model::Secret;
use crate::store::StoreError;

/// The header that Chatwoot's documentation names.
const KEY: &str = "api_access_token";
/// How much of an answer is read: a hundred messages with all that Chatwoot says of each.
const ANSWER: usize = 4 * 1024 * 1024;
/// How many messages one page of a conversation has.
const PAGE: usize = 100;
/// How many pages are looked through for a message.
const PAGES: usize = 100;

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// Chatwoot says no.
    Refused(Answer),
    NoAnswer(PostError),
    /// It says yes, and not what it documents.
    Unreadable(&'static str),
    /// It is moonwa's own trouble.
    Here(String),
}

impl Failure {
    pub(super) fn is_status(&self, status: u16) -> bool {
        matches!(self, Self::Refused(answer) if answer.status.as_u16() == status)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Here(error.to_string())
    }
}

/// A contact, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contact {
    pub(super) id: u64,
    /// What it is called in the inbox.
    pub(super) source: Option<String>,
}

/// A message that is to be made.
pub(super) struct NewMessage {
    pub(super) text: String,
    pub(super) incoming: bool,
    /// By what it is found again.
    pub(super) source: String,
    /// The message in Chatwoot that it answers.
    pub(super) answers: Option<u64>,
    /// The file, and what it is called.
    pub(super) file: Option<(String, File)>,
}

pub(super) struct Api<'a> {
    client: &'a Client,
    endpoint: &'a EndpointConfig,
    inbox: Inbox,
    token: &'a Secret,
    /// Only for this delivery: over an older connection nobody could tell whether a request had arrived.
    keep_alive: KeepAlive,
}

impl<'a> Api<'a> {
    /// `None` when the endpoint is no inbox of Chatwoot.
    pub(super) fn of(client: &'a Client, endpoint: &'a EndpointConfig) -> Option<Self> {
        let (inbox, token) = (endpoint.inbox?, endpoint.token.as_ref()?);
        Some(Self { client, endpoint, inbox, token, keep_alive: KeepAlive::default() })
    }

    /// Whether the inbox is there and takes messages by API.
    pub(super) async fn look(&mut self) -> Result<(), Failure> {
        let inbox = self.ask(Method::GET, &format!("inboxes/{}", self.inbox.inbox), None).await?;
        match inbox.get("channel_type").and_then(Value::as_str) {
            Some("Channel::Api") => Ok(()),
            Some(_) => {
                Err(Failure::Unreadable("the inbox is none of the type API; make one of that type"))
            }
            None => Err(Failure::Unreadable("this is no inbox; is the URL Chatwoot's?")),
        }
    }

    /// The contact with exactly that number or identifier.
    pub(super) async fn find_contact(
        &mut self,
        identifier: &str,
        phone: Option<&str>,
    ) -> Result<Option<Contact>, Failure> {
        let numbers = phone.map(|phone| format!("+{phone}"));
        // The search finds parts of words: the digits are in the number and in the identifier.
        let wanted = phone.unwrap_or(identifier);
        let wanted = utf8_percent_encode(wanted, NON_ALPHANUMERIC);
        let found = self.ask(Method::GET, &format!("contacts/search?q={wanted}"), None).await?;
        let list = found.get("payload").and_then(Value::as_array);
        let list = list.ok_or(Failure::Unreadable("its list of contacts cannot be read"))?;
        let is = |contact: &&Value, key: &str, value: &str| {
            contact.get(key).and_then(Value::as_str) == Some(value)
        };
        let by_identifier = list.iter().find(|contact| is(contact, "identifier", identifier));
        let by_phone = || {
            let number = numbers.as_deref()?;
            list.iter().find(|contact| is(contact, "phone_number", number))
        };
        Ok(by_identifier.or_else(by_phone).and_then(|contact| self.contact(contact)))
    }

    /// Makes a contact. One that has the number or the identifier already is a refusal with 422.
    pub(super) async fn make_contact(
        &mut self,
        name: &str,
        identifier: &str,
        phone: Option<&str>,
    ) -> Result<Contact, Failure> {
        let mut body = json!({
            "inbox_id": self.inbox.inbox,
            "name": name,
            "identifier": identifier,
        });
        if let (Some(phone), Value::Object(fields)) = (phone, &mut body) {
            fields.insert("phone_number".to_owned(), format!("+{phone}").into());
        }
        let made = self.ask(Method::POST, "contacts", Some(body)).await?;
        let contact = made.pointer("/payload/contact").and_then(|contact| self.contact(contact));
        let contact = contact.ok_or(Failure::Unreadable("its new contact cannot be read"))?;
        let source = made.pointer("/payload/contact_inbox/source_id").and_then(Value::as_str);
        Ok(Contact { source: source.map(str::to_owned).or(contact.source), ..contact })
    }

    /// Brings a contact into the inbox. Gives what it is called there.
    pub(super) async fn enter_inbox(&mut self, contact: u64) -> Result<String, Failure> {
        let body = json!({ "inbox_id": self.inbox.inbox });
        let path = format!("contacts/{contact}/contact_inboxes");
        let made = self.ask(Method::POST, &path, Some(body)).await?;
        let source = made.get("source_id").and_then(Value::as_str).map(str::to_owned);
        source.ok_or(Failure::Unreadable("the contact's place in the inbox cannot be read"))
    }

    pub(super) async fn rename_contact(&mut self, contact: u64, name: &str) -> Result<(), Failure> {
        let body = json!({ "name": name });
        self.ask(Method::PUT, &format!("contacts/{contact}"), Some(body)).await?;
        Ok(())
    }

    /// The newest conversation of a contact in the inbox, and the newest message that Chatwoot shows of it.
    pub(super) async fn newest_conversation(
        &mut self,
        contact: u64,
    ) -> Result<Option<(u64, u64)>, Failure> {
        let found =
            self.ask(Method::GET, &format!("contacts/{contact}/conversations"), None).await?;
        let list = found.get("payload").and_then(Value::as_array);
        let list = list.ok_or(Failure::Unreadable("its list of conversations cannot be read"))?;
        let inbox = u64::try_from(self.inbox.inbox).ok();
        let ours = list.iter().filter(|one| one.get("inbox_id").and_then(Value::as_u64) == inbox);
        let numbers = ours.filter_map(|one| {
            let messages = one.get("messages").and_then(Value::as_array);
            let ids = messages.into_iter().flatten().filter_map(number);
            Some((number(one)?, ids.max().unwrap_or_default()))
        });
        Ok(numbers.max())
    }

    pub(super) async fn make_conversation(
        &mut self,
        contact: u64,
        source: &str,
    ) -> Result<u64, Failure> {
        let body = json!({
            "source_id": source,
            "inbox_id": self.inbox.inbox,
            "contact_id": contact,
            "status": "open",
        });
        let made = self.ask(Method::POST, "conversations", Some(body)).await?;
        number(&made).ok_or(Failure::Unreadable("its new conversation cannot be read"))
    }

    /// The message that was made under that source id, if it is there: later than `after`, oldest first.
    pub(super) async fn find_message(
        &mut self,
        conversation: u64,
        source: &str,
        after: u64,
    ) -> Result<Option<u64>, Failure> {
        let mut after = after;
        for _ in 0..PAGES {
            let path = format!("conversations/{conversation}/messages?after={after}");
            let page = self.ask(Method::GET, &path, None).await?;
            let list = page.get("payload").and_then(Value::as_array);
            let list = list.ok_or(Failure::Unreadable("its list of messages cannot be read"))?;
            let is =
                |message: &&Value| message.get("source_id").and_then(Value::as_str) == Some(source);
            if let Some(found) = list.iter().find(is).and_then(number) {
                return Ok(Some(found));
            }
            let newest = list.iter().filter_map(number).max();
            match newest.filter(|newest| list.len() >= PAGE && *newest > after) {
                Some(newest) => after = newest,
                None => return Ok(None),
            }
        }
        Err(Failure::Unreadable("too many messages to look through for one whose answer was lost"))
    }

    pub(super) async fn make_message(
        &mut self,
        conversation: u64,
        message: &NewMessage,
    ) -> Result<u64, Failure> {
        let path = format!("conversations/{conversation}/messages");
        let body = match &message.file {
            Some((name, file)) => form(message, name, file),
            None => {
                let mut body = json!({
                    "content": message.text,
                    "message_type": direction(message),
                    "private": false,
                    "source_id": message.source,
                });
                if let (Some(answers), Value::Object(fields)) = (message.answers, &mut body) {
                    let attributes = json!({ "in_reply_to": answers });
                    fields.insert("content_attributes".to_owned(), attributes);
                }
                in_json(&body)
            }
        };
        let made = self.send(Method::POST, &path, Some(body)).await?;
        number(&made).ok_or(Failure::Unreadable("its new message cannot be read"))
    }

    pub(super) async fn remove_message(
        &mut self,
        conversation: u64,
        message: u64,
    ) -> Result<(), Failure> {
        let path = format!("conversations/{conversation}/messages/{message}");
        self.ask(Method::DELETE, &path, None).await?;
        Ok(())
    }

    /// Says how far a message got.
    pub(super) async fn mark_message(
        &mut self,
        conversation: u64,
        message: u64,
        status: &str,
        error: Option<&str>,
    ) -> Result<(), Failure> {
        let path = format!("conversations/{conversation}/messages/{message}");
        let body = match error {
            Some(error) => json!({ "status": status, "external_error": error }),
            None => json!({ "status": status }),
        };
        self.ask(Method::PATCH, &path, Some(body)).await?;
        Ok(())
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        self.send(method, path, body.as_ref().map(in_json)).await
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<(String, Bytes)>,
    ) -> Result<Value, Failure> {
        let base = self.endpoint.url.trim_end_matches('/');
        let url = format!("{base}/api/v1/accounts/{}/{path}", self.inbox.account);
        let (endpoint, key) = (self.endpoint, (KEY, self.token));
        let ask = Ask { endpoint, method, url: &url, key, body };
        let answer = self.client.ask(ask, ANSWER, &mut self.keep_alive).await;
        let answer = answer.map_err(Failure::NoAnswer)?;
        if !answer.status.is_success() {
            return Err(Failure::Refused(answer));
        }
        // What is deleted is often answered with nothing.
        if answer.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_other| Failure::Unreadable("it answers no JSON; is the URL Chatwoot's?"))
    }

    fn contact(&self, contact: &Value) -> Option<Contact> {
        let inbox = u64::try_from(self.inbox.inbox).ok();
        let places = contact.get("contact_inboxes").and_then(Value::as_array);
        let here = places
            .into_iter()
            .flatten()
            .find(|place| place.pointer("/inbox/id").and_then(Value::as_u64) == inbox);
        let source = here.and_then(|place| place.get("source_id")?.as_str().map(str::to_owned));
        Some(Contact { id: number(contact)?, source })
    }
}

fn number(of: &Value) -> Option<u64> {
    of.get("id").and_then(Value::as_u64)
}

fn direction(message: &NewMessage) -> &'static str {
    if message.incoming { "incoming" } else { "outgoing" }
}

fn in_json(body: &Value) -> (String, Bytes) {
    ("application/json".to_owned(), body.to_string().into())
}

/// The message as a form with its file.
fn form(message: &NewMessage, name: &str, file: &File) -> (String, Bytes) {
    let boundary =
        format!("moonwa-{}", data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>()));
    let mut fields = vec![
        ("message_type", direction(message).to_owned()),
        ("private", "false".to_owned()),
        ("source_id", message.source.clone()),
    ];
    if !message.text.is_empty() {
        fields.push(("content", message.text.clone()));
    }
    if let Some(answers) = message.answers {
        fields.push(("content_attributes[in_reply_to]", answers.to_string()));
    }
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for (field, value) in fields {
        let part = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
        );
        parts.push(part.into_bytes());
    }
    let kind =
        file.mime.as_deref().filter(|mime| mime.bytes().all(|b| b.is_ascii_graphic() || b == b' '));
    let of_file = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"attachments[]\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
        quoted(name),
        kind.unwrap_or("application/octet-stream"),
    );
    parts.push(of_file.into_bytes());
    let (head, tail) = (parts.concat(), format!("\r\n--{boundary}--\r\n"));
    let mut body = Vec::with_capacity(head.len() + file.bytes.len() + tail.len());
    body.extend_from_slice(&head);
    body.extend_from_slice(&file.bytes);
    body.extend_from_slice(tail.as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body.into())
}

/// A file's name as browsers write it into a form: nothing in it can end it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_as_a_form_that_its_name_cannot_break() {
        let message = NewMessage {
            text: "lihat".to_owned(),
            incoming: true,
            source: "WAID:3EB0".to_owned(),
            answers: Some(7),
            file: None,
        };
        let file = File { mime: Some("image/png".to_owned()), name: None, bytes: b"PNG".to_vec() };
        let (kind, body) = form(&message, "a\"\r\nb.png", &file);
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
        assert_eq!(parts.len(), 8, "{body}");
        assert!(parts[4].contains("name=\"content\"\r\n\r\nlihat"), "{body}");
        assert!(parts[5].contains("name=\"content_attributes[in_reply_to]\"\r\n\r\n7"), "{body}");
        let last = parts[6];
        assert!(
            last.contains("filename=\"a%22%0D%0Ab.png\"\r\nContent-Type: image/png\r\n\r\nPNG\r\n"),
            "{last}"
        );
    }
}
