//! Writes down what WhatsApp told: messages, how far sent ones got, the device's states, groups and calls. Only the
//! recorder waits for the disk for these, so that the device's actor and WhatsApp's stream never do; what comes while it
//! waits is one write with one sync.
//!
//! WhatsApp forgets what the engine has acknowledged, and the engine does that at once. Therefore what will be
//! acknowledged is noted as a debt, and the transport writes nothing to WhatsApp while a debt that came before is open:
//! the acknowledgement cannot reach WhatsApp before the disk has what it is about.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::model::{
    DeviceName, Event, EventData, EventId, EventType, MessageId, MessageStatus, NewChats,
    UnixMillis,
};
use crate::store::{Batch, Key, NewEvent, Store, StoreError};
use crate::whatsapp::chat::labels::Labeling;
use crate::whatsapp::contact::row::Named;
use crate::whatsapp::history::row::Timer;
use crate::whatsapp::session;

/// As many records as one write takes.
const BATCH: usize = 256;
/// How long to wait after a write that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// With so many open debts, what comes waits for the disk: it would only fill the memory.
const MANY: usize = 1024;

/// What the recorder is given to write.
#[derive(Debug)]
pub(crate) enum Record {
    /// Messages we sent got further.
    Advance { ids: Vec<MessageId>, status: MessageStatus },
    /// WhatsApp said how many new chats it allows.
    NewChats(NewChats),
    /// A chat's timer, and what it is kept under.
    Timer(String, Timer),
    /// Under which name the account's owner has somebody.
    Name(Named),
    /// What became of a label.
    Label(Labeling),
    /// Something happened.
    Event(Event),
    /// Rows of the session that are needed only until everything noted before is on the disk.
    Spent(Vec<Key>),
}

/// What the others of a device tell its recorder with. Clones tell the same one.
#[derive(Clone)]
pub(crate) struct Notes {
    records: mpsc::UnboundedSender<(Record, Option<Debt>)>,
    debts: Arc<Debts>,
}

impl Notes {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<(Record, Option<Debt>)>) {
        let (records, noted) = mpsc::unbounded_channel();
        (Self { records, debts: Arc::default() }, noted)
    }

    /// Notes something that WhatsApp will not hear an acknowledgement of.
    pub(crate) fn note(&self, record: Record) {
        // The recorder goes away only with its device; then nobody needs to be told.
        drop(self.records.send((record, None)));
    }

    /// Notes what a debt is about; it is paid when the disk has it.
    pub(crate) fn pay(&self, debt: Debt, record: Record) {
        drop(self.records.send((record, Some(debt))));
    }

    /// WhatsApp told something that will be acknowledged.
    pub(crate) fn owe(&self) -> Debt {
        let mut open = self.debts.lock();
        let number = open.next;
        open.next += 1;
        open.numbers.insert(number);
        Debt { number, debts: Arc::clone(&self.debts) }
    }

    /// Notes events and owes them, unless they are `owed` already. Waits only when much is owed.
    pub(crate) async fn take_in(&self, events: Vec<Event>, owed: Option<Debt>) {
        // Whoever owes already would wait for its own debt.
        if owed.is_none() && self.debts.lock().numbers.len() >= MANY {
            self.settled().await;
        }
        // They are written in order, so the last one's debt is everybody's.
        let mut debt = Some(owed.unwrap_or_else(|| self.owe()));
        let last = events.len().saturating_sub(1);
        for (n, event) in events.into_iter().enumerate() {
            let debt = debt.take_if(|_| n == last);
            drop(self.records.send((Record::Event(event), debt)));
        }
    }

    /// Resolves when every debt that is open now is paid.
    pub(crate) async fn settled(&self) {
        let mut paid = self.debts.paid.subscribe();
        let next = self.debts.lock().next;
        let settled = || self.debts.lock().numbers.first().is_none_or(|oldest| *oldest >= next);
        while !settled() {
            // The sender lives as long as `self`.
            paid.changed().await.ok();
        }
    }
}

/// Something that WhatsApp told and the disk does not have yet. It ends when this is dropped, also when there is
/// nothing to write after all.
#[derive(Debug)]
pub(crate) struct Debt {
    number: u64,
    debts: Arc<Debts>,
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.debts.lock().numbers.remove(&self.number);
        self.debts.paid.send_replace(());
    }
}

#[derive(Debug, Default)]
struct Debts {
    open: Mutex<Open>,
    paid: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Open {
    numbers: BTreeSet<u64>,
    next: u64,
}

impl Debts {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer of one device.
pub(crate) struct Recorder {
    store: Store,
    device: DeviceName,
    records: mpsc::UnboundedReceiver<(Record, Option<Debt>)>,
    /// What was taken from these and is perhaps not on the disk: whoever is stopped in the middle of a write leaves it to
    /// the next one.
    batch: Vec<(Record, Option<Debt>)>,
}

impl Recorder {
    pub(crate) fn new(
        store: Store,
        device: DeviceName,
        records: mpsc::UnboundedReceiver<(Record, Option<Debt>)>,
    ) -> Self {
        Self { store, device, records, batch: Vec::new() }
    }

    /// Writes until nobody is left to send records. What cannot be written now is tried again: WhatsApp waits
    /// meanwhile.
    pub(crate) async fn run(&mut self) {
        loop {
            if self.batch.is_empty() {
                let Some(first) = self.records.recv().await else { return };
                self.batch.push(first);
            }
            self.gather();
            while let Err(error) = self.write().await {
                tracing::error!(device = %self.device, %error, "What WhatsApp told could not be written; trying again.");
                tokio::time::sleep(PAUSE).await;
            }
            self.batch.clear();
        }
    }

    /// Writes what is waiting now.
    pub(crate) async fn drain(&mut self) {
        self.gather();
        while !self.batch.is_empty() {
            if let Err(error) = self.write().await {
                tracing::error!(device = %self.device, %error, "What WhatsApp told could not be written.");
            }
            self.batch.clear();
            self.gather();
        }
    }

    fn gather(&mut self) {
        while self.batch.len() < BATCH
            && let Ok(next) = self.records.try_recv()
        {
            self.batch.push(next);
        }
    }

    /// Writing the same again changes nothing: a status only goes forward, and an event is appended once.
    async fn write(&self) -> Result<(), StoreError> {
        let (mut steps, mut events, mut quota, mut timers) =
            (Vec::new(), Vec::new(), None, Vec::new());
        let mut rows = Batch::new();
        let mut any_row = false;
        let mut spent = Batch::new();
        let mut any_spent = false;
        for (record, _) in &self.batch {
            match record {
                Record::Advance { ids, status } => {
                    steps.extend(ids.iter().map(|id| (id.clone(), status.clone())));
                }
                Record::NewChats(said) => quota = Some(*said),
                Record::Timer(key, timer) => timers.push((key, timer)),
                Record::Name(named) => {
                    named.put(&mut rows);
                    any_row = true;
                }
                Record::Label(labeling) => {
                    labeling.put(&mut rows);
                    any_row = true;
                }
                Record::Event(event) => events.push(NewEvent::from(event)),
                Record::Spent(keys) => {
                    for key in keys {
                        spent.remove(key.clone());
                    }
                    any_spent = true;
                }
            }
        }
        let advanced = async {
            if steps.is_empty() {
                return Ok(());
            }
            // Once WhatsApp has a message it does not go out again, so what its receivers may still ask for must be
            // here then.
            if steps.iter().any(|(_, status)| status.is_settled()) {
                self.store.space(&self.device).settle().await?;
            }
            self.store.queue().advance_all(&self.device, steps).await.map(drop)
        };
        let appended = async {
            if events.is_empty() { Ok(()) } else { self.store.log().append(events).await }
        };
        let allowed = async {
            match quota {
                Some(quota) => self.store.queue().allow(&self.device, quota).await,
                None => Ok(()),
            }
        };
        let space = self.store.space(&self.device);
        if any_row {
            space.write(rows).await?;
        }
        for (key, timer) in timers {
            timer.save(&space, key).await?;
        }
        // Side by side, so that one commit takes all.
        let (advanced, appended, allowed) = tokio::join!(advanced, appended, allowed);
        advanced.and(appended).and(allowed)?;
        if any_spent {
            session::let_go(space, spent).await?;
        }
        Ok(())
    }
}

/// The event that says that a LID and a phone number are one person's.
pub(crate) fn resolved(device: &DeviceName, lid: &str, phone: &str) -> Event {
    let kind = EventType::IdentityResolved;
    let jid = format!("{phone}@s.whatsapp.net");
    Event {
        id: EventId::derive(&[device.as_str(), lid, phone, kind.as_str()]),
        kind,
        timestamp: UnixMillis::now(),
        device: device.clone(),
        data: EventData::Other(serde_json::json!({ "jid": jid, "phone": phone, "lid": lid })),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::model::{Content, Recipient, SendRequest, SentMessage};
    use crate::store::StoreOptions;

    async fn opened() -> (tempfile::TempDir, Store, DeviceName) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let (keep, max_size) = (Duration::from_hours(72), 1 << 28);
        let options = StoreOptions { path, power_safe: true, keep, max_size };
        let store = Store::open(options).await.unwrap();
        let device = DeviceName::parse("toko").unwrap();
        (dir, store, device)
    }

    #[tokio::test]
    async fn whatsapp_has_a_message_only_when_its_receivers_may_ask_for_it_after_a_power_cut() {
        let (_dir, store, device) = opened().await;
        let request = SendRequest::plain(
            Recipient::parse("628123456789", None).unwrap(),
            Content::Text { text: "halo".to_owned() },
        );
        let message = SentMessage::new(device.clone(), request);
        store.queue().enqueue(message.clone(), None, 9).await.unwrap();

        let (notes, records) = Notes::new();
        let mut recorder = Recorder::new(store.clone(), device.clone(), records);
        let mut batch = Batch::new();
        batch.put("sent", "what the engine keeps of it");
        store.space(&device).write_in_order(batch).await.unwrap();
        let status = MessageStatus::Accepted;
        let debt = notes.owe();
        notes.pay(debt, Record::Advance { ids: vec![message.id.clone()], status });
        // A stop in the middle of the write.
        assert!(recorder.run().now_or_never().is_none());
        let paid = notes.settled().now_or_never().is_some();
        assert!(!paid || store.space(&device).is_settled(), "it is not written");
        recorder.drain().await;
        assert!(notes.settled().now_or_never().is_some());
        assert!(store.space(&device).is_settled());
        let now = store.queue().get(&device, &message.id).await.unwrap().unwrap();
        assert_eq!(now.status, MessageStatus::Accepted);
    }

    #[tokio::test]
    async fn a_message_is_acked_when_the_disk_has_it_and_let_go_after_that() {
        let (_dir, store, device) = opened().await;
        let session = store.space(&device).under(b"wa/");
        let row = Key::new(b'I');
        let mut batch = Batch::new();
        batch.put(row.clone(), "what it said");
        session.write(batch).await.unwrap();

        let (notes, records) = Notes::new();
        let mut recorder = Recorder::new(store.clone(), device.clone(), records);
        let events = ["1", "2"].map(|lid| resolved(&device, lid, "628123456789"));
        notes.take_in(events.to_vec(), None).await;
        notes.note(Record::Spent(vec![row.clone()]));
        assert!(recorder.run().now_or_never().is_none());
        // The disk may have been faster than this.
        let paid = notes.settled().now_or_never().is_some();
        let kept = session.get(row.clone()).await.unwrap().is_some();
        let written = store.log().tail(&device).borrow().0 == 2;
        assert!(written || (!paid && kept), "it is not written");
        recorder.drain().await;
        assert!(notes.settled().now_or_never().is_some());
        assert_eq!(store.log().tail(&device).borrow().0, 2);
        // What was left to be done is done then.
        session.write(Batch::new()).await.unwrap();
        assert!(session.get(row).await.unwrap().is_none());
    }

    #[test]
    fn who_owes_already_does_not_wait_for_itself() {
        let (notes, _noted) = Notes::new();
        let _many: Vec<Debt> = (0..MANY).map(|_| notes.owe()).collect();
        assert!(notes.take_in(Vec::new(), None).now_or_never().is_none(), "much is owed");
        let own = notes.owe();
        assert!(notes.take_in(Vec::new(), Some(own)).now_or_never().is_some());
    }

    #[test]
    fn what_came_before_must_be_paid_and_what_comes_after_need_not() {
        let (notes, mut noted) = Notes::new();
        assert!(notes.settled().now_or_never().is_some(), "nothing is owed");
        let (first, second) = (notes.owe(), notes.owe());
        let mut wait = Box::pin(notes.settled());
        assert!(wait.as_mut().now_or_never().is_none());
        let third = notes.owe();
        drop(second);
        assert!(wait.as_mut().now_or_never().is_none(), "the first is open");
        notes.pay(first, Record::Advance { ids: Vec::new(), status: MessageStatus::Read });
        assert!(wait.as_mut().now_or_never().is_none(), "noted is not written");
        drop(noted.try_recv().unwrap());
        assert!(wait.as_mut().now_or_never().is_some(), "the third came later");
        drop(third);
    }
}
