//! The handles tests hold: a person with a phone, and a group. Waiting calls have a deadline and
//! say what they saw instead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use wacore_binary::{Jid, Node, Server};
use waproto::whatsapp as wa;

use crate::iq::EnteredCode;
use crate::phone::appstate::AppState;
use crate::phone::{InboxItem, InboxMessage, PhoneState};
use crate::util::{attr, below, bytes, children};
use crate::world::{Account, Address, World};
use crate::{Entry, PATIENCE, Simulator};

/// How an account is set up.
#[derive(Clone, Copy, Debug)]
pub struct PhoneOptions {
    /// Whether its chats are addressed by LID, as most are today.
    pub migrated: bool,
    /// Whether the phone confirms deliveries by itself.
    pub auto_delivered: bool,
}

impl Default for PhoneOptions {
    fn default() -> Self {
        Self { migrated: true, auto_delivered: true }
    }
}

/// A person's phone.
#[derive(Clone)]
pub struct Phone {
    pub(crate) sim: Simulator,
    number: String,
    lid: String,
}

/// A group.
#[derive(Clone)]
pub struct Group {
    pub(crate) sim: Simulator,
    /// The user part of its JID.
    pub id: String,
}

/// A linked device, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceSummary {
    /// Its number in the account.
    pub id: u16,
    /// What it says it is.
    pub platform: String,
    /// The version of its system.
    pub version: String,
    /// Whether it asks for the whole history.
    pub full_sync: bool,
    /// Whether it is connected.
    pub connected: bool,
    /// How many one-time prekeys the server still has of it.
    pub prekeys: usize,
    /// How many stanzas it has not confirmed.
    pub unconfirmed: usize,
}

/// The linked devices of an account.
pub(crate) fn summaries(account: &Account) -> Vec<DeviceSummary> {
    let summary = |d: &crate::world::Device| DeviceSummary {
        id: d.id,
        platform: format!("{} {:?}", d.props.os.clone().unwrap_or_default(), d.props.platform_type),
        version: d.props.version.as_option().map_or_else(String::new, |v| {
            let parts = [v.primary, v.secondary, v.tertiary].map(Option::unwrap_or_default);
            parts.map(|part| part.to_string()).join(".")
        }),
        full_sync: d.props.require_full_sync == Some(true),
        connected: d.conn.is_some(),
        prekeys: d.keys.one_time.len(),
        unconfirmed: d.queue.len(),
    };
    account.devices.values().map(summary).collect()
}

fn new_account(world: &mut World, pn: &str, name: &str, options: PhoneOptions) -> Result<String> {
    if let Some(account) = world.accounts.get(pn) {
        return Ok(account.lid.clone());
    }
    let lid = format!("1{:07}{:06}", below(10_000_000), below(1_000_000));
    let mut phone = PhoneState::new()?;
    phone.auto_delivered = options.auto_delivered;
    world.lids.insert(lid.clone(), pn.to_owned());
    world.accounts.insert(
        pn.to_owned(),
        Account {
            pn: pn.to_owned(),
            lid: lid.clone(),
            name: name.to_owned(),
            migrated: options.migrated,
            phone,
            devices: BTreeMap::new(),
            next_device: 1,
            next_key_index: 1,
            raw_id: below(u32::MAX),
            watchers: BTreeSet::new(),
            locked: 0,
            card: crate::card::Card::default(),
            app_state: AppState::new(name)?,
        },
    );
    Ok(lid)
}

impl Simulator {
    /// An account with a phone, set up as told. An existing number answers the existing account.
    #[expect(clippy::expect_used, reason = "only the system's random source can fail")]
    pub fn phone_with(&self, pn: &str, name: &str, options: PhoneOptions) -> Phone {
        let number = pn.trim_start_matches('+');
        let mut world = self.world();
        let lid = new_account(&mut world, number, name, options).expect("keys for a phone");
        world.touch();
        Phone { sim: self.clone(), number: number.to_owned(), lid }
    }

    /// The phone of an account that exists.
    pub fn find_phone(&self, pn: &str) -> Option<Phone> {
        let lid = self.world().accounts.get(pn)?.lid.clone();
        Some(Phone { sim: self.clone(), number: pn.to_owned(), lid })
    }
}

impl Phone {
    /// The number, digits only.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// `NUMBER@s.whatsapp.net`.
    pub fn jid(&self) -> String {
        Jid::pn(self.number.as_str()).to_string()
    }

    /// `LID@lid`.
    pub fn lid(&self) -> String {
        Jid::lid(self.lid.as_str()).to_string()
    }

    /// Whether a client asks the directory about this person, by number, JID or LID. Each device also asks about itself,
    /// some time after it connects.
    pub fn is_asked_about(&self, entry: &Entry) -> bool {
        let names = [self.number.clone(), self.jid(), self.lid()];
        let is_named = |user: &Node| {
            let contact = user.get_optional_child("contact").map(bytes).unwrap_or_default();
            let contact = String::from_utf8_lossy(&contact).trim_start_matches('+').to_owned();
            names.contains(&contact) || attr(user, "jid").is_some_and(|jid| names.contains(&jid))
        };
        let usync = entry.node.as_ref().and_then(|node| node.get_optional_child("usync"));
        let users = usync.and_then(|usync| usync.get_optional_child("list")).map(children);
        entry.is_in("iq") && users.unwrap_or_default().iter().any(is_named)
    }

    /// Scans a QR code and waits until the companion has confirmed.
    pub async fn scan(&self, qr: &str) -> Result<()> {
        let (after, conn) = {
            let mut world = self.sim.world();
            let after = world.journal.entries.len() as u64;
            let conn = world.scan(&self.number, qr)?;
            world.touch();
            (after, conn)
        };
        self.paired(after, conn).await
    }

    /// Types a pairing code and waits until the companion has confirmed.
    pub async fn enter_code(&self, code: &str) -> Result<()> {
        let after = self.sim.cursor();
        let waiting = self.sim.wait(|world| world.waiting_for_code(&self.number)).await;
        let (conn, wrapped) = waiting.context("no companion waits for a code of this number")?;
        let code = code.to_owned();
        let entered =
            tokio::task::spawn_blocking(move || EnteredCode::derive(&code, &wrapped)).await??;
        {
            let mut world = self.sim.world();
            world.code_entered(conn, entered)?;
            world.touch();
        }
        self.paired(after, conn).await
    }

    async fn paired(&self, after: u64, conn: u64) -> Result<()> {
        let entry = self
            .sim
            .wait_journal(after, |e| {
                e.connection == conn
                    && matches!(e.tag.as_str(), "paired" | "pairing refused" | "closed")
            })
            .await?;
        match entry.tag.as_str() {
            "paired" => Ok(()),
            other => bail!("{other}: {}", entry.text),
        }
    }

    /// Writes a text to another phone's number or a group.
    pub async fn send_text(&self, to: impl AsRef<str>, text: &str) -> Result<String> {
        let message = wa::Message { conversation: Some(text.to_owned()), ..Default::default() };
        self.send(to, message).await
    }

    /// Sends any message.
    pub async fn send(&self, to: impl AsRef<str>, message: wa::Message) -> Result<String> {
        self.send_as(to, message, None).await
    }

    /// Sends any message under a given id.
    pub async fn send_as(
        &self,
        to: impl AsRef<str>,
        message: wa::Message,
        id: Option<String>,
    ) -> Result<String> {
        self.sim.world().phone_send(&self.number, to.as_ref(), &message, id)
    }

    /// The person reads a message: its sender gets the receipt.
    pub async fn read(&self, id: impl AsRef<str>) -> Result<()> {
        self.sim.world().phone_receipt(&self.number, id.as_ref(), "read")
    }

    /// The person plays a voice message.
    pub async fn played(&self, id: impl AsRef<str>) -> Result<()> {
        self.sim.world().phone_receipt(&self.number, id.as_ref(), "played")
    }

    /// The phone confirms the delivery (it does so by itself unless told otherwise).
    pub async fn delivered(&self, id: impl AsRef<str>) -> Result<()> {
        self.sim.world().phone_receipt(&self.number, id.as_ref(), "")
    }

    /// Whether the phone confirms deliveries by itself.
    pub fn auto_delivered(&self, auto: bool) {
        if let Some(account) = self.sim.world().accounts.get_mut(&self.number) {
            account.phone.auto_delivered = auto;
        }
    }

    /// What reached the phone so far.
    pub fn inbox(&self) -> Vec<InboxItem> {
        let world = self.sim.world();
        world.accounts.get(&self.number).map(|a| a.phone.inbox.clone()).unwrap_or_default()
    }

    /// The ids of messages that came more than once: the inbox has the first of each.
    pub fn repeated(&self) -> Vec<String> {
        let world = self.sim.world();
        world.accounts.get(&self.number).map(|a| a.phone.repeated.clone()).unwrap_or_default()
    }

    /// The number of the newest inbox item: the cursor for what comes next.
    pub fn cursor(&self) -> u64 {
        self.inbox().len() as u64
    }

    /// Waits for something in the inbox after a cursor.
    pub async fn wait_inbox(
        &self,
        after: u64,
        what: impl Fn(&InboxItem) -> bool,
    ) -> Result<InboxItem> {
        match self.await_inbox(after, PATIENCE, what).await {
            Some(item) => Ok(item),
            None => bail!(
                "not in the inbox of {} after {after}: {:#?}\njournal:\n{}",
                self.number,
                self.inbox().iter().map(|i| &i.kind).collect::<Vec<_>>(),
                self.sim.tail(0)
            ),
        }
    }

    /// The same with another patience; `None` when it ends.
    pub async fn await_inbox(
        &self,
        after: u64,
        patience: Duration,
        what: impl Fn(&InboxItem) -> bool,
    ) -> Option<InboxItem> {
        let look = |world: &World| {
            let inbox = &world.accounts.get(&self.number)?.phone.inbox;
            inbox.iter().filter(|i| i.seq > after).find(|i| what(i)).cloned()
        };
        self.sim.wait_for(patience, look).await
    }

    /// Waits for a message with this text (or caption).
    pub async fn expect_text(&self, text: &str) -> Result<InboxMessage> {
        let item = self
            .wait_inbox(0, |item| item.is_text(text))
            .await
            .with_context(|| format!("waiting for the text {text:?}"))?;
        item.message().cloned().context("not a message")
    }

    /// Waits for a receipt (`delivered`, `read`, `played`, `inactive`, `retry`) for a message.
    pub async fn expect_receipt(&self, kind: &str, id: &str) -> Result<InboxItem> {
        self.wait_inbox(0, |item| item.is_receipt(kind, id)).await
    }

    /// Downloads and decrypts the image, video, audio, document or sticker of a message.
    pub fn media(&self, message: &wa::Message) -> Result<Vec<u8>> {
        crate::media::open(&self.sim.world(), message)
    }

    /// The linked devices.
    pub fn devices(&self) -> Vec<DeviceSummary> {
        let world = self.sim.world();
        world.accounts.get(&self.number).map(summaries).unwrap_or_default()
    }

    /// Unlinks a device.
    pub async fn unlink(&self, device: u16) -> Result<()> {
        let mut world = self.sim.world();
        let who = Address::new(&self.number, device);
        if world.device(&who).is_none() {
            bail!("{} has no device {device}", self.number);
        }
        world.unlink(&who);
        world.run_phones();
        world.touch();
        Ok(())
    }

    /// Waits until a companion of this account is logged in and has its offline queue; answers the
    /// journal entry of the login.
    pub async fn expect_login(&self, after: u64) -> Result<Entry> {
        self.sim
            .wait_journal(after, |e| {
                e.tag == "login" && e.device.as_ref().is_some_and(|d| d.pn == self.number)
            })
            .await
    }

    /// Waits until a companion has asked for everything that it asks for by itself after its first login, so that this does
    /// not meet a fault that is meant for something else.
    pub async fn expect_settled(&self) -> Result<()> {
        for asked in ["name=\"regular_low\"", "xmlns=\"blocklist\""] {
            let asks = |e: &Entry| {
                let own = e.device.as_ref().is_some_and(|device| device.pn == self.number);
                own && e.is_in("iq") && e.text.contains(asked)
            };
            self.sim.wait_journal(0, asks).await?;
        }
        Ok(())
    }

    /// Waits until the linked devices have confirmed everything they were sent.
    pub async fn expect_confirmed(&self) -> Result<()> {
        let settled = self
            .sim
            .wait(|world| {
                let account = world.accounts.get(&self.number)?;
                account.devices.values().all(|d| d.queue.is_empty()).then_some(())
            })
            .await;
        match settled {
            Some(()) => Ok(()),
            None => bail!("not all confirmed: {:#?}\n{}", self.devices(), self.sim.tail(0)),
        }
    }

    /// Turns the phone off.
    pub async fn offline(&self) {
        self.sim.world().phone_online(&self.number, false);
    }

    /// Turns the phone on; it reads what arrived meanwhile.
    pub async fn online(&self) {
        self.sim.world().phone_online(&self.number, true);
    }
}

impl AsRef<str> for Phone {
    fn as_ref(&self) -> &str {
        &self.number
    }
}

impl Group {
    pub(crate) fn new(sim: Simulator, id: String) -> Self {
        Self { sim, id }
    }

    /// `ID@g.us`.
    pub fn jid(&self) -> String {
        Jid::new(self.id.as_str(), Server::Group).to_string()
    }

    /// Adds members, as an admin's phone does.
    pub async fn add(&self, by: &Phone, members: &[&Phone]) -> Result<()> {
        self.change(by, "add", members)
    }

    /// Removes members.
    pub async fn remove(&self, by: &Phone, members: &[&Phone]) -> Result<()> {
        self.change(by, "remove", members)
    }

    /// Makes members admins.
    pub async fn promote(&self, by: &Phone, members: &[&Phone]) -> Result<()> {
        self.change(by, "promote", members)
    }

    /// Changes the subject.
    pub async fn rename(&self, by: &Phone, subject: &str) -> Result<()> {
        let mut world = self.sim.world();
        world.change_subject(&self.id, by.number(), subject)?;
        world.run_phones();
        world.touch();
        Ok(())
    }

    /// Makes messages disappear after so many seconds; 0 for never.
    pub async fn disappear(&self, by: &Phone, seconds: u32) -> Result<()> {
        let mut world = self.sim.world();
        world.change_ephemeral(&self.id, by.number(), seconds)?;
        world.run_phones();
        world.touch();
        Ok(())
    }

    fn change(&self, by: &Phone, what: &'static str, members: &[&Phone]) -> Result<()> {
        let members: Vec<String> = members.iter().map(|p| p.number().to_owned()).collect();
        let mut world = self.sim.world();
        world.change_members(&self.id, by.number(), what, &members)?;
        world.run_phones();
        world.touch();
        Ok(())
    }
}

impl AsRef<str> for Group {
    fn as_ref(&self) -> &str {
        &self.id
    }
}
