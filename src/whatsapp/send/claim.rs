//! Who has claimed a queued message: the engine, which may be sending it, or a caller, who takes it back. It is never
//! both, so nobody is told that a message failed while it may still go out. Claims are kept in memory only: the outcome
//! is in the store, and after a restart nothing is on its way.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::MessageId;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Engine,
    Caller,
}

/// The claimed messages of one device.
#[derive(Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<BTreeMap<MessageId, Holder>>>);

/// A claim on one message, until this is dropped.
pub struct Claim {
    claims: Claims,
    id: MessageId,
    keep: bool,
}

impl Claims {
    /// Claims a message for the engine; `None` when a caller is taking it back.
    pub(crate) fn send(&self, id: &MessageId) -> Option<Claim> {
        // After a try whose outcome is unknown the engine still has the claim.
        let holder = *self.lock().entry(id.clone()).or_insert(Holder::Engine);
        (holder == Holder::Engine).then(|| self.claim(id))
    }

    /// Claims a message for a caller; `None` when the engine or another caller has it.
    pub(crate) fn withdraw(&self, id: &MessageId) -> Option<Claim> {
        match self.lock().entry(id.clone()) {
            Entry::Vacant(free) => drop(free.insert(Holder::Caller)),
            Entry::Occupied(_) => return None,
        }
        Some(self.claim(id))
    }

    fn claim(&self, id: &MessageId) -> Claim {
        Claim { claims: self.clone(), id: id.clone(), keep: false }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MessageId, Holder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// From now on the message may go out. Dropping the claim no longer releases it, because nobody knows whether the
    /// message went out until another try tells.
    pub(crate) fn doubt(&mut self) {
        self.keep = true;
    }

    /// The outcome is known: the claim may be released.
    pub(crate) fn settle(mut self) {
        self.keep = false;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.keep {
            self.claims.lock().remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_claimed_by_one_at_a_time() {
        let (claims, id) = (Claims::default(), MessageId::random());
        let sending = claims.send(&id).unwrap();
        assert!(claims.withdraw(&id).is_none());
        assert!(claims.withdraw(&MessageId::random()).is_some(), "another one is free");
        drop(sending);
        let back = claims.withdraw(&id).unwrap();
        assert!(claims.send(&id).is_none() && claims.withdraw(&id).is_none());
        drop(back);
        claims.send(&id).unwrap().doubt();
        assert!(claims.withdraw(&id).is_none(), "it may be out");
        let mut again = claims.send(&id).unwrap();
        again.doubt();
        again.settle();
        assert!(claims.withdraw(&id).is_some(), "the next try knew");
    }
}
