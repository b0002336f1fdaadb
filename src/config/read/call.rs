//! Reads `calls`: a word, or a table with a text for whoever calls.

use super::raw::Node;
use crate::config::settings::Calls;

/// What a device may do with calls.
const WORDS: [(&str, bool); 2] = [("ring", false), ("reject", true)];
/// As much as people read.
const LONGEST: usize = 1_000;

pub(crate) fn calls(node: &Node<'_>) -> Option<Calls> {
    let Some(mut table) = node.as_table() else {
        return Some(Calls { reject: node.word(&WORDS)?, text: None });
    };
    let reject = table.or("reject", true, Node::flag);
    let text = table.or("text", None, |node| {
        node.parse(|text| match text.chars().count() {
            1..=LONGEST if !text.trim().is_empty() => Ok(Some(text.to_owned())),
            _ => Err((
                "this says nothing, or too much".to_owned(),
                format!("write what a caller is told, in at most {LONGEST} characters"),
            )),
        })
    });
    table.finish();
    Some(Calls { reject, text })
}

pub(crate) fn word(reject: bool) -> &'static str {
    WORDS.iter().find(|(_, known)| *known == reject).map_or("ring", |(word, _)| word)
}
