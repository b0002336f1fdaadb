//! What the actor of a device is told: by people and the file, and by what runs beside it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use wa_rs::client::Client;

use crate::model::{NewChats, Obstacle, Passkey, PhoneNumber, Refusal, Secret, UnixMillis};
use crate::whatsapp::error::WhatsAppError;

pub(crate) type Answer = oneshot::Sender<Result<(), WhatsAppError>>;

/// A linking by pair code.
pub(crate) struct Pairing {
    pub(crate) phone: PhoneNumber,
    /// Who asked, until there is a code.
    pub(crate) answer: Option<Answer>,
}

pub(crate) enum DeviceCommand {
    /// Connects, or begins linking.
    Start(Answer),
    /// Disconnects until told otherwise.
    Stop(Answer),
    /// Makes a new connection now.
    Reconnect(Answer),
    /// Unlinks and forgets the credentials.
    Logout(Answer),
    /// Links by a code that is typed on that phone.
    PairCode(PhoneNumber, Answer),
    /// The assertion as JSON, and the id of the credential in Base64.
    PasskeyResponse(String, String, Answer),
    PasskeyConfirm(Answer),
    /// Whether the file enables the device.
    Enable(bool),
    /// Goes to WhatsApp another way from now on.
    Reroute,
    /// Goes down for good.
    Quit,
}

pub(crate) enum Notice {
    Up(Arc<Client>),
    /// A code, and for how long it is valid.
    Qr(Secret, Duration),
    PairCode(Secret, Duration),
    /// WhatsApp wants another code shown; by hand when a person must ask for it.
    PairCodeStale {
        by_hand: bool,
    },
    /// WhatsApp does not accept the code that is shown; why.
    PairCodeRefused(String),
    QrExhausted,
    /// The scan was confirmed, and the credentials are on disk.
    Paired,
    /// The scan was refused.
    PairFailed,
    Passkey(Passkey),
    /// A passkey step failed; why.
    PasskeyFailed(String),
    /// The connection failed at that step, or waits there.
    Obstacle(Obstacle),
    /// The engine is ready.
    Ready,
    /// Whether WhatsApp answered the first request after a login.
    Answered(bool),
    /// The account's own name became known.
    Named,
    /// Whose messages the send queue has now; `None` when it could not be told.
    Belongs(Option<String>),
    /// The account unlinked us.
    LoggedOut,
    /// WhatsApp refuses the login of this account.
    Refused(Refusal),
    /// Another program uses the same credentials.
    Replaced,
    Banned(Refusal),
    /// WhatsApp refuses our version.
    Outdated,
    /// The server failed or refused; its code.
    Server(u16),
    /// The connection lives, and WhatsApp does not say that it has a message.
    Unacked {
        /// Whether a new connection did not help the last time.
        again: bool,
    },
    /// A send was refused with 463.
    SendingLocked,
    /// Until when sending is locked, when WhatsApp says so.
    LockedUntil(Option<UnixMillis>),
    /// WhatsApp says that sending is not locked: a refusal was about that one receiver.
    NotLocked,
    /// How many new chats WhatsApp allows.
    NewChats(NewChats),
    /// The client is down: whoever holds it must let go.
    Down(Ending),
    /// The client is flushed and gone; nothing of it touches the store any more.
    Ended,
    /// Whether the credentials are gone from the disk.
    Erased(bool),
    /// The outcome of asking for a pair code.
    PairCodeAsked(Result<(), WhatsAppError>),
}

/// What is known of a connection when it is over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ending {
    /// Whether WhatsApp was heard from at all.
    pub(crate) reached: bool,
    /// Whether WhatsApp said that we come too often (429).
    pub(crate) throttled: bool,
}

impl Ending {
    /// What it is if the client's connection ends now.
    pub(crate) fn of(client: &Client) -> Self {
        let stats = client.stats();
        Self {
            reached: stats.frames_received > 0,
            // The engine counts a 429 as five failures; that is the only sign of it.
            throttled: stats.reconnect_errors >= 5,
        }
    }
}
