//! What is shown to people for a day. WhatsApp does not choose who may see it: whoever posts writes the receivers into it.

use std::time::Duration;

use wa_rs::client::Client;
use wa_rs::send::{SendError, SendResult};
use wa_rs::wacore::iq::spec::IqSpec;
use wa_rs::wacore::request::InfoQuery;
use wa_rs::wacore_binary::builder::NodeBuilder;
use wa_rs::wacore_binary::{NodeContent, NodeRef};
use wa_rs::waproto::whatsapp as wa;
use wa_rs::{Jid, Server, StatusPrivacySetting, StatusSendOptions, anyhow};

use super::failure::Failure;
use crate::model::{Content, PhoneNumber, Recipient, SentMessage};
use crate::whatsapp::contact::row::names;
use crate::whatsapp::context::Context;
use crate::whatsapp::directory::both;

/// How long the engine may take: it looks every receiver's devices up.
const PATIENCE: Duration = Duration::from_mins(3);

/// Hands a status, or its deletion, to the engine; an outer error if it takes too long or has no receivers.
pub(super) async fn hand_over(
    context: &Context,
    client: &Client,
    row: &SentMessage,
    (receivers, privacy): &(Vec<Jid>, StatusPrivacySetting),
    message: wa::Message,
) -> Result<Result<SendResult, SendError>, Failure> {
    tracing::debug!(device = %context.name, receivers = receivers.len(), "A status goes out.");
    let options = StatusSendOptions {
        privacy: *privacy,
        message_id: Some(row.id.to_string()),
        ..StatusSendOptions::default()
    };
    let status = client.status();
    let sending = async {
        match &row.request.content {
            Content::Revoke { message, .. } => {
                status.revoke(message.as_str(), receivers, options).await
            }
            _ => status.send_raw(message, receivers, options).await,
        }
    };
    let sent = tokio::time::timeout(PATIENCE, sending).await;
    sent.map_err(|_| Failure::Later("the send took too long".to_owned()))
}

/// Who may see it: whoever the request names, or those whom the account's setting lets see what it posts. What is deleted
/// goes to those who may have got it.
pub(super) async fn audience(
    context: &Context,
    client: &Client,
    row: &SentMessage,
) -> Result<(Vec<Jid>, StatusPrivacySetting), Failure> {
    let named = match &row.request.content {
        Content::Revoke { message, .. } => {
            let posted = context.store.queue().own(&context.name, message).await?;
            posted.and_then(|posted| posted.request.audience)
        }
        _ => row.request.audience.clone(),
    };
    let (receivers, privacy) = match named {
        Some(named) => (each(context, client, &named).await?, StatusPrivacySetting::AllowList),
        None => by_setting(context, client).await?,
    };
    if receivers.is_empty() {
        let why = "there is nobody to show it to: the phone has not told the device of any contact, or none of those named is on WhatsApp";
        return Err(Failure::never("no_receivers", &why));
    }
    Ok((receivers, privacy))
}

/// The addresses of those who are on WhatsApp.
async fn each(
    context: &Context,
    client: &Client,
    people: &[Recipient],
) -> Result<Vec<Jid>, Failure> {
    let mut found = Vec::with_capacity(people.len());
    let mut numbers = Vec::new();
    for one in people {
        match one {
            Recipient::Jid(jid) => found.extend(jid.as_str().parse::<Jid>().ok()),
            Recipient::Phone(phone) => match both(client, &Jid::pn(phone.as_str()), None).await {
                (Some(lid), _) => found.push(Jid::lid(lid)),
                _ => numbers.push(phone.clone()),
            },
        }
    }
    if numbers.is_empty() {
        return Ok(found);
    }
    let space = context.store.space(&context.name);
    for listing in context.directory.find_all(&space, client, &numbers).await? {
        let Some(listing) = listing? else { continue };
        let lid = listing.lid.map(Jid::lid);
        found.extend(lid.or_else(|| listing.jid.parse().ok()));
    }
    Ok(found)
}

async fn by_setting(
    context: &Context,
    client: &Client,
) -> Result<(Vec<Jid>, StatusPrivacySetting), Failure> {
    let asked = tokio::time::timeout(PATIENCE, Box::pin(client.execute(Ask))).await;
    let setting =
        asked.map_err(|_| Failure::Later("WhatsApp did not answer in time".to_owned()))??;
    if setting.kind == StatusPrivacySetting::AllowList {
        return Ok((setting.people, setting.kind));
    }
    let account = client.pn().map(|own| own.user.to_string()).unwrap_or_default();
    let space = context.store.space(&context.name);
    let mut people = Vec::new();
    for (phone, row) in names(&space, &account).await? {
        let Ok(phone) = PhoneNumber::exact(&phone) else { continue };
        let by_lid = row.lid.and_then(|lid| Recipient::parse(&format!("{lid}@lid"), None).ok());
        let denied = |jid: &Jid| {
            let user = by_lid.as_ref().map(|lid| lid.jid().user().to_owned());
            jid.user == phone.as_str() || user.is_some_and(|user| jid.user == user.as_str())
        };
        if setting.kind != StatusPrivacySetting::DenyList || !setting.people.iter().any(denied) {
            people.push(by_lid.unwrap_or(Recipient::Phone(phone)));
        }
    }
    Ok((each(context, client, &people).await?, setting.kind))
}

/// To whom the account's owner shows what they post, as the phone has it.
struct Setting {
    kind: StatusPrivacySetting,
    people: Vec<Jid>,
}

struct Ask;

impl IqSpec for Ask {
    type Response = Setting;

    fn build_iq(&self) -> InfoQuery<'static> {
        let privacy = NodeBuilder::new("privacy").build();
        let to = Jid::new("", Server::Pn);
        InfoQuery::get("status", to, Some(NodeContent::Nodes(vec![privacy])))
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> Result<Self::Response, anyhow::Error> {
        let text = |node: &NodeRef<'_>, name: &str| {
            node.get_attr(name).map(|value| value.as_str().into_owned()).unwrap_or_default()
        };
        let lists = response.get_optional_child("privacy").and_then(NodeRef::children);
        let lists = lists.unwrap_or_default();
        let list = lists.iter().find(|list| text(list, "default") == "true");
        let kind = match list.map(|list| text(list, "type")).as_deref() {
            Some("whitelist") => StatusPrivacySetting::AllowList,
            Some("blacklist") => StatusPrivacySetting::DenyList,
            _ => StatusPrivacySetting::Contacts,
        };
        let users = list.map(|list| list.get_children_by_tag("user"));
        let people = users.into_iter().flatten().filter_map(|user| text(user, "jid").parse().ok());
        Ok(Setting { kind, people: people.collect() })
    }
}
