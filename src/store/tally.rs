//! What went out and came back, counted in the commits that write it down, so that nobody has to read the log for it:
//! how much a device sent in each quarter of an hour, and with whom its account is in touch. The quarters are those of
//! the store's clock, so neither a jump of the wall clock nor a restart changes what was sent lately.

use std::time::Duration;

use fjall::Readable;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::account::{Accounts, accounts_key};
use super::database::outbox::Outbox;
use super::database::reader::Databases;
use super::database::txn::Txn;
use super::json::{from_json, to_row};
use super::key::{Key, Parts, number};
use crate::model::{
    ChatKind, DeviceName, Event, EventData, EventType, MessageStatus, NewChats, SendRequest,
    SentMessage, UnixMillis,
};

/// The piece of time that is counted together.
pub(crate) const QUARTER: Duration = Duration::from_mins(15);
/// How long a quarter is kept: a week, and the one that is not over.
const KEEP: u64 = 7 * 24 * 4 + 1;
/// When WhatsApp does not say how long it locks an account, what it says within this time is about the same lock.
const SAME_LOCK: Duration = Duration::from_hours(1);
/// How a row of a quarter begins; in an older version its first number did, with a 0.
const SHORT: u8 = 1;
/// Old quarters that go at once when a new one begins: more than come.
const DROP: usize = 4;

/// What happened in one quarter of an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that were written to WhatsApp.
    pub sent: u64,
    /// Those of them with which a person was written to for the first time.
    pub first: u64,
    /// The people among these, written to in this quarter, who have answered since.
    pub answered: u64,
    /// Messages that WhatsApp refused.
    pub refused: u64,
    /// How often WhatsApp locked the account against new contacts.
    pub locks: u64,
    /// When the last of them was written, by the store's clock.
    pub last: UnixMillis,
}

/// What happened lately.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// The time of the store's clock.
    pub now: UnixMillis,
    /// The quarters in which something happened, by their numbers, oldest first.
    pub quarters: Vec<(u64, Tally)>,
    /// How many new chats WhatsApp said that it allows.
    pub new_chats: Option<NewChats>,
}

/// What WhatsApp said of an account last.
#[derive(Default, Serialize, Deserialize)]
struct Said {
    new_chats: Option<NewChats>,
    /// When it locked the account, by the store's clock, and until when.
    lock: Option<(UnixMillis, Option<UnixMillis>)>,
}

/// What an event adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Counted {
    #[default]
    Nothing,
    /// The account is in touch with a person.
    Touch {
        /// All their addresses that are known.
        people: Vec<String>,
        /// Whether they wrote, and not the account's owner.
        wrote: bool,
    },
    /// WhatsApp locks the account against new contacts until then.
    Lock(Option<UnixMillis>),
}

impl Counted {
    pub(super) fn of(event: &Event) -> Self {
        let data = match &event.data {
            EventData::Message(data) => data,
            EventData::Device(data) if data.reason.as_deref() == Some("sending_locked") => {
                return Self::Lock(data.until);
            }
            _ => return Self::Nothing,
        };
        if !matches!(event.kind, EventType::MessageReceived | EventType::MessageSent) {
            return Self::Nothing;
        }
        let people = data.people();
        if people.is_empty() {
            return Self::Nothing;
        }
        Self::Touch { people, wrote: !data.from_me }
    }
}

/// The quarter in which that time lies.
pub(crate) fn quarter_of(time: UnixMillis) -> u64 {
    time.millis() / u64::try_from(QUARTER.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn quarter_end(quarter: u64) -> UnixMillis {
    let millis = u64::try_from(QUARTER.as_millis()).unwrap_or(u64::MAX);
    UnixMillis::from_millis(quarter.saturating_add(1).saturating_mul(millis))
}

/// Counts a message that gets to that status; its receiver has these addresses too.
pub(super) fn moves(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    message: &SentMessage,
    to: &MessageStatus,
    known_as: &[String],
) -> Result<(), StoreError> {
    let refusal = match to {
        // A number is WhatsApp's own code.
        MessageStatus::Failed { code, .. } if code.parse::<u16>().is_ok() => true,
        MessageStatus::Failed { .. } => return Ok(()),
        _ => false,
    };
    // WhatsApp's answer may be here before it is noted that the message was written.
    if message.status == MessageStatus::Queued {
        left(outbox, txn, &message.device, &message.request, known_as)?;
    }
    if refusal { refused(outbox, txn, &message.device) } else { Ok(()) }
}

/// Counts a message that was written to WhatsApp, whose receiver has these addresses too.
fn left(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    request: &SendRequest,
    known_as: &[String],
) -> Result<(), StoreError> {
    if !request.content.is_message() {
        return Ok(());
    }
    let (account, now) = (present(outbox, txn, device)?, outbox.clock.now());
    let to = request.to.jid();
    let mut first = 0;
    if to.chat_kind() == ChatKind::Person {
        let people = known_as.iter().map(String::as_str).chain([to.user()]);
        let keys: Vec<Key> = people.map(|user| person(device, &account, user)).collect();
        let mut known = false;
        for key in &keys {
            known |= txn.get(&outbox.queue, key)?.is_some();
        }
        first = u64::from(!known);
        let since = if known { UnixMillis::default() } else { now };
        for key in keys {
            if txn.get(&outbox.queue, &key)?.is_none() {
                txn.put(&outbox.queue, key, since.millis().to_be_bytes().to_vec());
            }
        }
    }
    count(outbox, txn, (device, &account), quarter_of(now), |tally| {
        tally.sent += 1;
        tally.first += first;
        tally.last = now;
    })
}

/// Counts what an event adds. Says whether a person is in touch now who was not before.
pub(super) fn happened(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    counted: &Counted,
) -> Result<bool, StoreError> {
    let (people, wrote) = match counted {
        Counted::Nothing => return Ok(false),
        Counted::Lock(until) => return locked(outbox, txn, device, *until).map(|()| false),
        Counted::Touch { people, wrote } => (people, *wrote),
    };
    let account = present(outbox, txn, device)?;
    let (mut met, mut unanswered) = (false, 0);
    if wrote {
        writers(outbox, txn, device, &account, people)?;
    }
    for user in people {
        let key = person(device, &account, user);
        let row = txn.get(&outbox.queue, &key)?.map(|row| number(&row)).transpose()?;
        met |= row.is_none();
        if row.is_none() || (wrote && row != Some(0)) {
            unanswered = row.unwrap_or_default().max(unanswered);
            txn.put(&outbox.queue, key, 0_u64.to_be_bytes().to_vec());
        }
    }
    let quarter = quarter_of(UnixMillis::from_millis(unanswered));
    if unanswered > 0 && quarter + KEEP >= quarter_of(outbox.clock.now()) {
        count(outbox, txn, (device, &account), quarter, |tally| tally.answered += 1)?;
    }
    Ok(met)
}

/// Notes that a person wrote, who has these addresses.
fn writers(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    account: &str,
    people: &[String],
) -> Result<(), StoreError> {
    for user in people {
        let key = writer(device, account, user);
        if txn.get(&outbox.queue, &key)?.is_none() {
            txn.put(&outbox.queue, key, Vec::<u8>::new());
        }
    }
    Ok(())
}

/// Notes who wrote before that was noted.
pub(super) fn remember_writers(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    people: &[String],
) -> Result<(), StoreError> {
    let account = present(outbox, txn, device)?;
    writers(outbox, txn, device, &account, people)
}

/// Counts a message that WhatsApp refused.
fn refused(outbox: &Outbox, txn: &mut Txn<'_>, device: &DeviceName) -> Result<(), StoreError> {
    let (account, now) = (present(outbox, txn, device)?, quarter_of(outbox.clock.now()));
    count(outbox, txn, (device, &account), now, |tally| tally.refused += 1)
}

/// Counts a lock once, however often it is told.
fn locked(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    until: Option<UnixMillis>,
) -> Result<(), StoreError> {
    let (account, now) = (present(outbox, txn, device)?, outbox.clock.now());
    let key = said(device, &account);
    let row = txn.get(&outbox.queue, &key)?;
    let mut said: Said = row.map(|row| from_json(&row)).transpose()?.unwrap_or_default();
    let same = said.lock.is_some_and(|(at, end)| match (end, until) {
        (Some(end), Some(until)) => end == until,
        _ => now.since(at) < SAME_LOCK,
    });
    let known = said.lock.filter(|_| same).and_then(|(_, end)| end);
    said.lock = Some((now, until.or(known)));
    txn.put(&outbox.queue, key, to_row(&said)?);
    if same {
        return Ok(());
    }
    count(outbox, txn, (device, &account), quarter_of(now), |tally| tally.locks += 1)
}

/// Keeps what WhatsApp said of new chats.
pub(super) fn allowed(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    new_chats: NewChats,
) -> Result<(), StoreError> {
    let key = said(device, &present(outbox, txn, device)?);
    let row = txn.get(&outbox.queue, &key)?;
    let said: Said = row.map(|row| from_json(&row)).transpose()?.unwrap_or_default();
    txn.put(&outbox.queue, key, to_row(&Said { new_chats: Some(new_chats), ..said })?);
    Ok(())
}

fn count(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    (device, account): (&DeviceName, &str),
    quarter: u64,
    change: impl FnOnce(&mut Tally),
) -> Result<(), StoreError> {
    let prefix = quarters(device, account);
    let key = prefix.clone().number(quarter);
    let row = txn.get(&outbox.queue, &key)?;
    if row.is_none() {
        for (old, _) in txn.scan(&outbox.queue, prefix.as_ref(), DROP)? {
            if number(old.get(prefix.as_ref().len()..).unwrap_or_default())? + KEEP < quarter {
                txn.remove(&outbox.queue, old);
            }
        }
    }
    let mut tally = row.map(|row| parse(&row)).transpose()?.unwrap_or_default();
    change(&mut tally);
    let Tally { sent, first, answered, refused, locks, last } = tally;
    let numbers = [last.millis(), sent, first, answered, refused, locks];
    let row = numbers.into_iter().fold(Key::new(SHORT), Key::short);
    txn.put(&outbox.queue, key, row.into_bytes());
    Ok(())
}

/// The quarters that are kept of a device's present account.
pub(super) fn read(databases: &Databases, device: &DeviceName) -> Result<Tallies, StoreError> {
    let (outbox, view) = (&databases.outbox, databases.outbox.db.snapshot());
    let now = outbox.clock.now();
    let accounts =
        Accounts::load(device, |key| view.get(&outbox.queue, key).map_err(StoreError::database))?;
    let prefix = quarters(device, accounts.present());
    let place = |quarter: u64| prefix.clone().number(quarter).into_bytes();
    let mut found = Vec::new();
    let from = place(quarter_of(now).saturating_sub(KEEP));
    for guard in view.range(&outbox.queue, from..=place(u64::MAX)) {
        let (key, row) = guard.into_inner().map_err(StoreError::database)?;
        let quarter = number(key.get(prefix.as_ref().len()..).unwrap_or_default())?;
        found.push((quarter, parse(&row)?));
    }
    let row = view.get(&outbox.queue, said(device, accounts.present()));
    let said: Option<Said> =
        row.map_err(StoreError::database)?.map(|row| from_json(&row)).transpose()?;
    Ok(Tallies { now, quarters: found, new_chats: said.and_then(|said| said.new_chats) })
}

/// Of each person, known under these addresses, whether the account was never in touch with them.
pub(super) fn strangers(
    databases: &Databases,
    device: &DeviceName,
    people: &[Vec<String>],
) -> Result<Vec<bool>, StoreError> {
    Ok(known(databases, device, people, person)?.into_iter().map(|known| !known).collect())
}

/// Of each person, known under these addresses, whether they ever wrote to the account.
pub(super) fn wrote(
    databases: &Databases,
    device: &DeviceName,
    people: &[Vec<String>],
) -> Result<Vec<bool>, StoreError> {
    known(databases, device, people, writer)
}

fn known(
    databases: &Databases,
    device: &DeviceName,
    people: &[Vec<String>],
    place: fn(&DeviceName, &str, &str) -> Key,
) -> Result<Vec<bool>, StoreError> {
    let (outbox, view) = (&databases.outbox, databases.outbox.db.snapshot());
    let get = |key: Key| view.get(&outbox.queue, key).map_err(StoreError::database);
    let accounts = Accounts::load(device, get)?;
    let mut all = Vec::with_capacity(people.len());
    for addresses in people {
        let mut known = false;
        for user in addresses {
            known |= get(place(device, accounts.present(), user))?.is_some();
        }
        all.push(known);
    }
    Ok(all)
}

fn present(outbox: &Outbox, txn: &Txn<'_>, device: &DeviceName) -> Result<String, StoreError> {
    let row = txn.get(&outbox.queue, accounts_key(device))?;
    Ok(Accounts::load(device, |_| Ok(row))?.present().to_owned())
}

fn person(device: &DeviceName, account: &str, user: &str) -> Key {
    Key::new(b'p').device(device).part(account).rest(user)
}

fn writer(device: &DeviceName, account: &str, user: &str) -> Key {
    Key::new(b'w').device(device).part(account).rest(user)
}

fn said(device: &DeviceName, account: &str) -> Key {
    Key::new(b's').device(device).part(account)
}

fn quarters(device: &DeviceName, account: &str) -> Key {
    Key::new(b'h').device(device).part(account)
}

fn parse(row: &[u8]) -> Result<Tally, StoreError> {
    let is_short = row.first() == Some(&SHORT);
    let mut parts = Parts::of(row.get(usize::from(is_short)..).unwrap_or_default());
    let mut number = || if is_short { parts.short() } else { parts.number() };
    let mut read = || {
        let last = UnixMillis::from_millis(number()?);
        Some(Tally {
            last,
            sent: number()?,
            first: number()?,
            answered: number()?,
            refused: number()?,
            locks: number()?,
        })
    };
    read().ok_or_else(|| StoreError::Damaged("a count of what was sent".to_owned()))
}
