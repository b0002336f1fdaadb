//! Why a message was not sent, and whether it is tried again.

use std::time::Duration;

use tokio::time::Instant;
use wa_rs::IqError;
use wa_rs::send::SendError;

use super::hold::Lock;
use crate::store::{SpoolFull, StoreError};
use crate::whatsapp::directory::Unknown;
use crate::whatsapp::media::fetch::FetchError;
use crate::whatsapp::media::upload::MediaError;
use crate::whatsapp::media::voice::VoiceError;

/// When a message is tried again whose file has no place on the disk.
const NO_ROOM: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection was lost, which does not count as a try.
    Offline,
    /// WhatsApp wants nothing of the kind before that time, which does not count as a try.
    Wait(Instant),
    /// WhatsApp locks the account against its receiver.
    Locked(Lock),
    /// The device's pace does not allow it yet.
    Early {
        /// Whether it is the first message to a person.
        stranger: bool,
    },
    /// It is no longer queued: whoever waited for it was told that it failed, or its device was forgotten.
    Withdrawn,
    /// It may work the next time; why not this time.
    Later(String),
    /// It will never work.
    Never {
        /// One of the codes that the API documents.
        code: &'static str,
        detail: String,
    },
}

impl Failure {
    pub(crate) fn never(code: &'static str, detail: &dyn ToString) -> Self {
        Self::Never { code, detail: detail.to_string() }
    }
}

impl From<IqError> for Failure {
    fn from(error: IqError) -> Self {
        match error {
            IqError::Timeout
            | IqError::ParseError(_)
            | IqError::ServerError { code: 429 | 500..=599, .. } => Self::Later(error.to_string()),
            IqError::ServerError { .. } => Self::never("refused", &error),
            _ => Self::Offline,
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotLoggedIn | SendError::Client(_) => Self::Offline,
            SendError::Iq(error) => error.into(),
            SendError::InvalidRequest(why) => Self::never("invalid_request", &why),
            error => Self::Later(error.to_string()),
        }
    }
}

impl From<Unknown> for Failure {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Offline => Self::Offline,
            Unknown::Paused(until) => Self::Wait(until),
            Unknown::Unsaid(why) => Self::Later(why),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Later(error.to_string())
    }
}

/// Whether there was no place for a file, which says nothing about its message.
fn no_room(error: &MediaError) -> bool {
    match error {
        MediaError::Disk(error) | MediaError::Fetch(FetchError::Disk(error)) => {
            SpoolFull::of(error).is_some()
        }
        _ => false,
    }
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        let detail = error.to_string();
        if no_room(&error) {
            return Self::Wait(Instant::now() + NO_ROOM);
        }
        let code = match error {
            MediaError::Fetch(error) if error.is_passing() => return Self::Later(detail),
            MediaError::Disk(_)
            | MediaError::Upload(_)
            | MediaError::Voice(VoiceError::Cancelled) => return Self::Later(detail),
            MediaError::Fetch(FetchError::TooLarge)
            | MediaError::TooLarge
            | MediaError::Voice(VoiceError::TooLong) => "media_too_large",
            MediaError::Fetch(FetchError::Denied | FetchError::Url(_)) => "media_url_denied",
            MediaError::Fetch(_) => "media_fetch_failed",
            MediaError::Mismatch(_)
            | MediaError::Empty
            | MediaError::Voice(_)
            | MediaError::Sticker => "media_type_mismatch",
            MediaError::Cipher(_) => "media_failed",
        };
        Self::Never { code, detail }
    }
}
