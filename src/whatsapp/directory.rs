//! Who is who: a person has a phone number, a LID, or both, and WhatsApp uses sometimes one and sometimes the other.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;
use wa_rs::client::Client;
use wa_rs::features::ContactError;
use wa_rs::types::message::MessageInfo;
use wa_rs::wacore_binary::JidExt;
use wa_rs::{IqError, IsOnWhatsAppResult, Jid};

use super::error::WhatsAppError;
use crate::model::{ChatKind, Person, PhoneNumber, UnixMillis};
use crate::store::{Batch, Space, StoreError};

/// Where the numbers that were found are kept, in the device's space.
pub(crate) const LISTED: &[u8] = b"listed/";
/// After this long a number is looked up again.
pub(crate) const KEEP_LISTED: Duration = Duration::from_hours(30 * 24);
/// How long a lookup waits for others that go in the same query.
const GATHER: Duration = Duration::from_millis(20);
/// The most numbers in one query.
const TOGETHER: usize = 100;
/// How long after a question for many numbers at once the next one of that sort is asked: whoever tries numbers in bulk is
/// shut out by WhatsApp.
const BETWEEN_MANY: Duration = Duration::from_secs(5);
/// How long nothing is looked up after WhatsApp refused to say anything, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// A number that is on WhatsApp.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listing {
    at: UnixMillis,
    /// Its address there. WhatsApp may know the number in another form: Brazil's without the ninth digit, Mexico's with a 1.
    pub(crate) jid: String,
    /// The digits of its LID.
    pub(crate) lid: Option<String>,
    /// The name of a business that WhatsApp verified.
    pub(crate) name: Option<String>,
}

impl Listing {
    fn of(row: IsOnWhatsAppResult) -> Self {
        let jid = row.pn_jid.as_ref().unwrap_or(&row.jid);
        let lid = row.lid.as_ref().or(row.jid.is_lid().then_some(&row.jid));
        Self {
            at: UnixMillis::now(),
            jid: jid.to_non_ad_string(),
            lid: lid.map(|lid| lid.user.to_string()),
            name: row.verified_name.and_then(|verified| verified.name),
        }
    }

    /// What is known of a number without asking WhatsApp.
    pub(crate) async fn find(
        space: &Space,
        phone: &PhoneNumber,
    ) -> Result<Option<Self>, StoreError> {
        let Some(row) = space.get(listed_row(phone)).await? else { return Ok(None) };
        let listing: Self = serde_json::from_slice(&row)
            .map_err(|error| StoreError::Damaged(format!("a number: {error}")))?;
        Ok(listing.is_fresh(UnixMillis::now()).then_some(listing))
    }

    /// All numbers that are known to be there.
    pub(crate) async fn all(space: &Space) -> Result<Vec<(String, Self)>, StoreError> {
        let (mut all, now) = (Vec::new(), UnixMillis::now());
        for (key, row) in space.scan(LISTED).await? {
            let phone = key.strip_prefix(LISTED).map(String::from_utf8_lossy);
            let listing: Self = serde_json::from_slice(&row)
                .map_err(|error| StoreError::Damaged(format!("a number: {error}")))?;
            let phone = phone.filter(|_| listing.is_fresh(now));
            all.extend(phone.map(|phone| (phone.into_owned(), listing)));
        }
        Ok(all)
    }

    fn is_fresh(&self, now: UnixMillis) -> bool {
        now.since(self.at) < KEEP_LISTED
    }

    /// WhatsApp refused what went there: the number may belong to somebody else by now.
    pub(crate) async fn forget(space: &Space, phone: &PhoneNumber) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.remove(listed_row(phone));
        space.write(batch).await
    }
}

fn listed_row(phone: &PhoneNumber) -> Vec<u8> {
    [LISTED, phone.as_str().as_bytes()].concat()
}

/// Why it is not known whether a number is on WhatsApp. None of these means that it is not.
#[derive(Clone, Debug)]
pub(crate) enum Unknown {
    /// The connection was lost.
    Offline,
    /// WhatsApp refuses to say anything before that time.
    Paused(Instant),
    /// WhatsApp did not say it of this number, or the store failed.
    Unsaid(String),
}

impl From<StoreError> for Unknown {
    fn from(error: StoreError) -> Self {
        Self::Unsaid(error.to_string())
    }
}

impl From<Unknown> for WhatsAppError {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Offline => Self::NotConnected,
            Unknown::Paused(until) => {
                let left = until.saturating_duration_since(Instant::now());
                Self::TooFast(Some(UnixMillis::now().after(left)))
            }
            Unknown::Unsaid(why) => Self::Refused(why),
        }
    }
}

/// The number's listing, or `None` when WhatsApp says that the number is not there.
type Found = Result<Option<Listing>, Unknown>;

/// The lookups of one device: what is known is not asked, what is asked at the same time goes in one query, and while
/// WhatsApp refuses nothing is asked at all.
#[derive(Default)]
pub(crate) struct Directory {
    desk: Mutex<Desk>,
    /// Whoever holds it asks WhatsApp, for all who wait.
    turn: tokio::sync::Mutex<()>,
    /// When many numbers may be asked for again.
    many: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Desk {
    waiting: BTreeMap<PhoneNumber, Vec<oneshot::Sender<Found>>>,
    paused: Option<Instant>,
    pause: Duration,
}

impl Directory {
    pub(crate) async fn find(&self, space: &Space, client: &Client, phone: &PhoneNumber) -> Found {
        if let Some(listing) = Listing::find(space, phone).await? {
            return Ok(Some(listing));
        }
        self.open()?;
        let (answer, mut answered) = oneshot::channel();
        self.desk().waiting.entry(phone.clone()).or_default().push(answer);
        loop {
            let _turn = self.turn.lock().await;
            match answered.try_recv() {
                Ok(found) => return found,
                // Whoever asked for us was interrupted.
                Err(oneshot::error::TryRecvError::Closed) => return Err(Unknown::Offline),
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            self.open()?;
            tokio::time::sleep(GATHER).await;
            let mut batch = BTreeMap::new();
            while batch.len() < TOGETHER
                && let Some((phone, waiting)) = self.desk().waiting.pop_first()
            {
                batch.insert(phone, waiting);
            }
            self.ask(space, client, batch).await;
        }
    }

    /// Whoever holds it may ask WhatsApp about people; nobody may while WhatsApp refuses to answer.
    pub(crate) async fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Unknown> {
        self.open()?;
        let turn = self.turn.lock().await;
        self.open()?;
        Ok(turn)
    }

    /// What is known of many numbers, in their order; the rest of them goes in one question.
    pub(crate) async fn find_all(
        &self,
        space: &Space,
        client: &Client,
        phones: &[PhoneNumber],
    ) -> Result<Vec<Found>, StoreError> {
        let mut unknown = false;
        for phone in phones {
            unknown |= Listing::find(space, phone).await?.is_none();
        }
        if unknown && self.open().is_ok() {
            let mut next = self.many.lock().await;
            if let Some(at) = *next {
                tokio::time::sleep_until(at).await;
            }
            *next = Some(Instant::now() + BETWEEN_MANY);
        }
        let all = phones.iter().map(|phone| Box::pin(self.find(space, client, phone)));
        Ok(join_all(all).await)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<(), Unknown> {
        let paused = self.desk().paused.filter(|until| *until > Instant::now());
        paused.map_or(Ok(()), |until| Err(Unknown::Paused(until)))
    }

    async fn ask(
        &self,
        space: &Space,
        client: &Client,
        batch: BTreeMap<PhoneNumber, Vec<oneshot::Sender<Found>>>,
    ) {
        let mut rounds = vec![batch];
        while let Some(round) = rounds.pop() {
            let jids: Vec<Jid> = round.keys().map(|phone| Jid::pn(phone.as_str())).collect();
            let mut rows = match client.contacts().is_on_whatsapp(&jids).await {
                Ok(rows) => rows,
                Err(error) => {
                    let why = self.refused(&error);
                    let rest = std::mem::take(&mut self.desk().waiting);
                    for waiting in round.into_values().chain(rest.into_values()) {
                        answer_all(waiting, &Err(why.clone()));
                    }
                    continue;
                }
            };
            self.desk().pause = Duration::ZERO;
            let (alone, mut unsure) = (round.len() == 1, Vec::new());
            for (phone, waiting) in round {
                let own = |row: &IsOnWhatsAppResult| {
                    row.pn_jid.as_ref().unwrap_or(&row.jid).user.as_str() == phone.as_str()
                };
                match rows.iter().position(own).or((alone && !rows.is_empty()).then_some(0)) {
                    Some(at) => {
                        let found = keep(space, &phone, rows.swap_remove(at)).await;
                        answer_all(waiting, &found);
                    }
                    None => unsure.push((phone, waiting)),
                }
            }
            for (phone, waiting) in unsure {
                if alone || rows.is_empty() {
                    let why = "WhatsApp does not say whether this number is there";
                    answer_all(waiting, &Err(Unknown::Unsaid(why.to_owned())));
                } else {
                    // An answer under another number than any that was asked: which is whose is only clear one by one.
                    rounds.push(BTreeMap::from([(phone, waiting)]));
                }
            }
        }
    }

    /// WhatsApp said nothing: how long not to ask again.
    pub(crate) fn refused(&self, error: &ContactError) -> Unknown {
        let wished = match error {
            ContactError::Iq(IqError::ServerError { backoff, .. }) => *backoff,
            ContactError::Iq(IqError::Timeout | IqError::ParseError(_)) => None,
            ContactError::Iq(_) => return Unknown::Offline,
            error => return Unknown::Unsaid(error.to_string()),
        };
        let mut desk = self.desk();
        desk.pause = (desk.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        let wished = Duration::from_secs(wished.map_or(0, u64::from));
        let until = Instant::now() + desk.pause.max(wished);
        desk.paused = Some(until);
        tracing::warn!(%error, pause = ?desk.pause.max(wished), "WhatsApp does not say who is there; asking again later.");
        Unknown::Paused(until)
    }
}

async fn keep(space: &Space, phone: &PhoneNumber, row: IsOnWhatsAppResult) -> Found {
    if let Some(error) = &row.contact_error {
        return Err(Unknown::Unsaid(format!(
            "WhatsApp does not say whether it is there: {error:?}"
        )));
    }
    if !row.is_registered {
        return Ok(None);
    }
    let listing = Listing::of(row);
    let mut batch = Batch::new();
    match serde_json::to_vec(&listing) {
        Ok(json) => batch.put(listed_row(phone), json),
        Err(error) => tracing::error!(%error, "A number could not be serialised."),
    }
    space.write(batch).await?;
    Ok(Some(listing))
}

fn answer_all(waiting: Vec<oneshot::Sender<Found>>, found: &Found) {
    for answer in waiting {
        // Whoever went away needs no answer.
        drop(answer.send(found.clone()));
    }
}

/// Who wrote a message, under every address known.
pub(crate) async fn person(client: &Client, info: &MessageInfo) -> Person {
    let sender = &info.source.sender;
    let (lid, phone) = both(client, sender, info.source.sender_alt.as_ref()).await;
    Person {
        jid: sender.to_non_ad_string(),
        phone,
        lid,
        name: Some(info.push_name.clone()).filter(|name| !name.is_empty()),
    }
}

/// Those whom a message mentions.
pub(crate) async fn mentioned(client: &Client, mentions: &[String]) -> Vec<Person> {
    let mut people = Vec::with_capacity(mentions.len());
    for mention in mentions {
        let Ok(jid) = mention.parse::<Jid>() else { continue };
        let (lid, phone) = both(client, &jid, None).await;
        people.push(Person { jid: mention.clone(), phone, lid, name: None });
    }
    people
}

/// The conversation. People are shown by their number where it is known, because that is what an answer is sent to; and
/// what somebody writes to a list of theirs is a message from that person.
pub(crate) async fn chat(client: &Client, info: &MessageInfo) -> String {
    let source = &info.source;
    let listed = source.chat.is_broadcast_list() && !source.is_from_me;
    let chat = if listed { &source.sender } else { &source.chat };
    if !chat.is_lid() {
        return chat.to_non_ad_string();
    }
    let alt = if source.is_from_me {
        source.recipient_alt.as_ref().or(info.peer_recipient_pn.as_ref())
    } else {
        source.sender_alt.as_ref()
    };
    match both(client, chat, alt).await {
        (_, Some(phone)) => format!("{phone}@s.whatsapp.net"),
        _ => chat.to_non_ad_string(),
    }
}

/// What kind of conversation the engine's address names.
pub(crate) fn chat_kind(chat: &Jid) -> ChatKind {
    if chat.is_group() {
        ChatKind::Group
    } else if chat.is_status_broadcast() {
        ChatKind::Status
    } else if chat.is_broadcast_list() {
        ChatKind::Broadcast
    } else if chat.is_newsletter() {
        ChatKind::Channel
    } else {
        ChatKind::Person
    }
}

/// The LID and the phone number of a person, as far as known.
pub(crate) async fn both(
    client: &Client,
    jid: &Jid,
    alt: Option<&Jid>,
) -> (Option<String>, Option<String>) {
    let known = [Some(jid), alt];
    let user = |wanted: fn(&Jid) -> bool| {
        known.into_iter().flatten().find(|jid| wanted(jid)).map(|jid| jid.user.to_string())
    };
    let (lid, phone) = (user(Jid::is_lid), user(Jid::is_pn));
    if (lid.is_some() && phone.is_some()) || (lid.is_none() && phone.is_none()) {
        return (lid, phone);
    }
    // The engine looks in its memory and our store; it never asks WhatsApp.
    match client.get_lid_pn_entry(jid).await {
        Ok(Some(entry)) => (Some(entry.lid.to_string()), Some(entry.phone_number.to_string())),
        _ => (lid, phone),
    }
}

/// A person's addresses, LID first.
pub(crate) async fn addresses(client: &Client, jid: &Jid, alt: Option<&Jid>) -> Vec<String> {
    let (lid, phone) = both(client, jid, alt).await;
    let lid = lid.map(|lid| format!("{lid}@lid"));
    lid.into_iter().chain(phone.map(|phone| format!("{phone}@s.whatsapp.net"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_known_for_thirty_days() {
        let (at, days) = (UnixMillis::now(), |days: u64| Duration::from_hours(24 * days));
        let listing = Listing { at, jid: "628@s.whatsapp.net".to_owned(), lid: None, name: None };
        assert!(listing.is_fresh(at.after(days(29))) && !listing.is_fresh(at.after(days(30))));
    }

    #[test]
    fn pauses_double_to_a_quarter_of_an_hour_and_whatsapps_wish_counts() {
        let directory = Directory::default();
        let pause = |backoff| {
            let (code, text, error_type) = (429, "rate-overlimit".to_owned(), None);
            let error = ContactError::Iq(IqError::ServerError { code, text, error_type, backoff });
            let before = Instant::now();
            let Unknown::Paused(until) = directory.refused(&error) else { panic!("no pause") };
            assert!(matches!(directory.open(), Err(Unknown::Paused(at)) if at == until));
            (until - before).as_secs()
        };
        let pauses: Vec<u64> = (0..7).map(|_| pause(None)).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900]);
        assert_eq!((pause(Some(5)), pause(Some(3600))), (900, 3600));
        assert!(matches!(
            directory.refused(&ContactError::Iq(IqError::NotConnected)),
            Unknown::Offline
        ));
    }
}
