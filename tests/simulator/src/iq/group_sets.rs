//! `w:g2` again: what is set of a group, its link, who waits to be let in, and its picture.

use anyhow::{Context as _, Result, bail};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use super::groups::answer;
use crate::group::invite_code;
use crate::util::{attr, bytes, children, empty, hex, iq_error, iq_result, jid, now, random, text};
use crate::world::{Address, World};

impl World {
    /// Changes the description, a switch, or who adds and lets in members, and tells everybody.
    pub(crate) fn change_setting(&mut self, id: &str, author: &str, change: &Node) -> Result<()> {
        let group = self.groups.get_mut(id).context("no such group")?;
        let mut told = change.clone();
        match change.tag.as_ref() {
            "description" => {
                let new = attr(change, "id").context("a description without id")?;
                let text = change.get_optional_child("body").map(bytes).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).into_owned();
                let gone = attr(change, "delete").is_some();
                group.description = (!gone).then(|| (new.clone(), text));
                if gone {
                    let node = NodeBuilder::new("description").attr("id", new);
                    told = node.children([empty("delete")]).build();
                }
            }
            "locked" => group.locked = true,
            "unlocked" => group.locked = false,
            "announcement" => group.announce = true,
            "not_announcement" => group.announce = false,
            "member_add_mode" => group.all_add = bytes(change) == b"all_member_add",
            "membership_approval_mode" => {
                let join = change.get_optional_child("group_join");
                group.approval = join.is_some_and(|join| text(join, "state") == "on");
            }
            other => bail!("unknown setting {other}"),
        }
        self.notify_group(id, author, &told, &[]);
        Ok(())
    }

    /// Somebody followed the link; true when they are in.
    pub(crate) fn come_in(&mut self, id: &str, who: &str) -> Result<bool> {
        let group = self.groups.get_mut(id).context("no such group")?;
        let me = [who.to_owned()];
        if !group.approval {
            self.change_members_for(id, who, "add", &me, Some("invite"))?;
            return Ok(true);
        }
        group.waiting.insert(who.to_owned(), now());
        let account = self.accounts.get(who).context("no such account")?;
        let user = NodeBuilder::new("requested_user")
            .attr("jid", account.jid(Server::Lid))
            .attr("phone_number", account.jid(Server::Pn))
            .build();
        let asked = NodeBuilder::new("created_membership_requests")
            .attr("request_method", "invite_link")
            .children([user])
            .build();
        self.notify_group(id, who, &asked, &[]);
        Ok(false)
    }

    /// Gives a group a picture, or takes it away when there are no bytes; answers its id.
    pub(crate) fn change_picture(
        &mut self,
        id: &str,
        author: &str,
        picture: Vec<u8>,
    ) -> Result<String> {
        let new = now().to_string() + &hex(&random::<2>());
        let group = self.groups.get_mut(id).context("no such group")?;
        let gone = picture.is_empty();
        group.picture = (!gone).then(|| (new.clone(), picture));
        let (from, people): (Jid, Vec<String>) =
            (group.jid(), group.members.keys().cloned().collect());
        let author = self.accounts.get(author).context("no such account")?.jid(Server::Lid);
        let mut change = NodeBuilder::new(if gone { "delete" } else { "set" })
            .attr("jid", from.clone())
            .attr("author", author);
        if !gone {
            change = change.attr("id", new.as_str());
        }
        let change = change.build();
        for person in people {
            for device in self.device_ids(&person) {
                let node = NodeBuilder::new("notification")
                    .attr("from", from.clone())
                    .attr("type", "picture")
                    .attr("id", self.id())
                    .attr("t", now())
                    .children([change.clone()])
                    .build();
                self.deliver(&Address::new(&person, device), node);
            }
        }
        Ok(new)
    }

    /// The answer to a setting.
    pub(super) fn setting_iq(
        &mut self,
        who: &Address,
        id: &str,
        child: &Node,
        node: &Node,
    ) -> Node {
        let Some(group) = self.groups.get(id) else { return iq_error(node, 404, "not-found") };
        let plain = child.tag == "description" && !group.locked;
        if !plain && !group.is_admin(&who.pn) {
            return iq_error(node, 403, "forbidden");
        }
        let current = group.description.as_ref().map(|(id, _)| id.clone());
        if child.tag == "description" && attr(child, "prev") != current {
            return iq_error(node, 409, "conflict");
        }
        answer(node, self.change_setting(id, &who.pn, child), Vec::new())
    }

    /// The group's own link, for its admins.
    pub(super) fn invite_iq(&mut self, who: &Address, id: &str, node: &Node) -> Node {
        let set = text(node, "type") == "set";
        let Some(group) = self.groups.get_mut(id) else {
            return iq_error(node, 404, "not-found");
        };
        if !group.is_admin(&who.pn) {
            return iq_error(node, 401, "not-authorized");
        }
        if set {
            group.invite = invite_code();
        }
        let code = group.invite.clone();
        let invite = NodeBuilder::new("invite").attr("code", code).build();
        if set {
            self.notify_group(id, &who.pn, &invite, &[]);
        }
        iq_result(node, vec![invite])
    }

    /// A link that somebody has: what it leads to, or into it.
    pub(super) fn link_iq(&mut self, who: &Address, child: &Node, node: &Node) -> Node {
        let code = text(child, "code");
        let found = self.groups.values().find(|group| group.invite == code);
        let Some(group) = found else { return iq_error(node, 406, "not-acceptable") };
        let (id, jid, member) = (group.id.clone(), group.jid(), group.has(&who.pn));
        if text(node, "type") == "get" {
            return iq_result(node, self.group_node(&id).into_iter().collect());
        }
        if member {
            return iq_error(node, 304, "not-modified");
        }
        let tag = match self.come_in(&id, &who.pn) {
            Ok(true) => "group",
            Ok(false) => "membership_approval_request",
            Err(error) => return answer(node, Err(error), Vec::new()),
        };
        iq_result(node, vec![NodeBuilder::new(tag).attr("jid", jid).build()])
    }

    /// Who waits to be let in.
    pub(super) fn waiting_iq(&self, who: &Address, id: &str, node: &Node) -> Node {
        let Some(group) = self.groups.get(id).filter(|group| group.is_admin(&who.pn)) else {
            return iq_error(node, 403, "forbidden");
        };
        let waiting = group.waiting.iter().filter_map(|(pn, since)| {
            let builder = NodeBuilder::new("membership_approval_request")
                .attr("jid", self.accounts.get(pn)?.jid(Server::Lid))
                .attr("request_time", *since);
            Some(builder.build())
        });
        let waiting: Vec<Node> = waiting.collect();
        let list = NodeBuilder::new("membership_approval_requests").children(waiting).build();
        iq_result(node, vec![list])
    }

    /// They are let in, or not.
    pub(super) fn let_in_iq(&mut self, who: &Address, id: &str, child: &Node, node: &Node) -> Node {
        if !self.groups.get(id).is_some_and(|group| group.is_admin(&who.pn)) {
            return iq_error(node, 403, "forbidden");
        }
        let Some(action) = children(child).first().cloned() else {
            return iq_error(node, 400, "bad-request");
        };
        let approve = action.tag == "approve";
        let (mut echoed, mut let_in) = (Vec::new(), Vec::new());
        for participant in action.get_children_by_tag("participant") {
            let Some(jid) = jid(participant, "jid") else { continue };
            let pn = self.pn_of(&jid);
            let mut echo = NodeBuilder::new("participant").attr("jid", jid);
            let waited = pn.and_then(|pn| {
                let group = self.groups.get_mut(id)?;
                group.waiting.remove(&pn).map(|_| pn)
            });
            match waited {
                Some(pn) => let_in.push(pn),
                None => echo = echo.attr("error", "404"),
            }
            echoed.push(echo.build());
        }
        if !let_in.is_empty() {
            if approve {
                let done = self.change_members(id, &who.pn, "add", &let_in);
                if done.is_err() {
                    return answer(node, done, Vec::new());
                }
            } else {
                let gone: Vec<Node> =
                    let_in.iter().filter_map(|pn| self.member(pn, None)).collect();
                let told = NodeBuilder::new("revoked_membership_requests").children(gone).build();
                self.notify_group(id, &who.pn, &told, &[]);
            }
        }
        let tag = if approve { "approve" } else { "reject" };
        let inner = NodeBuilder::new(tag).children(echoed).build();
        let outer = NodeBuilder::new("membership_requests_action").children([inner]).build();
        iq_result(node, vec![outer])
    }

    pub(super) fn group_picture_iq(&mut self, who: &Address, get: bool, node: &Node) -> Node {
        let id = group_of_picture(node).unwrap_or_default();
        let Some(group) = self.groups.get(&id).filter(|group| group.has(&who.pn)) else {
            return iq_error(node, 401, "not-authorized");
        };
        if get {
            let Some((picture, _)) = &group.picture else {
                return iq_error(node, 404, "item-not-found");
            };
            let url = format!("https://pps.whatsapp.net/v/{picture}.jpg");
            let found = NodeBuilder::new("picture")
                .attr("id", picture.as_str())
                .attr("type", "image")
                .attr("url", url)
                .build();
            return iq_result(node, vec![found]);
        }
        if group.locked && !group.is_admin(&who.pn) {
            return iq_error(node, 403, "forbidden");
        }
        let picture = node.get_optional_child("picture").map(bytes).unwrap_or_default();
        match self.change_picture(&id, &who.pn, picture) {
            Ok(new) => iq_result(node, vec![NodeBuilder::new("picture").attr("id", new).build()]),
            Err(error) => answer(node, Err(error), Vec::new()),
        }
    }
}

/// The group whose picture is meant.
pub(super) fn group_of_picture(node: &Node) -> Option<String> {
    let target = jid(node, "target")?;
    (target.server == Server::Group).then(|| target.user.to_string())
}
