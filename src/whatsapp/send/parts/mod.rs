//! What a message is built from, beside the request itself.

pub(crate) mod channel;
pub(crate) mod ground;
pub(crate) mod mark;
pub(crate) mod mention;

use wa_rs::waproto::whatsapp as wa;

use self::mention::Mention;
use crate::model::MessageId;
use crate::whatsapp::media::upload::UploadedFile;
use crate::whatsapp::send::preview::Preview;

/// What had to be found out or done before a message can be built.
#[derive(Default)]
pub(crate) struct MessageParts {
    pub(crate) file: Option<UploadedFile>,
    /// The small JPEG picture shown before the file is fetched.
    pub(crate) thumbnail: Option<Vec<u8>>,
    pub(crate) quote: Option<Quote>,
    pub(crate) mentions: Vec<Mention>,
    /// Our own address in a group, for changing what we wrote there.
    pub(crate) own: Option<String>,
    /// Who wrote the message a reaction is for, when it was not us.
    pub(crate) author: Option<String>,
    /// The secret that a poll's votes are encrypted with.
    pub(crate) secret: Option<[u8; 32]>,
    pub(crate) preview: Option<Preview>,
    /// The message that is forwarded, or the file whose caption is changed.
    pub(crate) original: Option<wa::Message>,
}

/// The message that is answered.
pub(crate) struct Quote {
    pub(crate) id: MessageId,
    pub(crate) author: Option<String>,
    /// What it said, as far as it is known here.
    pub(crate) message: wa::Message,
}
