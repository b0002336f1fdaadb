//! The readers of this module that fuzzing feeds with bytes.

use super::reply;

/// A receiver's answer, which may be a reply.
pub(crate) fn answer(bytes: &[u8]) {
    reply::contents(bytes);
}
