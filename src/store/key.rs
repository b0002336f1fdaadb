//! How keys are written, so that their bytes sort as their parts do. Numbers are big-endian; a part that may hold any
//! bytes carries its length first, so no part can run into the next. Here is every layout (`dev` is a device name with
//! one length byte):
//!
//! Where it says JSON, this may be packed, see `pack`.
//!
//! ```text
//! both     meta    'f'                         -> format version
//!                  'z'                         -> number of the last commit, and of the last one known to be synced
//! state/   rows    00 | key                    -> the gateway's own rows: login/, media-url-key
//!                  dev | key                   -> a device's rows: session/, fleet, chatwoot/
//! outbox/  meta    'a'                         -> the time of the store's clock
//!                  'g' segment                 -> bytes, opened, newest
//!                  't' dev                     -> newest seq
//!                  'c' endpoint                -> its cursor (JSON)
//!                  'n' endpoint                -> its dead letters: count, bytes
//!                  'y' part                    -> a part of the history: bytes, from when, until when
//!          dead    part(endpoint) seq          -> a dead letter
//!          queue   'm' dev id                  -> the message (JSON)
//!                  'q' dev order               -> id, until WhatsApp has it
//!                  't' dev order               -> id, all of them
//!                  'd' dev due order           -> id, until its time comes
//!                  'k' dev hash(key)           -> hash(request), id
//!                  'n' dev                     -> how many wait, newest order, how many are to go later
//!                  'a' dev                     -> the accounts it was linked to (JSON)
//!                  'p' dev part(account) user  -> a person in touch: when we wrote first without an answer, or 0;
//!                                                 without a user: those of an older version are there too
//!                  'w' dev part(account) user  -> a person who wrote: nothing; without a user, as above
//!                  'l' dev list                -> a paced list (JSON)
//!                  'u' dev list                -> how far it got (JSON)
//!                  's' dev part(account)       -> what WhatsApp said of the account last (JSON)
//!                  'h' dev part(account) quarter -> what happened in that quarter of an hour
//!                  'r' dev                     -> how far its rules got, and what they did (JSON)
//!                  'x' dev chat                -> what its rules remember of a chat (JSON)
//!                  'v' dev seq endpoint        -> that a rule handed the event to that endpoint: nothing
//!          log.N   'e' dev seq                 -> an event
//!                  'd' dev id                  -> its seq
//!          history 'G' dev                     -> how many accounts it had, the number of its next chat (JSON)
//!                  'C' dev account chat        -> a chat (JSON)
//!                  'A' dev account address     -> the number of its chat
//!                  'O' dev account !time chat  -> the chats by their newest message: nothing
//!                  'L' dev                     -> what its log had is in here: nothing
//!          history.N  no tag is one of the queue's or the log's, so that a repair never takes these for those
//!                  'M' dev chat time nth       -> a message (JSON)
//!                  'I' dev hash(id)            -> its places
//!                  'P' dev account hash(id)    -> what was said of a message that has not come (JSON)
//!                  'W' dev word 00 !place      -> a message with that word: nothing
//! ```

use crate::model::DeviceName;
use crate::store::StoreError;

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Vec<u8>);

impl Key {
    pub fn new(tag: u8) -> Self {
        Self(vec![tag])
    }

    pub(super) fn of(device: &DeviceName) -> Self {
        Self(Vec::new()).device(device)
    }

    /// Adds a device name; it has at most 64 bytes.
    #[must_use]
    pub(super) fn device(mut self, device: &DeviceName) -> Self {
        let name = device.as_str().as_bytes();
        self.0.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(name);
        self
    }

    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    #[must_use]
    pub(super) fn small(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Adds a number in as few bytes as it needs: only in values, because these do not sort.
    #[must_use]
    pub(super) fn short(mut self, mut number: u64) -> Self {
        while number >= 0x80 {
            self.0.extend(u8::try_from((number & 0x7f) | 0x80));
            number >>= 7;
        }
        self.0.extend(u8::try_from(number));
        self
    }

    /// Adds bytes with their length.
    #[must_use]
    pub fn part(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds bytes without their length: only as the last part.
    #[must_use]
    pub fn rest(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Key> for Vec<u8> {
    fn from(key: Key) -> Self {
        key.0
    }
}

/// Takes a key (or a value written the same way) apart, front to back. Every step is `None` when the bytes run out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn tag(&mut self) -> Option<u8> {
        let (tag, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*tag)
    }

    pub(super) fn device(&mut self) -> Option<DeviceName> {
        let length = self.tag()?;
        let name = self.take(usize::from(length))?;
        DeviceName::parse(std::str::from_utf8(name).ok()?).ok()
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    pub(super) fn small(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    pub(super) fn short(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.tag()?;
            let low = u64::from(byte & 0x7f);
            number |= low.checked_shl(place * 7).filter(|high| high >> (place * 7) == low)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    /// One part with its length.
    pub(crate) fn part(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        self.take(usize::try_from(u32::from_be_bytes(*length)).ok()?)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.part()?).ok()
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }
}

/// A value that is one number.
pub(super) fn number(row: &[u8]) -> Result<u64, StoreError> {
    Parts::of(row).number().ok_or_else(|| StoreError::Damaged("a number".to_owned()))
}

/// The smallest key after every key that starts with `prefix`; `None` when there is none.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if let Some(more) = last.checked_add(1) {
            next.push(more);
            return Some(next);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device(name: &str) -> DeviceName {
        DeviceName::parse(name).unwrap()
    }

    proptest! {
        #[test]
        fn numbers_sort_as_their_bytes(a: u64, b: u64) {
            let (x, y) = (Key::new(b'e').number(a), Key::new(b'e').number(b));
            prop_assert_eq!(a.cmp(&b), x.cmp(&y));
        }

        #[test]
        fn what_goes_in_comes_out(
            tag: u8,
            name in "[a-z0-9][a-z0-9_-]{0,63}",
            number: u64,
            short: u64,
            part: Vec<u8>,
            rest: Vec<u8>,
        ) {
            let name = device(&name);
            let key = Key::new(tag).device(&name).number(number).short(short).short(number % 300);
            let key = key.part(&part).rest(&rest);
            let mut parts = Parts::of(key.as_ref());
            prop_assert_eq!(parts.tag(), Some(tag));
            prop_assert_eq!(parts.device(), Some(name));
            prop_assert_eq!(parts.number(), Some(number));
            prop_assert_eq!(parts.short(), Some(short));
            prop_assert_eq!(parts.short(), Some(number % 300));
            prop_assert_eq!(parts.part(), Some(part.as_slice()));
            prop_assert_eq!(parts.rest(), rest.as_slice());
        }

        #[test]
        fn parts_cannot_run_into_each_other(a: Vec<u8>, b: Vec<u8>, c: Vec<u8>, d: Vec<u8>) {
            let same = (&a, &b) == (&c, &d);
            prop_assert_eq!(Key::new(0).part(&a).part(&b) == Key::new(0).part(&c).part(&d), same);
        }

        #[test]
        fn one_device_is_never_the_prefix_of_another(
            a in "[a-z0-9][a-z0-9_-]{0,63}",
            b in "[a-z0-9][a-z0-9_-]{0,63}",
        ) {
            let (x, y) = (Key::of(&device(&a)), Key::of(&device(&b)));
            prop_assert_eq!(x.as_ref().starts_with(y.as_ref()), a == b);
        }

        #[test]
        fn torn_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
            let mut parts = Parts::of(&bytes);
            while parts.tag().is_some() && parts.device().is_some() && parts.part().is_some() && parts.short().is_some() {}
            parts.number();
        }

        #[test]
        fn the_key_after_a_prefix_is_the_least_upper_bound(prefix: Vec<u8>, key: Vec<u8>) {
            let inside = key.starts_with(&prefix);
            let below = after_prefix(&prefix).is_none_or(|end| key < end);
            prop_assert_eq!(inside, key >= prefix && below);
        }
    }
}
