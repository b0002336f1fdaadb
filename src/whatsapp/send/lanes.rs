//! Which message of a device goes next. A chat is a lane: its messages leave in the order they were queued, and the
//! next one only when WhatsApp has said that it has the one before. What was written to a connection that ended is written again,
//! under its id, to the next one. Pure: the queue on disk, the connection and the clock are the caller's. What is done for
//! one message looks at no other that waits behind one of its chat, so it costs the same however many wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Jid, MessageId, MessageStatus, SentMessage};

/// How long WhatsApp may take to say that it has a message, on a connection that lives.
pub(crate) const ACK_PATIENCE: Duration = Duration::from_secs(30);
/// How often WhatsApp may keep silent about a message before those behind it no longer wait for it.
const SWALLOWED: u32 = 3;
/// The wait after a try that failed, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The wait after a try that the connection did not allow.
const OFFLINE_PAUSE: Duration = Duration::from_secs(1);

/// The messages of one device that WhatsApp does not have yet, as far as they were read from the store.
#[derive(Default)]
pub(crate) struct Lanes {
    waiting: BTreeMap<u64, Waiting>,
    places: BTreeMap<MessageId, u64>,
    chats: BTreeMap<Jid, Chat>,
    /// The next message of each chat that has one which is not on its way.
    next: BTreeSet<u64>,
    /// What waits for its ack, and since when.
    unacked: BTreeSet<(Instant, u64)>,
    flying: usize,
}

/// The messages of one chat.
#[derive(Default)]
struct Chat {
    places: BTreeSet<u64>,
    /// Its one in `Lanes::next`.
    next: Option<u64>,
}

struct Waiting {
    message: SentMessage,
    chat: Jid,
    stage: Stage,
    /// Tries that WhatsApp or the message itself made fail.
    failed: u32,
    /// How often it was written and WhatsApp kept silent for `ACK_PATIENCE`.
    swallowed: u32,
    /// Whether it was written to a connection: then only WhatsApp can say that it will not arrive.
    open: bool,
    /// Whether WhatsApp said that it has it; `settled` says that the disk knows that too.
    acked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It waits for its turn, not before that time.
    Idle(Option<Instant>),
    /// It is being built and written.
    Flying,
    /// It was written then, and WhatsApp has not said that it has it.
    Unacked(Instant),
}

/// What may go now.
#[derive(Debug)]
pub(crate) enum Next {
    /// This message. It flies until `written` or `failed` says otherwise.
    Send(Box<SentMessage>),
    /// Nothing before that time, or before something changes.
    Nothing(Option<Instant>),
}

/// A message as `may_go` is asked about it.
pub(crate) struct Lane<'l> {
    pub(crate) place: u64,
    pub(crate) chat: &'l Jid,
    pub(crate) message: &'l SentMessage,
    /// Whether it was written to some connection.
    pub(crate) open: bool,
    pub(crate) flying: bool,
    /// Until when something else than its turn holds it.
    pub(crate) postponed: Option<Instant>,
}

impl Lane<'_> {
    /// Whether it must wait for its turn: what was written once has had it, and a read receipt is no message.
    pub(crate) fn is_paced(&self) -> bool {
        !self.open && self.message.request.content.is_message()
    }
}

/// WhatsApp said nothing about a message that was written to it.
#[derive(Debug, PartialEq)]
pub(crate) struct Silence {
    pub(crate) message: SentMessage,
    /// Whether it is the first time with this message.
    pub(crate) first: bool,
}

impl Waiting {
    fn lane(&self, place: u64) -> Lane<'_> {
        let (flying, postponed) = match self.stage {
            Stage::Idle(postponed) => (false, postponed),
            stage => (stage == Stage::Flying, None),
        };
        let (chat, message) = (&self.chat, &self.message);
        Lane { place, chat, message, open: self.open, flying, postponed }
    }

    fn not_before(&self) -> Option<Instant> {
        if let Stage::Idle(not_before) = self.stage { not_before } else { None }
    }

    /// Whether those behind it no longer wait for it.
    fn is_passed(&self) -> bool {
        match self.stage {
            // It goes again, and before those behind it.
            Stage::Idle(_) => false,
            Stage::Flying => self.acked,
            Stage::Unacked(_) => self.acked || self.swallowed >= SWALLOWED,
        }
    }
}

impl Lanes {
    /// Takes a message read from the store; one that is known already stays as it is.
    pub(crate) fn add(&mut self, place: u64, message: SentMessage) {
        if self.waiting.contains_key(&place) {
            return;
        }
        self.places.insert(message.id.clone(), place);
        let chat = message.request.to.jid();
        let waiting = Waiting {
            chat: chat.clone(),
            open: message.status != MessageStatus::Queued,
            message,
            stage: Stage::Idle(None),
            failed: 0,
            swallowed: 0,
            acked: false,
        };
        self.waiting.insert(place, waiting);
        self.chats.entry(chat.clone()).or_default().places.insert(place);
        self.look(&chat);
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many are being written.
    pub(crate) fn flying(&self) -> usize {
        self.flying
    }

    /// All that are known, oldest first.
    pub(crate) fn each(&self) -> impl Iterator<Item = Lane<'_>> {
        self.waiting.iter().map(|(place, waiting)| waiting.lane(*place))
    }

    pub(crate) fn has(&self, id: &MessageId) -> bool {
        self.places.contains_key(id)
    }

    /// The oldest message whose chat is free and that may go. One that may not yet says how long it waits; those of
    /// other chats may go before it.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        may_go: impl Fn(&Lane<'_>) -> Result<(), Duration>,
    ) -> Next {
        let mut wake: Option<Instant> = None;
        let mut found = None;
        for place in &self.next {
            let Some(waiting) = self.waiting.get(place) else { continue };
            let at = waiting.not_before().filter(|at| *at > now);
            let turn = || may_go(&waiting.lane(*place)).err().map(|pause| now + pause);
            let Some(at) = at.or_else(turn) else {
                found = Some(*place);
                break;
            };
            wake = Some(wake.map_or(at, |wake| wake.min(at)));
        }
        let begin = |waiting: &mut Waiting| {
            waiting.stage = Stage::Flying;
            waiting.message.clone()
        };
        match found.and_then(|place| self.change(place, begin)) {
            Some(message) => Next::Send(Box::new(message)),
            None => Next::Nothing(wake),
        }
    }

    /// It was written to a connection that still lives.
    pub(crate) fn written(&mut self, id: &MessageId, now: Instant) {
        self.land(id, |waiting| {
            waiting.open = true;
            Stage::Unacked(now)
        });
    }

    /// It may or may not have been written before its connection went away.
    pub(crate) fn cut_off(&mut self, id: &MessageId, now: Instant, written: bool) {
        self.land(id, |waiting| {
            waiting.open |= written;
            Stage::Idle(Some(now + OFFLINE_PAUSE))
        });
    }

    /// It cannot go before that time, which is not its own fault.
    pub(crate) fn postponed(&mut self, id: &MessageId, until: Instant) {
        self.land(id, |_| Stage::Idle(Some(until)));
    }

    /// What was postponed need not wait any longer.
    pub(crate) fn hasten(&mut self, ids: &BTreeSet<MessageId>) {
        for id in ids {
            let Some(place) = self.places.get(id).copied() else { continue };
            self.change(place, |waiting| {
                if matches!(waiting.stage, Stage::Idle(_)) {
                    waiting.stage = Stage::Idle(None);
                }
            });
        }
    }

    /// A try failed for a reason that may pass.
    pub(crate) fn failed(&mut self, id: &MessageId, now: Instant, written: bool) {
        self.land(id, |waiting| {
            waiting.open |= written;
            let pause = FIRST_PAUSE.saturating_mul(1 << waiting.failed.min(10)).min(LONGEST_PAUSE);
            waiting.failed += 1;
            Stage::Idle(Some(now + pause))
        });
    }

    /// How many tries failed.
    pub(crate) fn tries(&self, id: &MessageId) -> u32 {
        let waiting = self.places.get(id).and_then(|place| self.waiting.get(place));
        waiting.map_or(0, |waiting| waiting.failed)
    }

    /// Whether it was written to some connection, so that only WhatsApp can say that it will not arrive.
    pub(crate) fn is_open(&self, id: &MessageId) -> bool {
        let waiting = self.places.get(id).and_then(|place| self.waiting.get(place));
        waiting.is_some_and(|waiting| waiting.open)
    }

    /// WhatsApp said that it has it, and the disk does not know that yet: those behind it need not wait so long. A crash in
    /// between sends it again, under its id and before them.
    pub(crate) fn acked(&mut self, id: &MessageId) {
        if let Some(place) = self.places.get(id).copied() {
            self.change(place, |waiting| waiting.acked = true);
        }
    }

    /// Its fate is known, also to the disk: WhatsApp has it, or it will not be sent.
    pub(crate) fn settled(&mut self, id: &MessageId) {
        let Some(place) = self.places.remove(id) else { return };
        self.change(place, |waiting| waiting.stage = Stage::Idle(None));
        let Some(waiting) = self.waiting.remove(&place) else { return };
        if let Some(chat) = self.chats.get_mut(&waiting.chat) {
            chat.places.remove(&place);
        }
        self.look(&waiting.chat);
    }

    /// The connection is gone: what it was given without an answer goes again with the next one.
    pub(crate) fn disconnected(&mut self) {
        for (_, place) in std::mem::take(&mut self.unacked) {
            self.change(place, |waiting| waiting.stage = Stage::Idle(None));
        }
    }

    /// What WhatsApp kept silent about for too long; each silence counts once. Then the time of the next one.
    pub(crate) fn overdue(&mut self, now: Instant) -> (Vec<Silence>, Option<Instant>) {
        let mut silent = Vec::new();
        let due = |unacked: &BTreeSet<(Instant, u64)>| {
            unacked.first().map(|(since, place)| (*since + ACK_PATIENCE, *place))
        };
        while let Some((_, place)) = due(&self.unacked).filter(|(due, _)| *due <= now) {
            silent.extend(self.change(place, |waiting| {
                waiting.swallowed += 1;
                waiting.stage = Stage::Unacked(now);
                Silence { message: waiting.message.clone(), first: waiting.swallowed == 1 }
            }));
        }
        (silent, due(&self.unacked).map(|(due, _)| due))
    }

    /// Forgets what is settled.
    pub(crate) fn keep(&mut self, there: impl Fn(&MessageId) -> bool) {
        let gone: Vec<_> = self.places.keys().filter(|id| !there(id)).cloned().collect();
        for id in &gone {
            self.settled(id);
        }
    }

    fn land(&mut self, id: &MessageId, stage: impl FnOnce(&mut Waiting) -> Stage) {
        let Some(place) = self.places.get(id).copied() else { return };
        self.change(place, |waiting| {
            if waiting.stage == Stage::Flying {
                waiting.stage = stage(waiting);
            }
        });
    }

    /// Changes a message, and notes everything that follows from its stage.
    fn change<T>(&mut self, place: u64, change: impl FnOnce(&mut Waiting) -> T) -> Option<T> {
        let waiting = self.waiting.get_mut(&place)?;
        match waiting.stage {
            Stage::Flying => self.flying = self.flying.saturating_sub(1),
            Stage::Unacked(since) => drop(self.unacked.remove(&(since, place))),
            Stage::Idle(_) => {}
        }
        let outcome = change(waiting);
        match waiting.stage {
            Stage::Flying => self.flying += 1,
            Stage::Unacked(since) => drop(self.unacked.insert((since, place))),
            Stage::Idle(_) => {}
        }
        let chat = waiting.chat.clone();
        self.look(&chat);
        Some(outcome)
    }

    /// Finds the message of a chat that is next: the first one, but for those that WhatsApp has or swallowed.
    fn look(&mut self, chat: &Jid) {
        let Some(own) = self.chats.get_mut(chat) else { return };
        let mut there =
            own.places.iter().filter_map(|place| Some((*place, self.waiting.get(place)?)));
        let first = there.find(|(_, waiting)| !waiting.is_passed());
        let next = first.filter(|(_, waiting)| matches!(waiting.stage, Stage::Idle(_)));
        let next = next.map(|(place, _)| place);
        if let Some(before) = std::mem::replace(&mut own.next, next) {
            self.next.remove(&before);
        }
        self.next.extend(next);
        if own.places.is_empty() {
            self.chats.remove(chat);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Content, DeviceName, Recipient, SendRequest};

    fn message(chat: u8, status: MessageStatus) -> SentMessage {
        let to = Recipient::parse(&format!("62812345678{chat}"), None).unwrap();
        let request = SendRequest::plain(to, Content::Text { text: "halo".to_owned() });
        SentMessage { status, ..SentMessage::new(DeviceName::parse("toko").unwrap(), request) }
    }

    const FREE: fn(&Lane<'_>) -> Result<(), Duration> = |_| Ok(());

    fn send(lanes: &mut Lanes, now: Instant) -> Option<MessageId> {
        match lanes.next(now, FREE) {
            Next::Send(message) => Some(message.id),
            Next::Nothing(_) => None,
        }
    }

    #[test]
    fn a_chat_waits_for_its_ack_and_others_do_not_wait_for_it() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let rows: Vec<_> = [1, 1, 2].map(|chat| message(chat, MessageStatus::Queued)).into();
        for (place, row) in (1..).zip(&rows) {
            lanes.add(place, row.clone());
        }
        let id = |at: usize| rows[at].id.clone();
        assert_eq!(send(&mut lanes, now), Some(id(0)));
        assert_eq!(send(&mut lanes, now), Some(id(2)), "the other chat");
        lanes.written(&id(0), now);
        assert_eq!(send(&mut lanes, now), None, "WhatsApp does not have it yet");
        lanes.settled(&id(0));
        assert_eq!(send(&mut lanes, now), Some(id(1)));
    }

    #[test]
    fn those_behind_a_message_do_not_wait_until_the_disk_knows_of_its_ack() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let rows: Vec<_> = [1, 1, 1].map(|chat| message(chat, MessageStatus::Queued)).into();
        for (place, row) in (1..).zip(&rows) {
            lanes.add(place, row.clone());
        }
        let id = |at: usize| rows[at].id.clone();
        // The ack of the first comes before it has landed, that of the second after.
        assert_eq!(send(&mut lanes, now), Some(id(0)));
        lanes.acked(&id(0));
        assert_eq!(send(&mut lanes, now), Some(id(1)));
        lanes.written(&id(1), now);
        assert_eq!(send(&mut lanes, now), None);
        lanes.acked(&id(1));
        assert_eq!(send(&mut lanes, now), Some(id(2)));
        // What the disk does not know when the connection ends goes again, in its order.
        lanes.written(&id(0), now);
        lanes.written(&id(2), now);
        lanes.disconnected();
        assert_eq!(send(&mut lanes, now), Some(id(0)));
        lanes.settled(&id(0));
        assert_eq!(send(&mut lanes, now), Some(id(1)));
    }

    #[test]
    fn what_was_written_to_a_lost_connection_goes_again_first() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let (first, second) =
            (message(1, MessageStatus::Queued), message(1, MessageStatus::Queued));
        lanes.add(1, first.clone());
        lanes.add(2, second);
        assert_eq!(send(&mut lanes, now), Some(first.id.clone()));
        lanes.written(&first.id, now);
        assert!(lanes.is_open(&first.id));
        lanes.disconnected();
        assert_eq!(send(&mut lanes, now), Some(first.id.clone()));
    }

    #[test]
    fn silence_counts_once_and_a_swallowed_message_lets_others_pass_at_last() {
        let (mut lanes, mut now) = (Lanes::default(), Instant::now());
        let (first, second) =
            (message(1, MessageStatus::Queued), message(1, MessageStatus::Queued));
        lanes.add(1, first.clone());
        lanes.add(2, second.clone());
        for round in 0..SWALLOWED {
            assert_eq!(send(&mut lanes, now), Some(first.id.clone()));
            lanes.written(&first.id, now);
            assert_eq!(lanes.overdue(now), (Vec::new(), Some(now + ACK_PATIENCE)));
            now += ACK_PATIENCE;
            let silent = lanes.overdue(now).0;
            assert_eq!(silent.len(), 1);
            assert_eq!(silent[0].first, round == 0);
            assert!(lanes.overdue(now).0.is_empty());
            lanes.disconnected();
        }
        assert_eq!(send(&mut lanes, now), Some(first.id.clone()), "it goes again all the same");
        lanes.written(&first.id, now);
        assert_eq!(send(&mut lanes, now), Some(second.id));
    }

    #[test]
    fn a_failed_try_waits_longer_each_time_and_holds_its_chat() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let (first, second) =
            (message(1, MessageStatus::Queued), message(1, MessageStatus::Queued));
        lanes.add(1, first.clone());
        lanes.add(2, second);
        let mut last = Duration::ZERO;
        for tries in 1..12 {
            let then = now + last;
            assert_eq!(send(&mut lanes, then), Some(first.id.clone()));
            lanes.failed(&first.id, then, false);
            assert_eq!(lanes.tries(&first.id), tries);
            let Next::Nothing(Some(wake)) = lanes.next(then, FREE) else { panic!("too early") };
            assert!(wake - then >= FIRST_PAUSE && wake - then <= LONGEST_PAUSE);
            last = wake - now;
        }
        assert!(!lanes.is_open(&first.id));
    }

    #[test]
    fn what_must_wait_goes_at_its_time_and_has_not_failed() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let row = message(1, MessageStatus::Queued);
        lanes.add(1, row.clone());
        assert_eq!(send(&mut lanes, now), Some(row.id.clone()));
        let then = now + Duration::from_mins(15);
        lanes.postponed(&row.id, then);
        assert!(matches!(lanes.next(now, FREE), Next::Nothing(Some(wake)) if wake == then));
        assert_eq!((lanes.tries(&row.id), lanes.flying()), (0, 0));
        assert_eq!(send(&mut lanes, then), Some(row.id));
    }

    #[test]
    fn what_may_not_go_yet_holds_its_chat_and_no_other() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        assert!(matches!(lanes.next(now, |_| panic!("nothing is there")), Next::Nothing(None)));
        let rows: Vec<_> = [1, 1, 2].map(|chat| message(chat, MessageStatus::Queued)).into();
        for (place, row) in (1..).zip(&rows) {
            lanes.add(place, row.clone());
        }
        let slow = |lane: &Lane<'_>| match lane.place {
            1 => Err(Duration::from_secs(7)),
            2 => panic!("it comes after the first"),
            _ => Ok(()),
        };
        let Next::Send(sent) = lanes.next(now, slow) else { panic!("nothing goes") };
        assert_eq!(sent.id, rows[2].id);
        let Next::Nothing(Some(wake)) = lanes.next(now, slow) else { panic!("too early") };
        assert_eq!(wake, now + Duration::from_secs(7));
        assert_eq!(lanes.flying(), 1);
    }

    #[test]
    fn a_send_looks_at_one_message_of_each_chat_however_many_wait() {
        for length in [10, 1_000, 10_000] {
            let (mut lanes, now) = (Lanes::default(), Instant::now());
            for place in 1..=length {
                lanes.add(place, message(u8::try_from(place % 3).unwrap(), MessageStatus::Queued));
            }
            for _round in 0..9 {
                // All that `next` can look at.
                assert!(lanes.next.len() <= 3 && lanes.unacked.is_empty());
                let sent: Vec<_> = std::iter::from_fn(|| send(&mut lanes, now)).collect();
                assert_eq!((lanes.next.len(), lanes.flying()), (0, sent.len()));
                assert!(sent.len() == 3 || length == 10, "all chats go on");
                for id in &sent {
                    lanes.written(id, now);
                }
                // All that `overdue` can look at.
                assert_eq!((lanes.unacked.len(), lanes.flying()), (sent.len(), 0));
                for id in &sent {
                    lanes.settled(id);
                }
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Queue(u8),
        Send,
        Land(bool),
        Ack(usize),
        Settle(usize),
        Drop,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3_u8).prop_map(Step::Queue),
            Just(Step::Send),
            any::<bool>().prop_map(Step::Land),
            (0..8_usize).prop_map(Step::Ack),
            (0..8_usize).prop_map(Step::Settle),
            Just(Step::Drop),
        ]
    }

    proptest! {
        /// Whatever happens, a message of a chat is handed out only when WhatsApp has all that were queued before it.
        #[test]
        fn the_order_of_a_chat_holds(steps in proptest::collection::vec(step(), 1..200)) {
            let (mut lanes, mut now, mut place) = (Lanes::default(), Instant::now(), 0);
            let mut chats: BTreeMap<Jid, Vec<MessageId>> = BTreeMap::new();
            let (mut acked, mut settled) = (BTreeSet::new(), BTreeSet::new());
            let (mut flying, mut written) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Queue(chat) => {
                        place += 1;
                        let row = message(chat, MessageStatus::Queued);
                        chats.entry(row.request.to.jid()).or_default().push(row.id.clone());
                        lanes.add(place, row);
                    }
                    Step::Send => {
                        now += Duration::from_mins(6);
                        if let Next::Send(row) = lanes.next(now, FREE) {
                            let chat = &chats[&row.request.to.jid()];
                            let before = chat.iter().take_while(|id| **id != row.id);
                            prop_assert!(before.into_iter().all(|id| acked.contains(id)));
                            prop_assert!(!flying.contains(&row.id) && !settled.contains(&row.id));
                            flying.push(row.id);
                        }
                    }
                    Step::Land(well) => if let Some(id) = flying.pop() {
                        if well {
                            lanes.written(&id, now);
                            written.push(id);
                        } else {
                            lanes.failed(&id, now, false);
                        }
                    },
                    // Of what is still being written there may be one too.
                    Step::Ack(at) => if let Some(id) = written.iter().chain(&flying).nth(at) {
                        lanes.acked(id);
                        acked.insert(id.clone());
                    },
                    Step::Settle(at) => if at < written.len() {
                        let id = written.swap_remove(at);
                        lanes.settled(&id);
                        acked.insert(id.clone());
                        settled.insert(id);
                    },
                    Step::Drop => {
                        lanes.disconnected();
                        // An ack of what was written may still come: the server had it.
                    }
                }
                prop_assert_eq!(lanes.flying(), flying.len());
                // What was written and goes again is with the engine, not with WhatsApp.
                written.retain(|id| !flying.contains(id));
            }
        }
    }
}
