//! The first letters of the rows that are an identity, of those that a lease covers, and of those that may be old.

pub(super) const DEVICE: u8 = b'D';
pub(super) const PRE_KEY: u8 = b'p';
pub(super) const SIGNED_PRE_KEY: u8 = b'P';
pub(super) const SESSION: u8 = b's';
pub(super) const SENDER_KEY: u8 = b'k';
pub(super) const SYNC_KEY: u8 = b'a';
pub(super) const LATEST_SYNC_KEY: u8 = b'L';

pub(super) const IDENTITY_TAGS: [u8; 5] =
    [DEVICE, PRE_KEY, SIGNED_PRE_KEY, SYNC_KEY, LATEST_SYNC_KEY];
/// Rows that do no harm when they are old: identities of others, addresses of people, tokens, messages. Any other would
/// encrypt two messages with one key, or be taken for all there is.
const MAY_BE_OLD: [u8; 8] = *b"ilntROIM";

/// Whether a row belongs to the identity.
pub(super) fn is_identity(key: &[u8]) -> bool {
    key.first().is_some_and(|tag| IDENTITY_TAGS.contains(tag))
}

pub(super) fn may_be_old(key: &[u8]) -> bool {
    key.first().is_some_and(|tag| MAY_BE_OLD.contains(tag))
}

/// Whether a row of a device may be kept when others were lost with a damaged database.
pub(crate) fn survives_loss(key: &[u8]) -> bool {
    match key.strip_prefix(b"wa/") {
        Some(own) => is_identity(own) || may_be_old(own),
        None => true,
    }
}
