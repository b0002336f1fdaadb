//! Trusted-contact tokens. An account gives them to people whom it wrote to; what they send it afterwards carries the
//! token, and the service tells people in touch from strangers by it.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};

use crate::Phone;
use crate::util::{bytes, children, jid, now, random, text};
use crate::world::{Address, World};

impl World {
    /// The `<tokens>` of a client: its account gives one to each of these people.
    pub(crate) fn tokens_given(&mut self, who: &Address, tokens: &Node) {
        for token in children(tokens) {
            match jid(token, "jid").and_then(|to| self.pn_of(&to)) {
                Some(to) if text(token, "type") == "trusted_contact" => {
                    self.give_token(&who.pn, &to);
                }
                _ => self.violation(Some(who), "token", format!("{token:?}")),
            }
        }
    }

    /// The service makes the token and brings it to every companion of whom it is for.
    fn give_token(&mut self, giver: &str, to: &str) {
        let Some(account) = self.accounts.get(giver) else { return };
        let (from, lid) = (account.jid(Server::Pn), account.jid(Server::Lid));
        let Some(receiver) = self.accounts.get(to).map(|account| account.jid(Server::Lid)) else {
            return;
        };
        let token = random::<16>().to_vec();
        self.journal.note(0, Some(Address::new(giver, 0)), "token given", to.to_owned());
        for device in self.device_ids(to) {
            let given = NodeBuilder::new("token")
                .attr("jid", receiver.clone())
                .attr("type", "trusted_contact")
                .attr("t", now())
                .bytes(token.clone())
                .build();
            let node = NodeBuilder::new("notification")
                .attr("from", from.clone())
                .attr("sender_lid", lid.clone())
                .attr("type", "privacy_token")
                .attr("id", self.id())
                .attr("t", now())
                .children([NodeBuilder::new("tokens").children([given]).build()])
                .build();
            self.deliver(&Address::new(to, device), node);
        }
        self.tokens.insert((giver.to_owned(), to.to_owned()), token);
    }

    /// Whether a companion's message may go to that account, as far as its token is concerned.
    pub(crate) fn trusted(&mut self, from: &Address, to: &str, node: &Node) -> bool {
        let shown = node.get_optional_child("tctoken").map(bytes);
        let given = self.tokens.get(&(to.to_owned(), from.pn.clone()));
        let good = shown.is_some() && shown.as_ref() == given;
        if shown.is_some() && !good {
            self.violation(Some(from), "token", format!("{to} did not give this one"));
        }
        good || !self.wary.contains(to)
    }
}

impl Phone {
    /// The account gives another one a token, as it does when it writes to it.
    pub fn trust(&self, other: &Self) {
        let mut world = self.sim.world();
        world.give_token(self.number(), other.number());
        world.run_phones();
        world.touch();
    }

    /// Messages to this account are refused (463) unless they carry a token that it gave.
    pub fn wants_tokens(&self) {
        self.sim.world().wary.insert(self.number().to_owned());
    }
}
