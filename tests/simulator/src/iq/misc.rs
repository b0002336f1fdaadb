//! The requests with a fixed answer.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::util::{iq_result, leaf, text};
use crate::world::{Address, World};

const PRIVACY: [(&str, &str); 7] = [
    ("last", "all"),
    ("online", "all"),
    ("profile", "all"),
    ("status", "contacts"),
    ("groupadd", "all"),
    ("calladd", "all"),
    ("readreceipts", "all"),
];

/// The number of the question whether the account may write to people.
const TIMELOCK: &str = "23983697327930364";

impl World {
    pub(super) fn misc_iq(
        &mut self,
        conn: u64,
        who: &Address,
        xmlns: &str,
        child: &str,
        node: &Node,
    ) -> Node {
        let get = text(node, "type") == "get";
        match xmlns {
            "abt" => self.props_iq(who, node),
            "privacy" if get && child == "privacy" => {
                let categories = PRIVACY.map(|(name, value)| {
                    NodeBuilder::new("category").attr("name", name).attr("value", value).build()
                });
                iq_result(node, vec![NodeBuilder::new("privacy").children(categories).build()])
            }
            "privacy" if child == "tokens" => {
                if let Some(tokens) = node.get_optional_child("tokens") {
                    self.tokens_given(who, tokens);
                }
                iq_result(node, Vec::new())
            }
            "w:mex" => self.mex(who, node),
            "privacy"
            | "urn:xmpp:whatsapp:dirty"
            | "disappearing_mode"
            | "w:stats"
            | "urn:xmpp:whatsapp:push"
            | "urn:xmpp:whatsapp:account"
            | "w:biz"
            | "tos"
            | "fb:thrift_iq" => iq_result(node, Vec::new()),
            other => {
                let text = format!("{other} <{child}>");
                self.journal.note(conn, Some(who.clone()), "unhandled", text.clone());
                self.violation(Some(who), "unknown iq", text);
                iq_result(node, Vec::new())
            }
        }
    }

    /// A GraphQL question; only the one about the account's own lock has an answer.
    fn mex(&mut self, who: &Address, node: &Node) -> Node {
        if let Some(answer) = self.channel_mex(who, node) {
            return answer;
        }
        let asked = node.get_optional_child("query").map(|query| text(query, "query_id"));
        if asked.as_deref() != Some(TIMELOCK) {
            return iq_result(node, Vec::new());
        }
        let lock = self.lock_of(&who.pn);
        let answer =
            serde_json::json!({ "data": { "xwa2_fetch_account_reachout_timelock": lock } });
        iq_result(node, vec![leaf("result", answer.to_string())])
    }
}
