//! The control API: the library's calls as JSON over HTTP on the loopback interface, for tools in
//! other languages and the sandbox. It adds no behaviour of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::compose::File;
use crate::fault::{Fault, Target};
use crate::util::hex;
use crate::{PATIENCE, Phone, PhoneOptions, Simulator};

#[derive(Deserialize)]
struct NewPhone {
    #[serde(alias = "pn")]
    number: String,
    #[serde(default)]
    name: String,
    migrated: Option<bool>,
    auto_delivered: Option<bool>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct MessageId {
    id: String,
}

/// One of the kinds of messages; `of` names the message a reply, reaction, edit or revoke is about.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Outgoing {
    to: String,
    text: Option<String>,
    of: Option<String>,
    reaction: Option<String>,
    edit: Option<String>,
    revoke: bool,
    image: Option<String>,
    video: Option<String>,
    audio: Option<String>,
    document: Option<String>,
    sticker: Option<String>,
    caption: Option<String>,
    name: Option<String>,
    mime: Option<String>,
    poll: Option<Vec<String>>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    vcard: Option<String>,
}

#[derive(Deserialize)]
struct AbProp {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct Other {
    number: String,
}

#[derive(Deserialize)]
struct NewGroup {
    subject: String,
    members: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Members {
    by: String,
    add: Vec<String>,
    remove: Vec<String>,
    promote: Vec<String>,
    subject: Option<String>,
}

#[derive(Deserialize)]
struct NewFault {
    #[serde(default = "anybody")]
    target: Target,
    fault: Fault,
    #[serde(default = "once")]
    times: u32,
}

fn anybody() -> Target {
    Target::Any
}

fn once() -> u32 {
    1
}

/// Answers a call: the status and the JSON body.
pub(crate) async fn call(
    sim: &Simulator,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> (u16, Value) {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let result = match parts.as_slice() {
        ["phones", number, rest @ ..] => phones(sim, method, number, rest, query, body).await,
        parts => top(sim, method, parts, query, body).await,
    };
    match result {
        Ok(Some(value)) => (200, value),
        Ok(None) => (404, json!({ "error": "no such call" })),
        Err(error) => (400, json!({ "error": format!("{error:#}") })),
    }
}

async fn top(
    sim: &Simulator,
    method: &Method,
    parts: &[&str],
    query: &str,
    body: &[u8],
) -> Result<Option<Value>> {
    Ok(Some(match (method, parts) {
        (&Method::POST, ["phones"]) => {
            let new: NewPhone = read(body)?;
            let default = PhoneOptions::default();
            let phone = sim.phone_with(
                &new.number,
                &new.name,
                PhoneOptions {
                    migrated: new.migrated.unwrap_or(default.migrated),
                    auto_delivered: new.auto_delivered.unwrap_or(default.auto_delivered),
                },
            );
            json!({ "number": phone.number(), "jid": phone.jid(), "lid": phone.lid() })
        }
        (&Method::POST, ["groups"]) => {
            let new: NewGroup = read(body)?;
            let members = new.members.iter().map(|m| find(sim, m)).collect::<Result<Vec<_>>>()?;
            let group = sim.group(&new.subject, &members.iter().collect::<Vec<_>>()).await?;
            json!({ "id": group.id, "jid": group.jid() })
        }
        (&Method::POST, ["groups", id, "members"]) => {
            change_group(sim, id, read(body)?).await?;
            json!({})
        }
        (&Method::POST, ["ab-props"]) => {
            let prop: AbProp = read(body)?;
            sim.ab_prop(&prop.name, &prop.value)?;
            json!({})
        }
        (&Method::POST, ["faults"]) => {
            let new: NewFault = read(body)?;
            sim.fault_times(new.target, new.fault, new.times);
            json!({})
        }
        (&Method::DELETE, ["faults"]) => {
            sim.clear_faults();
            json!({})
        }
        (&Method::POST, ["connections", what]) => {
            match *what {
                "refuse" => sim.refuse_connections(true),
                "mute" => sim.mute_connections(true),
                "accept" => {
                    sim.refuse_connections(false);
                    sim.mute_connections(false);
                }
                _ => return Ok(None),
            }
            json!({})
        }
        (&Method::GET, ["journal"]) => journal(sim, &fields(query)).await?,
        (&Method::GET, ["violations"]) => json!(sim.violations()),
        (&Method::GET, ["state"]) => sim.state(),
        (&Method::GET, ["ca"]) => json!({ "root": hex(&sim.root_public_key()) }),
        (&Method::POST, ["reset"]) => {
            sim.reset();
            json!({})
        }
        _ => return Ok(None),
    }))
}

async fn phones(
    sim: &Simulator,
    method: &Method,
    number: &str,
    rest: &[&str],
    query: &str,
    body: &[u8],
) -> Result<Option<Value>> {
    let phone = find(sim, number)?;
    Ok(Some(match (method, rest) {
        (&Method::POST, ["scan"]) => {
            phone.scan(std::str::from_utf8(body)?.trim()).await?;
            json!({})
        }
        (&Method::POST, ["enter-code"]) => {
            phone.enter_code(&read::<Code>(body)?.code).await?;
            json!({})
        }
        (&Method::POST, ["send"]) => json!({ "id": send(&phone, read(body)?).await? }),
        (&Method::POST, ["read"]) => {
            phone.read(read::<MessageId>(body)?.id).await?;
            json!({})
        }
        (&Method::POST, ["played"]) => {
            phone.played(read::<MessageId>(body)?.id).await?;
            json!({})
        }
        (&Method::POST, ["delivered"]) => {
            phone.delivered(read::<MessageId>(body)?.id).await?;
            json!({})
        }
        (&Method::POST, ["release-acks"]) => json!({ "count": sim.release_acks(number) }),
        (&Method::POST, ["offline"]) => {
            phone.offline().await;
            json!({})
        }
        (&Method::POST, ["online"]) => {
            phone.online().await;
            json!({})
        }
        (&Method::POST, ["trust"]) => {
            phone.trust(&find(sim, &read::<Other>(body)?.number)?);
            json!({})
        }
        (&Method::POST, ["wants-tokens"]) => {
            phone.wants_tokens();
            json!({})
        }
        (&Method::POST, ["migrate"]) => {
            phone.migrate();
            json!({})
        }
        (&Method::GET, ["inbox"]) => inbox(&phone, &fields(query)).await,
        (&Method::GET, ["devices"]) => json!(phone.devices()),
        (&Method::DELETE, ["devices", id]) => {
            phone.unlink(id.parse()?).await?;
            json!({})
        }
        _ => return Ok(None),
    }))
}

async fn send(phone: &Phone, o: Outgoing) -> Result<String> {
    let to = o.to.trim_start_matches('+').to_owned();
    let of = o.of.as_deref();
    if let (Some(emoji), Some(of)) = (&o.reaction, of) {
        return phone.react(to, of, emoji).await;
    }
    if let (Some(text), Some(of)) = (&o.edit, of) {
        return phone.edit(to, of, text).await;
    }
    if let (true, Some(of)) = (o.revoke, of) {
        return phone.revoke(to, of).await;
    }
    if let Some(answers) = &o.poll {
        let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
        return phone.send_poll(to, o.text.as_deref().unwrap_or_default(), &answers).await;
    }
    if let (Some(latitude), Some(longitude)) = (o.latitude, o.longitude) {
        return phone.send_location(to, latitude, longitude, &o.name.unwrap_or_default()).await;
    }
    if let Some(vcard) = &o.vcard {
        return phone.send_contact(to, &o.name.unwrap_or_default(), vcard).await;
    }
    let files = [
        (&o.image, File::Image(o.caption.clone()), "image/jpeg"),
        (&o.video, File::Video(o.caption.clone()), "video/mp4"),
        (&o.audio, File::Audio(true), "audio/ogg; codecs=opus"),
        (&o.sticker, File::Sticker, "image/webp"),
        (
            &o.document,
            File::Document(o.name.clone().unwrap_or_else(|| "file".to_owned())),
            "application/octet-stream",
        ),
    ];
    for (data, file, mime) in files {
        if let Some(data) = data {
            let bytes = BASE64_STANDARD.decode(data)?;
            return phone.send_file(to, &bytes, o.mime.as_deref().unwrap_or(mime), file).await;
        }
    }
    match (&o.text, of) {
        (Some(text), Some(of)) => phone.reply(to, of, text).await,
        (Some(text), None) => phone.send_text(to, text).await,
        (None, _) => bail!("nothing to send"),
    }
}

async fn change_group(sim: &Simulator, id: &str, change: Members) -> Result<()> {
    let group = sim.find_group(id).context("no such group")?;
    let by = find(sim, &change.by)?;
    let people =
        |numbers: &[String]| numbers.iter().map(|n| find(sim, n)).collect::<Result<Vec<Phone>>>();
    let (add, remove, promote) =
        (people(&change.add)?, people(&change.remove)?, people(&change.promote)?);
    if !add.is_empty() {
        group.add(&by, &add.iter().collect::<Vec<_>>()).await?;
    }
    if !remove.is_empty() {
        group.remove(&by, &remove.iter().collect::<Vec<_>>()).await?;
    }
    if !promote.is_empty() {
        group.promote(&by, &promote.iter().collect::<Vec<_>>()).await?;
    }
    if let Some(subject) = change.subject {
        group.rename(&by, &subject).await?;
    }
    Ok(())
}

async fn journal(sim: &Simulator, query: &BTreeMap<String, String>) -> Result<Value> {
    let (after, wait) = cursor(query);
    let filter = query.get("filter").cloned().unwrap_or_default();
    let fits = |e: &crate::Entry| filter.is_empty() || e.tag == filter;
    sim.wait_for(wait, |world| {
        world.journal.entries.iter().any(|e| e.seq > after && fits(e)).then_some(())
    })
    .await;
    let entries: Vec<_> = sim.journal().into_iter().filter(|e| e.seq > after && fits(e)).collect();
    serde_json::to_value(entries).map_err(|e| anyhow!(e))
}

async fn inbox(phone: &Phone, query: &BTreeMap<String, String>) -> Value {
    let (after, wait) = cursor(query);
    let number = phone.number();
    phone
        .sim
        .wait_for(wait, |world| {
            let newest = world.accounts.get(number)?.phone.inbox.len() as u64;
            (newest > after).then_some(())
        })
        .await;
    json!(phone.inbox().into_iter().filter(|i| i.seq > after).collect::<Vec<_>>())
}

fn cursor(query: &BTreeMap<String, String>) -> (u64, Duration) {
    let number = |key| query.get(key).and_then(|v| v.parse().ok()).unwrap_or(0);
    (number("after"), Duration::from_millis(number("wait_ms")).min(PATIENCE))
}

fn fields(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn find(sim: &Simulator, number: &str) -> Result<Phone> {
    sim.find_phone(number.trim_start_matches('+')).with_context(|| format!("no phone {number}"))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).context("the JSON body")
}
