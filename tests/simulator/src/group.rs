//! Groups: members, and the notifications about them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::util::{below, now};
use crate::world::{Address, World};

/// A group.
pub(crate) struct GroupState {
    /// User part of its JID.
    pub id: String,
    /// Subject.
    pub subject: String,
    /// Who made it.
    pub creator: String,
    /// When.
    pub created: u64,
    /// Members by number; true for an admin.
    pub members: BTreeMap<String, bool>,
    /// After how many seconds its messages disappear; 0 for never.
    pub ephemeral: u32,
}

impl GroupState {
    /// Whether that account is a member.
    pub(crate) fn has(&self, pn: &str) -> bool {
        self.members.contains_key(pn)
    }

    /// Its JID.
    pub(crate) fn jid(&self) -> Jid {
        Jid::group(self.id.as_str())
    }
}

impl World {
    /// Makes a group; the first member is its creator and admin.
    pub(crate) fn create_group(&mut self, subject: &str, members: &[String]) -> Result<String> {
        let creator = members.first().context("a group needs a member")?.clone();
        let id = format!("12036{:06}{:06}", below(1_000_000), below(1_000_000));
        self.groups.insert(
            id.clone(),
            GroupState {
                id: id.clone(),
                subject: subject.to_owned(),
                creator: creator.clone(),
                created: now(),
                members: members.iter().map(|pn| (pn.clone(), *pn == creator)).collect(),
                ephemeral: 0,
            },
        );
        let group = self.group_node(&id).context("the group just made")?;
        let create = NodeBuilder::new("create").attr("type", "new").children([group]).build();
        self.notify_group(&id, &creator, &create, &[]);
        Ok(id)
    }

    /// Adds or removes members, or makes them admins, and tells everybody concerned.
    pub(crate) fn change_members(
        &mut self,
        id: &str,
        author: &str,
        what: &'static str,
        members: &[String],
    ) -> Result<()> {
        let group = self.groups.get_mut(id).context("no such group")?;
        let before = group.members.clone();
        for pn in members {
            match what {
                "add" | "demote" => drop(group.members.insert(pn.clone(), false)),
                "remove" => drop(group.members.remove(pn)),
                "promote" => drop(group.members.insert(pn.clone(), true)),
                other => anyhow::bail!("unknown change {other}"),
            }
        }
        let nodes: Vec<Node> = members.iter().filter_map(|pn| self.member(pn, None)).collect();
        let change = NodeBuilder::new(what).children(nodes).build();
        let left: Vec<String> = before.keys().filter(|pn| members.contains(pn)).cloned().collect();
        self.notify_group(id, author, &change, &left);
        Ok(())
    }

    /// Changes the subject.
    pub(crate) fn change_subject(&mut self, id: &str, author: &str, subject: &str) -> Result<()> {
        let group = self.groups.get_mut(id).context("no such group")?;
        subject.clone_into(&mut group.subject);
        let change = NodeBuilder::new("subject")
            .attr("subject", subject.to_owned())
            .attr("s_t", now())
            .build();
        self.notify_group(id, author, &change, &[]);
        Ok(())
    }

    /// Changes after how long messages disappear.
    pub(crate) fn change_ephemeral(&mut self, id: &str, author: &str, seconds: u32) -> Result<()> {
        let group = self.groups.get_mut(id).context("no such group")?;
        group.ephemeral = seconds;
        let change = if seconds == 0 {
            NodeBuilder::new("not_ephemeral").build()
        } else {
            NodeBuilder::new("ephemeral").attr("expiration", seconds).build()
        };
        self.notify_group(id, author, &change, &[]);
        Ok(())
    }

    fn notify_group(&mut self, id: &str, author: &str, change: &Node, also: &[String]) {
        let Some(group) = self.groups.get(id) else { return };
        let mut people: Vec<String> = group.members.keys().cloned().collect();
        people.extend(also.iter().cloned());
        people.sort();
        people.dedup();
        let from = group.jid();
        let Some(account) = self.accounts.get(author) else { return };
        let (lid, pn, name) =
            (account.jid(Server::Lid), account.jid(Server::Pn), account.name.clone());
        for person in people {
            for device in self.device_ids(&person) {
                let node = NodeBuilder::new("notification")
                    .attr("from", from.clone())
                    .attr("type", "w:gp2")
                    .attr("id", self.id())
                    .attr("t", now())
                    .attr("participant", lid.clone())
                    .attr("participant_pn", pn.clone())
                    .attr("notify", name.as_str())
                    .attr("addressing_mode", "lid")
                    .children([change.clone()])
                    .build();
                self.deliver(&Address::new(&person, device), node);
            }
        }
    }

    fn member(&self, pn: &str, admin: Option<&'static str>) -> Option<Node> {
        let account = self.accounts.get(pn)?;
        let mut builder = NodeBuilder::new("participant")
            .attr("jid", account.jid(Server::Lid))
            .attr("phone_number", account.jid(Server::Pn));
        if let Some(role) = admin {
            builder = builder.attr("type", role);
        }
        Some(builder.build())
    }

    /// `<group>` with everything about it.
    pub(crate) fn group_node(&self, id: &str) -> Option<Node> {
        let group = self.groups.get(id)?;
        let creator = self.accounts.get(&group.creator)?;
        let members = group.members.iter().filter_map(|(pn, admin)| {
            let role = match (*admin, *pn == group.creator) {
                (_, true) => Some("superadmin"),
                (true, _) => Some("admin"),
                (false, _) => None,
            };
            self.member(pn, role)
        });
        let timer = (group.ephemeral > 0)
            .then(|| NodeBuilder::new("ephemeral").attr("expiration", group.ephemeral).build());
        let node = NodeBuilder::new("group")
            .attr("id", group.id.as_str())
            .attr("subject", group.subject.as_str())
            .attr("creation", group.created)
            .attr("creator", creator.jid(Server::Lid))
            .attr("creator_pn", creator.jid(Server::Pn))
            .attr("s_t", group.created)
            .attr("s_o", creator.jid(Server::Lid))
            .attr("s_o_pn", creator.jid(Server::Pn))
            .attr("addressing_mode", "lid")
            .attr("size", group.members.len())
            .children(members.chain(timer))
            .build();
        Some(node)
    }
}
