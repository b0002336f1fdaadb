//! `w:g2`: groups made, asked for and changed by clients.

use anyhow::Result;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeContent, Server};

use crate::util::{attr, children, empty, iq_error, iq_result, jid, text};
use crate::world::{Address, World};

impl World {
    pub(super) fn group_iq(&mut self, who: &Address, node: &Node) -> Node {
        let id = jid(node, "to").map(|to| to.user.to_string()).unwrap_or_default();
        let Some(child) = children(node).first() else {
            return iq_error(node, 400, "bad-request");
        };
        let member = self.groups.get(&id).is_some_and(|g| g.has(&who.pn));
        let admin = self.groups.get(&id).is_some_and(|g| g.is_admin(&who.pn));
        let free = self.groups.get(&id).is_some_and(|g| member && !g.locked);
        match child.tag.as_ref() {
            "create" => self.create_iq(who, child, node),
            "query" if member => iq_result(node, self.group_node(&id).into_iter().collect()),
            "query" => iq_error(node, if self.groups.contains_key(&id) { 403 } else { 404 }, "no"),
            "participating" => self.participating(who, node),
            "leave" => self.leave_iq(who, child, node),
            "invite" if id.is_empty() => self.link_iq(who, child, node),
            _ if !self.groups.contains_key(&id) => iq_error(node, 404, "not-found"),
            _ if !member => iq_error(node, 403, "forbidden"),
            "subject" if free || admin => {
                let subject = String::from_utf8_lossy(&crate::util::bytes(child)).into_owned();
                answer(node, self.change_subject(&id, &who.pn, &subject), Vec::new())
            }
            "subject" => iq_error(node, 403, "forbidden"),
            "add" | "remove" | "promote" | "demote" => self.members_iq(who, &id, child, node),
            "invite" => self.invite_iq(who, &id, node),
            "membership_approval_requests" => self.waiting_iq(who, &id, node),
            "membership_requests_action" => self.let_in_iq(who, &id, child, node),
            "ephemeral" | "not_ephemeral" if free || admin => {
                let seconds = text(child, "expiration").parse().unwrap_or(0);
                answer(node, self.change_ephemeral(&id, &who.pn, seconds), Vec::new())
            }
            "description"
            | "locked"
            | "unlocked"
            | "announcement"
            | "not_announcement"
            | "member_add_mode"
            | "membership_approval_mode" => self.setting_iq(who, &id, child, node),
            other => {
                self.violation(Some(who), "unknown iq", format!("w:g2 {other}"));
                iq_error(node, 400, "bad-request")
            }
        }
    }

    fn leave_iq(&mut self, who: &Address, leave: &Node, node: &Node) -> Node {
        let ids: Vec<String> = children(leave)
            .iter()
            .filter_map(|g| jid(g, "id").map(|j| j.user.to_string()))
            .collect();
        for id in &ids {
            if !self.groups.get(id).is_some_and(|group| group.has(&who.pn)) {
                return iq_error(node, 404, "item-not-found");
            }
            let me = [who.pn.clone()];
            if let Err(error) = self.change_members(id, &who.pn, "remove", &me) {
                return answer(node, Err(error), Vec::new());
            }
        }
        iq_result(node, vec![empty("leave")])
    }

    fn create_iq(&mut self, who: &Address, create: &Node, node: &Node) -> Node {
        let (mut members, mut refused) = (vec![who.pn.clone()], Vec::new());
        for child in create.get_children_by_tag("participant") {
            let Some(pn) = jid(child, "jid").and_then(|jid| self.pn_of(&jid)) else { continue };
            if self.shy.contains(&pn) {
                refused.extend(self.refused_member(&pn));
            } else if !members.contains(&pn) {
                members.push(pn);
            }
        }
        let subject = attr(create, "subject").unwrap_or_default();
        let made = self.create_group(&subject, &members).inspect(|id| {
            if let (Some(group), Some(description)) =
                (self.groups.get_mut(id), create.get_optional_child("description"))
            {
                let body = description.get_optional_child("body").map(crate::util::bytes);
                let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
                group.description = Some((text(description, "id"), body));
            }
        });
        match made.map(|id| self.group_node(&id)) {
            Ok(group) => {
                // Those who do not let themselves be added are among the members of this answer, with a code.
                let group = group.map(|mut group| {
                    let mut all = children(&group).to_vec();
                    all.extend(refused);
                    group.content = Some(NodeContent::Nodes(all));
                    group
                });
                iq_result(node, group.into_iter().collect())
            }
            Err(error) => answer(node, Err(error), Vec::new()),
        }
    }

    fn participating(&self, who: &Address, node: &Node) -> Node {
        let groups: Vec<Node> = self
            .groups
            .values()
            .filter(|g| g.has(&who.pn))
            .filter_map(|g| self.group_node(&g.id))
            .collect();
        iq_result(node, vec![NodeBuilder::new("groups").children(groups).build()])
    }

    fn members_iq(&mut self, who: &Address, id: &str, child: &Node, node: &Node) -> Node {
        let what = ["add", "remove", "promote", "demote"]
            .into_iter()
            .find(|what| child.tag == *what)
            .unwrap_or("add");
        let Some(group) = self.groups.get(id) else { return iq_error(node, 404, "not-found") };
        let may = group.is_admin(&who.pn) || (what == "add" && group.all_add);
        if !may {
            return iq_error(node, 403, "forbidden");
        }
        let mut members = Vec::new();
        let mut echoed = Vec::new();
        for participant in child.get_children_by_tag("participant") {
            let Some(jid) = jid(participant, "jid") else { continue };
            let Some(pn) = self.pn_of(&jid) else {
                let echo = NodeBuilder::new("participant").attr("jid", jid).attr("error", "404");
                echoed.push(echo.build());
                continue;
            };
            let group = self.groups.get(id);
            let inside = group.is_some_and(|group| group.has(&pn));
            let code = match (what, inside) {
                ("add", true) => Some("409"),
                ("add", false) if self.shy.contains(&pn) => {
                    echoed.extend(self.refused_member(&pn));
                    continue;
                }
                ("add", false) => None,
                (_, false) => Some("404"),
                ("remove" | "demote", true) if group.is_some_and(|g| g.creator == pn) => {
                    Some("406")
                }
                (_, true) => None,
            };
            let mut echo = NodeBuilder::new("participant").attr("jid", jid.clone());
            if jid.server == Server::Lid {
                echo = echo.attr("phone_number", wacore_binary::Jid::pn(pn.as_str()));
            }
            match code {
                Some(code) => echo = echo.attr("error", code),
                None => members.push(pn),
            }
            echoed.push(echo.build());
        }
        let result = if members.is_empty() {
            Ok(())
        } else {
            self.change_members(id, &who.pn, what, &members)
        };
        let children = vec![NodeBuilder::new(what).children(echoed).build()];
        answer(node, result, children)
    }

    /// Somebody who has to be invited, with what the invitation needs.
    fn refused_member(&self, pn: &str) -> Option<Node> {
        let mut node = self.member(pn, None)?;
        node.attrs.insert("error", "403");
        let request = NodeBuilder::new("add_request")
            .attr("code", crate::group::invite_code())
            .attr("expiration", crate::util::now() + 259_200)
            .build();
        node.content = Some(NodeContent::Nodes(vec![request]));
        Some(node)
    }
}

pub(super) fn answer(node: &Node, result: Result<()>, children: Vec<Node>) -> Node {
    match result {
        Ok(()) => iq_result(node, children),
        Err(error) => iq_error(node, 400, &text_of(&error, node)),
    }
}

fn text_of(error: &anyhow::Error, node: &Node) -> String {
    format!("{error:#} ({})", text(node, "id"))
}
