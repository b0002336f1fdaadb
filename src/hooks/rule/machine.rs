//! Asks the rules of one device about each message in its log, in order, and is the only owner of how far that got.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::answer::{Whose, answers};
use super::handed::Handovers;
use super::judge::{Asked, Why, concerns, judge, remember};
use crate::config::RuleConfig;
use crate::hooks::profile;
use crate::model::{DeviceName, EventType, MessageData, UnixMillis};
use crate::store::{EndpointId, RuleState, Seq, Step, Stepped, Store, StoreError, StoredEvent};

/// How many events are held in memory.
const PAGE: usize = 64;
/// After how many events that are no messages the place is saved.
const LAZY: u64 = 64;
/// The wait after the store failed, or while the send queue is full.
const PAUSE: Duration = Duration::from_secs(5);

/// The rules of a device, and what they say of it.
#[derive(PartialEq, Eq)]
pub(super) struct RuleSet {
    pub(super) label: String,
    pub(super) rules: Vec<RuleConfig>,
    /// The webhooks that rules hand messages to, by the rules' places.
    pub(super) webhooks: BTreeMap<usize, EndpointId>,
}

/// Everything that may wake the machine.
pub(super) struct Inputs {
    pub(super) config: watch::Receiver<Arc<RuleSet>>,
    pub(super) tail: watch::Receiver<Seq>,
    pub(super) stop: CancellationToken,
}

/// Whom the machine tells what it does.
pub(super) struct Outputs {
    pub(super) shown: watch::Sender<RuleState>,
    /// Whoever looks at the rules of any device.
    pub(super) news: watch::Sender<()>,
    pub(super) handovers: Handovers,
}

pub(super) struct Machine {
    device: DeviceName,
    store: Store,
    state: RuleState,
    /// Up to here nothing is left to do.
    acked: Seq,
    set: Arc<RuleSet>,
    inputs: Inputs,
    outputs: Outputs,
    /// Events that were passed since the place was saved, and whether one of them was a message.
    unsaved: u64,
    owed: bool,
    /// The send queue was full when it was asked last.
    full: bool,
    /// Every wait is multiplied by this; it is 1 except in tests.
    scale: f64,
}

impl Machine {
    pub(super) fn new(
        device: DeviceName,
        (state, acked): (RuleState, Seq),
        mut inputs: Inputs,
        (store, scale): (Store, f64),
        outputs: Outputs,
    ) -> Self {
        let set = inputs.config.borrow_and_update().clone();
        outputs.handovers.hand(&device, !set.webhooks.is_empty());
        Self {
            device,
            store,
            state,
            acked,
            set,
            inputs,
            outputs,
            unsaved: 0,
            owed: false,
            full: false,
            scale,
        }
    }

    /// Answers until told to stop.
    pub(super) async fn run(mut self) {
        while !self.inputs.stop.is_cancelled() {
            if let Err(error) = self.advance().await {
                if let Some(error) = error {
                    tracing::warn!(device = %self.device, %error, "The rules must wait.");
                }
                let pause = PAUSE.mul_f64(self.scale);
                select! {
                    () = self.inputs.stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
        if self.unsaved > 0
            && let Err(error) = self.save().await
        {
            tracing::warn!(device = %self.device, %error, "How far the rules got could not be saved.");
        }
    }

    /// Asks about a page of events, or waits until there is one. An error without a reason means that the send queue is
    /// full.
    async fn advance(&mut self) -> Result<(), Option<StoreError>> {
        // The tail is marked as seen before the log is read, so an event appended in between wakes it.
        let tail = *self.inputs.tail.borrow_and_update();
        let set = self.inputs.config.borrow_and_update().clone();
        if !Arc::ptr_eq(&set, &self.set) {
            // Not before: the webhooks may wait already for those that are about to come.
            self.outputs.handovers.hand(&self.device, !set.webhooks.is_empty());
            self.set = set;
        }
        if tail <= self.acked {
            if self.owed || self.unsaved >= LAZY {
                self.save().await?;
            }
            let Inputs { config, tail, stop } = &mut self.inputs;
            select! {
                biased;
                () = stop.cancelled() => {}
                Ok(()) = config.changed() => {}
                Ok(()) = tail.changed() => {}
            }
            return Ok(());
        }
        let page = self.store.log().read_after(&self.device, self.acked, PAGE).await?;
        if page.dropped > 0 {
            self.pass(Seq(self.acked.0.saturating_add(page.dropped)));
        }
        for event in page.events {
            let changed = self.inputs.config.has_changed().unwrap_or(false);
            if changed || self.inputs.stop.is_cancelled() {
                break;
            }
            if self.ask(&event).await? == Stepped::Full {
                return Err(None);
            }
        }
        Ok(())
    }

    /// Asks the rules about one event, and does what they say.
    async fn ask(&mut self, event: &StoredEvent) -> Result<Stepped, StoreError> {
        if event.kind != EventType::MessageReceived {
            self.pass(event.seq);
            return Ok(Stepped::Done);
        }
        let set = Arc::clone(&self.set);
        let rules = &set.rules[..];
        let read = profile::message(&event.body).map(|(_, message)| message);
        let Some(message) = read else {
            self.pass(event.seq);
            return Ok(Stepped::Done);
        };
        let asked = Asked { message: &message, at: event.at, now: UnixMillis::now() };
        if !concerns(rules, asked) {
            self.pass(event.seq);
            self.owed = true;
            return Ok(Stepped::Done);
        }
        let (queue, chat) = (self.store.queue(), chat_of(&message));
        let mut memory = queue.chat_memory(&self.device, &chat).await?;
        let verdicts = judge(rules, asked, &memory);
        let mut state = self.state.clone();
        let acting = || {
            rules.iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_ok()).map(|(rule, _)| rule)
        };
        note(&mut state, rules, &verdicts, asked.now);
        state.acked = Some(event.seq);
        remember(&mut memory, rules, &verdicts, event.at);
        let whose = Whose { device: &self.device, label: &set.label };
        let answers = answers(whose, &event.id, asked, acting());
        let handed: BTreeSet<EndpointId> =
            acting().filter_map(|rule| set.webhooks.get(&rule.n).cloned()).collect();
        if !handed.is_empty() {
            let dropped = *self.store.log().dropped(&self.device).borrow();
            state.handed.retain(|_, newest| *newest > dropped);
            state.handed.extend(handed.iter().map(|endpoint| (endpoint.clone(), event.seq)));
        }
        let step = Step {
            event: event.id.clone(),
            seq: event.seq,
            state: state.clone(),
            memory: Some((chat, memory)),
            answers,
            handed: handed.clone(),
        };
        let stepped = queue.step(&self.device, step).await?;
        match stepped {
            Stepped::Done => {
                self.count(rules, &verdicts);
                self.state = state;
                self.acked = event.seq;
                self.outputs.handovers.judged(&self.device, event.seq, &handed);
                (self.unsaved, self.owed) = (0, false);
                self.outputs.shown.send_replace(self.state.clone());
                self.outputs.news.send_replace(());
            }
            Stepped::NotOurs => self.pass(event.seq),
            Stepped::Full if !self.full => {
                tracing::warn!(device = %self.device, "The rules wait: the send queue is full.");
            }
            Stepped::Full => {}
        }
        self.full = stepped == Stepped::Full;
        Ok(stepped)
    }

    /// Nothing follows from the events up to here.
    fn pass(&mut self, seq: Seq) {
        self.acked = seq;
        self.outputs.handovers.judged(&self.device, seq, []);
        self.unsaved += 1;
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        self.state.acked = Some(self.acked);
        self.store.queue().save_rules(&self.device, &self.state).await?;
        (self.unsaved, self.owed) = (0, false);
        Ok(())
    }

    fn count(&self, rules: &[RuleConfig], verdicts: &[Result<(), Why>]) {
        for (rule, verdict) in rules.iter().zip(verdicts) {
            let labels = [("device", self.device.to_string()), ("rule", rule.name.clone())];
            match verdict {
                Ok(()) => metrics::counter!("moonwa_rule_hits_total", &labels).increment(1),
                Err(why) if why.is_restraint() => {
                    metrics::counter!("moonwa_rule_skipped_total", &labels).increment(1);
                }
                Err(_) => {}
            }
        }
    }
}

/// Counts what the rules did. Those that are gone are forgotten.
fn note(
    state: &mut RuleState,
    rules: &[RuleConfig],
    verdicts: &[Result<(), Why>],
    now: UnixMillis,
) {
    state.rules.retain(|name, _| rules.iter().any(|rule| rule.name == *name));
    for (rule, verdict) in rules.iter().zip(verdicts) {
        match verdict {
            Ok(()) => {
                let count = state.rules.entry(rule.name.clone()).or_default();
                count.hits = count.hits.saturating_add(1);
                count.last_hit = Some(now);
            }
            Err(why) if why.is_restraint() => {
                let count = state.rules.entry(rule.name.clone()).or_default();
                count.skipped = count.skipped.saturating_add(1);
            }
            Err(_) => {}
        }
    }
}

/// Under what a chat is remembered: a person by the LID where it is known, since messages come under both addresses.
fn chat_of(message: &MessageData) -> String {
    let lid = message.from.lid.as_ref().filter(|_| message.group.is_none());
    lid.map_or_else(|| message.chat.clone(), |lid| format!("{lid}@lid"))
}
