//! What a device can be told.

use tokio::sync::oneshot;

use crate::model::PhoneNumber;
use crate::whatsapp::error::WhatsAppError;

/// Where the answer to a command goes.
pub(crate) type Answer = oneshot::Sender<Result<(), WhatsAppError>>;

pub(crate) enum DeviceCommand {
    /// Connect, or begin linking.
    Start(Answer),
    /// Disconnect until told otherwise.
    Stop(Answer),
    /// A new connection now.
    Reconnect(Answer),
    /// Unlink and forget.
    Logout(Answer),
    /// Link by a code typed on that phone.
    PairCode(PhoneNumber, Answer),
    /// Answer the passkey request.
    PasskeyResponse(String, String, Answer),
    /// Confirm the passkey code.
    PasskeyConfirm(Answer),
    /// The file says whether it runs.
    Enable(bool),
    /// Go down for good.
    Quit,
}
