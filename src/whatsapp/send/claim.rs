//! In whose hands a queued message is: the engine's, which may be sending it, or a caller's, who takes it back. Never in
//! both, so nobody is told that a message failed which may still go out. What becomes of it stands in the store; this is
//! forgotten at the end, when nothing is on its way.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::MessageId;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hand {
    Engine,
    Caller,
}

/// The messages of one device that are in somebody's hands.
#[derive(Clone, Default)]
pub(crate) struct Hands(Arc<Mutex<BTreeMap<MessageId, Hand>>>);

/// A message in one's hands, until this is dropped.
pub struct Held {
    hands: Hands,
    id: MessageId,
    keep: bool,
}

impl Hands {
    /// Takes a message for the engine; `None` when a caller takes it back.
    pub(crate) fn send(&self, id: &MessageId) -> Option<Held> {
        // What a try before this one may have sent is the engine's already.
        let hand = *self.lock().entry(id.clone()).or_insert(Hand::Engine);
        (hand == Hand::Engine).then(|| self.held(id))
    }

    /// Takes a message back; `None` when the engine has it, or another caller.
    pub(crate) fn withdraw(&self, id: &MessageId) -> Option<Held> {
        match self.lock().entry(id.clone()) {
            Entry::Vacant(free) => drop(free.insert(Hand::Caller)),
            Entry::Occupied(_) => return None,
        }
        Some(self.held(id))
    }

    fn held(&self, id: &MessageId) -> Held {
        Held { hands: self.clone(), id: id.clone(), keep: false }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MessageId, Hand>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// From now on it may go out: when this is dropped, nobody knows whether it did, and only another try can tell.
    pub(crate) fn doubt(&mut self) {
        self.keep = true;
    }

    /// What became of it is known.
    pub(crate) fn settle(mut self) {
        self.keep = false;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.keep {
            self.hands.lock().remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_in_one_hand_at_a_time() {
        let (hands, id) = (Hands::default(), MessageId::random());
        let sending = hands.send(&id).unwrap();
        assert!(hands.withdraw(&id).is_none());
        assert!(hands.withdraw(&MessageId::random()).is_some(), "another one is free");
        drop(sending);
        let back = hands.withdraw(&id).unwrap();
        assert!(hands.send(&id).is_none() && hands.withdraw(&id).is_none());
        drop(back);
        hands.send(&id).unwrap().doubt();
        assert!(hands.withdraw(&id).is_none(), "it may be out");
        let mut again = hands.send(&id).unwrap();
        again.doubt();
        again.settle();
        assert!(hands.withdraw(&id).is_some(), "the next try knew");
    }
}
