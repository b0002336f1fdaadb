//! What a session tells the rest of the program.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::store::{Key, StoreError};

/// Called with a LID and a phone number (both without a server) that were not known to belong together.
pub(crate) type Told = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Called with the number of sent messages that had to go because there were too many bytes of them.
pub(crate) type Crowded = Arc<dyn Fn(u64) + Send + Sync>;

/// Called with messages that are handed over; they go when the disk has their events.
pub(crate) type Spend = Arc<dyn Fn(Vec<Key>) + Send + Sync>;

/// Called with a message that comes again and that the session is past, when it is not on its way in. An error holds its
/// ack back.
pub(crate) type Missed =
    Box<dyn Fn(Repeated) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// Such a message, by the addresses in its stanza.
pub(crate) struct Repeated {
    pub(crate) chat: String,
    pub(crate) sender: String,
    pub(crate) id: String,
}
