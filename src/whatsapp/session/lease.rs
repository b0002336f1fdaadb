//! Which changes of a session can wait for the disk. The engine sends nothing beyond a lease of counters that is on the disk,
//! and a receiving chain that goes back finds its keys again. So only what is kept of a lease, of the own ratchet key and of
//! retired sessions must not be lost; most messages change none of that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Sessions of which it is known what the disk has of them.
const MOST: usize = 4096;

/// What must not be lost of the sessions that the disk has.
#[derive(Default)]
pub(super) struct Leases(Mutex<BTreeMap<Arc<str>, Bounds>>);

/// What must not be lost of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The first counter that must not be used.
    ceiling: u64,
    /// The public half of the own ratchet key.
    ratchet: Vec<u8>,
    retired: usize,
}

impl Leases {
    /// Whether the disk has what must not be lost of all of them.
    pub(super) fn cover(&self, sessions: &[(Arc<str>, Bytes)]) -> bool {
        let known = self.lock();
        sessions.iter().all(|(address, session)| {
            let bounds = Bounds::of(session);
            bounds.is_some() && bounds.as_ref() == known.get(address)
        })
    }

    /// The disk has them now.
    pub(super) fn note(&self, sessions: &[(Arc<str>, Bytes)]) {
        let mut known = self.lock();
        for (address, session) in sessions {
            if known.len() >= MOST {
                known.clear();
            }
            match Bounds::of(session) {
                Some(bounds) => known.insert(Arc::clone(address), bounds),
                None => known.remove(address),
            };
        }
    }

    /// Nothing is known of one any more.
    pub(super) fn forget(&self, address: &str) {
        self.lock().remove(address);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Bounds>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// The fields of the engine's records, see its whatsapp.proto and its local fields.
const CURRENT: u64 = 1;
const RETIRED: u64 = 2;
const CEILING: u64 = 100;
const SENDER_CHAIN: u64 = 6;
const RATCHET: u64 = 1;

impl Bounds {
    /// `None` when the session is not as it is expected to be.
    fn of(session: &[u8]) -> Option<Self> {
        let (mut ceiling, mut ratchet, mut retired) = (None, None, 0);
        for field in fields(session)? {
            match field {
                (CURRENT, Value::Bytes(current)) => {
                    let chain = only(current, SENDER_CHAIN)?;
                    ratchet = Some(only(chain, RATCHET)?.to_vec());
                }
                (RETIRED, Value::Bytes(_)) => retired += 1,
                (CEILING, Value::Number(number)) => ceiling = Some(number),
                _ => {}
            }
        }
        // Without a lease nothing was sent.
        Some(Self { ceiling: ceiling.unwrap_or(0), ratchet: ratchet?, retired })
    }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The bytes of a field that is there once.
fn only(message: &[u8], number: u64) -> Option<&[u8]> {
    let mut found = fields(message)?.into_iter().filter(|(field, _)| *field == number);
    match (found.next(), found.next()) {
        (Some((_, Value::Bytes(bytes))), None) => Some(bytes),
        _ => None,
    }
}

/// The fields of a message of Protocol Buffers; `None` when it is none.
fn fields(mut message: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = number(&mut message)?;
        let value = match tag & 7 {
            0 => Value::Number(number(&mut message)?),
            2 => {
                let length = usize::try_from(number(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                message = rest;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        fields.push((tag >> 3, value));
    }
    Some(fields)
}

fn number(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..9 {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << (place * 7);
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wa_rs::wacore::libsignal::protocol::{
        ChainKey, IdentityKey, KeyPair, RootKey, SessionRecord, SessionState,
    };

    use super::*;

    fn session(ratchet: &KeyPair, index: u32, ceiling: u32) -> (Arc<str>, Bytes) {
        let mut rng = rand::rng();
        let key = || IdentityKey::new(KeyPair::generate(&mut rand::rng()).public_key);
        let base = KeyPair::generate(&mut rng).public_key;
        let mut state = SessionState::new(3, &key(), &key(), &RootKey::new([7; 32]), &base);
        state.set_sender_chain(ratchet, &ChainKey::new([11; 32], index));
        let mut record = SessionRecord::new(state);
        if ceiling > 0 {
            record.reserve_sender_chain_counters(ceiling - 64);
        }
        (Arc::from("62811.0"), record.serialize().unwrap().into())
    }

    #[test]
    fn only_what_can_be_found_again_waits() {
        let (leases, ratchet) = (Leases::default(), KeyPair::generate(&mut rand::rng()));
        let first = session(&ratchet, 1, 64);
        assert!(!leases.cover(std::slice::from_ref(&first)), "the disk has nothing of it");
        leases.note(std::slice::from_ref(&first));
        assert!(leases.cover(&[first.clone(), session(&ratchet, 7, 64)]), "within the lease");
        assert!(!leases.cover(&[session(&ratchet, 64, 128)]), "a longer lease");
        let other = KeyPair::generate(&mut rand::rng());
        assert!(!leases.cover(&[first.clone(), session(&other, 1, 64)]), "another ratchet key");
        leases.note(&[session(&ratchet, 1, 0)]);
        assert!(leases.cover(&[session(&ratchet, 1, 0)]), "nothing was sent");
        assert!(!leases.cover(std::slice::from_ref(&first)), "the first lease");
        leases.note(std::slice::from_ref(&first));
        leases.forget("62811.0");
        assert!(!leases.cover(&[first]));
    }

    proptest! {
        #[test]
        fn what_is_no_session_never_waits(bytes: Vec<u8>) {
            let (leases, bytes) = (Leases::default(), Bytes::from(bytes));
            let sessions = [(Arc::from("a"), bytes.clone())];
            leases.note(&sessions);
            prop_assert_eq!(leases.cover(&sessions), Bounds::of(&bytes).is_some());
        }
    }
}
