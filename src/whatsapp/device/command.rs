//! What a device can be told.

use tokio::sync::oneshot;

use crate::model::PhoneNumber;
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
    /// Goes down for good.
    Quit,
}
