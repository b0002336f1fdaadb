//! Which changes of a session or a sender key can wait for the disk. The engine sends nothing beyond a lease of counters that is
//! on the disk, and a receiving chain that goes back finds its keys again. So only what is kept of a lease, of the own ratchet
//! key, of who signs in a group and of retired sessions must not be lost; most messages change none of that.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::tag::{SENDER_KEY, SESSION};
use crate::store::Key;

/// Rows of which it is known what the disk has of them.
const MOST: usize = 4096;

/// What must not be lost of the rows that the disk has.
#[derive(Default)]
pub(super) struct Leases(Mutex<BTreeMap<Key, Bounds>>);

/// What must not be lost of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The first counter that must not be used.
    ceiling: u64,
    /// The public half of the own ratchet key; of a sender key, what each of its states is signed with.
    keys: Vec<Vec<u8>>,
    retired: usize,
}

impl Leases {
    /// Whether the disk has what must not be lost of it.
    pub(super) fn cover(&self, (key, row): &(Key, Bytes)) -> bool {
        let bounds = Bounds::of(key, row);
        bounds.is_some() && bounds.as_ref() == self.lock().get(key)
    }

    /// The disk has it now.
    pub(super) fn note(&self, key: Key, row: &[u8]) {
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        match Bounds::of(&key, row) {
            Some(bounds) => known.insert(key, bounds),
            None => known.remove(&key),
        };
    }

    /// Nothing is known of it any more.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Bounds>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// The fields of the engine's records, see its whatsapp.proto and its local fields.
const CURRENT: u64 = 1;
const RETIRED: u64 = 2;
const CEILING: u64 = 100;
const SENDER_CHAIN: u64 = 6;
const RATCHET: u64 = 1;
const STATE: u64 = 1;
const SIGNING_KEY: u64 = 3;
const PUBLIC: u64 = 1;

impl Bounds {
    /// `None` when the row is not as it is expected to be.
    fn of(key: &Key, row: &[u8]) -> Option<Self> {
        let (mut ceiling, mut keys, mut retired) = (None, Vec::new(), 0);
        let tag = *key.as_ref().first()?;
        for field in fields(row)? {
            match field {
                (CURRENT, Value::Bytes(current)) if tag == SESSION => {
                    keys.push(only(only(current, SENDER_CHAIN)?, RATCHET)?.to_vec());
                }
                (RETIRED, Value::Bytes(_)) if tag == SESSION => retired += 1,
                (STATE, Value::Bytes(state)) if tag == SENDER_KEY => {
                    keys.push(only(only(state, SIGNING_KEY)?, PUBLIC)?.to_vec());
                }
                (CEILING, Value::Number(number)) => ceiling = Some(number),
                _ => {}
            }
        }
        // Without a lease nothing was sent.
        let bounds = Self { ceiling: ceiling.unwrap_or(0), keys, retired };
        (!bounds.keys.is_empty()).then_some(bounds)
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
        ChainKey, IdentityKey, KeyPair, RootKey, SenderKeyRecord, SessionRecord, SessionState,
    };

    use super::*;

    fn row(tag: u8, row: Vec<u8>) -> (Key, Bytes) {
        (Key::new(tag).rest("62811.0"), row.into())
    }

    fn session(ratchet: &KeyPair, index: u32, ceiling: u32) -> (Key, Bytes) {
        let mut rng = rand::rng();
        let key = || IdentityKey::new(KeyPair::generate(&mut rand::rng()).public_key);
        let base = KeyPair::generate(&mut rng).public_key;
        let mut state = SessionState::new(3, &key(), &key(), &RootKey::new([7; 32]), &base);
        state.set_sender_chain(ratchet, &ChainKey::new([11; 32], index));
        let mut record = SessionRecord::new(state);
        if ceiling > 0 {
            record.reserve_sender_chain_counters(ceiling - 64);
        }
        row(SESSION, record.serialize().unwrap())
    }

    fn note(leases: &Leases, (key, row): &(Key, Bytes)) {
        leases.note(key.clone(), row);
    }

    #[test]
    fn only_what_can_be_found_again_waits() {
        let (leases, ratchet) = (Leases::default(), KeyPair::generate(&mut rand::rng()));
        let first = session(&ratchet, 1, 64);
        assert!(!leases.cover(&first), "the disk has nothing of it");
        note(&leases, &first);
        assert!(leases.cover(&first) && leases.cover(&session(&ratchet, 7, 64)), "within it");
        assert!(!leases.cover(&session(&ratchet, 64, 128)), "a longer lease");
        let other = KeyPair::generate(&mut rand::rng());
        assert!(!leases.cover(&session(&other, 1, 64)), "another ratchet key");
        note(&leases, &session(&ratchet, 1, 0));
        assert!(leases.cover(&session(&ratchet, 1, 0)), "nothing was sent");
        assert!(!leases.cover(&first), "the first lease");
        note(&leases, &first);
        leases.forget(&first.0);
        assert!(!leases.cover(&first));
    }

    /// One's own key, or somebody else's, as far as it is known after some messages.
    fn sender_key(signed_with: &[&KeyPair], iteration: u32, ceiling: u32) -> (Key, Bytes) {
        let mut record = SenderKeyRecord::new_empty();
        for (id, key) in (7..).zip(signed_with) {
            let (public, seed) = (key.public_key, [11; 32]);
            record.add_sender_key_state(3, id, iteration, &seed, public, None).unwrap();
        }
        if ceiling > 0 {
            record.reserve_iterations(ceiling - 64);
        }
        row(SENDER_KEY, record.serialize().unwrap())
    }

    #[test]
    fn a_sender_key_waits_until_another_signs_or_its_lease_is_longer() {
        let leases = Leases::default();
        let [one, two] = [(); 2].map(|()| KeyPair::generate(&mut rand::rng()));
        for ceiling in [0, 64] {
            let first = sender_key(&[&one], 1, ceiling);
            assert!(!leases.cover(&first));
            note(&leases, &first);
            assert!(leases.cover(&sender_key(&[&one], 40, ceiling)));
            assert!(!leases.cover(&sender_key(&[&one], 40, ceiling + 64)), "a longer lease");
            assert!(!leases.cover(&sender_key(&[&one, &two], 1, ceiling)), "a new key");
            assert!(!leases.cover(&sender_key(&[&two], 1, ceiling)), "another key");
        }
        assert!(!leases.cover(&sender_key(&[], 0, 0)), "an empty one");
    }

    proptest! {
        #[test]
        fn what_is_no_session_never_waits(bytes: Vec<u8>, tag in prop_oneof![Just(SESSION), Just(SENDER_KEY)]) {
            let (leases, row) = (Leases::default(), row(tag, bytes));
            note(&leases, &row);
            prop_assert_eq!(leases.cover(&row), Bounds::of(&row.0, &row.1).is_some());
        }
    }
}
