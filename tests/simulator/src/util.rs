//! Small shared pieces: clock, random bytes, and short ways to read and build stanzas. No state.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, NodeValue, Server};

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// A generator that may be held across awaits (`ThreadRng` may not).
pub(crate) fn rng() -> StdRng {
    rand::make_rng()
}

/// `N` random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rng().fill_bytes(&mut bytes);
    bytes
}

/// A random number in `0..limit`.
pub(crate) fn below(limit: u32) -> u32 {
    rng().random_range(0..limit)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(half), 16));
        }
        text
    })
}

/// A message id as a phone makes one.
pub(crate) fn message_id() -> String {
    format!("3A{}", hex(&random::<9>()).to_uppercase())
}

/// An attribute as text.
pub(crate) fn attr(node: &Node, key: &str) -> Option<String> {
    node.attrs.get(key).map(|v| v.as_str().into_owned())
}

/// An attribute as text, empty when absent.
pub(crate) fn text(node: &Node, key: &str) -> String {
    attr(node, key).unwrap_or_default()
}

/// An attribute as a JID.
pub(crate) fn jid(node: &Node, key: &str) -> Option<Jid> {
    node.attrs.get(key).and_then(NodeValue::to_jid)
}

/// The content of a node as bytes, whether it came as bytes or as a string token.
pub(crate) fn bytes(node: &Node) -> Vec<u8> {
    match &node.content {
        Some(NodeContent::Bytes(b)) => b.clone(),
        Some(NodeContent::String(s)) => s.as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// The content of a child as bytes.
pub(crate) fn child_bytes(node: &Node, tag: &str) -> Option<Vec<u8>> {
    node.get_optional_child(tag).map(bytes)
}

/// The children of a node; none is an empty slice.
pub(crate) fn children(node: &Node) -> &[Node] {
    node.children().unwrap_or_default()
}

/// A big-endian number of up to four bytes.
pub(crate) fn be(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |n, b| (n << 8) | u32::from(*b))
}

/// A node without attributes and content.
pub(crate) fn empty(tag: &'static str) -> Node {
    NodeBuilder::new(tag).build()
}

/// A node with bytes.
pub(crate) fn leaf(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

/// The service itself. It goes over the wire as a JID without a user: clients take the bare name for another sender.
pub(crate) fn server() -> Jid {
    Jid::new("", Server::Pn)
}

/// Whether the account is meant by its phone number (and not by its LID).
pub(crate) fn is_pn(jid: &Jid) -> bool {
    jid.server == Server::Pn
}

/// The answer to a request.
pub(crate) fn iq_result(request: &Node, children: Vec<Node>) -> Node {
    let from = request.attrs.get("to").cloned().unwrap_or_else(|| NodeValue::Jid(server()));
    let builder = NodeBuilder::new("iq")
        .attr("from", from)
        .attr("id", text(request, "id"))
        .attr("type", "result");
    if children.is_empty() { builder.build() } else { builder.children(children).build() }
}

/// The refusal of a request.
pub(crate) fn iq_error(request: &Node, code: u16, reason: &str) -> Node {
    iq_error_for(request, code, reason, None)
}

/// The same, with the seconds that the client is asked to wait.
pub(crate) fn iq_error_for(request: &Node, code: u16, reason: &str, wait: Option<u32>) -> Node {
    let mut error = NodeBuilder::new("error").attr("code", code).attr("text", reason);
    if let Some(wait) = wait {
        error = error.attr("backoff", wait);
    }
    let from = request.attrs.get("to").cloned().unwrap_or_else(|| NodeValue::Jid(server()));
    NodeBuilder::new("iq")
        .attr("from", from)
        .attr("id", text(request, "id"))
        .attr("type", "error")
        .children([error.build()])
        .build()
}
