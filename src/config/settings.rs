//! The settings of `moonwa.toml` as values, complete and immutable. What the file leaves out has its default.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use tracing::Level;

use super::endpoint::EndpointConfig;
use super::pace::Pace;
use super::proxy::Proxy;
use super::rule::RuleConfig;
use crate::model::{DeviceName, KeyHash};

/// The whole configuration, with the defaults filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub server: ServerConfig,
    pub admin: AdminConfig,
    pub store: StoreConfig,
    pub log: LogConfig,
    pub outbox: OutboxConfig,
    /// How much of the history is kept; absent when none is.
    pub history: Option<HistoryConfig>,
    pub media: MediaConfig,
    /// The version of WhatsApp's web client to claim, instead of the one that is fetched.
    pub whatsapp_version: Option<(u32, u32, u32)>,
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
    /// Where moonwa is reached from outside, with the path it is under and without a slash at the end.
    pub public_url: Option<String>,
    /// How many connections may be open at once.
    pub max_connections: usize,
    /// The products whose API is spoken beside moonwa's own.
    pub faces: Vec<FaceName>,
}

/// A product whose API moonwa speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaceName {
    /// The WhatsApp HTTP API.
    Waha,
    /// go-whatsapp-web-multidevice.
    Gowa,
    /// Evolution API v2.
    Evolution,
    Wuzapi,
}

impl FaceName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waha => "waha",
            Self::Gowa => "gowa",
            Self::Evolution => "evolution",
            Self::Wuzapi => "wuzapi",
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            base_path: "/".to_owned(),
            public_url: None,
            max_connections: 256,
            faces: Vec::new(),
        }
    }
}

/// `[admin]`: who may use the admin page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// The hash of the admin token, if there is one.
    pub token: Option<KeyHash>,
    /// Whether the page may write the file.
    pub editable: bool,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { token: None, editable: true }
    }
}

/// `[store]`: where credentials and the outbox are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    pub path: PathBuf,
    /// What an acknowledged message survives.
    pub durability: Durability,
    /// What moonwa does when it starts and finds damaged credentials.
    pub repair: Repair,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { path: PathBuf::from("data"), durability: Durability::Power, repair: Repair::Manual }
    }
}

/// What an acknowledged message survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power cut, because fdatasync comes before every acknowledgement.
    Power,
    /// `kill -9`, but not a power cut.
    Crash,
}

/// What moonwa does when it starts and finds damaged credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// moonwa does not start, and says what to do.
    Manual,
    /// moonwa repairs them and starts.
    Auto,
}

/// `[log]`: how much is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least important level that is written; `$RUST_LOG` overrides it.
    pub level: Level,
    /// Whether phone numbers are written in full.
    pub full_jids: bool,
    /// Whether `$RUST_LOG` may let other crates speak, which log codes, names and messages.
    pub unsafe_dependencies: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: Level::INFO, full_jids: false, unsafe_dependencies: false }
    }
}

/// `[outbox]`: how long undelivered events are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxConfig {
    /// Events older than this may be removed.
    pub keep: Duration,
    /// Bytes on disk; beyond that the oldest events are removed.
    pub max_size: u64,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self { keep: Duration::from_hours(72), max_size: 256 << 20 }
    }
}

/// `[history]`: how long earlier messages are kept for people and programs to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryConfig {
    /// Messages older than this are removed.
    pub keep: Duration,
    /// Bytes; beyond that the oldest messages are removed.
    pub max_size: u64,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { keep: Duration::from_hours(30 * 24), max_size: 256 << 20 }
    }
}

/// `[media]`: limits for pictures and files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// The largest file that is sent or received, in bytes.
    pub max_size: u64,
    /// Private networks that the media URLs of API callers may point into.
    pub allow_nets: Vec<IpNet>,
    /// How many bytes the files of all devices may have that wait to be sent.
    pub spool: u64,
    /// How many those of one device may have.
    pub device_spool: u64,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self { max_size: 64 << 20, allow_nets: Vec::new(), spool: 2 << 30, device_spool: 512 << 20 }
    }
}

/// `[device.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceConfig {
    /// The Session Name, which is any text; the device's name when the file gives none.
    pub label: String,
    pub enabled: bool,
    /// Every key of the device. `api_key` becomes the key called `default`, with the scopes that a program needs.
    pub keys: Vec<KeyConfig>,
    /// Lets `0812…` be written for `62812…`.
    pub country_code: Option<String>,
    /// How fast messages may go out; absent when there is no limit.
    pub pace: Option<Pace>,
    /// What becomes of calls.
    pub calls: Calls,
    /// What WhatsApp is told about whether somebody is there.
    pub presence: Presence,
    /// As what the phone lists it from the next linking on.
    pub shown_as: ShownAs,
    /// Through what it reaches WhatsApp; absent when it does so itself.
    pub proxy: Option<Proxy>,
    /// Webhooks, in the file's order.
    pub webhooks: Vec<EndpointConfig>,
    /// What it answers by itself, in the file's order.
    pub rules: Vec<RuleConfig>,
}

impl DeviceConfig {
    /// A device of which only the label is given.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            enabled: true,
            keys: Vec::new(),
            country_code: None,
            pace: None,
            calls: Calls::default(),
            presence: Presence::default(),
            shown_as: ShownAs::default(),
            proxy: None,
            webhooks: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// The webhook that a rule hands its messages to.
    pub(crate) fn webhook_of(&self, rule: &RuleConfig) -> Option<&EndpointConfig> {
        self.webhooks.iter().find(|endpoint| Some(endpoint.n) == rule.webhook)
    }

    /// Whether the change from `old` must open or close the connection to WhatsApp. No other change may touch it.
    pub fn needs_reconnect(&self, old: &Self) -> bool {
        self.enabled != old.enabled || self.proxy != old.proxy
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    /// Its name in the log.
    pub id: String,
    pub hash: KeyHash,
    pub scopes: BTreeSet<Scope>,
}

impl KeyConfig {
    /// The name of the key that `api_key` makes.
    pub const DEFAULT: &str = "default";

    /// What a program needs: `send` and `read`.
    pub fn program_scopes() -> BTreeSet<Scope> {
        BTreeSet::from([Scope::Send, Scope::Read])
    }
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Send,
    /// Read states, messages, media and events.
    Read,
    /// Read the history: chats, their messages, and what is found in them.
    History,
    /// Make and change groups.
    Groups,
    /// Link, stop and change the device.
    Admin,
    /// Read the numbers of the whole gateway: no message, but the names of all devices.
    Metrics,
}

/// What becomes of calls. A device can take none: they ring on the owner's phone, or are rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub reject: bool,
    /// What somebody is told whose call is rejected.
    pub text: Option<String>,
}

/// What WhatsApp is told about whether somebody is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// Nobody: the owner's phone goes on notifying.
    #[default]
    Unavailable,
    /// Somebody: contacts see "online", and the owner's phone keeps silent.
    Available,
}

/// The browser and the system under which a phone lists the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShownAs {
    pub browser: Browser,
    pub system: System,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Browser {
    #[default]
    Chrome,
    Edge,
    Firefox,
    Safari,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum System {
    #[default]
    Linux,
    MacOs,
    Windows,
}
