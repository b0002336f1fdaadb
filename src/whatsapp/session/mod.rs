//! The engine's storage for one device, on a `store::Space`: five traits, every batch one atomic, durable write. Only
//! the messages on their way into the log, and what the lease of a session or a sender key covers, do not wait for the
//! disk. What the rows mean is the engine's business.
//!
//! Every row's key starts with one letter; a part that is not the last carries its length:
//!
//! ```text
//! D                               the device (JSON)
//! i address   s address           identity, session        k address          sender key
//! p number    P number            pre-key, signed pre-key
//! a id        L                   app-state key (JSON), id of the newest
//! v name      m name mac          collection version (JSON), value mac of a mutation
//! g group device                  whether that device has the group's sender key
//! G device group                  the same pairs by device
//! l lid       n phone             LID mapping (JSON), newest LID of a phone number
//! b address message               base key
//! d user      j group             device list (JSON), group metadata
//! t jid                           trusted-contact token (JSON)
//! R message chat                  sent message, with its time by the store's clock
//! O time message chat             the same by age, with its bytes; B is their sum
//! I chat sender message           received message whose event is not on the disk, with its time
//! M chat sender message           message secret, expiry, time of its message
//! ```

mod app_sync;
mod device;
mod foreign;
mod holders;
mod identity;
mod lease;
mod protocol;
mod retry;
mod secret;
mod signal;
mod store;
mod tag;
#[cfg(test)]
mod tests;
mod told;
mod young;

pub(crate) use self::foreign::{
    ForeignAccount, ForeignDevice, ForeignError, ForeignPreKey, ForeignSyncKey, fingerprint,
};
pub(crate) use self::holders::Holders;
pub(crate) use self::store::{SessionStore, let_go};
pub(crate) use self::tag::survives_loss;
pub(crate) use self::told::{Missed, Repeated};
