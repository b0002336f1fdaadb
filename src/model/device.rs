//! The name of a device and its state. Each state has its reason, and is one of the three words of docs.moonwa.id:
//! PENDING, CONNECTED or DISCONNECTED.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{NewChats, PhoneNumber, Refusal, Secret, UnixMillis};

/// The key of a device's table in `moonwa.toml`, which is also its name in URLs, logs and metrics.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(Arc<str>);

impl DeviceName {
    /// Reads a name: `[a-z0-9][a-z0-9_-]{0,63}`.
    pub fn parse(text: &str) -> Result<Self, DeviceNameError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = text.len() <= 64
            && text.bytes().next().is_some_and(plain)
            && text.bytes().all(|b| plain(b) || matches!(b, b'_' | b'-'));
        if good { Ok(Self(text.into())) } else { Err(DeviceNameError) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DeviceName {
    type Error = DeviceNameError;
    fn try_from(text: String) -> Result<Self, DeviceNameError> {
        Self::parse(&text)
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.0.as_ref().to_owned()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device name has 1 to 64 of a-z, 0-9, _ and -, and starts with a letter or a digit")]
pub struct DeviceNameError;

/// The three status words of docs.moonwa.id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StatusWord {
    /// Waits to be linked.
    Pending,
    Connected,
    /// Cannot send or receive until it has connected again or a person has acted.
    Disconnected,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Configured, but not linked.
    Pending(Pending),
    /// A QR code, a pair code or a passkey step is waiting for a person, or will be in a moment.
    Linking(Linking),
    /// Logged in, and WhatsApp has answered lately.
    Connected,
    /// The socket is up, but something is wrong.
    Degraded(Degradation),
    /// The socket is down; the credentials are kept.
    Reconnecting {
        /// How many tries in a row have failed.
        attempt: u32,
        /// When the next try starts; in the past while one is under way.
        retry_at: UnixMillis,
        /// Why the last connection ended or could not be made.
        why: Disconnect,
    },
    /// Unlinked: a person has to link it again.
    LoggedOut(LoggedOut),
    /// Stopped by a person, the file or WhatsApp.
    Stopped(Stop),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nobody has started the linking.
    NotStarted,
    /// All codes of the last linking expired unused.
    QrExpired,
    Cancelled,
    /// The phone or WhatsApp refused the link.
    LinkFailed,
}

/// What a person can use now to link the device. Everything is `None` until the first code is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linking {
    pub qr: Option<Shown>,
    /// The eight characters to type on the phone.
    pub pair_code: Option<Shown>,
    /// A passkey step that a person must take.
    pub passkey: Option<Passkey>,
    /// What went wrong last; the linking goes on.
    pub trouble: Option<Trouble>,
}

/// What stands in the way of a linking that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// WhatsApp gave no pair code or does not accept it; why.
    PairCodeRefused(String),
    /// WhatsApp wants the person to ask for another pair code.
    PairCodeExpired,
    /// A passkey step failed; why.
    PasskeyFailed(String),
    Unreachable(Obstacle),
}

/// Why WhatsApp cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub hurdle: Hurdle,
    /// The cause, for people.
    pub detail: String,
}

/// The step of a connection at which it failed, or waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hurdle {
    /// The address of WhatsApp's name.
    Dns,
    /// The TCP connection, which firewalls forbid.
    Connect,
    /// The secure connection: something answers in WhatsApp's place, or the clock is wrong.
    Tls,
    /// The WebSocket on it.
    WebSocket,
}

impl Hurdle {
    /// A stable code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "unreachable_dns",
            Self::Connect => "unreachable_blocked",
            Self::Tls => "unreachable_tls",
            Self::WebSocket => "unreachable",
        }
    }
}

/// A code that is shown to a person. It is a login secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub code: Secret,
    /// When it stops working.
    pub expires_at: UnixMillis,
}

/// A step of WhatsApp's passkey check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passkey {
    /// WebAuthn request options, to be answered by a browser.
    Request(Secret),
    /// A code to confirm on the phone.
    Confirm(Secret),
}

/// What is wrong with a live connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Degradation {
    /// WhatsApp has not answered lately.
    Unproven,
    /// WhatsApp refuses messages to new contacts (error 463), until this time if it is known.
    SendingLocked(Option<UnixMillis>),
    /// The store cannot keep the session's keys.
    Store,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disconnect {
    /// The first connection since start.
    Starting,
    /// What stands in the way, if it is known.
    Unreachable(Option<Obstacle>),
    Closed,
    /// WhatsApp asked for a pause or failed, with this code.
    Server(u16),
    Asked,
    /// The gateway's own actor failed and was started again.
    Crashed,
    /// The store cannot take messages, so moonwa disconnected: WhatsApp keeps them meanwhile, in order.
    Store,
}

/// Why a device has to be linked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedOut {
    /// Unlinked on the phone, or WhatsApp forgot the device.
    ByPhone,
    /// Logged out through moonwa.
    ByUser,
}

/// Why a device does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    ByUser,
    /// `enabled = false`.
    Disabled,
    /// WhatsApp banned the account for a time.
    Banned(Refusal),
    /// WhatsApp refuses the login, and the credentials are kept: a person decides.
    Refused(Refusal),
    /// WhatsApp refuses this version of the client.
    Outdated,
    /// Another program uses the same credentials.
    Replaced,
    Shutdown,
}

impl DeviceState {
    /// The word for this state in the API and in events.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending(_) => "pending",
            Self::Linking(_) => "linking",
            Self::Connected => "connected",
            Self::Degraded(_) => "degraded",
            Self::Reconnecting { .. } => "reconnecting",
            Self::LoggedOut(_) => "logged_out",
            Self::Stopped(_) => "stopped",
        }
    }

    /// The word that docs.moonwa.id has for this state.
    pub fn word(&self) -> StatusWord {
        match self {
            Self::Pending(_) | Self::Linking(_) => StatusWord::Pending,
            Self::Connected | Self::Degraded(_) => StatusWord::Connected,
            Self::Reconnecting { .. } | Self::LoggedOut(_) | Self::Stopped(_) => {
                StatusWord::Disconnected
            }
        }
    }

    /// A stable code for the reason, if the state has one.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Pending(Pending::NotStarted) | Self::Connected => None,
            Self::Linking(linking) => Some(match linking.trouble.as_ref()? {
                Trouble::PairCodeRefused(_) => "pair_code_refused",
                Trouble::PairCodeExpired => "pair_code_expired",
                Trouble::PasskeyFailed(_) => "passkey_failed",
                Trouble::Unreachable(obstacle) => obstacle.hurdle.as_str(),
            }),
            Self::Pending(Pending::QrExpired) => Some("qr_expired"),
            Self::Pending(Pending::Cancelled) => Some("cancelled"),
            Self::Pending(Pending::LinkFailed) => Some("link_failed"),
            Self::Degraded(Degradation::Unproven) => Some("unproven"),
            Self::Degraded(Degradation::SendingLocked(_)) => Some("sending_locked"),
            Self::Degraded(Degradation::Store) => Some("store_failing"),
            Self::Reconnecting { why, .. } => Some(match why {
                Disconnect::Starting => "starting",
                Disconnect::Unreachable(Some(obstacle)) => obstacle.hurdle.as_str(),
                Disconnect::Unreachable(None) => "unreachable",
                Disconnect::Closed => "closed",
                Disconnect::Server(_) => "server_error",
                Disconnect::Asked => "asked",
                Disconnect::Crashed => "crashed",
                Disconnect::Store => "store_failing",
            }),
            Self::LoggedOut(LoggedOut::ByPhone) => Some("unlinked"),
            Self::LoggedOut(LoggedOut::ByUser) => Some("logged_out"),
            Self::Stopped(stop) => Some(match stop {
                Stop::ByUser => "stopped",
                Stop::Disabled => "disabled",
                Stop::Banned(_) => "banned",
                Stop::Refused(_) => "refused",
                Stop::Outdated => "outdated",
                Stop::Replaced => "replaced",
                Stop::Shutdown => "shutdown",
            }),
        }
    }

    /// WhatsApp's own code, or the cause, if there is one beside the reason.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Reconnecting { why: Disconnect::Server(code), .. } => Some(code.to_string()),
            Self::Stopped(Stop::Banned(refusal) | Stop::Refused(refusal)) => Some(refusal.detail()),
            Self::Reconnecting { why: Disconnect::Unreachable(obstacle), .. } => {
                obstacle.as_ref().map(|obstacle| obstacle.detail.clone())
            }
            Self::Linking(linking) => match linking.trouble.as_ref()? {
                Trouble::PairCodeRefused(detail) | Trouble::PasskeyFailed(detail) => {
                    Some(detail.clone())
                }
                Trouble::Unreachable(obstacle) => Some(obstacle.detail.clone()),
                Trouble::PairCodeExpired => None,
            },
            _ => None,
        }
    }

    /// What WhatsApp said when it shut the account out.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Stopped(Stop::Banned(refusal) | Stop::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }

    /// When a restriction ends, as far as WhatsApp said.
    pub fn until(&self) -> Option<UnixMillis> {
        match self {
            Self::Degraded(Degradation::SendingLocked(until)) => *until,
            _ => self.refusal()?.until,
        }
    }

    /// Whether the device does nothing until somebody wants it to.
    pub(crate) fn rests(&self) -> bool {
        matches!(self, Self::Pending(_) | Self::LoggedOut(_) | Self::Stopped(_))
    }

    /// Whether messages can be sent right now.
    pub fn can_send(&self) -> bool {
        matches!(self, Self::Connected | Self::Degraded(_))
    }
}

/// Whose account a device is linked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub phone: Option<PhoneNumber>,
    /// The LID's user part, when known.
    pub lid: Option<String>,
    /// The name that the account's owner chose.
    pub name: Option<String>,
}

/// A device's state with what the page shows beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceStatus {
    pub state: DeviceState,
    pub since: UnixMillis,
    /// Whose account it is, once linked.
    pub account: Option<Account>,
    /// When WhatsApp last showed that the connection works.
    pub proof_at: Option<UnixMillis>,
    /// When the last message came in.
    pub last_in: Option<UnixMillis>,
    /// When the last message went out.
    pub last_out: Option<UnixMillis>,
    /// How many new chats WhatsApp allows, once it said so.
    pub new_chats: Option<NewChats>,
}

impl DeviceStatus {
    /// The status of a device without an account or any traffic so far.
    pub fn new(state: DeviceState, since: UnixMillis) -> Self {
        Self {
            state,
            since,
            account: None,
            proof_at: None,
            last_in: None,
            last_out: None,
            new_chats: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "admin-toko", "0_x", &"a".repeat(64)] {
            assert!(DeviceName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "Admin", "a b", "a/b", "é", &"a".repeat(65)] {
            assert_eq!(DeviceName::parse(bad), Err(DeviceNameError), "{bad}");
        }
    }

    #[test]
    fn a_linking_code_is_never_printed() {
        let shown = Shown { code: Secret::new("2@abc,def"), expires_at: UnixMillis::from_secs(1) };
        let state = DeviceState::Linking(Linking { qr: Some(shown), ..Linking::default() });
        assert!(!format!("{state:?}").contains("2@abc"));
        assert_eq!(
            (state.as_str(), state.word(), state.reason()),
            ("linking", StatusWord::Pending, None)
        );
    }
}
