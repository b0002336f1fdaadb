//! What the keys of a webhook mean: URLs, signing secrets, events and headers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::raw::{Node, Section};
use super::secret::Secrets;
use super::value;
use crate::config::endpoint::{ChatFilter, EndpointConfig, EventFilter, Format, Inbox, Start};
use crate::config::problem::nearest;
use crate::config::rule::RuleConfig;
use crate::model::{EventType, Secret};

/// The limit that docs.moonwa.id gives.
const MOST_WEBHOOKS: usize = 4;
/// Standard Webhooks' limits for the key material of a signature, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The webhooks of a device.
pub(crate) fn webhooks(secrets: &Secrets<'_>, list: &Node<'_>) -> Option<Vec<EndpointConfig>> {
    let nodes = list.list()?;
    if let Some(extra) = nodes.get(MOST_WEBHOOKS) {
        let message = format!("{} URLs, at most {MOST_WEBHOOKS}", nodes.len());
        extra.within(list).problem(message, "remove some, or let one receiver pass events on");
    }
    let mut endpoints: Vec<EndpointConfig> = Vec::new();
    for (n, node) in (1..).zip(&nodes) {
        let Some(endpoint) = endpoint(secrets, n, node) else { continue };
        if let Some(same) = endpoints.iter().find(|known| known.url == endpoint.url) {
            let message = format!("the same URL as webhook {}", same.n);
            node.problem(message, "list each URL once; \"events\" takes several patterns");
        }
        endpoints.push(endpoint);
    }
    Some(endpoints)
}

fn endpoint(secrets: &Secrets<'_>, n: usize, node: &Node<'_>) -> Option<EndpointConfig> {
    if node.as_text().is_some() {
        return Some(EndpointConfig::new(n, url(node)?));
    }
    let Some(mut table) = node.as_table() else {
        node.problem("this is no webhook", "write a URL in quotes, or { url = \"…\" }");
        return None;
    };
    let url = table.need("url", "write { url = \"https://…\" }");
    let url = url.and_then(|node| self::url(&node));
    let default = EndpointConfig::new(n, String::new());
    let format = table.or("format", Format::Standard, |node| node.word(&value::FORMATS));
    let (events, inbox, token) = match format {
        Format::Chatwoot => {
            let (inbox, token) = chatwoot(secrets, &mut table);
            (EventFilter::of_chatwoot(), inbox, token)
        }
        _ => {
            for key in ["account", "inbox", "token"] {
                if let Some(node) = table.get(key) {
                    node.problem("this is about Chatwoot", "set format = \"chatwoot\" as well");
                }
            }
            (default.events, None, None)
        }
    };
    let (second, longest) = (Duration::from_secs(1), Duration::from_secs(30));
    let (headers, hidden_headers) =
        table.or("headers", Default::default(), |node| Some(headers(secrets, &node.table()?)));
    let endpoint = EndpointConfig {
        secrets: table.or("secret", Vec::new(), |node| signing_secrets(secrets, node)),
        events: table.or("events", events, self::events),
        chats: chats(&mut table),
        format,
        headers,
        hidden_headers,
        timeout: table.or("timeout", default.timeout, |node| {
            node.parse(|text| value::duration(text, second, longest))
        }),
        qr: table.or("qr", false, Node::flag),
        paused: table.or("paused", false, Node::flag),
        start: table.or("start", Start::Tail, |node| node.word(&value::STARTS)),
        compat: BTreeSet::new(),
        inbox,
        token,
        url: url.clone().unwrap_or_default(),
        n,
    };
    let signed = table.get("secret").is_some();
    let compat = table.or("compat", BTreeSet::new(), |node| {
        let compat = node.each(|node| node.word(&value::COMPATS))?;
        if !compat.is_empty() && !signed {
            node.problem("these headers are signatures", "set \"secret\" as well");
        }
        Some(compat.into_iter().collect())
    });
    table.finish();
    url.map(|_| EndpointConfig { compat, ..endpoint })
}

/// The inbox of Chatwoot that is kept, and the token for its API.
fn chatwoot(secrets: &Secrets<'_>, table: &mut Section<'_>) -> (Option<Inbox>, Option<Secret>) {
    let most = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
    let account =
        table.need("account", "it is the number in Chatwoot's addresses: /app/accounts/1");
    let inbox = table.need("inbox", "it is the number in the address of its settings: /inboxes/5");
    let token = table.need("token", "Chatwoot shows a user's access token in the profile settings");
    let [account, inbox] = [account, inbox].map(|node| node.and_then(|node| node.number(1..=most)));
    let token = token.and_then(|node| {
        let found = secrets.find(&node)?;
        let text = value::header_value(found.text.trim());
        let text = text.map_err(|(what, hint)| node.problem(what, hint)).ok()?;
        if found.plain && node.world_readable() {
            let hint = "chmod 600 the file, or write { file = \"…\" }";
            node.warning(
                "a token in clear, in a file that everybody on this machine can read",
                hint,
            );
        }
        Some(Secret::new(text))
    });
    let inbox = account.zip(inbox).map(|(account, inbox)| Inbox { account, inbox });
    (inbox, token)
}

/// Notes the webhooks that hear only what rules hand over, when none does.
pub(crate) fn unheard(list: &Node<'_>, endpoints: &[EndpointConfig], rules: &[RuleConfig]) {
    let nodes = list.as_list().unwrap_or_default();
    let handed = |n: usize| rules.iter().any(|rule| rule.webhook == Some(n));
    for EndpointConfig { n, .. } in
        endpoints.iter().filter(|one| one.events.0.is_empty() && !handed(one.n))
    {
        if let Some(node) = n.checked_sub(1).and_then(|place| nodes.get(place)) {
            let hint = format!("write webhook = {n} in a rule");
            node.problem("no rule names this webhook: nothing would ever be delivered", hint);
        }
    }
}

/// Where events are posted.
fn url(node: &Node<'_>) -> Option<String> {
    let url = node.parse(value::url)?;
    if let Some(ip) = value::unreachable_host(&url) {
        let message = format!("nothing is ever posted to {ip}");
        node.warning(
            message,
            "it is link-local, a cloud's metadata or reserved; write another address",
        );
    }
    Some(url)
}

/// One secret, or the new and the old one while rotating.
fn signing_secrets(secrets: &Secrets<'_>, node: &Node<'_>) -> Option<Vec<Secret>> {
    let nodes = if node.is_list() { node.list()? } else { vec![node.clone()] };
    if nodes.is_empty() || nodes.len() > 2 {
        let hint = "write one secret, or the new and the old one while rotating";
        node.problem(format!("{} secrets", nodes.len()), hint);
    }
    Some(nodes.iter().filter_map(|node| signing_secret(secrets, node)).collect())
}

fn signing_secret(secrets: &Secrets<'_>, node: &Node<'_>) -> Option<Secret> {
    let found = secrets.find(node)?;
    let make = "\"openssl rand -base64 32\" makes one to write after whsec_";
    let length = if let Some(encoded) = found.text.strip_prefix("whsec_") {
        let Ok(bytes) = STANDARD.decode(encoded) else {
            node.problem("what follows whsec_ is not base64", make);
            return None;
        };
        bytes.len()
    } else {
        // A secret in another form is used as it is, and may be longer than the limit.
        found.text.len().min(*SECRET_BYTES.end())
    };
    if !SECRET_BYTES.contains(&length) {
        let limits = format!("{} to {}", SECRET_BYTES.start(), SECRET_BYTES.end());
        let hint = format!("{limits} are allowed; {make}");
        node.problem(format!("a secret of {length} bytes"), hint);
        return None;
    }
    if found.plain && node.world_readable() {
        let hint = "chmod 600 the file, or write { file = \"…\" }";
        node.warning("a secret in clear, in a file that everybody on this machine can read", hint);
    }
    Some(Secret::new(found.text.as_str()))
}

/// Every header, and the names of those whose value is not in the file itself.
fn headers(
    secrets: &Secrets<'_>,
    table: &Section<'_>,
) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let (mut headers, mut hidden) = (BTreeMap::new(), BTreeSet::new());
    for (name, place, node) in table.entries() {
        let name = value::header_name(name).map_err(|(what, hint)| place.problem(what, hint));
        let found = secrets.find(&node);
        let plain = found.as_ref().is_some_and(|found| found.plain);
        let text = found.and_then(|found| {
            let read = value::header_value(&found.text);
            read.map_err(|(what, hint)| node.problem(what, hint)).ok()
        });
        let (Ok(name), Some(text)) = (name, text) else { continue };
        if !plain {
            hidden.insert(name.clone());
        }
        if headers.insert(name.clone(), text).is_some() {
            place.problem(format!("the header \"{name}\" twice"), "keep one of them");
        }
    }
    (headers, hidden)
}

fn chats(table: &mut Section<'_>) -> ChatFilter {
    let default = ChatFilter::default();
    let patterns = |node: &Node<'_>| node.each(|node| node.parse(value::chat_pattern));
    ChatFilter {
        kinds: table.or("chats", default.kinds, |node| {
            let kinds = node.each(|node| node.word(&value::CHATS))?;
            if node.list()?.is_empty() {
                node.problem("no chats: nothing would ever be delivered", "write \"people\"");
            }
            Some(kinds.into_iter().collect())
        }),
        only: table.or("only", default.only, patterns),
        ignore: table.or("ignore", default.ignore, patterns),
        from_me: table.or("from_me", default.from_me, Node::flag),
    }
}

/// Exact names, `group.*`, or `*`.
fn events(node: &Node<'_>) -> Option<EventFilter> {
    let names: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    let known: Vec<&str> = names
        .iter()
        .copied()
        .chain([
            "message.*",
            "poll.*",
            "group.*",
            "call.*",
            "device.*",
            "status.*",
            "channel.*",
            "label.*",
            "presence.*",
            value::BY_RULES,
        ])
        .collect();
    let (mut wanted, mut by_rules) = (BTreeSet::new(), false);
    let nodes = node.list()?;
    if nodes.is_empty() {
        node.problem("no events: nothing would ever be delivered", "write \"message.received\"");
    }
    for node in &nodes {
        let Some(text) = node.text() else { continue };
        if text == value::BY_RULES {
            by_rules = true;
            continue;
        }
        let group = text.strip_suffix('*').filter(|group| group.is_empty() || group.ends_with('.'));
        let fits = |kind: &EventType| match group {
            // What is over in a moment goes only to whoever names it.
            Some("") => *kind != EventType::PresenceUpdated,
            Some(group) => kind.as_str().starts_with(group),
            None => kind.as_str() == text,
        };
        let matching: Vec<EventType> = EventType::ALL.into_iter().filter(fits).collect();
        if matching.is_empty() {
            let hint = nearest(text, &known).map_or_else(
                || format!("write \"*\", \"message.*\", or some of {}", names.join(", ")),
                |near| format!("did you mean \"{near}\"?"),
            );
            node.problem(format!("there is no event \"{text}\""), hint);
        }
        wanted.extend(matching);
    }
    (by_rules || !wanted.is_empty()).then_some(EventFilter(wanted))
}
