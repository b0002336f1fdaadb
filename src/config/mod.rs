//! `moonwa.toml` and nothing else: the file becomes a complete, immutable `Config`, or the list of everything that is
//! wrong with it. Reading secrets' files is part of that; acting on a change is not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::{DeviceName, EventType, KeyHash, Secret};

/// The whole configuration, resolved: no `Option` that must be there at run time.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[server]`.
    pub server: ServerConfig,
    /// `[admin]`.
    pub admin: AdminConfig,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[outbox]`.
    pub outbox: OutboxConfig,
    /// `[media]`.
    pub media: MediaConfig,
    /// `[device.*]`.
    pub devices: BTreeMap<DeviceName, DeviceConfig>,
}

/// `[server]`: where the REST API and the admin page are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Further `Host` names the admin page answers to.
    pub hosts: Vec<String>,
    /// Whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The path a reverse proxy serves moonwa under: starts and ends with `/`.
    pub base_path: String,
}

/// `[admin]`: who may use the admin page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// The hash of the admin token, when one is configured.
    pub token: Option<KeyHash>,
    /// Whether the page may write the file.
    pub editable: bool,
}

/// `[store]`: where credentials and the outbox are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The directory.
    pub path: PathBuf,
    /// What a promise survives.
    pub durability: Durability,
}

/// What a promise survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// fdatasync before every promise: a power cut.
    Power,
    /// `kill -9` only.
    Crash,
}

/// `[outbox]`: how long undelivered events are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxConfig {
    /// Events older than this may go.
    pub keep: Duration,
    /// Bytes on disk before the oldest go.
    pub max_size: u64,
}

/// `[media]`: limits for pictures and files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// The largest file, either way, in bytes.
    pub max_size: u64,
    /// Private ranges that media URLs of API callers may point into.
    pub allow_nets: Vec<IpNet>,
}

/// `[device.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceConfig {
    /// The free-text Session Name; the device's name when absent.
    pub label: String,
    /// Whether it runs.
    pub enabled: bool,
    /// Every key of the device; `api_key` is the one called `default`, with all of a program's scopes.
    pub keys: Vec<KeyConfig>,
    /// Lets `0812…` be written for `62812…`.
    pub country_code: Option<String>,
    /// How fast messages go out, when limited.
    pub pace: Option<Pace>,
    /// Webhooks, in the file's order.
    pub webhooks: Vec<EndpointConfig>,
}

/// One API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    /// Its name in the log.
    pub id: String,
    /// Its hash.
    pub hash: KeyHash,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Send messages.
    Send,
    /// Read states, messages, media and events.
    Read,
    /// Link, stop and change the device.
    Admin,
}

/// At most this many messages in that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many.
    pub count: u32,
    /// In how long.
    pub per: Duration,
}

/// One webhook URL of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointConfig {
    /// Its place in the list, from 1.
    pub n: usize,
    /// Where events are posted. May hold credentials: log it through `shown_url`.
    pub url: String,
    /// Signing secrets (decoded key bytes live in `hooks`), newest first; at most two.
    pub secrets: Vec<Secret>,
    /// Which events.
    pub events: EventFilter,
    /// What the body looks like.
    pub format: Format,
    /// Headers added to every request.
    pub headers: BTreeMap<String, String>,
    /// Other products' signature headers to add.
    pub compat: BTreeSet<Compat>,
    /// How long one request may take.
    pub timeout: Duration,
    /// Whether deliveries wait.
    pub paused: bool,
    /// Where a new endpoint begins.
    pub start: Start,
}

/// The shape of a webhook body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Standard Webhooks, every event type.
    Standard,
    /// docs.moonwa.id's body; the answer can be the reply.
    Moonwa,
}

/// Products whose signature headers can be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compat {
    /// WAHA: `X-Webhook-Hmac` and friends.
    Waha,
    /// GOWA: `X-Hub-Signature-256`.
    Gowa,
}

/// Where a new endpoint begins in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Tail,
    /// With the oldest event kept.
    Earliest,
}

/// Which events an endpoint gets: exact names, or `group.*`, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter(pub BTreeSet<EventType>);

impl EventFilter {
    /// Whether events of this type are wanted.
    pub fn wants(&self, kind: EventType) -> bool {
        self.0.contains(&kind)
    }
}

impl Default for EventFilter {
    fn default() -> Self {
        Self(BTreeSet::from([EventType::MessageReceived]))
    }
}
