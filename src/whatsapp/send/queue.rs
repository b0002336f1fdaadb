//! Sends what the store's send queue holds, until WhatsApp has it. A message is written to the connection of the moment
//! and stays in the queue until WhatsApp says that it has it; when the connection ends before that, or a crash comes
//! between, it goes out again under its id, which receivers recognise. What may go when is decided in `lanes`.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::Instant;
use wa_rs::client::Client;

use super::failure::Failure;
use super::lanes::{Lane, Lanes, Next, Silence};
use super::one::send_one;
use super::turn::{self, Turns};
use crate::model::{
    Content, Jid, MediaSource, MessageId, MessageStatus, Recipient, SentMessage, UnixMillis,
};
use crate::store::QUEUE_LIMIT;
use crate::whatsapp::context::Context;
use crate::whatsapp::device::notice::Notice;
use crate::whatsapp::directory::Listing;
use crate::whatsapp::history::row::BuiltRow;

/// How many messages are kept in memory: all, so that each can be told when it goes.
const PAGE: usize = QUEUE_LIMIT;
/// How many messages are being built and written at once.
const IN_FLIGHT: usize = 16;
/// How often a message is tried that WhatsApp does not take: the pauses grow, so that is 40 minutes.
const TRIES: u32 = 12;
/// A message that was never written to a connection and is older than this is not worth sending any more.
const EXPIRES: Duration = Duration::from_hours(24);
/// How often the queue is looked at without being nudged.
const LOOK: Duration = Duration::from_mins(1);
/// When the store is read again after it could not be.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) struct SendLoop {
    context: Arc<Context>,
    live: watch::Receiver<Option<Arc<Client>>>,
    lanes: Lanes,
    turns: Turns,
    /// The place up to which the queue on the disk was read.
    read_to: u64,
    /// Whether there may be more after it.
    more: bool,
    /// The connection that the messages without an ack were written to.
    connection: Weak<Client>,
    /// Whether WhatsApp took a message since it was last silent about one.
    acked: bool,
}

struct Landed {
    id: MessageId,
    chat: Jid,
    outcome: Result<(), Failure>,
    /// Whether the engine may have written it.
    written: bool,
}

type Flying = FuturesUnordered<BoxFuture<'static, Landed>>;

impl SendLoop {
    /// Sends while `live` has a client.
    pub(crate) fn new(context: Arc<Context>, live: watch::Receiver<Option<Arc<Client>>>) -> Self {
        Self {
            context,
            live,
            lanes: Lanes::default(),
            turns: Turns::default(),
            read_to: 0,
            more: true,
            connection: Weak::new(),
            acked: true,
        }
    }

    /// Sends until it is dropped.
    pub(crate) async fn run(&mut self) {
        // After a panic nothing from the last run is on its way any more, and nobody knows what was read.
        self.start_over();
        if let Err(error) = turn::remember(&self.context).await {
            tracing::error!(device = %self.context.name, %error, "Who was in touch could not be read.");
        }
        let mut changes = self.context.store.queue().changes();
        let mut nudge = self.context.store.queue().nudge(&self.context.name);
        let mut pace = self.context.pace.subscribe();
        let mut met = self.context.store.queue().met(&self.context.name);
        // Whether somebody who was a stranger may be none any more.
        let mut doubtful = false;
        let mut flying = Flying::new();
        let mut lock = self.context.holds.subscribe();
        let mut downloads = self.context.places.waiting();
        loop {
            // Something else may have woken us. In one step, because what came between a look and a mark would be lost.
            self.more |= nudge.borrow_and_update().has_changed();
            if self.more && self.lanes.len() < PAGE {
                self.read().await;
            }
            doubtful |= met.borrow_and_update().has_changed();
            doubtful |= pace.borrow_and_update().has_changed();
            let again = std::mem::take(&mut doubtful);
            let looked = self.turns.look(&self.context, &self.lanes, again).await;
            let downloading = *downloads.borrow_and_update();
            let wake = match looked {
                Ok(()) => self.launch(&mut flying, downloading),
                Err(error) => {
                    doubtful |= again;
                    tracing::error!(device = %self.context.name, %error, "What was sent lately could not be read.");
                    Instant::now() + AGAIN
                }
            };
            // What could not be read is read again soon.
            let unread = self.more && self.lanes.len() < PAGE;
            let wake = if unread { wake.min(Instant::now() + AGAIN) } else { wake };
            self.turns.tell(&self.context, &self.lanes);
            tokio::select! {
                Some(landed) = flying.next(), if !flying.is_empty() => self.land(landed),
                change = changes.recv() => match change {
                    Ok(message) if message.device != self.context.name => {}
                    Ok(message) if message.status.is_settled() => self.settled(&message).await,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.recount().await,
                    Err(RecvError::Closed) => return,
                },
                ids = self.context.acks.next() => ids.iter().for_each(|id| self.lanes.acked(id)),
                changed = nudge.changed() => match changed {
                    Ok(()) => self.more = true,
                    Err(_) => return,
                },
                // What waits for a place to download leaves its own to another message.
                changed = downloads.changed() => if changed.is_err() { return },
                changed = self.live.changed() => if changed.is_err() { return },
                changed = lock.changed() => match changed {
                    Ok(()) => self.lanes.hasten(&self.context.holds.release()),
                    Err(_) => return,
                },
                changed = pace.changed() => match changed {
                    Ok(()) => doubtful = true,
                    Err(_) => return,
                },
                changed = met.changed() => match changed {
                    Ok(()) => doubtful = true,
                    Err(_) => return,
                },
                () = tokio::time::sleep_until(wake) => {
                    self.more = true;
                    self.expire().await;
                }
            }
        }
    }

    fn start_over(&mut self) {
        self.lanes = Lanes::default();
        self.turns = Turns::default();
        self.read_to = 0;
        self.more = true;
    }

    /// Reads what was queued since.
    async fn read(&mut self) {
        let queue = self.context.store.queue();
        let room = PAGE.saturating_sub(self.lanes.len());
        match queue.pending(&self.context.name, self.read_to, room).await {
            Ok(rows) => {
                self.more = rows.len() == room;
                for (place, message) in rows {
                    self.read_to = place;
                    self.lanes.add(place, message);
                }
            }
            Err(error) => {
                tracing::error!(device = %self.context.name, %error, "The send queue could not be read.");
            }
        }
    }

    /// Some changes were missed: what the disk does not have any more is settled.
    async fn recount(&mut self) {
        let queue = self.context.store.queue();
        match queue.pending(&self.context.name, 0, usize::MAX).await {
            Ok(rows) => {
                let there: BTreeSet<MessageId> = rows.into_iter().map(|(_, row)| row.id).collect();
                self.lanes.keep(|id| there.contains(id));
            }
            Err(error) => {
                tracing::error!(device = %self.context.name, %error, "The send queue could not be read.");
            }
        }
    }

    async fn settled(&mut self, message: &SentMessage) {
        self.acked |= !matches!(message.status, MessageStatus::Failed { .. });
        self.lanes.settled(&message.id);
        self.context.holds.forget(&message.id);
        clear(&self.context, message).await;
    }

    /// Messages that are too old fail: those that never left, and those that WhatsApp never answered.
    async fn expire(&mut self) {
        let keep = self.context.store.keep().max(EXPIRES);
        let old = |lane: &Lane<'_>| {
            let age = self.context.store.queue().age(lane.place);
            match lane.open {
                true if age > keep => Some(("unconfirmed", "WhatsApp never said that it has it")),
                // Its caller said until when.
                false if lane.message.expires.is_some() => {
                    let over = lane.message.is_over(UnixMillis::now());
                    over.then_some(("expired", "it could not go until its time was over"))
                }
                // It could not have gone before.
                false if age.min(self.turns.free_for(&lane.message.id)) > EXPIRES => {
                    Some(("expired", "not sent within 24 hours"))
                }
                _ => None,
            }
        };
        let idle = self.lanes.each().filter(|lane| !lane.flying);
        let old: Vec<_> =
            idle.filter_map(|lane| Some((lane.message.clone(), old(&lane)?))).collect();
        for (row, (code, detail)) in old {
            fail(&self.context, &row, code, detail.to_owned()).await;
        }
    }

    /// Sends what may be sent now. Returns when to look again at the latest.
    fn launch(&mut self, flying: &mut Flying, downloading: usize) -> Instant {
        let now = Instant::now();
        let look = now + LOOK;
        let client = self.live.borrow_and_update().clone();
        let same = client
            .as_ref()
            .is_some_and(|client| std::ptr::eq(Arc::as_ptr(client), self.connection.as_ptr()));
        if !same {
            self.lanes.disconnected();
            self.connection = client.as_ref().map_or_else(Weak::new, Arc::downgrade);
        }
        let Some(client) = client else { return look };
        let (silent, due) = self.lanes.overdue(now);
        // WhatsApp need not acknowledge a receipt; the connection lived long enough to have brought it there.
        let (messages, receipts): (Vec<_>, Vec<_>) =
            silent.into_iter().partition(|silence| silence.message.request.content.is_message());
        for Silence { message, .. } in receipts {
            flying.push(self.settle(message));
        }
        if !messages.is_empty() {
            // When WhatsApp took something since the last time, a new connection helped.
            let helped = std::mem::take(&mut self.acked);
            let again = !helped || messages.iter().all(|silence| !silence.first);
            drop(self.context.notices.send((0, Notice::Unacked { again })));
        }
        let mut wake = due.map_or(look, |due| look.min(due));
        while self.lanes.flying() < IN_FLIGHT + downloading {
            match self.lanes.next(now, |lane| self.turns.may_go(lane)) {
                Next::Send(row) => {
                    self.turns.begun(&row, self.lanes.is_open(&row.id));
                    flying.push(self.fly(Arc::clone(&client), *row));
                }
                Next::Nothing(at) => {
                    wake = at.map_or(wake, |at| wake.min(at));
                    break;
                }
            }
        }
        wake
    }

    fn settle(&self, receipt: SentMessage) -> BoxFuture<'static, Landed> {
        let context = Arc::clone(&self.context);
        Box::pin(async move {
            advance(&context, &receipt, MessageStatus::Accepted).await;
            let chat = receipt.request.to.jid();
            Landed { id: receipt.id, chat, outcome: Err(Failure::Withdrawn), written: false }
        })
    }

    fn fly(&self, client: Arc<Client>, row: SentMessage) -> BoxFuture<'static, Landed> {
        let context = Arc::clone(&self.context);
        let (tries, open) = (self.lanes.tries(&row.id), self.lanes.is_open(&row.id));
        let mut live = self.live.clone();
        Box::pin(async move {
            let mut written = false;
            // When the client goes down, a message that it still has would wait in vain, and could write to the store
            // beside the next client.
            let mut outcome = tokio::select! {
                biased;
                outcome = send_one(&context, &client, &row, &mut written) => outcome,
                _ = live.wait_for(|now| now.as_ref().is_none_or(|now| !Arc::ptr_eq(now, &client))) => {
                    Err(Failure::Offline)
                }
            };
            drop(client);
            if written && outcome.is_err() {
                // It may be on its way, so its caller must not take it back.
                advance(&context, &row, MessageStatus::Sent).await;
            }
            let open = open || written;
            match &outcome {
                Ok(()) => context.status.spoke(UnixMillis::now()),
                // Only WhatsApp can say that it will not arrive.
                Err(Failure::Never { detail, .. }) if open => {
                    outcome = Err(Failure::Later(detail.clone()));
                }
                Err(Failure::Never { code, detail }) => {
                    fail(&context, &row, code, detail.clone()).await;
                }
                Err(Failure::Later(why)) if !open && tries + 1 >= TRIES => {
                    fail(&context, &row, "send_failed", why.clone()).await;
                }
                Err(Failure::Withdrawn) => clear(&context, &row).await,
                Err(
                    Failure::Later(_)
                    | Failure::Offline
                    | Failure::Wait(_)
                    | Failure::Early { .. }
                    | Failure::Locked(_),
                ) => {}
            }
            Landed { id: row.id, chat: row.request.to.jid(), outcome, written }
        })
    }

    fn land(&mut self, landed: Landed) {
        let Landed { id, chat, outcome, written } = landed;
        let now = Instant::now();
        self.turns.ended(&id, &chat, written);
        match outcome {
            Ok(()) => self.lanes.written(&id, now),
            Err(Failure::Never { .. } | Failure::Withdrawn) => self.lanes.settled(&id),
            Err(Failure::Offline) => self.lanes.cut_off(&id, now, written),
            Err(Failure::Locked(lock)) => {
                self.context.holds.hold(&id);
                // The lock may have ended meanwhile.
                let until = if self.context.holds.lock() == Some(lock) { lock.end } else { now };
                self.lanes.postponed(&id, until);
            }
            Err(Failure::Wait(until)) => self.lanes.postponed(&id, until),
            Err(Failure::Early { stranger }) => {
                self.turns.early(chat, stranger);
                self.lanes.postponed(&id, now);
            }
            Err(Failure::Later(why)) => {
                tracing::warn!(device = %self.context.name, %id, why, "A message was not sent; trying again.");
                self.lanes.failed(&id, now, written);
            }
        }
    }
}

async fn fail(context: &Context, row: &SentMessage, code: &str, detail: String) {
    tracing::warn!(device = %context.name, id = %row.id, to = ?row.request.to.jid(), code, "A message was not sent.");
    advance(context, row, MessageStatus::Failed { code: code.to_owned(), detail }).await;
}

async fn advance(context: &Context, row: &SentMessage, status: MessageStatus) {
    if let Err(error) = context.store.queue().advance(&context.name, &row.id, status).await {
        tracing::error!(device = %context.name, id = %row.id, %error, "A status could not be written.");
    }
}

/// What a message needed until WhatsApp had it: the caller's uploaded file, and the message as it was first built. When
/// WhatsApp refused it, its receiver is looked up anew the next time.
async fn clear(context: &Context, row: &SentMessage) {
    if let (MessageStatus::Failed { code, .. }, Recipient::Phone(phone)) =
        (&row.status, &row.request.to)
        // A number is WhatsApp's own code; this one is about our account.
        && code.parse::<u16>().is_ok()
        && code != "463"
        && let Err(error) = Listing::forget(&context.store.space(&context.name), phone).await
    {
        tracing::warn!(%error, "A number could not be forgotten.");
    }
    if let Content::Media { source: MediaSource::Uploaded(name), .. } = &row.request.content
        && let Err(error) = context.store.spool().remove(name).await
    {
        tracing::warn!(%error, "A spooled file could not be removed.");
    }
    if let Content::Media { .. } | Content::Forward { .. } = &row.request.content
        && let Err(error) = BuiltRow::remove(&context.store.space(&context.name), &row.id).await
    {
        tracing::warn!(%error, "A message that was sent could not be removed.");
    }
}
