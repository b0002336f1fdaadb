//! `moonwa rules test`: what the rules in the file would do with a message. It needs no running gateway and sends nothing.

use std::path::Path;

use anyhow::{Result, bail};

use super::user::configuration;
use crate::config::{DeviceConfig, EndpointConfig, RuleConfig};
use crate::console::{Exit, say};
use crate::hooks::rule::answer::{Whose, answers};
use crate::hooks::rule::judge::{Asked, judge};
use crate::model::{
    ChatKind, Content, DeviceName, EventId, Jid, MessageData, MessageId, Person, PhoneNumber,
    Recipient, SentMessage, UnixMillis,
};
use crate::store::ChatMemory;

/// The message that is tried.
#[derive(clap::Args)]
pub(super) struct Trial {
    /// What it says
    text: String,
    /// The phone number of who writes
    #[arg(long, value_name = "NUMBER")]
    from: String,
    /// Under which name
    #[arg(long)]
    name: Option<String>,
    /// The rules of this device only
    #[arg(long, value_name = "NAME", value_parser = DeviceName::parse)]
    device: Option<DeviceName>,
    /// When it is written, such as 2026-11-30T20:00:00+07:00 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<UnixMillis>,
    /// In a group; with its id, in that one
    #[arg(long, value_name = "GROUP", num_args = 0..=1, default_missing_value = "0@g.us", value_parser = group)]
    group: Option<Jid>,
}

fn time(text: &str) -> Result<UnixMillis, &'static str> {
    UnixMillis::parse(text).ok_or("write a time such as 2026-11-30T20:00:00+07:00")
}

fn group(text: &str) -> Result<Jid, &'static str> {
    let group = Jid::parse(text).ok().filter(Jid::is_group);
    group.ok_or("write a group's id, such as 120363025246125486@g.us")
}

pub(super) fn test(config: Option<&Path>, trial: &Trial) -> Result<Exit> {
    let (path, config) = configuration(config)?;
    if let Some(name) = &trial.device
        && !config.devices.contains_key(name)
    {
        bail!("{}: there is no device {name}", path.display());
    }
    let asked = |name: &DeviceName| trial.device.as_ref().is_none_or(|only| only == name);
    let mut rules = 0;
    for (name, device) in config.devices.iter().filter(|(name, _)| asked(name)) {
        rules += device.rules.len();
        try_device(name, device, trial)?;
    }
    if rules == 0 {
        bail!("{}: there are no rules", path.display());
    }
    Ok(Exit::Clean)
}

/// A line for each rule, as if nothing had happened in the chat before.
fn try_device(name: &DeviceName, device: &DeviceConfig, trial: &Trial) -> Result<()> {
    let phone = PhoneNumber::parse(&trial.from, device.country_code.as_deref())?;
    let message = message(&phone, trial);
    let at = trial.at.unwrap_or_else(UnixMillis::now);
    let asked = Asked { message: &message, at, now: at };
    let whose = Whose { device: name, label: &device.label };
    let event = EventId::derive(&[name.as_str(), &message.id]);
    let verdicts = judge(&device.rules, asked, &ChatMemory::default());
    for (rule, verdict) in device.rules.iter().zip(verdicts) {
        match verdict {
            Err(why) => say(&format!("{name} {}: no; {why}", called(rule))),
            Ok(()) => {
                let answers = answers(whose, &event, asked, std::iter::once(rule));
                let mut acts: Vec<String> = answers.iter().map(said).collect();
                let webhook = device.webhook_of(rule);
                let hands = |to: &EndpointConfig| {
                    format!("hands it to webhook {}, {}", to.n, to.shown_url())
                };
                acts.extend(webhook.map(hands));
                acts.extend(rule.stop.then(|| "stops the others".to_owned()));
                say(&format!("{name} {}: yes; {}", called(rule), acts.join("; ")));
            }
        }
    }
    Ok(())
}

fn message(phone: &PhoneNumber, trial: &Trial) -> MessageData {
    let jid = Jid::of_phone(phone).to_string();
    let number = Some(phone.as_str().to_owned());
    let from = Person { jid, phone: number, lid: None, name: trial.name.clone() };
    let message = MessageData::written(MessageId::random().to_string(), from, &*trial.text);
    let Some(group) = trial.group.as_ref().map(Jid::to_string) else { return message };
    MessageData {
        chat: group.clone(),
        group: Some(group),
        chat_kind: Some(ChatKind::Group),
        ..message
    }
}

/// Its place, and its name if it has one.
fn called(rule: &RuleConfig) -> String {
    let (n, name) = (rule.n, &rule.name);
    if n.to_string() == *name { format!("rule {n}") } else { format!("rule {n} ({name})") }
}

fn said(answer: &SentMessage) -> String {
    match &answer.request.content {
        Content::Reaction { emoji, .. } => format!("reacts {emoji}"),
        Content::Forward { .. } => match &answer.request.to {
            Recipient::Phone(phone) => format!("forwards to {}", phone.as_str()),
            Recipient::Jid(jid) => format!("forwards to {jid}"),
        },
        content => format!("replies {:?}", content.words().unwrap_or_default()),
    }
}
