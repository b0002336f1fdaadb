//! What a device is called and what it is doing. Every state can explain itself; the words shown to people
//! (docs.moonwa.id's PENDING, CONNECTED, DISCONNECTED) are a function of the state.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{PhoneNumber, Secret, UnixMillis};

/// The key of a device's table in `moonwa.toml`: its name in URLs, logs and metrics.
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
    /// Needs time or a person.
    Disconnected,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Configured, never linked or not started.
    Pending(Pending),
    /// A QR code, a pair code or a passkey step is live, or about to be.
    Linking(Linking),
    /// Logged in and proven alive recently.
    Connected,
    /// The socket is up, but something is wrong.
    Degraded(Degradation),
    /// Credentials are kept, the socket is down.
    Reconnecting {
        /// How many tries have failed in a row.
        attempt: u32,
        /// When the next try starts; in the past while one is under way.
        retry_at: UnixMillis,
        /// Why the last connection ended or could not be made.
        why: Disconnect,
    },
    /// Unlinked: needs a new scan.
    LoggedOut(LoggedOut),
    /// Stopped by a person, the file or WhatsApp.
    Stopped(Stop),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nobody has started the linking.
    NotStarted,
    /// The codes of the last START SESSION ran out unused.
    QrExpired,
    Cancelled,
    /// The phone and WhatsApp did not agree to the link; the text is the engine's.
    LinkFailed,
}

/// What a person can use to link, right now. All `None`: the first code is on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linking {
    pub qr: Option<Shown>,
    /// The eight characters to type on the phone.
    pub pair_code: Option<Shown>,
    /// A passkey step that a person must take.
    pub passkey: Option<Passkey>,
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
    /// WhatsApp refuses sends to new contacts (463) until then.
    SendingLocked(Option<UnixMillis>),
    /// The store cannot keep the session's keys.
    Store,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disconnect {
    /// The first connection since start.
    Starting,
    Unreachable,
    Closed,
    /// WhatsApp asked for a pause or failed (its code).
    Server(u16),
    Asked,
    /// The gateway's own actor failed and was started again.
    Crashed,
    /// The disk is full: WhatsApp keeps the messages meanwhile, in order.
    Store,
}

/// Why a device needs a new scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedOut {
    /// Unlinked on the phone, or WhatsApp forgot the device.
    ByPhone,
    /// Logged out from here.
    ByUser,
    /// WhatsApp refused the login (its code).
    Refused(u16),
}

/// Why a device does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    ByUser,
    /// `enabled = false`.
    Disabled,
    /// WhatsApp banned the account, until then when it says so.
    Banned(Option<UnixMillis>),
    /// WhatsApp refuses this version of the client.
    Outdated,
    /// Another program uses the same credentials.
    Replaced,
    Shutdown,
}

impl DeviceState {
    /// The contract's word for this state.
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

    /// docs.moonwa.id's word for this state.
    pub fn word(&self) -> StatusWord {
        match self {
            Self::Pending(_) | Self::Linking(_) => StatusWord::Pending,
            Self::Connected | Self::Degraded(_) => StatusWord::Connected,
            Self::Reconnecting { .. } | Self::LoggedOut(_) | Self::Stopped(_) => {
                StatusWord::Disconnected
            }
        }
    }

    /// A stable code for why, where there is something to say.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Pending(Pending::NotStarted) | Self::Linking(_) | Self::Connected => None,
            Self::Pending(Pending::QrExpired) => Some("qr_expired"),
            Self::Pending(Pending::Cancelled) => Some("cancelled"),
            Self::Pending(Pending::LinkFailed) => Some("link_failed"),
            Self::Degraded(Degradation::Unproven) => Some("unproven"),
            Self::Degraded(Degradation::SendingLocked(_)) => Some("sending_locked"),
            Self::Degraded(Degradation::Store) => Some("store_failing"),
            Self::Reconnecting { why, .. } => Some(match why {
                Disconnect::Starting => "starting",
                Disconnect::Unreachable => "unreachable",
                Disconnect::Closed => "closed",
                Disconnect::Server(_) => "server_error",
                Disconnect::Asked => "asked",
                Disconnect::Crashed => "crashed",
                Disconnect::Store => "store_failing",
            }),
            Self::LoggedOut(LoggedOut::ByPhone) => Some("unlinked"),
            Self::LoggedOut(LoggedOut::ByUser) => Some("logged_out"),
            Self::LoggedOut(LoggedOut::Refused(_)) => Some("refused"),
            Self::Stopped(stop) => Some(match stop {
                Stop::ByUser => "stopped",
                Stop::Disabled => "disabled",
                Stop::Banned(_) => "banned",
                Stop::Outdated => "outdated",
                Stop::Replaced => "replaced",
                Stop::Shutdown => "shutdown",
            }),
        }
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
    /// The account's own name.
    pub name: Option<String>,
}

/// A device's state with what the page shows beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceStatus {
    pub state: DeviceState,
    pub since: UnixMillis,
    /// Whose account it is, once linked.
    pub account: Option<Account>,
    /// When WhatsApp last proved to be there.
    pub proof_at: Option<UnixMillis>,
    /// When the last message came in.
    pub last_in: Option<UnixMillis>,
    /// When the last message went out.
    pub last_out: Option<UnixMillis>,
}

impl DeviceStatus {
    /// A device that was only configured so far.
    pub fn new(state: DeviceState, since: UnixMillis) -> Self {
        Self { state, since, account: None, proof_at: None, last_in: None, last_out: None }
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
