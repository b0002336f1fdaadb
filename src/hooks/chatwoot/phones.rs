//! What the bridge asks of the linked phones. The program gives it the answer: webhooks know no connection.

use futures_util::future::BoxFuture;

use crate::model::{DeviceName, Jid, MessageId};

/// The linked phones.
pub(crate) trait Phones: Send + Sync {
    /// The file of a received message, if it has at most so many bytes.
    fn file<'a>(
        &'a self,
        device: &'a DeviceName,
        message: &'a MessageId,
        most: usize,
    ) -> BoxFuture<'a, Result<File, NoFile>>;

    /// What a group is called, if that is known now.
    fn group_name<'a>(
        &'a self,
        device: &'a DeviceName,
        group: &'a Jid,
    ) -> BoxFuture<'a, Option<String>>;
}

/// A file, whole.
pub(crate) struct File {
    pub(crate) mime: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// Why there is no file.
#[derive(Debug)]
pub(crate) enum NoFile {
    /// There may be one later.
    Later(String),
    Never(String),
}
