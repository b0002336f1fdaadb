//! One request on its way to the code that answers it: who sent it, what its path names, and its body.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::api::access::auth::{self, Principal};
use crate::api::access::throttle::Attempt;
use crate::api::http::body::Received;
use crate::api::http::form;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request;
use crate::api::http::response::Response;
use crate::api::state::State;
use crate::config::{Config, DeviceConfig};
use crate::model::{ChatKind, DeviceName, EventId, Jid, ListId, MessageId, PhoneNumber, Recipient};
use crate::whatsapp::DeviceHandle;

/// What a handler gives back.
pub(crate) type Answer = Result<Response, Problem>;

/// A `{name}` that the path of a route may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathName {
    Device,
    Message,
    List,
    Chat,
    Phone,
    Contact,
    Group,
    Webhook,
    Event,
    Inbox,
    Label,
    Channel,
    Post,
}

impl PathName {
    /// The name as the table of routes writes it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "device" => Self::Device,
            "message" => Self::Message,
            "list" => Self::List,
            "chat" => Self::Chat,
            "phone" => Self::Phone,
            "contact" => Self::Contact,
            "group" => Self::Group,
            "n" => Self::Webhook,
            "event" => Self::Event,
            "inbox" => Self::Inbox,
            "label" => Self::Label,
            "channel" => Self::Channel,
            "post" => Self::Post,
            _ => return None,
        })
    }
}

/// The values of the names in a path, percent-decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathValues(Vec<(PathName, String)>);

impl PathValues {
    pub(crate) fn new(values: Vec<(PathName, String)>) -> Self {
        Self(values)
    }

    /// The device a path names, whether or not there is one of that name.
    pub(crate) fn device(&self) -> Option<&str> {
        self.get(PathName::Device)
    }

    /// The message a path names, as it is written there.
    pub(crate) fn message(&self) -> Option<&str> {
        self.get(PathName::Message)
    }

    /// The chat a path names, as it is written there.
    pub(crate) fn chat(&self) -> Option<&str> {
        self.get(PathName::Chat)
    }

    /// Says what a name stands for, where a request says it elsewhere than in its path.
    pub(crate) fn set(&mut self, name: PathName, value: String) {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value));
    }

    fn get(&self, name: PathName) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Call {
    pub(crate) state: Arc<State>,
    /// The configuration when the request came; it stays the same while the request is answered.
    pub(crate) config: Arc<Config>,
    pub(crate) head: Parts,
    pub(crate) path: PathValues,
    pub(crate) who: Principal,
    /// The other end of the connection, which may be a proxy.
    pub(crate) peer: IpAddr,
    /// Who sent the request, by the word of trusted proxies.
    pub(crate) client: IpAddr,
    /// Whether it came with a key or token that nobody has.
    pub(crate) guessed: bool,
    body: Option<Received>,
}

impl Call {
    pub(crate) fn new(
        state: Arc<State>,
        config: Arc<Config>,
        head: Parts,
        body: Received,
        path: PathValues,
        peer: IpAddr,
        client: IpAddr,
    ) -> Self {
        let who = Principal::Nobody;
        let body = Some(body);
        Self { state, config, head, path, who, peer, client, guessed: false, body }
    }

    /// The same request without its body, for whoever answers it in parts.
    pub(crate) fn without_body(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            config: Arc::clone(&self.config),
            head: self.head.clone(),
            path: self.path.clone(),
            who: self.who.clone(),
            body: None,
            ..*self
        }
    }

    /// Finds out who sent the request.
    pub(crate) fn identify(&mut self) -> Result<Principal, Problem> {
        let who = auth::identify(&self.state, &self.config, &self.head, self.client);
        self.guessed = who.as_ref().is_err_and(|problem| problem.code == Code::Unauthorized);
        who
    }

    /// Finds out whose key it is that a face's callers send in their own way.
    pub(crate) fn identify_by(&mut self, key: &str) -> Result<Principal, Problem> {
        let who = auth::holder(&self.state, &self.config, key, self.client);
        self.guessed = who.as_ref().is_err_and(|problem| problem.code == Code::Unauthorized);
        who
    }

    /// Counts a wrong key, or refuses a client that has sent too many.
    pub(crate) fn guessed_wrong(&mut self, attempt: Attempt) -> Result<(), Problem> {
        self.state.throttle.check(attempt, self.client)?;
        self.state.throttle.failed(attempt, self.client);
        self.guessed = true;
        Ok(())
    }

    /// The unread body. Only the first caller gets it.
    pub(crate) fn body(&mut self) -> Result<Received, Problem> {
        self.body.take().ok_or_else(|| Code::Internal.into())
    }

    pub(crate) async fn read(&mut self, max: usize) -> Result<Bytes, Problem> {
        let body = self.body()?;
        request::read_limited(body, max).await
    }

    pub(crate) async fn json<T: DeserializeOwned>(&mut self, max: usize) -> Result<T, Problem> {
        if self.head.headers.contains_key(CONTENT_TYPE) && !self.has_type("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType, "send application/json"));
        }
        request::parse(&self.read(max).await?)
    }

    /// Whether the `Content-Type` header says that type.
    pub(crate) fn has_type(&self, wanted: &str) -> bool {
        let value = self.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = value.and_then(|value| value.split(';').next()).unwrap_or_default();
        kind.trim().eq_ignore_ascii_case(wanted)
    }

    /// Whether the `Accept` header names that type, or its group as `group/*`.
    pub(crate) fn accepts(&self, wanted: &str) -> bool {
        let group = wanted.split('/').next().unwrap_or_default();
        let values = self.head.headers.get_all(ACCEPT).into_iter();
        values.filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(',')).any(|one| {
            let one = one.split(';').next().unwrap_or_default().trim();
            one.eq_ignore_ascii_case(wanted)
                || one.strip_suffix("/*").is_some_and(|asked| asked.eq_ignore_ascii_case(group))
        })
    }

    /// The first parameter of that name in the query string.
    pub(crate) fn query(&self, name: &str) -> Result<Option<String>, Problem> {
        let pairs = form::pairs(self.head.uri.query().unwrap_or_default())
            .ok_or_else(|| Problem::new(Code::InvalidRequest, "the query string is not valid"))?;
        Ok(pairs.into_iter().find(|(n, _)| n == name).map(|(_, value)| value))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn value(&self, name: PathName) -> Result<&str, Problem> {
        self.path.get(name).ok_or_else(|| {
            tracing::error!(?name, "A handler asked for what the path of its route does not have.");
            Code::Internal.into()
        })
    }

    /// The device named in the path, as moonwa.toml has it.
    pub(crate) fn device(&self) -> Result<(DeviceName, &DeviceConfig), Problem> {
        let name = DeviceName::parse(self.value(PathName::Device)?).ok();
        name.and_then(|name| Some((self.config.devices.get(&name)?, name)))
            .map(|(config, name)| (name, config))
            .ok_or_else(|| Code::DeviceNotFound.into())
    }

    /// The name of the device in the path, which need not be in moonwa.toml.
    pub(crate) fn device_name(&self) -> Result<DeviceName, Problem> {
        DeviceName::parse(self.value(PathName::Device)?)
            .map_err(|error| Problem::field("device", error))
    }

    /// The running device named in the path.
    pub(crate) fn handle(&self) -> Result<DeviceHandle, Problem> {
        let (name, _) = self.device()?;
        self.state.api.fleet.device(&name).ok_or_else(|| Code::DeviceNotFound.into())
    }

    /// The message named in the path.
    pub(crate) fn message(&self) -> Result<MessageId, Problem> {
        MessageId::parse(self.value(PathName::Message)?).ok_or_else(|| Code::MessageNotFound.into())
    }

    /// The phone number in the path; one without a country code belongs to the device's country.
    pub(crate) fn phone(&self) -> Result<PhoneNumber, Problem> {
        let (_, device) = self.device()?;
        PhoneNumber::parse(self.value(PathName::Phone)?, device.country_code.as_deref())
            .map_err(|error| Problem::field("phone", error))
    }

    /// The list named in the path.
    pub(crate) fn list(&self) -> Result<ListId, Problem> {
        ListId::parse(self.value(PathName::List)?).ok_or_else(|| Code::ListNotFound.into())
    }

    /// The person named in the path: a phone number, or an address with an `@`.
    pub(crate) fn contact(&self) -> Result<Recipient, Problem> {
        let (_, device) = self.device()?;
        let contact = self.value(PathName::Contact)?;
        let contact = Recipient::parse(contact, device.country_code.as_deref())
            .map_err(|error| Problem::field("contact", error))?;
        match contact.jid().chat_kind() {
            ChatKind::Person if is_address(&contact) => Ok(contact),
            _ => Err(Problem::field("contact", "a phone number, or a LID that ends in @lid")),
        }
    }

    /// The chat named in the path: a person's, or a group's.
    pub(crate) fn chat(&self) -> Result<Recipient, Problem> {
        self.chat_of("chat", self.value(PathName::Chat)?)
    }

    /// The chat that a caller names in that field.
    pub(crate) fn chat_of(&self, field: &str, chat: &str) -> Result<Recipient, Problem> {
        let (_, device) = self.device()?;
        let chat = Recipient::parse(chat, device.country_code.as_deref())
            .map_err(|error| Problem::field(field, error))?;
        match chat.jid().chat_kind() {
            ChatKind::Person | ChatKind::Group if is_address(&chat) => Ok(chat),
            _ => Err(Problem::field(field, "a phone number, a LID or a group id")),
        }
    }

    /// The label named in the path: WhatsApp's number for it.
    pub(crate) fn label(&self) -> Result<&str, Problem> {
        let label = self.value(PathName::Label)?;
        let good = (1..=20).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_digit());
        good.then_some(label).ok_or_else(|| Problem::field("label", "a number"))
    }

    /// The channel named in the path.
    pub(crate) fn channel(&self) -> Result<Jid, Problem> {
        let channel = Jid::parse(self.value(PathName::Channel)?).ok();
        let channel = channel.filter(|channel| channel.chat_kind() == ChatKind::Channel);
        let channel = channel.filter(|channel| channel.user().bytes().all(|b| b.is_ascii_digit()));
        channel.ok_or_else(|| Problem::field("channel", "a channel's id ends in @newsletter"))
    }

    /// The post named in the path: WhatsApp's number for it, unread.
    pub(crate) fn post(&self) -> Result<&str, Problem> {
        self.value(PathName::Post)
    }

    /// The group named in the path.
    pub(crate) fn group(&self) -> Result<Jid, Problem> {
        let group = Jid::parse(self.value(PathName::Group)?).ok().filter(Jid::is_group);
        group.ok_or_else(|| Problem::field("group", "a group id ends in @g.us"))
    }

    /// The webhook named in the path: its device, and its number there.
    pub(crate) fn webhook(&self) -> Result<(DeviceName, usize), Problem> {
        let (name, _) = self.device()?;
        let n = self.value(PathName::Webhook)?;
        Ok((name, n.parse().map_err(|_not_a_number| Code::WebhookNotFound)?))
    }

    /// The inbox of Chatwoot in the path, by its number there.
    pub(crate) fn inbox(&self) -> Result<u64, Problem> {
        let inbox = self.value(PathName::Inbox)?;
        inbox.parse().map_err(|_not_a_number| Code::WebhookNotFound.into())
    }

    /// The event named in the path.
    pub(crate) fn event(&self) -> Result<EventId, Problem> {
        EventId::parse(self.value(PathName::Event)?).ok_or_else(|| Code::EventNotFound.into())
    }
}

/// Whether it can be somebody's: a LID has digits only, and a group's id dashes as well.
fn is_address(of: &Recipient) -> bool {
    let jid = of.jid();
    let (digits, length) =
        if jid.is_group() { ("-0123456789", 5..=32) } else { ("0123456789", 5..=20) };
    length.contains(&jid.user().len()) && jid.user().chars().all(|c| digits.contains(c))
}
