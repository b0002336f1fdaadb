//! Gives the messages of a device their turns: which may be begun, which takes the wire, and what the others are told of
//! when theirs comes. The last word is said just before a message is written, from what the store has counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::Instant;
use wa_rs::client::Client;

use super::failure::Failure;
use super::lanes::{Lane, Lanes};
use super::pace::{Past, Turn, typing};
use crate::config::Pace;
use crate::model::{ChatKind, Content, Jid, MessageId, Recipient, SentMessage, UnixMillis};
use crate::store::StoreError;
use crate::whatsapp::context::Context;
use crate::whatsapp::directory::Listing;
use crate::whatsapp::history::lookup::{acquaintances, writers};

/// When to look again while another message has the turn, whose end wakes sooner.
const TAKEN: Duration = Duration::from_mins(1);

/// The turns of one device; without a pace every message has one.
#[derive(Default)]
pub(crate) struct Turns {
    plan: Option<Plan>,
    /// Of the people who are written to: whether the account was never in touch with them.
    strangers: BTreeMap<Jid, bool>,
    /// The message that was begun and is not written.
    taken: Option<MessageId>,
    /// When each message was last held.
    held: BTreeMap<MessageId, Instant>,
}

struct Plan {
    pace: Pace,
    past: Past,
    /// The turn of a message to somebody known, and of one to a stranger.
    known: Turn,
    strange: Turn,
}

impl Turns {
    /// Reads what there is to know before messages are begun; `met` if somebody may be no stranger any more.
    pub(crate) async fn look(
        &mut self,
        context: &Context,
        lanes: &Lanes,
        met: bool,
    ) -> Result<(), StoreError> {
        let Some(pace) = *context.pace.borrow() else {
            self.plan = None;
            return Ok(());
        };
        if pace.new_chats_per_day.is_some() {
            self.ask_who(context, lanes, met).await?;
        }
        let past = past(context).await?;
        let (known, strange) = (past.turn(&pace, false), past.turn(&pace, true));
        self.plan = Some(Plan { pace, past, known, strange });
        Ok(())
    }

    async fn ask_who(
        &mut self,
        context: &Context,
        lanes: &Lanes,
        met: bool,
    ) -> Result<(), StoreError> {
        let people: BTreeMap<&Jid, &Recipient> = lanes
            .each()
            .filter(|lane| lane.chat.chat_kind() == ChatKind::Person)
            .map(|lane| (lane.chat, &lane.message.request.to))
            .collect();
        self.strangers.retain(|chat, _| people.contains_key(chat));
        let (mut chats, mut all) = (Vec::new(), Vec::new());
        for (chat, to) in people {
            if self.strangers.get(chat).is_none_or(|stranger| *stranger && met) {
                chats.push(chat);
                all.push(addresses(context, to).await?);
            }
        }
        if !chats.is_empty() {
            let told = context.store.queue().strangers(&context.name, all).await?;
            self.strangers.extend(chats.into_iter().cloned().zip(told));
        }
        Ok(())
    }

    /// Whether a message may be begun, or how long it must wait.
    pub(crate) fn may_go(&self, lane: &Lane<'_>) -> Result<(), Duration> {
        let Some(plan) = &self.plan else { return Ok(()) };
        if !lane.is_paced() {
            return Ok(());
        }
        if self.taken.is_some() {
            return Err(TAKEN);
        }
        let turn = if self.is_stranger(lane.chat) { plan.strange } else { plan.known };
        turn.waits_for.map_or(Ok(()), |_| Err(turn.at.since(plan.past.now())))
    }

    /// A message was begun. One with a file lets others go while that is fetched.
    pub(crate) fn begun(&mut self, message: &SentMessage, open: bool) {
        let content = &message.request.content;
        let file = matches!(content, Content::Media { .. });
        if self.plan.is_some() && !open && content.is_message() && !file {
            self.taken = Some(message.id.clone());
        }
    }

    /// It is not being written any more; who was `written` to is no stranger.
    pub(crate) fn ended(&mut self, id: &MessageId, chat: &Jid, written: bool) {
        self.taken.take_if(|taken| taken == id);
        if let Some(stranger) = self.strangers.get_mut(chat).filter(|_| written) {
            *stranger = false;
        }
    }

    /// It was too early for a message; whether it goes to a stranger is known better now.
    pub(crate) fn early(&mut self, chat: Jid, stranger: bool) {
        self.strangers.insert(chat, stranger);
    }

    /// Tells when the messages that wait will go, if nothing comes between.
    pub(crate) fn tell(&mut self, context: &Context, lanes: &Lanes) {
        let mut holds = BTreeMap::new();
        if let Some(Plan { pace, past, .. }) = &self.plan {
            for (id, turn) in self.forecast(pace, past, lanes) {
                holds.extend(turn.hold(past).map(|hold| (id.clone(), hold)));
            }
        }
        let now = Instant::now();
        self.held.retain(|id, _| lanes.has(id));
        self.held.extend(holds.keys().map(|id| (id.clone(), now)));
        context.holds.pace(holds);
    }

    /// Strangers may wait while others go on, so there are two rows of messages, and the one whose turn is sooner goes.
    fn forecast<'l>(
        &self,
        pace: &Pace,
        past: &Past,
        lanes: &'l Lanes,
    ) -> Vec<(&'l MessageId, Turn)> {
        let (mut past, mut turns) = (past.clone(), Vec::new());
        let (mut known, mut strange) = (VecDeque::new(), VecDeque::new());
        let mut written: BTreeSet<&Jid> = BTreeSet::new();
        let now = Instant::now();
        let free = |lane: &Lane<'_>| lane.is_paced() && lane.postponed.is_none_or(|at| at <= now);
        for lane in lanes.each().filter(free) {
            let stranger = self.is_stranger(lane.chat);
            if lane.flying {
                past.note(past.now(), stranger && !written.contains(lane.chat));
                written.insert(lane.chat);
            } else if stranger {
                strange.push_back(lane);
            } else {
                known.push_back(lane);
            }
        }
        loop {
            let next = |row: &VecDeque<Lane<'l>>, stranger: bool| {
                let lane = row.front()?;
                let stranger = stranger && !written.contains(lane.chat);
                Some((past.turn(pace, stranger), lane.place, stranger))
            };
            let turn = match (next(&known, false), next(&strange, true)) {
                (Some(a), Some(b)) if (b.0.at, b.1) < (a.0.at, a.1) => b,
                (Some(a), _) => a,
                (None, Some(b)) => b,
                (None, None) => return turns,
            };
            let (turn, place, stranger) = turn;
            let row = if known.front().is_some_and(|lane| lane.place == place) {
                &mut known
            } else {
                &mut strange
            };
            let Some(lane) = row.pop_front() else { return turns };
            past.note(turn.at, stranger);
            written.insert(lane.chat);
            turns.push((&lane.message.id, turn));
        }
    }

    /// For how long nothing but the connection held a message.
    pub(crate) fn free_for(&self, id: &MessageId) -> Duration {
        self.held.get(id).map_or(Duration::MAX, Instant::elapsed)
    }

    fn is_stranger(&self, chat: &Jid) -> bool {
        self.strangers.get(chat).copied().unwrap_or(false)
    }
}

/// Notes with whom the account was in touch before that was counted, if that was not done yet.
pub(crate) async fn remember(context: &Context) -> Result<(), StoreError> {
    let (store, name) = (&context.store, &context.name);
    if !store.queue().remembers(name).await? {
        let people = acquaintances(store, name).await?;
        store.queue().remember(name, people).await?;
    }
    if !store.queue().remembers_writers(name).await? {
        let people = writers(store, name).await?;
        store.queue().remember_writers(name, people).await?;
    }
    Ok(())
}

/// What the device sent lately.
pub(crate) async fn past(context: &Context) -> Result<Past, StoreError> {
    let tallies = context.store.queue().tallies(&context.name).await?;
    Ok(Past::new(&tallies, UnixMillis::now().time_of_day()))
}

/// All that is known of where a receiver is.
pub(crate) async fn addresses(
    context: &Context,
    to: &Recipient,
) -> Result<Vec<String>, StoreError> {
    let listing = match to {
        Recipient::Phone(phone) => {
            Listing::find(&context.store.space(&context.name), phone).await?
        }
        Recipient::Jid(_) => None,
    };
    Ok(addresses_by(to, listing))
}

/// The same, by what WhatsApp says of the receiver's number.
pub(crate) fn addresses_by(to: &Recipient, listing: Option<Listing>) -> Vec<String> {
    let mut addresses = vec![to.jid().user().to_owned()];
    if let Some(listing) = listing {
        addresses.extend(Jid::parse(&listing.jid).ok().map(|jid| jid.user().to_owned()));
        addresses.extend(listing.lid);
    }
    addresses
}

/// Takes the turn for a message that was never written. Nobody else writes until what is returned is dropped, which must
/// not be before the message is counted.
pub(crate) async fn take<'c>(
    context: &'c Arc<Context>,
    client: &Client,
    to: &wa_rs::Jid,
    row: &SentMessage,
    addresses: &[String],
) -> Result<Option<MutexGuard<'c, ()>>, Failure> {
    if context.pace.borrow().is_none() {
        return Ok(None);
    }
    let wire = context.wire.lock().await;
    // While this waited it may have become another one.
    let Some(pace) = *context.pace.borrow() else { return Ok(None) };
    let person = row.request.to.jid().chat_kind() == ChatKind::Person;
    let told = context.store.queue().strangers(&context.name, vec![addresses.to_vec()]).await?;
    let stranger = person && told.first().is_some_and(|stranger| *stranger);
    if past(context).await?.turn(&pace, stranger).waits_for.is_some() {
        return Err(Failure::Early { stranger });
    }
    let asked = row.request.typing.is_some();
    if let Some(moment) = typing(&row.request.content).filter(|_| pace.typing && !asked) {
        show_typing(context, client, to, moment).await;
    }
    Ok(Some(wire))
}

/// Shows "typing…" in a chat for so long.
pub(crate) async fn show_typing(
    context: &Context,
    client: &Client,
    to: &wa_rs::Jid,
    moment: Duration,
) {
    if let Err(error) = client.chatstate().send_composing(to).await {
        tracing::debug!(device = %context.name, %error, "\"typing…\" was not shown.");
    }
    tokio::time::sleep(moment).await;
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Next;
    use super::*;
    use crate::config::Gap;
    use crate::model::{DeviceName, SendRequest};
    use crate::store::Tallies;

    #[test]
    fn a_forecast_lets_others_pass_a_stranger_and_counts_nobody_who_waits_for_something_else() {
        let (mut lanes, mut turns) = (Lanes::default(), Turns::default());
        let message = |to: &str| {
            let request = SendRequest::plain(
                Recipient::parse(to, None).unwrap(),
                Content::Text { text: "halo".to_owned() },
            );
            SentMessage::new(DeviceName::parse("toko").unwrap(), request)
        };
        let rows = ["628111", "628222", "628222", "628333", "628333"];
        let rows = rows.map(|user| message(&format!("{user}0000")));
        let [locked, strange, follows, first, second] = &rows;
        lanes.add(1, locked.clone());
        let Next::Send(_) = lanes.next(Instant::now(), |_| Ok(())) else { panic!("it is free") };
        lanes.postponed(&locked.id, Instant::now() + Duration::from_hours(1));
        for (place, row) in (2..).zip(&rows[1..]) {
            lanes.add(place, row.clone());
        }
        turns.strangers.insert(strange.request.to.jid(), true);

        let now = UnixMillis::from_secs(1_795_420_800);
        let mut past = Past::new(&Tallies { now, ..Tallies::default() }, Duration::ZERO);
        past.note(now, true);
        let ten = Duration::from_secs(10);
        let gap = Gap::Between { least: ten, most: ten };
        let pace = Pace { new_chats_per_day: Some(1), ..Pace::spread(gap) };
        let told = turns.forecast(&pace, &past, &lanes);
        let order: Vec<_> = told.iter().map(|(id, _)| *id).collect();
        assert_eq!(order, [&first.id, &second.id, &strange.id, &follows.id]);
        let waits: Vec<_> = told.iter().map(|(_, turn)| turn.at.since(now)).collect();
        assert_eq!(waits[..2], [ten, ten * 2]);
        assert!(waits[2] >= Duration::from_hours(24), "{waits:?}");
        assert_eq!(waits[3], waits[2] + ten, "it is no first message any more");
    }
}
