//! The requests with a fixed answer.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::fault::Fault;
use crate::util::{empty, iq_result, text};
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
            "abt" => iq_result(
                node,
                vec![
                    NodeBuilder::new("props")
                        .attr("protocol", "1")
                        .attr("hash", "sim")
                        .attr("refresh", 86_400)
                        .attr("refresh_id", "1")
                        .attr("ab_key", "sim")
                        .build(),
                ],
            ),
            "privacy" if get && child == "privacy" => {
                let categories = PRIVACY.map(|(name, value)| {
                    NodeBuilder::new("category").attr("name", name).attr("value", value).build()
                });
                iq_result(node, vec![NodeBuilder::new("privacy").children(categories).build()])
            }
            "blocklist" if get => iq_result(node, vec![empty("list")]),
            "w:mex" => {
                let until = self.faults.take(Some(who), |fault| match fault {
                    Fault::ReachOutLock(until) => Some(*until),
                    _ => None,
                });
                let lock = until.map(|until| {
                    let data = serde_json::json!({"data": {"xwa2_fetch_account_reachout_timelock":
                        {"is_active": true, "time_enforcement_ends": until.to_string()}}});
                    NodeBuilder::new("result").bytes(data.to_string().into_bytes()).build()
                });
                iq_result(node, lock.into_iter().collect())
            }
            "privacy"
            | "blocklist"
            | "urn:xmpp:whatsapp:dirty"
            | "status"
            | "disappearing_mode"
            | "w:stats"
            | "urn:xmpp:whatsapp:push"
            | "urn:xmpp:whatsapp:account"
            | "w:biz"
            | "w:profile:picture"
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
}
