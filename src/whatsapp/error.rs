//! Why a device could not do what it was asked. The texts are for people; programs tell the variants apart.

use std::time::Duration;

use wa_rs::wacore::store::error::StoreError as EngineStoreError;

use crate::model::UnixMillis;
use crate::store::{SpoolFull, StoreError};

/// Why WhatsApp, or a device's state, said no.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WhatsAppError {
    #[error("the device is not connected")]
    NotConnected,
    #[error("the device is linked already")]
    AlreadyLinked,
    #[error("the device is disabled in moonwa.toml")]
    Disabled,
    /// There is nothing to answer or confirm now.
    #[error("WhatsApp did not ask for this step")]
    NotAsked,
    #[error("WhatsApp did not answer in time")]
    Timeout,
    #[error("WhatsApp refused: {0}")]
    Refused(String),
    /// There is no such message, group or file.
    #[error("not found")]
    NotFound,
    #[error("this number is not on WhatsApp")]
    NotOnWhatsApp,
    /// Without it no setting of the account can be changed.
    #[error(
        "the phone has not shared the key of the account's settings with this device yet; open WhatsApp on the phone and try again"
    )]
    NoSettings,
    /// WhatsApp tells it only to those who are there themselves.
    #[error(
        "WhatsApp tells who is there only to a device that is there itself: write presence = \"available\" for it in moonwa.toml; the owner's phone then keeps silent"
    )]
    Unseen,
    #[error("there is no such label")]
    NoLabel,
    #[error("at most {0} people can be asked about at once")]
    Crowded(usize),
    /// The message is not among the newest events; further back nobody looks.
    #[error(
        "it is not among the newest 5,120 events of the device, which is how far moonwa looks back"
    )]
    OutOfSight,
    #[error("WhatsApp no longer has the file")]
    Expired,
    #[error("the file is larger than media.max_size")]
    TooLarge,
    /// The URL could not be fetched, or must not be.
    #[error("{0}")]
    Media(String),
    /// Until when to wait, if WhatsApp says so.
    #[error("too many attempts; try again later")]
    TooFast(Option<UnixMillis>),
    #[error("too many messages are waiting to be sent")]
    QueueFull,
    /// There is no place for the file on the way.
    #[error(transparent)]
    NoRoom(SpoolFull),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<wa_rs::IqError> for WhatsAppError {
    fn from(error: wa_rs::IqError) -> Self {
        match error {
            wa_rs::IqError::Timeout => Self::Timeout,
            wa_rs::IqError::ServerError { code: 404, .. } => Self::NotFound,
            wa_rs::IqError::ServerError { code: 429, backoff, .. } => {
                let wait = |secs| UnixMillis::now().after(Duration::from_secs(u64::from(secs)));
                Self::TooFast(backoff.map(wait))
            }
            wa_rs::IqError::ServerError { code, text, .. } => {
                Self::Refused(format!("{} ({code} {text})", in_words(code)))
            }
            wa_rs::IqError::UnexpectedResponseType { .. } | wa_rs::IqError::ParseError(_) => {
                Self::Refused(error.to_string())
            }
            // All others mean that the connection was lost while we waited.
            _ => Self::NotConnected,
        }
    }
}

/// What WhatsApp means by the number with which it refuses.
fn in_words(code: u16) -> &'static str {
    match code {
        400 | 406 => "WhatsApp does not take what was asked for",
        401 | 403 => "WhatsApp does not let this account do that",
        409 => "WhatsApp has something newer; try again",
        500.. => "WhatsApp has a trouble of its own; try again later",
        _ => "WhatsApp says no",
    }
}

/// A change of the account's settings, which all its devices share.
impl From<wa_rs::AppStateError> for WhatsAppError {
    fn from(error: wa_rs::AppStateError) -> Self {
        match error {
            // The only thing that it finds wrong with what we ask.
            wa_rs::AppStateError::InvalidRequest(_) => Self::NoSettings,
            wa_rs::AppStateError::Internal(cause) => match cause.downcast::<wa_rs::IqError>() {
                Ok(error) => error.into(),
                Err(other) => Self::Refused(other.to_string()),
            },
            other => Self::Refused(other.to_string()),
        }
    }
}

/// The engine wraps the errors of our store in its own.
impl From<EngineStoreError> for WhatsAppError {
    fn from(error: EngineStoreError) -> Self {
        let told = match error {
            EngineStoreError::Database(cause) => match cause.downcast::<StoreError>() {
                Ok(ours) => *ours,
                Err(other) => StoreError::Damaged(other.to_string()),
            },
            other => StoreError::Damaged(other.to_string()),
        };
        told.into()
    }
}
