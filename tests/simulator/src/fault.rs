//! Scripted faults: what can go wrong, on whom, and how often. Applying them is up to the places
//! concerned; here is only the list, and the calls that fill it.

use serde::{Deserialize, Serialize};

use crate::Simulator;
use crate::world::{Address, World};

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
    /// Keep the socket open, read, and never answer again. What is read is forgotten.
    Silence,
    /// Keep the socket open and read nothing any more, as when a router on the way forgot the
    /// connection: what the client writes from now on is lost.
    BlackHole,
    /// Take messages and forget them: they are neither relayed nor acknowledged. Everything else on
    /// this connection is answered as ever.
    Swallow,
    /// Half a frame, then close.
    HalfFrame,
    /// A frame that does not decrypt. Clients may take their dead-socket timer to notice.
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
    /// Reset the TCP connection after this many more messages of the client: what it wrote behind
    /// them is lost, and so is what it has not read yet.
    ResetAfter(u32),
    /// The next IK handshake is refused: the client has to fall back to XX.
    IkReject,
    /// `<failure reason=…>` at the next login (401, 402, 403, 405, 503 …).
    LoginFailure(u16),
    /// `<success>` at the next login, and no answer to anything after it.
    EarlySuccess,
    /// No `<ib><offline/></ib>` after the next login.
    NoOfflineEnd,

    /// The next message is acknowledged only after this many milliseconds.
    AckDelay(u64),
    /// The next message is relayed, but never acknowledged.
    AckDrop,
    /// The next message is relayed, but nothing that says so comes back, neither its
    /// acknowledgement nor a receipt, until it is sent again.
    Unanswered,
    /// The next message is relayed; its acknowledgement waits for `release_acks`.
    AckHold,
    /// The next message is refused with this code (463, 400, 479, 421 …).
    Nack(u16),
    /// The next message is relayed and acknowledged, then the connection drops.
    DropAfterAck,
    /// The connection drops instead of relaying and acknowledging the next message.
    DropBeforeAck,
    /// The next message is relayed, then the connection drops without acknowledging it.
    DropAfterRelay,
    /// The next message delivered to the target arrives twice.
    Duplicate,
    /// The next message delivered to the target does not decrypt.
    Undecryptable,
    /// The phone does not ask again for the next message that it cannot read, until `Phone::ask_again`.
    LateRetry,
    /// The next message delivered to the target is encrypted in a way that nobody knows.
    UnknownEncryption,
    /// The next message delivered to the target has nothing in its encrypted parts.
    EmptyEncryption,
    /// The next status for the target is a stanza of its own, `<status>`, and no `<message>`.
    StatusStanza,
    /// The next news for the target that somebody's devices have changed is lost.
    DevicesUntold,
    /// The next receipt meant for the target is lost.
    ReceiptDrop,

    /// Nobody is told of the next device that is linked to the account.
    DeviceUntold,
    /// Keys of this account are handed out without a one-time key.
    NoPrekeys,
    /// Keys of this account are refused (406).
    KeysRefused,
    /// The next request in this namespace is not answered.
    IqTimeout(String),
    /// The next request in this namespace is done, and its answer is lost.
    IqLost(String),
    /// The next request in this namespace is refused.
    IqError(String, u16),

    /// The next question who is on WhatsApp is refused with this code, and perhaps with the seconds to wait.
    Directory(u16, Option<u32>),
    /// The next question who is on WhatsApp is answered without a row.
    DirectoryEmpty,

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
    /// The phone does not have a file any more that it is asked to upload again.
    ReuploadRefused,

    /// The next pairing of this account carries a wrong HMAC.
    BadHmac,
    /// The next pairing of this account carries a wrong signature.
    BadSignature,
    /// The phone's part of the next pairing by passkey is cut short.
    BadContinuation,
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

impl World {
    /// Whether this fault strikes a stanza for that device. One set on a whole account spares the
    /// phone as long as there are companions: they are what is tested.
    pub(crate) fn strikes_on(&mut self, to: &Address, fault: &Fault) -> bool {
        let companions = self.accounts.get(&to.pn).is_some_and(|a| !a.devices.is_empty());
        if to.device != 0 || !companions {
            return self.faults.strikes(Some(to), fault);
        }
        let meant = Target::Device(to.pn.clone(), 0);
        let named = self.faults.0.iter().any(|a| a.target == meant && a.fault == *fault);
        named && self.faults.strikes(Some(to), fault)
    }
}

impl Simulator {
    /// A fault, once.
    pub fn fault(&self, target: impl Into<Target>, fault: Fault) {
        self.fault_times(target, fault, 1);
    }

    /// A fault, so many times. Those which concern an open connection happen now.
    pub fn fault_times(&self, target: impl Into<Target>, fault: Fault, times: u32) {
        let target = target.into();
        let mut world = self.world();
        let text = format!("{target:?} {fault:?} x{times}");
        world.journal.note(0, None, "fault", text);
        let now = matches!(
            fault,
            Fault::Drop
                | Fault::Silence
                | Fault::BlackHole
                | Fault::Swallow
                | Fault::HalfFrame
                | Fault::BadMac
                | Fault::Slow(_)
                | Fault::StreamError(_)
                | Fault::Replaced
                | Fault::DeviceRemoved
                | Fault::StreamEnd
                | Fault::CloseAfter(_)
                | Fault::ResetAfter(_)
        );
        if now {
            let hit: Vec<u64> = world
                .conns
                .iter()
                .filter(|(_, c)| target.hits(c.login.as_ref()))
                .map(|(id, _)| *id)
                .collect();
            for conn in hit {
                world.strike(conn, &fault);
            }
        } else {
            world.faults.0.push(Armed { target, fault, times });
        }
        world.touch();
    }

    /// Forgets the faults which have not happened yet.
    pub fn clear_faults(&self) {
        self.world().faults.0.clear();
    }

    /// Sends the acknowledgements held back for a number; answers how many there were.
    pub fn release_acks(&self, number: &str) -> usize {
        let mut world = self.world();
        let count = world.release_acks(number);
        world.touch();
        count
    }

    /// Closes all connections of a number.
    pub fn drop_connections(&self, number: &str) {
        self.fault(number, Fault::Drop);
    }

    /// The QR references of the unpaired clients expire now: they run out of codes.
    pub fn expire_qr(&self) {
        self.for_unpaired(World::expire_refs);
    }

    /// The service asks the unpaired clients for new pairing secrets: the codes shown are stale.
    pub fn refresh_pairing(&self) {
        self.for_unpaired(World::refresh_registration);
    }

    /// The service asks the unpaired clients to show another pair code, or to have a person ask for one.
    pub fn refresh_pair_code(&self, by_hand: bool) {
        self.for_unpaired(|world, conn| world.refresh_code(conn, by_hand));
    }

    fn for_unpaired(&self, what: impl Fn(&mut World, u64)) {
        let mut world = self.world();
        let unpaired: Vec<u64> = world
            .conns
            .iter()
            .filter(|(_, c)| c.registration.is_some())
            .map(|(id, _)| *id)
            .collect();
        for conn in unpaired {
            what(&mut world, conn);
        }
        world.touch();
    }

    /// Whether new connections are closed at once.
    pub fn refuse_connections(&self, refuse: bool) {
        self.world().refuse = refuse;
    }

    /// Whether new connections are accepted and never answered.
    pub fn mute_connections(&self, mute: bool) {
        self.world().mute = mute;
    }
}
