//! What an account shows of itself and whom it keeps out: about, picture, business profile, block list.

use std::collections::BTreeSet;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};

use crate::Phone;
use crate::util::{attr, children, empty, iq_error, iq_result, jid, leaf, now, text};
use crate::world::{Account, Address, World};

/// What a JPEG begins with.
const JPEG: &[u8] = b"\xff\xd8";

/// What an account shows.
#[derive(Default)]
pub(crate) struct Card {
    about: String,
    picture: Option<(u64, Vec<u8>)>,
    business: Option<String>,
    blocked: BTreeSet<String>,
    /// To whom it shows what it posts: the kind of list, and the people in it.
    status: (String, Vec<String>),
}

impl Account {
    /// What `usync` says of the account under a tag; nothing where there is nothing to say.
    pub(crate) fn shown(&self, tag: &str) -> Option<Node> {
        let card = &self.card;
        match tag {
            "status" if !card.about.is_empty() => {
                let mut status = leaf("status", card.about.as_bytes());
                status.attrs.insert("t", now());
                Some(status)
            }
            "picture" => {
                let (id, _) = card.picture.as_ref()?;
                Some(NodeBuilder::new("picture").attr("id", *id).build())
            }
            "business" => card.business.is_some().then(|| empty("business")),
            _ => None,
        }
    }
}

impl World {
    /// `w:profile:picture`: where a picture is, and another one for the account itself.
    pub(crate) fn picture_iq(&mut self, who: &Address, node: &Node) -> Node {
        let target = jid(node, "target");
        if text(node, "type") == "get" {
            let pn = target.and_then(|target| self.pn_of(&target));
            let account = pn.and_then(|pn| self.accounts.get(&pn));
            let picture = account.and_then(|account| account.card.picture.as_ref());
            let Some((id, _)) = picture else { return iq_error(node, 404, "item-not-found") };
            let picture = NodeBuilder::new("picture")
                .attr("id", *id)
                .attr("type", "image")
                .attr("url", format!("https://pps.whatsapp.net/v/{id}.jpg"))
                .attr("direct_path", format!("/v/{id}.jpg"));
            return iq_result(node, vec![picture.build()]);
        }
        if target.is_some_and(|target| target.server == Server::Group) {
            return iq_result(node, Vec::new());
        }
        let picture = node.get_optional_child("picture").map(crate::util::bytes);
        if picture.as_ref().is_some_and(|picture| !picture.starts_with(JPEG)) {
            return iq_error(node, 406, "not-acceptable");
        }
        let id = self.number() + 1_700_000_000;
        let Some(account) = self.accounts.get_mut(&who.pn) else {
            return iq_error(node, 404, "item-not-found");
        };
        account.card.picture = picture.map(|picture| (id, picture));
        let answer = account.card.picture.is_some();
        self.touch();
        let named = || NodeBuilder::new("picture").attr("id", id).build();
        iq_result(node, answer.then(named).into_iter().collect())
    }

    /// `status`: the account's about.
    pub(crate) fn about_iq(&mut self, who: &Address, node: &Node) -> Node {
        if node.get_optional_child("privacy").is_some() {
            return self.status_privacy(who, node);
        }
        if let (Some(account), Some(about)) =
            (self.accounts.get_mut(&who.pn), node.get_optional_child("status"))
        {
            account.card.about = String::from_utf8_lossy(&crate::util::bytes(about)).into_owned();
            self.touch();
        }
        iq_result(node, Vec::new())
    }

    /// To whom the account shows what it posts.
    fn status_privacy(&self, who: &Address, node: &Node) -> Node {
        let account = self.accounts.get(&who.pn);
        let (kind, people) = account.map(|account| account.card.status.clone()).unwrap_or_default();
        let kind = if kind.is_empty() { "contacts".to_owned() } else { kind };
        let users = people
            .iter()
            .filter_map(|pn| self.accounts.get(pn))
            .map(|account| NodeBuilder::new("user").attr("jid", account.jid(Server::Pn)).build());
        let list = NodeBuilder::new("list").attr("type", kind).attr("default", "true");
        let lists = [list.children(users).build()];
        iq_result(node, vec![NodeBuilder::new("privacy").children(lists).build()])
    }

    /// `blocklist`: the list under LIDs, and one more or less of it.
    pub(crate) fn blocklist_iq(&mut self, who: &Address, node: &Node) -> Node {
        if text(node, "type") == "get" {
            let account = self.accounts.get(&who.pn);
            let blocked = account.map(|account| account.card.blocked.clone()).unwrap_or_default();
            let blocked = blocked.iter().filter_map(|pn| self.accounts.get(pn));
            let items = blocked.map(|account| {
                NodeBuilder::new("item")
                    .attr("jid", account.jid(Server::Lid))
                    .attr("t", 1_795_420_800_u64)
                    .build()
            });
            return iq_result(node, vec![NodeBuilder::new("list").children(items).build()]);
        }
        for item in children(node).iter().filter(|item| item.tag == "item") {
            let Some(address) = jid(item, "jid") else { continue };
            let block = attr(item, "action").as_deref() == Some("block");
            // WhatsApp wants the LID, and the number beside it of somebody who is to be kept out.
            if address.server != Server::Lid || block && jid(item, "pn_jid").is_none() {
                return iq_error(node, 400, "bad-request");
            }
            let Some(pn) = self.pn_of(&address) else {
                return iq_error(node, 404, "item-not-found");
            };
            let Some(account) = self.accounts.get_mut(&who.pn) else { continue };
            if block {
                account.card.blocked.insert(pn);
            } else {
                account.card.blocked.remove(&pn);
            }
        }
        self.touch();
        iq_result(node, Vec::new())
    }

    /// `w:biz`: the profile of a business.
    pub(crate) fn business_iq(&self, node: &Node) -> Node {
        let asked = node.get_optional_child("business_profile");
        let asked = asked.and_then(|asked| asked.get_optional_child("profile"));
        let address = asked.and_then(|asked| jid(asked, "jid"));
        let pn = address.as_ref().and_then(|address| self.pn_of(address));
        let account = pn.and_then(|pn| self.accounts.get(&pn));
        let description = account.and_then(|account| account.card.business.as_deref());
        let (Some(address), Some(description)) = (address, description) else {
            return iq_result(node, Vec::new());
        };
        let day = NodeBuilder::new("business_hours_config")
            .attr("day_of_week", "mon")
            .attr("mode", "specific_hours")
            .attr("open_time", "480")
            .attr("close_time", "1050");
        let hours = NodeBuilder::new("business_hours").attr("timezone", "Asia/Jakarta");
        let mut category = leaf("category", "Toko kelontong");
        category.attrs.insert("id", "1");
        let profile = NodeBuilder::new("profile").attr("jid", address).children([
            leaf("description", description.as_bytes()),
            leaf("address", "Jl. Merdeka 1, Bandung"),
            leaf("website", "https://toko.example"),
            NodeBuilder::new("categories").children([category]).build(),
            hours.children([day.build()]).build(),
        ]);
        let found = NodeBuilder::new("business_profile").children([profile.build()]);
        iq_result(node, vec![found.build()])
    }
}

impl Phone {
    fn card<T>(&self, look: impl FnOnce(&mut Card) -> T) -> Option<T> {
        let mut world = self.sim.world();
        let found = world.accounts.get_mut(self.number()).map(|account| look(&mut account.card));
        world.touch();
        found
    }

    /// Shows what it posts to `contacts`, all but those of a `blacklist`, or those of a `whitelist`.
    pub fn shows_to(&self, kind: &str, people: &[&Phone]) {
        let people = people.iter().map(|phone| phone.number().to_owned()).collect();
        self.card(|card| card.status = (kind.to_owned(), people));
    }

    /// Writes something about itself.
    pub fn write_about(&self, about: &str) {
        self.card(|card| about.clone_into(&mut card.about));
    }

    /// Shows a picture; the answer is its id.
    pub fn show_picture(&self, jpeg: &[u8]) -> u64 {
        let id = 1_600_000_000 + jpeg.len() as u64;
        self.card(|card| card.picture = Some((id, jpeg.to_vec())));
        id
    }

    /// Is a business from now on.
    pub fn open_business(&self, description: &str) {
        self.card(|card| card.business = Some(description.to_owned()));
    }

    /// What it says about itself.
    pub fn about(&self) -> String {
        self.card(|card| card.about.clone()).unwrap_or_default()
    }

    /// The picture that it shows.
    pub fn picture(&self) -> Option<Vec<u8>> {
        self.card(|card| card.picture.clone()).flatten().map(|(_, picture)| picture)
    }

    /// The numbers that it keeps out.
    pub fn blocked(&self) -> Vec<String> {
        self.card(|card| card.blocked.iter().cloned().collect()).unwrap_or_default()
    }
}
