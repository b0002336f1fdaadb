//! Whether anybody is there: what the companions of an account said about it, and the change of the account's own name
//! after which clients say it again.

use anyhow::{Context as _, Result, bail};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::util::{jid, now, text};
use crate::world::{Address, Device, World};
use crate::{Entry, Phone};

/// The journal's note of a presence.
pub(crate) const PRESENCE: &str = "presence said";
/// What a client says so that the phone goes on ringing.
const UNAVAILABLE: &str = "unavailable";
/// Since when somebody is away.
const LAST_SEEN: u64 = 1_795_420_800;

impl World {
    /// A companion wants to know whether somebody is there, or no longer. It hears at once how it is now.
    pub(crate) fn presence_wanted(&mut self, conn: u64, who: &Address, node: &Node) {
        let Some(to) = jid(node, "to") else {
            return self.violation(Some(who), "presence", "no `to`".to_owned());
        };
        let Some(pn) = self.pn_of(&to) else {
            return self.violation(Some(who), "presence", format!("nobody is {to}"));
        };
        if text(node, "type") == "unsubscribe" {
            self.presences.remove(&(conn, pn));
            return;
        }
        self.presences.insert((conn, pn.clone()), to);
        self.tell_presence(&pn, Some(conn));
    }

    /// Whether the companion on this connection has said last that somebody is there: only such a one hears of others.
    pub(crate) fn is_there(&self, conn: u64) -> bool {
        let who = self.login(conn);
        let said = |entry: &&Entry| entry.tag == PRESENCE && entry.device == who;
        let last = self.journal.entries.iter().rev().find(said);
        who.is_some() && last.is_some_and(|entry| entry.text == "available")
    }

    /// Tells those who asked whether somebody is there, or one of them.
    fn tell_presence(&mut self, pn: &str, only: Option<u64>) {
        let asked: Vec<(u64, Jid)> = self
            .presences
            .iter()
            .filter(|((conn, of), _)| of == pn && only.is_none_or(|only| only == *conn))
            .map(|((conn, _), jid)| (*conn, jid.clone()))
            .collect();
        for (conn, from) in asked {
            if !self.is_there(conn) {
                continue;
            }
            let mut presence = NodeBuilder::new("presence").attr("from", from);
            if !self.there.contains(pn) {
                presence = presence.attr("type", UNAVAILABLE).attr("last", LAST_SEEN);
            }
            self.send(conn, presence.build());
        }
    }

    /// The companions of an account that are connected and have not said last that nobody is there. One that the phone has not
    /// given the account's settings knows no name yet, and without one there is no presence to say.
    fn seem_there(&self, pn: &str) -> Vec<u16> {
        let Some(account) = self.accounts.get(pn) else { return Vec::new() };
        let heard = |conn| self.conns.get(&conn).is_some_and(|c| !c.silent);
        let connected = account.devices.values().filter(|d| d.conn.is_some_and(heard));
        let seems_there = |device: &&Device| {
            let who = Address::new(pn, device.id);
            let said =
                |entry: &&Entry| entry.tag == PRESENCE && entry.device.as_ref() == Some(&who);
            match self.journal.entries.iter().rev().find(said) {
                Some(last) => last.text != UNAVAILABLE,
                None => device.has_app_state_key,
            }
        };
        connected.filter(seems_there).map(|device| device.id).collect()
    }

    fn presences(&self, pn: &str) -> Vec<String> {
        let said = self.journal.entries.iter().filter(|entry| {
            entry.tag == PRESENCE && entry.device.as_ref().is_some_and(|who| who.pn == pn)
        });
        said.map(|entry| entry.text.clone()).collect()
    }

    fn rename_account(&mut self, pn: &str, name: &str) -> Result<()> {
        let account = self.accounts.get_mut(pn).context("no such account")?;
        name.clone_into(&mut account.name);
        let own = account.jid(Server::Pn);
        for device in account.devices.keys().copied().collect::<Vec<_>>() {
            let node = NodeBuilder::new("notification")
                .attr("from", own.clone())
                .attr("type", "account_sync")
                .attr("pushname", name)
                .attr("id", self.id())
                .attr("t", now())
                .build();
            self.deliver(&Address::new(pn, device), node);
        }
        self.touch();
        Ok(())
    }
}

impl Phone {
    /// The person opens WhatsApp, or puts it away.
    pub fn is_there(&self, there: bool) {
        let mut world = self.sim.world();
        if there {
            world.there.insert(self.number().to_owned());
        } else {
            world.there.remove(self.number());
        }
        world.tell_presence(self.number(), None);
        world.touch();
    }

    /// Changes the account's own name, as people do on the phone; its companions are told.
    pub fn rename(&self, name: &str) -> Result<()> {
        self.sim.world().rename_account(self.number(), name)
    }

    /// Lets the account be found under another number too, as those of Brazil and Mexico are.
    pub fn also_found_as(&self, number: &str) {
        self.sim.world().aliases.insert(number.to_owned(), self.number().to_owned());
    }

    /// What the account's companions said about whether somebody is there, oldest first.
    pub fn presences(&self) -> Vec<String> {
        self.sim.world().presences(self.number())
    }

    /// Waits until the last word of each companion that is connected is that nobody is there.
    pub async fn expect_nobody_there(&self) -> Result<()> {
        let quiet = |world: &World| world.seem_there(self.number()).is_empty().then_some(());
        if self.sim.wait(quiet).await.is_some() {
            return Ok(());
        }
        bail!(
            "{} does not ring any more: {:?}\njournal:\n{}",
            self.number(),
            self.presences(),
            self.sim.tail(0)
        )
    }

    /// Waits until its companions have said something more than `before` times, and this last.
    pub async fn expect_presence(&self, before: usize, last: &str) -> Result<()> {
        let said = |world: &World| {
            let said = world.presences(self.number());
            (said.len() > before && said.last().is_some_and(|kind| kind == last)).then_some(())
        };
        if self.sim.wait(said).await.is_some() {
            return Ok(());
        }
        bail!("{} is not {last}: {:?}", self.number(), self.presences())
    }
}
