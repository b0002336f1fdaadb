//! What the actor of a device is told by what runs beside it.

use std::sync::Arc;
use std::time::Duration;

use wa_rs::client::Client;

use crate::model::{Passkey, Secret, UnixMillis};
use crate::whatsapp::error::WhatsAppError;

pub(crate) enum Notice {
    /// The client exists.
    Up(Arc<Client>),
    /// A QR code is live for that long.
    Qr(Secret, Duration),
    /// A pair code is live for that long.
    PairCode(Secret, Duration),
    /// The QR codes ran out.
    QrExhausted,
    /// The scan was confirmed, and the credentials are on disk.
    Paired,
    /// The scan was refused.
    PairFailed,
    /// A passkey step is due.
    Passkey(Passkey),
    /// The engine is ready.
    Ready,
    /// The account's own name became known.
    Named,
    /// The account unlinked us (its code).
    LoggedOut(u16),
    /// Another program uses the same credentials.
    Replaced,
    /// The account is banned.
    Banned(Option<UnixMillis>),
    /// This version is refused.
    Outdated,
    /// The server failed or refused (its code).
    Server(u16),
    /// A send was refused with 463.
    SendingLocked,
    /// Until when sending is locked, when WhatsApp says so.
    LockedUntil(Option<UnixMillis>),
    /// WhatsApp says that it is not locked: the refusal was about that one receiver.
    NotLocked,
    /// The client is down: whoever holds it lets go.
    Down,
    /// The client is flushed and gone; nothing of it touches the store any more.
    Ended(Ending),
    /// The credentials are gone from the disk, or not.
    Erased(bool),
    /// A pair code was asked for; the outcome.
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
