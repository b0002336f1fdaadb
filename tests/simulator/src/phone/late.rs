//! A phone that was off for long asks late for what it could not read.

use anyhow::{Context as _, Result};
use wacore_binary::Node;

use crate::Phone;
use crate::fault::Fault;
use crate::util::text;
use crate::world::{Address, World};

impl World {
    /// Asks again for a message at once, or keeps it until it is told to.
    pub(super) fn ask_again_or_wait(&mut self, pn: &str, sender: &Address, lost: &Node) {
        if !self.strikes_on(&Address::new(pn, 0), &Fault::LateRetry) {
            return self.ask_again(pn, sender, lost);
        }
        if let Some(account) = self.accounts.get_mut(pn) {
            account.phone.unasked.insert(text(lost, "id"), (sender.clone(), lost.clone()));
        }
    }
}

impl Phone {
    /// Asks again now for a message that it could not read (`Fault::LateRetry`); it may ask for it several times.
    pub async fn ask_again(&self, id: &str) -> Result<()> {
        let mut world = self.sim.world();
        let unasked = world.accounts.get(self.number()).and_then(|a| a.phone.unasked.get(id));
        let (sender, lost) = unasked.context("nothing to ask for")?.clone();
        world.ask_again(self.number(), &sender, &lost);
        world.run_phones();
        world.touch();
        Ok(())
    }
}
