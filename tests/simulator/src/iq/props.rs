//! The AB properties: switches and numbers by which the service turns parts of a client on, account by account. Names,
//! numbers and defaults are WhatsApp Web's own, as its published scripts list them.

use anyhow::{Context as _, Result};
use wacore::iq::abprops::web;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::util::{iq_result, text};
use crate::world::{Address, World};
use crate::{Phone, Simulator};

/// The version of the list; a client that names it has nothing to learn.
const REFRESH: u32 = 86_400;

/// Whether an account's chats with people are addressed by LID.
const MIGRATED: &str = "lid_one_on_one_migration_enabled";

/// What an account has without being told otherwise.
const USUAL: [(&str, &str); 6] = [
    ("privacy_token_sending_on_all_1_on_1_messages", "1"),
    ("lid_trusted_token_issue_to_lid", "1"),
    ("tctoken_duration", "604800"),
    ("tctoken_duration_sender", "604800"),
    ("tctoken_num_buckets", "4"),
    ("tctoken_num_buckets_sender", "4"),
];

impl World {
    pub(super) fn props_iq(&self, who: &Address, node: &Node) -> Node {
        let migrated = self.accounts.get(&who.pn).is_some_and(|account| account.migrated);
        let hash = format!("sim-{}-{migrated}", self.props_version);
        let known =
            node.get_optional_child("props").is_some_and(|asked| text(asked, "hash") == hash);
        let props = NodeBuilder::new("props")
            .attr("protocol", "1")
            .attr("hash", hash)
            .attr("refresh", REFRESH)
            .attr("refresh_id", "1")
            .attr("ab_key", "sim")
            .attr("delta_update", if known { "true" } else { "false" });
        let own = [(MIGRATED, if migrated { "1" } else { "0" })];
        let usual =
            USUAL.iter().chain(&own).filter(|(name, _)| !self.props.contains_key(*name)).copied();
        let changed = self.props.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<Node> = usual.chain(changed).filter_map(prop).collect();
        iq_result(node, vec![props.children(if known { Vec::new() } else { all }).build()])
    }
}

fn code(name: &str) -> Option<u32> {
    web::ALL.iter().find(|prop| prop.name == name).map(|prop| prop.code)
}

fn prop((name, value): (&str, &str)) -> Option<Node> {
    let prop = NodeBuilder::new("prop").attr("config_code", code(name)?);
    Some(prop.attr("config_value", value).build())
}

impl Simulator {
    /// Sets an AB property, by the name that WhatsApp Web has for it; clients learn it at their next login.
    pub fn ab_prop(&self, name: &str, value: &str) -> Result<()> {
        code(name).with_context(|| format!("WhatsApp Web knows no {name}"))?;
        let mut world = self.world();
        world.props.insert(name.to_owned(), value.to_owned());
        world.props_version += 1;
        Ok(())
    }
}

impl Phone {
    /// The account's chats with people are addressed by LID from now on; its companions learn it at their next login.
    pub fn migrate(&self) {
        if let Some(account) = self.sim.world().accounts.get_mut(self.number()) {
            account.migrated = true;
        }
    }
}
