//! What the keys of a rule mean: which messages it is for, and what it does.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::raw::{Node, Section};
use super::value::{self, Reading};
use crate::config::problem::nearest;
use crate::config::rule::{
    Hours, Placeholder, RuleConfig, RuleReply, Template, TemplateError, TextPattern, When,
};
use crate::model::Recipient;

const MOST_RULES: usize = 50;
/// Nobody has more webhooks than have two digits.
const MOST_NAMED: usize = 99;
/// In characters.
const LONGEST_REPLY: usize = 4096;
const LONGEST_EMOJI: usize = 40;
const LONGEST_TYPING: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// The rules of a device.
pub(crate) fn rules(
    list: &Node<'_>,
    country_code: Option<&str>,
    webhooks: usize,
) -> Option<Vec<RuleConfig>> {
    let nodes = list.list()?;
    if let Some(extra) = nodes.get(MOST_RULES) {
        let message = format!("{} rules, at most {MOST_RULES}", nodes.len());
        extra.within(list).problem(message, "a pattern can name many words: \"harga|price|biaya\"");
    }
    let mut rules: Vec<RuleConfig> = Vec::new();
    for (n, node) in (1..).zip(&nodes) {
        let Some(table) = node.table() else { continue };
        let rule = rule(n, table, country_code, webhooks);
        if rules.iter().any(|known| known.name == rule.name) {
            let message = format!("a second rule called \"{}\"", rule.name);
            node.problem(message, "give it another name");
        }
        rules.push(rule);
    }
    Some(rules)
}

fn rule(
    n: usize,
    mut table: Section<'_>,
    country_code: Option<&str>,
    webhooks: usize,
) -> RuleConfig {
    let mut has = |acts: &[&'static str]| acts.iter().any(|act| table.get(act).is_some());
    // One that is written badly has a problem of its own.
    let writes = has(&["reply", "react", "forward_to"]);
    let acts = writes | has(&["webhook", "stop"]);
    let default = if writes { RuleConfig::new(n) } else { RuleConfig::silent(n) };
    let rule = RuleConfig {
        n,
        name: table.or("name", default.name, |node| node.parse(name)),
        when: table
            .or("when", default.when.clone(), |node| Some(when(node.table()?, default.when))),
        reply: table.or("reply", None, |node| reply(node).map(Some)),
        react: table.or("react", None, |node| node.parse(emoji).map(Some)),
        forward_to: table.or("forward_to", None, |node| {
            node.parse(|text| receiver(text, country_code)).map(Some)
        }),
        webhook: table.or("webhook", None, |node| webhook(node, webhooks).map(Some)),
        stop: table.or("stop", false, Node::flag),
        cool_down: table.or("cool_down", default.cool_down, |node| {
            node.parse(|text| value::duration(text, Duration::ZERO, DAY * 90))
        }),
        most_per_hour: table.or("most_per_hour", default.most_per_hour, |node| {
            u32::try_from(node.number(1..=RuleConfig::OFTEN as usize)?).ok()
        }),
    };
    if !acts {
        let hint = "write reply, react, forward_to, webhook or stop";
        table.node.problem("this rule does nothing", hint);
    }
    table.finish();
    rule
}

fn name(text: &str) -> Reading<String> {
    let good = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    if good {
        return Ok(text.to_owned());
    }
    Err((
        format!("\"{}\" is not a rule's name", text.escape_debug()),
        "write 1 to 64 of a-z, 0-9, _ and -".to_owned(),
    ))
}

fn when(mut table: Section<'_>, default: When) -> When {
    let when = When {
        text: table.or("text", None, |node| node.parse(pattern).map(Some)),
        chats: table.or("chats", default.chats, |node| {
            let kinds = node.each(|node| node.word(&value::CHATS))?;
            if node.list()?.is_empty() {
                node.problem("no chats: the rule would never act", "write \"people\"");
            }
            Some(kinds.into_iter().collect())
        }),
        from: table
            .or("from", Vec::new(), |node| node.each(|node| node.parse(value::chat_pattern))),
        hours: table.or("hours", Vec::new(), |node| {
            if node.is_list() {
                node.each(|node| node.parse(hours))
            } else {
                Some(vec![node.parse(hours)?])
            }
        }),
        time_zone: table.or("time_zone", None, |node| node.parse(time_zone).map(Some)),
        first_in: table.or("first_in", None, |node| {
            node.parse(|text| value::duration(text, MINUTE, DAY * 90)).map(Some)
        }),
        max_age: table.or("max_age", default.max_age, |node| {
            node.parse(|text| value::duration(text, MINUTE, DAY * 3))
        }),
    };
    table.finish();
    when
}

/// Which of so many webhooks.
fn webhook(node: &Node<'_>, webhooks: usize) -> Option<usize> {
    let n = node.number(0..=MOST_NAMED)?;
    if (1..=webhooks).contains(&n) {
        return Some(n);
    }
    let (message, hint) = match (n, webhooks) {
        (_, 0) => ("the device has no webhook".to_owned(), "give it one".to_owned()),
        // An edit writes this for one that it removes.
        (0, _) => {
            let hint = "name another one, or remove it here".to_owned();
            ("the webhook of this rule is gone".to_owned(), hint)
        }
        _ => {
            let hint = format!("write a number from 1 to {webhooks}, as they stand in the list");
            (format!("there is no webhook {n}"), hint)
        }
    };
    node.problem(message, hint);
    None
}

fn reply(node: &Node<'_>) -> Option<RuleReply> {
    let Some(mut table) = node.as_table() else {
        let text = node.parse(template)?;
        return Some(RuleReply { text, typing: None, quote: false });
    };
    let text = table.need("text", "write { text = \"…\" }");
    let text = text.and_then(|node| node.parse(template));
    let typing = table.or("typing", None, |node| {
        node.parse(|text| value::duration(text, Duration::from_millis(500), LONGEST_TYPING))
            .map(Some)
    });
    let quote = table.or("quote", false, Node::flag);
    table.finish();
    Some(RuleReply { text: text?, typing, quote })
}

fn pattern(text: &str) -> Reading<TextPattern> {
    if text.is_empty() {
        return Err((
            "the pattern is empty".to_owned(),
            "leave \"text\" out to mean every message".to_owned(),
        ));
    }
    TextPattern::parse(text).map_err(|what| {
        let hint = "write words, such as \"(?i)harga|price\", or a regular expression as docs.rs/regex has them";
        (format!("this is not a pattern: {what}"), hint.to_owned())
    })
}

fn hours(text: &str) -> Reading<Hours> {
    Hours::parse(text).ok_or_else(|| {
        let hint = "write from when until when, such as \"08:00-17:00\" or \"Mon-Fri 08:00-17:00\"";
        (format!("\"{}\" are not hours of the day", text.escape_debug()), hint.to_owned())
    })
}

fn time_zone(text: &str) -> Reading<TimeZone> {
    TimeZone::get(text).map_err(|_unknown| {
        let hint = "write a name such as \"Asia/Jakarta\" or \"Europe/Berlin\", or leave it out for the machine's own";
        (format!("there is no time zone \"{}\"", text.escape_debug()), hint.to_owned())
    })
}

fn template(text: &str) -> Reading<Template> {
    if text.trim().is_empty() {
        return Err(("the reply is empty".to_owned(), "write what to say".to_owned()));
    }
    if text.chars().count() > LONGEST_REPLY {
        return Err((
            "the reply is too long".to_owned(),
            format!("write at most {LONGEST_REPLY} characters"),
        ));
    }
    Template::parse(text).map_err(|error| match error {
        TemplateError::Unknown(name) => {
            let known = Placeholder::ALL.map(|(known, _)| known);
            let hint = nearest(&name, &known).map_or_else(
                || format!("known here: {}; a brace itself is written twice", known.join(", ")),
                |near| format!("did you mean \"{near}\"?"),
            );
            (format!("there is no placeholder \"{}\"", name.escape_debug()), hint)
        }
        TemplateError::Brace(brace) => (
            format!("a single brace, \"{brace}\""),
            "write it twice, or a placeholder such as name between two of them".to_owned(),
        ),
    })
}

fn emoji(text: &str) -> Reading<String> {
    // One emoji can be many code points, and none is a letter.
    let good = (1..=LONGEST_EMOJI).contains(&text.chars().count())
        && !text
            .chars()
            .any(|char| char.is_alphabetic() || char.is_whitespace() || char.is_control());
    let bad = || {
        (
            format!("\"{}\" is not an emoji", text.escape_debug()),
            "write one, such as \"👍\"".to_owned(),
        )
    };
    good.then(|| text.to_owned()).ok_or_else(bad)
}

/// Nobody asked a channel's readers.
fn receiver(text: &str, country_code: Option<&str>) -> Reading<Recipient> {
    let read = Recipient::parse(text, country_code).map_err(|error| error.to_string());
    let read = read.and_then(|to| {
        let person = to.jid().chat_kind().is_answerable();
        person.then_some(to).ok_or_else(|| "nothing is passed on to a channel".to_owned())
    });
    read.map_err(|error| (format!("\"{}\" is nobody's address", text.escape_debug()), error))
}
