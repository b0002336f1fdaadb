//! Scripted faults: what can go wrong, on whom, and how often. Applying them is up to the places
//! concerned; this module only keeps the list.

use serde::{Deserialize, Serialize};

use crate::world::Address;

/// Whom a fault hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Everybody.
    Any,
    /// All companion devices of an account, by its phone number.
    Number(String),
    /// One companion device.
    Device(String, u16),
}

impl Target {
    /// Whether the fault hits this device.
    pub fn hits(&self, who: Option<&Address>) -> bool {
        match (self, who) {
            (Self::Any, _) => true,
            (Self::Number(pn), Some(who)) => *pn == who.pn,
            (Self::Device(pn, device), Some(who)) => *pn == who.pn && *device == who.device,
            _ => false,
        }
    }
}

impl From<&str> for Target {
    fn from(number: &str) -> Self {
        Self::Number(number.to_owned())
    }
}

impl From<&crate::Phone> for Target {
    fn from(phone: &crate::Phone) -> Self {
        Self::Number(phone.number().to_owned())
    }
}

/// What goes wrong. The first group happens at once to the open connections, the rest waits for
/// its occasion and is used up by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Close the TCP connection.
    Drop,
    /// Keep the socket open, read, and never answer again.
    Silence,
    /// Half a frame, then close.
    HalfFrame,
    /// A frame that does not decrypt.
    BadMac,
    /// Wait this many milliseconds before each stanza.
    Slow(u64),
    /// `<stream:error code=…>`, then close (515, 503, 429 …).
    StreamError(u16),
    /// Another connection took this device's place (409 conflict).
    Replaced,
    /// The device was removed (401 conflict), without removing it from the account.
    DeviceRemoved,
    /// `<xmlstreamend/>`, then close.
    StreamEnd,

    /// Close the connection after this many more stanzas of the client.
    CloseAfter(u32),
    /// The next IK handshake is refused: the client has to fall back to XX.
    IkReject,
    /// `<failure reason=…>` at the next login (401, 402, 403, 405, 503 …).
    LoginFailure(u16),
    /// No `<ib><offline/></ib>` after the next login.
    NoOfflineEnd,

    /// The next message is acknowledged only after this many milliseconds.
    AckDelay(u64),
    /// The next message is relayed, but never acknowledged.
    AckDrop,
    /// The next message is relayed; its acknowledgement waits for `release_acks`.
    AckHold,
    /// The next message is refused with this code (463, 400, 479, 421 …).
    Nack(u16),
    /// The next message is relayed and acknowledged, then the connection drops.
    DropAfterAck,
    /// The connection drops instead of relaying and acknowledging the next message.
    DropBeforeAck,
    /// The next message delivered to the target arrives twice.
    Duplicate,
    /// The next message delivered to the target does not decrypt.
    Undecryptable,
    /// The next receipt meant for the target is lost.
    ReceiptDrop,

    /// Keys of this account are handed out without a one-time key.
    NoPrekeys,
    /// Keys of this account are refused (406).
    KeysRefused,
    /// The next request in this namespace is not answered.
    IqTimeout(String),
    /// The next request in this namespace is refused.
    IqError(String, u16),

    /// The next upload is answered with this status.
    UploadStatus(u16),
    /// The next download is answered with this status (403, 404, 410 …).
    DownloadStatus(u16),
    /// The next download ends in the middle.
    DownloadTruncated,
    /// The next download has a flipped byte.
    DownloadCorrupt,
    /// The next download waits this many milliseconds first.
    DownloadSlow(u64),

    /// The next pairing of this account carries a wrong HMAC.
    BadHmac,
    /// The next pairing of this account carries a wrong signature.
    BadSignature,
}

/// A fault that waits for its occasion.
#[derive(Clone, Debug, Serialize)]
pub struct Armed {
    /// Whom.
    pub target: Target,
    /// What.
    pub fault: Fault,
    /// How often it will still happen.
    pub times: u32,
}

/// The faults that wait.
#[derive(Default)]
pub(crate) struct Faults(pub Vec<Armed>);

impl Faults {
    /// Takes the first fault which `pick` accepts for this device and counts it down.
    pub(crate) fn take<T>(
        &mut self,
        who: Option<&Address>,
        pick: impl Fn(&Fault) -> Option<T>,
    ) -> Option<T> {
        let (at, found) = self.0.iter().enumerate().find_map(|(at, armed)| {
            if armed.target.hits(who) { pick(&armed.fault).map(|f| (at, f)) } else { None }
        })?;
        let armed = self.0.get_mut(at)?;
        armed.times = armed.times.saturating_sub(1);
        if armed.times == 0 {
            self.0.remove(at);
        }
        Some(found)
    }

    /// Whether this exact fault strikes now.
    pub(crate) fn strikes(&mut self, who: Option<&Address>, fault: &Fault) -> bool {
        self.take(who, |f| (f == fault).then_some(())).is_some()
    }
}
