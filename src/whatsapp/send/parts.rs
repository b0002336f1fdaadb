//! What a message is built of.

use wa_rs::waproto::whatsapp as wa;

use super::preview::Preview;
use crate::model::MessageId;
use crate::whatsapp::media::transfer::UploadedFile;

/// What had to be found out or done before a message can be built.
#[derive(Default)]
pub(crate) struct MessageParts {
    /// The file, when there is one.
    pub(crate) file: Option<UploadedFile>,
    /// The small JPEG picture shown before the file is fetched.
    pub(crate) thumbnail: Option<Vec<u8>>,
    /// The message it answers.
    pub(crate) quote: Option<Quote>,
    /// Our own address in a group, for changing what we wrote there.
    pub(crate) own: Option<String>,
    /// Who wrote the message a reaction is for, when it was not us.
    pub(crate) author: Option<String>,
    /// The secret a poll's votes are encrypted to.
    pub(crate) secret: Option<[u8; 32]>,
    /// What is shown of a text's link.
    pub(crate) preview: Option<Preview>,
    /// The message that is passed on.
    pub(crate) original: Option<wa::Message>,
}

/// The message that is answered.
pub(crate) struct Quote {
    pub(crate) id: MessageId,
    pub(crate) author: Option<String>,
    pub(crate) text: Option<String>,
}
