//! No message key encrypts twice. A key that does tells an observer how two messages differ, and the
//! receiver reads only the first of them. Seen here, on the server, also what no phone ever gets.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use wacore_binary::Node;
use wacore_libsignal::protocol::{PreKeySignalMessage, SenderKeyMessage, SignalMessage};

use crate::util::{attr, bytes, children, jid, text};
use crate::world::{Address, World};

/// A message key: whose, for whom, of which chain, and the place in it.
type Key = (Address, String, Vec<u8>, u32);

/// Every message key seen so far.
pub(crate) type KeysUsed = BTreeSet<Key>;

/// The chain of a ciphertext and its place in it.
fn place(kind: &str, sealed: &[u8]) -> Result<(Vec<u8>, u32)> {
    let signal = |message: &SignalMessage| {
        (message.sender_ratchet_key().public_key_bytes().to_vec(), message.counter())
    };
    Ok(match kind {
        "skmsg" => {
            let message = SenderKeyMessage::try_from(sealed)?;
            (message.chain_id().to_be_bytes().to_vec(), message.iteration())
        }
        "pkmsg" => signal(PreKeySignalMessage::try_from(sealed)?.message()),
        "msg" => signal(&SignalMessage::try_from(sealed)?),
        other => anyhow::bail!("unknown kind {other:?}"),
    })
}

impl World {
    /// Checks what a companion encrypted in this stanza.
    pub(crate) fn check_keys(&mut self, from: &Address, node: &Node) {
        if node.tag != "message" {
            return;
        }
        let to = attr(node, "to").unwrap_or_default();
        let mut sealed: Vec<(String, &Node)> =
            node.get_children_by_tag("enc").map(|enc| (to.clone(), enc)).collect();
        for part in node.get_optional_child("participants").map(children).unwrap_or_default() {
            let device = jid(part, "jid").map_or_else(String::new, |jid| self.name_of(&jid));
            sealed.extend(part.get_children_by_tag("enc").map(|enc| (device.clone(), enc)));
        }
        for (target, enc) in sealed {
            if let Err(error) = self.check_key(from, &target, enc) {
                let text = format!("{} to {target}: {error:#}", text(node, "id"));
                self.violation(Some(from), "message key", text);
            }
        }
    }

    fn check_key(&mut self, from: &Address, target: &str, enc: &Node) -> Result<()> {
        let (chain, n) = place(&text(enc, "type"), &bytes(enc)).context("no ciphertext")?;
        let fresh = self.keys_used.insert((from.clone(), target.to_owned(), chain, n));
        fresh.then_some(()).with_context(|| format!("key {n} of its chain was used before"))
    }

    /// A device under one name, whichever of its addresses is used.
    fn name_of(&self, jid: &wacore_binary::Jid) -> String {
        let known = self.address_of(jid);
        known.map_or_else(|| jid.to_string(), |a| format!("{}:{}", a.pn, a.device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Simulator;

    #[tokio::test]
    async fn a_message_sent_again_as_it_is_breaks_the_rule() {
        let sim = Simulator::start().await.unwrap();
        let (ann, bob) =
            (sim.phone("4915550000001", "Ann").await, sim.phone("4915550000002", "Bob").await);
        bob.offline().await;
        ann.send_text(&bob, "one").await.unwrap();
        ann.send_text(&bob, "two").await.unwrap();
        let (from, mut world) = (Address::new(ann.number(), 1), sim.world());
        let waiting = world.accounts.get(bob.number()).unwrap().phone.waiting.clone();
        for node in &waiting {
            world.check_keys(&from, node);
        }
        assert_eq!((waiting.len(), world.journal.violations.len()), (2, 0));
        world.check_keys(&from, waiting.back().unwrap());
        assert_eq!(world.journal.violations.first().unwrap().rule, "message key");
    }
}
