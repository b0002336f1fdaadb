//! Writes everything to the log except incoming messages: how far sent messages got, the device's states, groups and
//! calls. Only the recorder waits for the disk for these, so that the device's actor and WhatsApp's stream never do.

use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::model::{
    DeviceName, Event, EventData, EventId, EventType, MessageId, MessageStatus, SentMessage,
    StatusData, UnixMillis,
};
use crate::store::{NewEvent, Store};

/// The most records in one write.
const BATCH: usize = 256;

/// What the recorder is given to write.
#[derive(Debug)]
pub(crate) enum Record {
    /// Messages we sent got further.
    Advance {
        ids: Vec<MessageId>,
        status: MessageStatus,
    },
    Event(Event),
}

pub(crate) struct Recorder {
    pub(crate) store: Store,
    pub(crate) device: DeviceName,
    pub(crate) records: mpsc::UnboundedReceiver<Record>,
}

impl Recorder {
    /// Writes until every sender is gone.
    pub(crate) async fn run(&mut self) {
        while let Some(first) = self.records.recv().await {
            self.write(first).await;
        }
    }

    /// Writes what is waiting, without waiting for more.
    pub(crate) async fn drain(&mut self) {
        while let Ok(first) = self.records.try_recv() {
            self.write(first).await;
        }
    }

    async fn write(&mut self, first: Record) {
        let mut batch = vec![first];
        while batch.len() < BATCH {
            match self.records.try_recv() {
                Ok(record) => batch.push(record),
                Err(_) => break,
            }
        }
        // Advances wait for the disk together: the store commits them as a group.
        let written = join_all(batch.into_iter().map(|record| self.settle(record))).await;
        let events: Vec<NewEvent> = written.iter().flatten().map(NewEvent::from).collect();
        if events.is_empty() {
            return;
        }
        if let Err(error) = self.store.log().append(events).await {
            tracing::error!(device = %self.device, %error, "Events could not be written.");
        }
    }

    async fn settle(&self, record: Record) -> Vec<Event> {
        let (ids, status) = match record {
            Record::Event(event) => return vec![event],
            Record::Advance { ids, status } => (ids, status),
        };
        let queue = self.store.queue();
        let moved = join_all(ids.iter().map(|id| queue.advance(&self.device, id, status.clone())));
        let mut events = Vec::new();
        for outcome in moved.await {
            match outcome {
                Ok(Some(message)) => events.push(status_event(&message)),
                // Not our message, or it had got further already.
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(device = %self.device, %error, "A status could not be written.");
                }
            }
        }
        events
    }
}

/// The event that says how far `message` got.
pub(crate) fn status_event(message: &SentMessage) -> Event {
    let kind = EventType::MessageStatus;
    let to = message.request.to.jid().as_str().to_owned();
    let status = message.status.as_str().to_owned();
    let code = match &message.status {
        MessageStatus::Failed { code, .. } => Some(code.clone()),
        _ => None,
    };
    let device = message.device.clone();
    let id = message.id.as_str();
    Event {
        id: EventId::derive(&[device.as_str(), &to, "", id, kind.as_str(), &status]),
        kind,
        timestamp: UnixMillis::now(),
        data: EventData::Status(StatusData { id: id.to_owned(), to, status, code }),
        device,
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
