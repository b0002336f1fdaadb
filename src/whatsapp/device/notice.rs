//! What the actor of a device is told by what runs beside it.

use std::sync::Arc;
use std::time::Duration;

use wa_rs::client::Client;

use crate::model::{NewChats, Obstacle, Passkey, Refusal, Secret, UnixMillis};
use crate::whatsapp::error::WhatsAppError;

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
    Down,
    /// The client is flushed and gone; nothing of it touches the store any more.
    Ended(Ending),
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
