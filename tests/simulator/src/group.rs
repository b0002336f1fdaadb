//! Groups: members, and the notifications about them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::util::{below, empty, hex, leaf, now, random};
use crate::world::{Address, World};

/// A group.
#[expect(clippy::struct_excessive_bools, reason = "WhatsApp's switches")]
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
    /// The description's id and text.
    pub description: Option<(String, String)>,
    /// Only admins write.
    pub announce: bool,
    /// Only admins change name, description and picture.
    pub locked: bool,
    /// Everybody adds members.
    pub all_add: bool,
    /// Whoever comes by the link has to be let in.
    pub approval: bool,
    /// The code of its link.
    pub invite: String,
    /// Who waits to be let in, since when.
    pub waiting: BTreeMap<String, u64>,
    /// The picture's id and bytes.
    pub picture: Option<(String, Vec<u8>)>,
}

impl GroupState {
    /// Whether that account is a member.
    pub(crate) fn has(&self, pn: &str) -> bool {
        self.members.contains_key(pn)
    }

    /// What is set, as `<group>` has it.
    fn settings(&self) -> Vec<Node> {
        let mode = if self.all_add { "all_member_add" } else { "admin_add" };
        let mut nodes = vec![leaf("member_add_mode", mode)];
        if let Some((id, text)) = &self.description {
            let body = leaf("body", text.as_str());
            let node = NodeBuilder::new("description").attr("id", id.as_str()).children([body]);
            nodes.push(node.build());
        }
        if self.approval {
            let join = NodeBuilder::new("group_join").attr("state", "on").build();
            nodes.push(NodeBuilder::new("membership_approval_mode").children([join]).build());
        }
        nodes.extend(self.locked.then(|| empty("locked")));
        nodes.extend(self.announce.then(|| empty("announcement")));
        nodes
    }

    /// Whether that account is an admin.
    pub(crate) fn is_admin(&self, pn: &str) -> bool {
        self.members.get(pn) == Some(&true)
    }

    /// Its JID.
    pub(crate) fn jid(&self) -> Jid {
        Jid::group(self.id.as_str())
    }
}

/// A new code for a link.
pub(crate) fn invite_code() -> String {
    hex(&random::<11>())
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
                description: None,
                announce: false,
                locked: false,
                all_add: true,
                approval: false,
                invite: invite_code(),
                waiting: BTreeMap::new(),
                picture: None,
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
        self.change_members_for(id, author, what, members, None)
    }

    /// The same, with the reason that is told.
    pub(crate) fn change_members_for(
        &mut self,
        id: &str,
        author: &str,
        what: &'static str,
        members: &[String],
        reason: Option<&'static str>,
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
        let mut change = NodeBuilder::new(what).children(nodes);
        if let Some(reason) = reason {
            change = change.attr("reason", reason);
        }
        let change = change.build();
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

    pub(crate) fn notify_group(&mut self, id: &str, author: &str, change: &Node, also: &[String]) {
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

    pub(crate) fn member(&self, pn: &str, admin: Option<&'static str>) -> Option<Node> {
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
            .children(members.chain(timer).chain(group.settings()))
            .build();
        Some(node)
    }
}
