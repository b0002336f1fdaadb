//! `w:g2`: groups made, asked for and changed by clients.

use anyhow::Result;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};

use crate::util::{attr, children, empty, iq_error, iq_result, jid, text};
use crate::world::{Address, World};

impl World {
    pub(super) fn group_iq(&mut self, who: &Address, node: &Node) -> Node {
        let id = jid(node, "to").map(|to| to.user.to_string()).unwrap_or_default();
        let Some(child) = children(node).first() else {
            return iq_error(node, 400, "bad-request");
        };
        let member = self.groups.get(&id).is_some_and(|g| g.has(&who.pn));
        match child.tag.as_ref() {
            "create" => self.create_iq(who, child, node),
            "query" if member => iq_result(node, self.group_node(&id).into_iter().collect()),
            "query" => iq_error(node, if self.groups.contains_key(&id) { 403 } else { 404 }, "no"),
            "participating" => self.participating(who, node),
            "subject" if member => {
                let subject = String::from_utf8_lossy(&crate::util::bytes(child)).into_owned();
                answer(node, self.change_subject(&id, &who.pn, &subject), Vec::new())
            }
            "add" | "remove" | "promote" | "demote" if member => {
                self.members_iq(who, &id, child, node)
            }
            "leave" => {
                let ids: Vec<String> = children(child)
                    .iter()
                    .filter_map(|g| jid(g, "id").map(|j| j.user.to_string()))
                    .collect();
                for id in &ids {
                    let me = [who.pn.clone()];
                    if let Err(error) = self.change_members(id, &who.pn, "remove", &me) {
                        return answer(node, Err(error), Vec::new());
                    }
                }
                iq_result(node, vec![empty("leave")])
            }
            "invite" | "description" | "locked" | "unlocked" | "announcement"
            | "not_announcement" | "ephemeral" | "not_ephemeral" => iq_result(node, Vec::new()),
            other => {
                self.violation(Some(who), "unknown iq", format!("w:g2 {other}"));
                iq_error(node, 400, "bad-request")
            }
        }
    }

    fn create_iq(&mut self, who: &Address, create: &Node, node: &Node) -> Node {
        let mut members = vec![who.pn.clone()];
        for child in create.get_children_by_tag("participant") {
            if let Some(pn) = jid(child, "jid").and_then(|jid| self.pn_of(&jid))
                && !members.contains(&pn)
            {
                members.push(pn);
            }
        }
        let subject = attr(create, "subject").unwrap_or_default();
        match self.create_group(&subject, &members) {
            Ok(id) => iq_result(node, self.group_node(&id).into_iter().collect()),
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
        let mut members = Vec::new();
        let mut echoed = Vec::new();
        for participant in child.get_children_by_tag("participant") {
            let Some(jid) = jid(participant, "jid") else { continue };
            let mut echo = NodeBuilder::new("participant").attr("jid", jid.clone());
            match self.pn_of(&jid) {
                Some(pn) => {
                    if jid.server == Server::Lid {
                        echo = echo.attr("phone_number", wacore_binary::Jid::pn(pn.as_str()));
                    }
                    members.push(pn);
                }
                None => echo = echo.attr("error", "404"),
            }
            echoed.push(echo.build());
        }
        let result = self.change_members(id, &who.pn, what, &members);
        let children = vec![NodeBuilder::new(what).children(echoed).build()];
        answer(node, result, children)
    }
}

fn answer(node: &Node, result: Result<()>, children: Vec<Node>) -> Node {
    match result {
        Ok(()) => iq_result(node, children),
        Err(error) => iq_error(node, 400, &text_of(&error, node)),
    }
}

fn text_of(error: &anyhow::Error, node: &Node) -> String {
    format!("{error:#} ({})", text(node, "id"))
}
