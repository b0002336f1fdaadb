//! Channels: what `w:mex` says of them, who follows them, and what is posted there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp as wa;

use crate::Simulator;
use crate::phone::stanza_type;
use crate::util::{attr, bytes, children, iq_error, iq_result, jid, leaf, message_id, now, text};
use crate::world::{Address, World};

/// The numbers under which WhatsApp's web client asks.
const SUBSCRIBED: &str = "25399611239711790";
const FETCH: &str = "27456920720571478";
const CREATE: &str = "25149874324715067";

/// A post.
struct Posted {
    id: String,
    number: u64,
    kind: String,
    plain: Vec<u8>,
    by: Option<String>,
    /// By account: its emoji.
    reactions: BTreeMap<String, String>,
}

/// A channel.
#[derive(Default)]
pub(crate) struct ChannelState {
    name: String,
    description: String,
    invite: String,
    owner: Option<String>,
    followers: BTreeSet<String>,
    posts: Vec<Posted>,
}

impl ChannelState {
    /// Adds a post; the answer is its number.
    fn add(&mut self, id: String, kind: String, plain: Vec<u8>, by: Option<String>) -> u64 {
        let number = 100 + self.posts.len() as u64;
        self.posts.push(Posted { id, number, kind, plain, by, reactions: BTreeMap::new() });
        number
    }

    fn metadata(&self, id: &str, viewer: &str) -> Value {
        let role = match &self.owner {
            Some(owner) if owner == viewer => "owner",
            _ if self.followers.contains(viewer) => "subscriber",
            _ => "guest",
        };
        json!({
            "id": id,
            "state": { "type": "active" },
            "thread_metadata": {
                "creation_time": "1795420800",
                "name": { "text": self.name },
                "description": { "text": self.description },
                "invite": self.invite,
                "subscribers_count": self.followers.len().to_string(),
                "verification": "UNVERIFIED",
            },
            "viewer_metadata": { "mute": "OFF", "role": role },
        })
    }
}

impl World {
    fn add_channel(&mut self, name: &str, description: &str, owner: Option<&str>) -> String {
        let number = self.number();
        let id = format!("1203631440384{number:05}@newsletter");
        let channel = ChannelState {
            name: name.to_owned(),
            description: description.to_owned(),
            invite: format!("0029Va4K0PZ5a245Nkng{number:04}"),
            owner: owner.map(str::to_owned),
            followers: owner.map(str::to_owned).into_iter().collect(),
            posts: Vec::new(),
        };
        self.channels.insert(id.clone(), channel);
        id
    }

    /// A question about channels in GraphQL; nothing when it is about something else.
    pub(crate) fn channel_mex(&mut self, who: &Address, node: &Node) -> Option<Node> {
        let query = node.get_optional_child("query")?;
        let variables: Value = serde_json::from_slice(&bytes(query)).ok()?;
        let variables = variables.get("variables")?.clone();
        let word =
            |pointer: &str| variables.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let answer = match text(query, "query_id").as_str() {
            SUBSCRIBED => {
                let followed = self.channels.iter().filter(|(_, c)| c.followers.contains(&who.pn));
                let list: Vec<Value> = followed.map(|(id, c)| c.metadata(id, &who.pn)).collect();
                json!({ "xwa2_newsletter_subscribed": list })
            }
            FETCH => {
                let key = word("/input/key");
                let found = self.channels.iter().find(|(id, c)| *id == key || c.invite == key);
                json!({ "xwa2_newsletter": found.map(|(id, c)| c.metadata(id, &who.pn)) })
            }
            CREATE => {
                let (name, description) = (word("/input/name"), word("/input/description"));
                let id = self.add_channel(name, description, Some(&who.pn));
                let made = self.channels.get(&id).map(|c| c.metadata(&id, &who.pn));
                json!({ "xwa2_newsletter_create": made })
            }
            other => {
                let id = variables.get("newsletter_id")?.as_str()?.to_owned();
                let joins = other == wacore::iq::mex_operations::join_newsletter::DOC_ID;
                let leaves = other == wacore::iq::mex_operations::leave_newsletter::DOC_ID;
                if !joins && !leaves {
                    return None;
                }
                let channel = self.channels.get_mut(&id);
                let told = channel.map(|channel| {
                    if joins {
                        channel.followers.insert(who.pn.clone());
                    } else {
                        channel.followers.remove(&who.pn);
                    }
                    channel.metadata(&id, &who.pn)
                });
                let name =
                    if joins { "xwa2_newsletter_join_v2" } else { "xwa2_newsletter_leave_v2" };
                json!({ name: told })
            }
        };
        self.touch();
        let answer = json!({ "data": answer });
        Some(iq_result(node, vec![leaf("result", answer.to_string())]))
    }

    /// `newsletter`: the posts of a channel.
    pub(crate) fn channel_iq(&mut self, who: &Address, node: &Node) -> Node {
        let channel = jid(node, "to").and_then(|to| self.channels.get(&to.to_string()));
        let (Some(channel), Some(asked)) = (channel, node.get_optional_child("messages")) else {
            return iq_error(node, 404, "item-not-found");
        };
        let before =
            attr(asked, "before").and_then(|before| before.parse().ok()).unwrap_or(u64::MAX);
        let count: usize = attr(asked, "count").and_then(|count| count.parse().ok()).unwrap_or(50);
        let posts: Vec<&Posted> = channel.posts.iter().filter(|p| p.number < before).collect();
        let posts = posts.iter().skip(posts.len().saturating_sub(count)).map(|post| {
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            for emoji in post.reactions.values() {
                *counts.entry(emoji).or_default() += 1;
            }
            let reactions = counts.into_iter().map(|(emoji, count)| {
                NodeBuilder::new("reaction").attr("code", emoji).attr("count", count).build()
            });
            let mut message = NodeBuilder::new("message")
                .attr("id", post.id.as_str())
                .attr("server_id", post.number)
                .attr("type", post.kind.as_str())
                .attr("t", now());
            if post.by.as_ref() == Some(&who.pn) {
                message = message.attr("is_sender", "true");
            }
            message
                .children([
                    leaf("plaintext", post.plain.clone()),
                    NodeBuilder::new("reactions").children(reactions).build(),
                ])
                .build()
        });
        let posts: Vec<Node> = posts.collect();
        iq_result(node, vec![NodeBuilder::new("messages").children(posts).build()])
    }

    /// A post, a change of one or a reaction. What is posted goes to the companions of all who follow.
    pub(crate) fn route_channel(&mut self, from: &Address, to: &Jid, node: &Node) {
        let (id, address) = (text(node, "id"), to.to_string());
        let Some(channel) = self.channels.get_mut(&address) else {
            return self.violation(Some(from), "channel", format!("there is no {address}"));
        };
        if let Some(reaction) = node.get_optional_child("reaction") {
            let number: u64 = text(node, "server_id").parse().unwrap_or_default();
            let Some(post) = channel.posts.iter_mut().find(|post| post.number == number) else {
                return self.violation(Some(from), "channel", format!("there is no post {number}"));
            };
            match text(reaction, "code") {
                code if code.is_empty() => post.reactions.remove(&from.pn),
                code => post.reactions.insert(from.pn.clone(), code),
            };
            return self.touch();
        }
        let plain = node.get_optional_child("plaintext").map(bytes);
        let encrypted = children(node).iter().any(|child| child.tag == "enc");
        let (Some(plain), false) = (plain, encrypted) else {
            return self.violation(Some(from), "channel", "a post is not encrypted".to_owned());
        };
        if channel.owner.as_ref() != Some(&from.pn) {
            return self.violation(Some(from), "channel", "only its owner posts there".to_owned());
        }
        match attr(node, "edit").as_deref() {
            Some("8") => channel.posts.retain(|post| post.id != id),
            Some(_) => {
                if let Some(post) = channel.posts.iter_mut().find(|post| post.id == id) {
                    post.plain = plain;
                }
            }
            // Written again it is the same post.
            None if channel.posts.iter().any(|post| post.id == id) => {}
            None => {
                let by = Some(from.pn.clone());
                channel.add(id, text(node, "type"), plain, by);
            }
        }
        self.touch();
    }
}

impl Simulator {
    /// A channel of somebody who has no part in the test; the answer is its id and its link.
    pub fn channel(&self, name: &str) -> (String, String) {
        let mut world = self.world();
        let id = world.add_channel(name, "", None);
        let code = world.channels.get(&id).map(|c| c.invite.clone()).unwrap_or_default();
        (id, format!("https://whatsapp.com/channel/{code}"))
    }

    /// The channel's owner posts; it comes to the companions of all who follow.
    pub fn publish(&self, channel: &str, message: &wa::Message) -> Result<String> {
        use buffa::Message as _;
        let mut world = self.world();
        let id = message_id();
        let state = world.channels.get_mut(channel).context("no such channel")?;
        let kind = stanza_type(message).to_owned();
        let number = state.add(id.clone(), kind, message.encode_to_vec(), None);
        for reader in state.followers.clone() {
            world.deliver_post(channel, &reader, (&id, number), None, message);
        }
        world.touch();
        Ok(id)
    }

    /// The texts of a channel's posts, oldest first.
    pub fn posts(&self, channel: &str) -> Result<Vec<String>> {
        use buffa::Message as _;
        let world = self.world();
        let channel = world.channels.get(channel).context("no such channel")?;
        let text = |post: &Posted| {
            let message = wa::Message::decode_from_slice(&post.plain)?;
            Ok(crate::phone::text_of(&message).unwrap_or_default())
        };
        channel.posts.iter().map(text).collect()
    }
}
