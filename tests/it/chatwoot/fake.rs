//! A Chatwoot as its documentation has it: the application API of one account with one inbox of type API, its bodies and
//! its refusals, and the webhook that it posts. It loses answers when it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Context, Result};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use moonwa_simulator::harness::{Moonwa, Reply, eventually};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(super) const TOKEN: &str = "token-of-an-agent-in-chatwoot";
pub(super) const SECRET: &str = "SecretThatChatwootMade24";
pub(super) const INBOX: u64 = 5;

#[derive(Default)]
pub(super) struct Book {
    pub(super) contacts: Vec<Value>,
    pub(super) conversations: Vec<Value>,
    pub(super) messages: Vec<Value>,
    /// Every request, as method and path.
    pub(super) requests: Vec<String>,
    /// These requests are carried out, and their answers are lost.
    pub(super) lose: VecDeque<&'static str>,
    /// Every request is answered so.
    pub(super) down: Option<u16>,
}

pub(super) struct Chatwoot {
    pub(super) url: String,
    book: Arc<Mutex<Book>>,
    server: JoinHandle<()>,
}

impl Drop for Chatwoot {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Chatwoot {
    #[expect(clippy::disallowed_methods, reason = "a test tool has its own tasks")]
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let book: Arc<Mutex<Book>> = Arc::default();
        let shared = Arc::clone(&book);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let book = Arc::clone(&shared);
                let service = service_fn(move |request| answer(request, Arc::clone(&book)));
                tokio::spawn(async move {
                    // A lost answer ends its connection.
                    http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        Ok(Self { url, book, server })
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// The webhook that leads here, as `moonwa.toml` has it.
    pub(super) fn webhook(&self) -> String {
        format!(
            "{{ url = {:?}, format = \"chatwoot\", account = 1, inbox = {INBOX}, token = {TOKEN:?}, secret = {SECRET:?} }}",
            self.url
        )
    }

    pub(super) fn messages(&self) -> Vec<Value> {
        self.book().messages.clone()
    }

    /// The texts of all messages that are for the contact or by them, in order.
    pub(super) fn texts(&self) -> Vec<String> {
        self.messages()
            .iter()
            .map(|message| message["content"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Waits for a message with this text.
    pub(super) async fn expect(&self, text: &str) -> Value {
        self.until(text, |message| message["content"] == text).await
    }

    pub(super) async fn until(&self, what: &str, good: impl Fn(&Value) -> bool) -> Value {
        let look = || async { self.messages() };
        let all = eventually(what, look, |all: &Vec<Value>| all.iter().any(&good)).await;
        all.into_iter().find(good).unwrap()
    }

    /// An agent writes. Gives what Chatwoot posts of it.
    pub(super) fn agent_writes(&self, conversation: u64, message: &Value) -> Value {
        let mut book = self.book();
        let id = next(&book.messages);
        let mut made = json!({
            "id": id, "content": null, "message_type": 1, "content_type": "text", "private": false, "source_id": null,
            "conversation_id": conversation, "content_attributes": {}, "status": "sent",
        });
        for (key, value) in message.as_object().unwrap() {
            made[key] = value.clone();
        }
        book.messages.push(made);
        drop(book);
        self.posted("message_created", id)
    }

    /// What Chatwoot posts about a message.
    pub(super) fn posted(&self, event: &str, id: u64) -> Value {
        let book = self.book();
        let message = book.messages.iter().find(|message| message["id"] == id).unwrap();
        let conversation =
            find(&book.conversations, message["conversation_id"].as_u64().unwrap()).unwrap();
        let contact = find(&book.contacts, conversation["contact_id"].as_u64().unwrap()).unwrap();
        let mut posted = message.clone();
        posted["event"] = json!(event);
        posted["message_type"] = match message["message_type"].as_u64() {
            Some(0) => json!("incoming"),
            _ => json!("outgoing"),
        };
        posted["account"] = json!({"id": 1, "name": "Toko"});
        posted["inbox"] = json!({"id": INBOX, "name": "WhatsApp"});
        posted["conversation"] = json!({
            "id": conversation["id"], "inbox_id": INBOX, "status": "open", "channel": "Channel::Api",
            "contact_inbox": {"source_id": conversation["source_id"], "inbox_id": INBOX},
            "messages": [message], "meta": {"sender": contact, "assignee": null},
        });
        posted
    }

    /// Chatwoot posts that, signed.
    pub(super) async fn post(&self, moonwa: &Moonwa, posted: &Value) -> Result<Reply> {
        let body = posted.to_string();
        let timestamp = "1796000000";
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
        mac.update(format!("{timestamp}.{body}").as_bytes());
        let signature = format!("sha256={}", HEXLOWER.encode(&mac.finalize().into_bytes()));
        let anyone = moonwa.anyone();
        let request = anyone
            .request(Method::POST, &format!("/v1/devices/toko/chatwoot/{INBOX}"))
            .header("content-type", "application/json")
            .header("x-chatwoot-timestamp", timestamp)
            .header("x-chatwoot-signature", signature);
        anyone.send(request.body(Full::new(body.into()))?).await
    }
}

fn next(list: &[Value]) -> u64 {
    list.iter().filter_map(|one| one["id"].as_u64()).max().unwrap_or(100) + 1
}

fn find(list: &[Value], id: u64) -> Option<&Value> {
    list.iter().find(|one| one["id"] == id)
}

type Said = (u16, Value);

fn missing() -> Said {
    (404, json!({"error": "Resource could not be found"}))
}

async fn answer(
    request: Request<Incoming>,
    book: Arc<Mutex<Book>>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let line = format!("{} {}", head.method, head.uri.path());
    let mut book = book.lock().unwrap();
    book.requests.push(line.clone());
    let kind = head.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let token = head.headers.get("api_access_token").and_then(|token| token.to_str().ok());
    let (status, said) = match book.down {
        Some(status) => (status, json!({"error": "down"})),
        None if token != Some(TOKEN) => (401, json!({"error": "Invalid Access Token"})),
        None => {
            let path = head.uri.path().strip_prefix("/api/v1/accounts/1/").unwrap_or_default();
            let sent = match kind.as_deref() {
                Some(kind) if kind.starts_with("multipart/") => form(kind, &body),
                _ => serde_json::from_slice(&body).unwrap_or_default(),
            };
            let query = head.uri.query().unwrap_or_default();
            let path: Vec<&str> = path.split('/').collect();
            let asked = Asked { method: &head.method, path: &path, query, sent: &sent };
            handle(&mut book, &asked).unwrap_or_else(missing)
        }
    };
    if book.lose.front().is_some_and(|lost| line.ends_with(lost)) {
        book.lose.pop_front();
        return Err(std::io::Error::other("the answer is lost"));
    }
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::new(said.to_string().into())).unwrap())
}

/// What moonwa asks for.
struct Asked<'a> {
    method: &'a Method,
    /// Below the account.
    path: &'a [&'a str],
    query: &'a str,
    sent: &'a Value,
}

impl Asked<'_> {
    fn id(&self, at: usize) -> Option<u64> {
        self.path.get(at)?.parse().ok()
    }
}

fn handle(book: &mut Book, asked: &Asked<'_>) -> Option<Said> {
    let Asked { method, path, query, sent } = *asked;
    let id = |at| asked.id(at);
    let place = |source: &Value| json!({"source_id": source, "inbox": {"id": INBOX, "channel_type": "Channel::Api"}});
    match (method.as_str(), path) {
        ("GET", ["inboxes", _]) if id(1)? == INBOX => {
            Some((200, json!({"id": INBOX, "name": "WhatsApp", "channel_type": "Channel::Api"})))
        }
        ("GET", ["contacts", "search"]) => {
            let wanted = query.strip_prefix("q=")?.replace("%40", "@").replace("%2E", ".");
            let has = |contact: &&Value, key: &str| {
                contact[key].as_str().is_some_and(|value| value.contains(&wanted))
            };
            let fits = |contact: &&Value| {
                ["name", "phone_number", "identifier"].iter().any(|key| has(contact, key))
            };
            let found: Vec<&Value> = book.contacts.iter().filter(fits).collect();
            Some((
                200,
                json!({"meta": {"count": found.len(), "current_page": 1}, "payload": found}),
            ))
        }
        ("POST", ["contacts"]) => {
            for key in ["identifier", "phone_number"] {
                let value = &sent[key];
                if !value.is_null() && book.contacts.iter().any(|contact| contact[key] == *value) {
                    let message = format!("{key} has already been taken");
                    return Some((422, json!({"message": message, "attributes": [key]})));
                }
            }
            let number = next(&book.contacts);
            let source = json!(format!("source-{number}"));
            let contact = json!({
                "id": number, "name": sent["name"], "identifier": sent["identifier"], "phone_number": sent["phone_number"],
                "contact_inboxes": [place(&source)],
            });
            book.contacts.push(contact.clone());
            Some((
                200,
                json!({"payload": {"contact": contact, "contact_inbox": {"inbox": {"id": INBOX}, "source_id": source}}}),
            ))
        }
        ("PUT", ["contacts", _]) => {
            let contact =
                book.contacts.iter_mut().find(|contact| contact["id"] == id(1).unwrap())?;
            contact["name"] = sent["name"].clone();
            Some((200, json!({"payload": contact})))
        }
        ("POST", ["contacts", _, "contact_inboxes"]) => {
            let contact =
                book.contacts.iter_mut().find(|contact| contact["id"] == id(1).unwrap())?;
            let place = place(&json!(format!("source-{}", id(1)?)));
            contact["contact_inboxes"] = json!([place]);
            Some((200, place))
        }
        ("GET", ["contacts", _, "conversations"]) => {
            find(&book.contacts, id(1)?)?;
            let theirs =
                book.conversations.iter().filter(|one| one["contact_id"] == id(1).unwrap());
            let with_last = theirs.map(|one| {
                let last =
                    book.messages.iter().rfind(|message| message["conversation_id"] == one["id"]);
                let mut one = one.clone();
                one["messages"] = json!(last.into_iter().collect::<Vec<_>>());
                one
            });
            Some((200, json!({"payload": with_last.collect::<Vec<_>>()})))
        }
        _ => conversation(book, asked),
    }
}

/// The part of the API about conversations and their messages.
fn conversation(book: &mut Book, asked: &Asked<'_>) -> Option<Said> {
    let Asked { method, path, query, sent } = *asked;
    let id = |at| asked.id(at);
    match (method.as_str(), path) {
        ("POST", ["conversations"]) => {
            find(&book.contacts, sent["contact_id"].as_u64()?)?;
            let number = next(&book.conversations);
            let conversation = json!({
                "id": number, "inbox_id": INBOX, "account_id": 1, "contact_id": sent["contact_id"],
                "source_id": sent["source_id"], "status": "open", "messages": [],
            });
            book.conversations.push(conversation.clone());
            Some((200, conversation))
        }
        ("GET", ["conversations", _, "messages"]) => {
            find(&book.conversations, id(1)?)?;
            let after: u64 = query.strip_prefix("after=")?.parse().unwrap();
            let later = book.messages.iter().filter(|message| {
                message["conversation_id"] == id(1).unwrap()
                    && message["id"].as_u64().unwrap() > after
            });
            Some((200, json!({"meta": {}, "payload": later.take(100).collect::<Vec<_>>()})))
        }
        ("POST", ["conversations", _, "messages"]) => {
            find(&book.conversations, id(1)?)?;
            let number = next(&book.messages);
            let kind = match sent["message_type"].as_str() {
                Some("incoming") => 0,
                _ => 1,
            };
            let message = json!({
                "id": number, "content": sent["content"], "message_type": kind, "content_type": "text", "private": false,
                "source_id": sent["source_id"], "conversation_id": id(1)?, "status": "sent",
                "content_attributes": sent.get("content_attributes").cloned().unwrap_or_else(|| json!({})),
                "attachments": sent.get("attachments").cloned().unwrap_or_else(|| json!([])),
            });
            book.messages.push(message.clone());
            Some((200, message))
        }
        (verb @ ("PATCH" | "DELETE"), ["conversations", _, "messages", _]) => {
            let is = |message: &&mut Value| {
                message["id"] == id(3).unwrap() && message["conversation_id"] == id(1).unwrap()
            };
            let message = book.messages.iter_mut().find(is)?;
            if verb == "DELETE" {
                message["content"] = json!("This message was deleted");
                message["content_attributes"] = json!({"deleted": true});
                message["attachments"] = json!([]);
                return Some((200, message.clone()));
            }
            message["status"] = sent["status"].clone();
            if let Some(error) = sent.get("external_error") {
                message["content_attributes"]["external_error"] = error.clone();
            }
            Some((200, message.clone()))
        }
        _ => None,
    }
}

/// A form with files, as Rails reads it.
fn form(kind: &str, body: &[u8]) -> Value {
    let read = || -> Result<Value> {
        let boundary = kind.split_once("boundary=").context("no boundary")?.1;
        let text: String = body.iter().copied().map(char::from).collect();
        let mut sent = json!({});
        for part in text.split(&format!("--{boundary}")) {
            let Some((head, value)) = part.split_once("\r\n\r\n") else { continue };
            let value = value.strip_suffix("\r\n").context("no end")?;
            let named = |key: &str| {
                Some(head.split_once(&format!(" {key}=\""))?.1.split_once('"')?.0.to_owned())
            };
            let name = named("name").context("no name")?;
            let bytes: Vec<u8> =
                value.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            match name.as_str() {
                "attachments[]" => {
                    let mime = head.split_once("Content-Type: ").context("no type")?.1.trim();
                    let file =
                        json!({"name": named("filename"), "mime": mime, "size": bytes.len()});
                    sent["attachments"] = json!([file]);
                }
                "content_attributes[in_reply_to]" => {
                    sent["content_attributes"] = json!({"in_reply_to": value});
                }
                _ => sent[name] = String::from_utf8(bytes)?.into(),
            }
        }
        Ok(sent)
    };
    read().unwrap_or_default()
}
