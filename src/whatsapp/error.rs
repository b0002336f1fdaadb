//! Why a device could not do what it was asked. The texts are for people; programs tell the variants apart.

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
            wa_rs::IqError::ServerError { code: 429, .. } => Self::TooFast(None),
            wa_rs::IqError::ServerError { code, text, .. } => {
                Self::Refused(format!("{code} {text}"))
            }
            wa_rs::IqError::UnexpectedResponseType { .. } | wa_rs::IqError::ParseError(_) => {
                Self::Refused(error.to_string())
            }
            // All others mean that the connection was lost while we waited.
            _ => Self::NotConnected,
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
