//! Sends what the store's send queue holds. At most one message per chat is on its way, and no chat waits for another.
//! After a crash, messages that are still `Queued` go out again under the same ids, so that receivers recognise them.
//! Messages that were `Sent` without an ack do not: the next connection may still bring the ack or a receipt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::Instant;
use wa_rs::client::Client;

use super::failure::Failure;
use super::one::send_one;
use super::pace::Pacer;
use crate::config::Pace;
use crate::model::{Content, Jid, MediaSource, MessageId, MessageStatus, SentMessage, UnixMillis};
use crate::whatsapp::context::Context;
use crate::whatsapp::directory::Known;
use crate::whatsapp::recorder::{Record, status_event};

/// How many rows are read at once.
const PAGE: usize = 512;
/// How many messages are on their way at once.
const IN_FLIGHT: usize = 16;
/// How often a message is tried that WhatsApp does not take.
const TRIES: u32 = 5;
/// A message older than this is not worth sending any more.
const EXPIRES: Duration = Duration::from_hours(24);
/// How often the queue is looked at without being nudged.
const LOOK: Duration = Duration::from_mins(1);

pub(crate) struct Outgoing {
    context: Arc<Context>,
    live: watch::Receiver<Option<Arc<Client>>>,
    pace: watch::Receiver<Option<Pace>>,
    known: Known,
    backlog: Vec<SentMessage>,
    more: bool,
    /// What is on its way, by chat.
    busy: BTreeMap<Jid, MessageId>,
    tries: BTreeMap<MessageId, (u32, Instant)>,
}

struct Landed {
    row: SentMessage,
    outcome: Result<(), Failure>,
}

type Flying = FuturesUnordered<BoxFuture<'static, Landed>>;

impl Outgoing {
    /// A sender that sends while `live` has a client.
    pub(crate) fn new(
        context: Arc<Context>,
        live: watch::Receiver<Option<Arc<Client>>>,
        pace: watch::Receiver<Option<Pace>>,
        known: Known,
    ) -> Self {
        Self {
            context,
            live,
            pace,
            known,
            backlog: Vec::new(),
            more: true,
            busy: BTreeMap::new(),
            tries: BTreeMap::new(),
        }
    }

    /// Sends until it is dropped.
    pub(crate) async fn run(&mut self) {
        // After a panic nothing from the last run is on its way any more.
        self.busy.clear();
        self.more = true;
        let mut nudge = self.context.store.queue().nudge(&self.context.name);
        let mut pacer = Pacer::new(*self.pace.borrow_and_update());
        let mut flying = Flying::new();
        loop {
            // Something else may have woken us; a nudge that came at the same time still counts.
            self.more |= nudge.has_changed().unwrap_or_default();
            nudge.borrow_and_update();
            if self.more && flying.len() < IN_FLIGHT {
                self.read().await;
            }
            // What was queued under a new pace must not leave under the old one.
            if self.pace.has_changed().unwrap_or_default() {
                pacer = Pacer::new(*self.pace.borrow_and_update());
            }
            let client = self.live.borrow_and_update().clone();
            let wake = match &client {
                Some(client) => self.launch(client, &pacer, &mut flying),
                None => None,
            };
            let wake = wake.unwrap_or_else(|| Instant::now() + LOOK);
            tokio::select! {
                Some(landed) = flying.next(), if !flying.is_empty() => self.land(landed),
                changed = nudge.changed() => match changed {
                    Ok(()) => self.more = true,
                    Err(_) => return,
                },
                changed = self.live.changed() => if changed.is_err() { return },
                changed = self.pace.changed() => match changed {
                    Ok(()) => pacer = Pacer::new(*self.pace.borrow_and_update()),
                    Err(_) => return,
                },
                () = tokio::time::sleep_until(wake) => self.more = true,
            }
        }
    }

    /// Reads what is queued; messages that became too old fail.
    async fn read(&mut self) {
        let rows = match self.context.store.queue().queued(&self.context.name, PAGE).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(device = %self.context.name, %error, "The send queue could not be read.");
                return;
            }
        };
        self.more = false;
        let horizon = UnixMillis::now().before(EXPIRES);
        let (old, fresh): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.created < horizon);
        for row in old {
            let detail = "not sent within 24 hours".to_owned();
            fail(&self.context, &row, "expired", detail).await;
        }
        self.tries.retain(|id, _| fresh.iter().any(|row| row.id == *id));
        // What is on its way is still in the queue; it must not go out twice.
        let busy = &self.busy;
        let waiting = |row: &SentMessage| !busy.values().any(|id| *id == row.id);
        self.backlog = fresh.into_iter().filter(waiting).collect();
    }

    /// Sends what may be sent now. Returns when to look again, if that is known.
    fn launch(
        &mut self,
        client: &Arc<Client>,
        pacer: &Pacer,
        flying: &mut Flying,
    ) -> Option<Instant> {
        let now = Instant::now();
        let mut wake: Option<Instant> = None;
        let mut sooner = |at: Instant| wake = Some(wake.map_or(at, |wake| wake.min(at)));
        // While a chat's oldest message cannot go yet, its next ones must not overtake it.
        let mut blocked: BTreeSet<Jid> = BTreeSet::new();
        let mut at = 0;
        while let Some(row) = self.backlog.get(at) {
            if flying.len() >= IN_FLIGHT {
                break;
            }
            let chat = row.request.to.jid();
            let later = self.tries.get(&row.id).map(|(_, at)| *at).filter(|at| *at > now);
            if let Some(at) = later {
                sooner(at);
                blocked.insert(chat.clone());
            }
            if self.busy.contains_key(&chat) || blocked.contains(&chat) {
                blocked.insert(chat);
                at += 1;
                continue;
            }
            if let Err(wait) = pacer.take() {
                sooner(now + wait);
                break;
            }
            let row = self.backlog.remove(at);
            self.busy.insert(chat, row.id.clone());
            flying.push(self.fly(Arc::clone(client), row));
        }
        wake
    }

    fn fly(&self, client: Arc<Client>, row: SentMessage) -> BoxFuture<'static, Landed> {
        let (context, known) = (Arc::clone(&self.context), self.known.clone());
        let tried = self.tries.get(&row.id).map_or(0, |(tried, _)| *tried);
        let mut live = self.live.clone();
        Box::pin(async move {
            // When the client goes down, a message that it still has would wait in vain, and could write to the store
            // beside the next client.
            let outcome = tokio::select! {
                biased;
                outcome = send_one(&context, &client, &known, &row) => outcome,
                _ = live.wait_for(|now| now.as_ref().is_none_or(|now| !Arc::ptr_eq(now, &client))) => {
                    Err(Failure::Offline)
                }
            };
            drop(client);
            match &outcome {
                Ok(()) => {
                    advance(&context, &row, MessageStatus::Sent).await;
                    context.status.spoke(UnixMillis::now());
                    clear_spool(&row).await;
                }
                Err(Failure::Never { code, detail }) => {
                    fail(&context, &row, code, detail.clone()).await;
                }
                Err(Failure::Later(why)) if tried + 1 >= TRIES => {
                    fail(&context, &row, "send_failed", why.clone()).await;
                }
                Err(Failure::Withdrawn) => clear_spool(&row).await,
                Err(Failure::Later(_) | Failure::Offline) => {}
            }
            Landed { row, outcome }
        })
    }

    fn land(&mut self, landed: Landed) {
        let Landed { row, outcome } = landed;
        self.busy.remove(&row.request.to.jid());
        let wait = match outcome {
            Ok(()) | Err(Failure::Never { .. } | Failure::Withdrawn) => None,
            Err(Failure::Offline) => Some((0, Duration::from_secs(1))),
            Err(Failure::Later(why)) => {
                tracing::warn!(device = %self.context.name, id = %row.id, to = ?row.request.to.jid(), why, "A message was not sent; trying again.");
                Some((1, Duration::from_secs(5)))
            }
        };
        match wait {
            Some((counts, wait)) => {
                let entry = self.tries.entry(row.id.clone()).or_insert((0, Instant::now()));
                entry.0 += counts;
                entry.1 = Instant::now() + wait;
                // Back to the front: the oldest goes first.
                if entry.0 < TRIES {
                    self.backlog.insert(0, row);
                } else {
                    self.tries.remove(&row.id);
                }
            }
            None => drop(self.tries.remove(&row.id)),
        }
        if self.backlog.is_empty() {
            self.more = true;
        }
    }
}

async fn fail(context: &Context, row: &SentMessage, code: &str, detail: String) {
    tracing::warn!(device = %context.name, id = %row.id, to = ?row.request.to.jid(), code, "A message was not sent.");
    advance(context, row, MessageStatus::Failed { code: code.to_owned(), detail }).await;
    clear_spool(row).await;
}

async fn advance(context: &Context, row: &SentMessage, status: MessageStatus) {
    match context.store.queue().advance(&context.name, &row.id, status).await {
        Ok(Some(message)) => drop(context.recorder.send(Record::Event(status_event(&message)))),
        // The ack came first.
        Ok(None) => {}
        Err(error) => {
            tracing::error!(device = %context.name, id = %row.id, %error, "A status could not be written.");
        }
    }
}

/// The caller's uploaded file is no longer needed once its message is settled.
async fn clear_spool(row: &SentMessage) {
    if let Content::Media { source: MediaSource::Spool(path), .. } = &row.request.content
        && let Err(error) = tokio::fs::remove_file(path).await
    {
        tracing::warn!(%error, "A spooled file could not be removed.");
    }
}
