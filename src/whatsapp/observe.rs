//! What the engine tells a device while a client runs: each event becomes a signal to the actor or an entry of the
//! ledger, at once. Messages are not here: they come through the durability hook.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use wa_rs::client::Client;
use wa_rs::types::events::{Event, EventHandler, EventInterest, EventKind};

use super::link::{Parts, Signal};
use super::recorder::Entry;
use crate::model::{MessageId, MessageStatus, Passkey, Secret, UnixMillis};

/// The events a device follows.
pub(crate) fn interest() -> EventInterest {
    EventInterest::of(&[
        EventKind::Connected,
        EventKind::SelfPushNameUpdated,
        EventKind::PairSuccess,
        EventKind::PairError,
        EventKind::PairingQrCode,
        EventKind::PairingCode,
        EventKind::PairingQrCodesExhausted,
        EventKind::PairPasskeyRequest,
        EventKind::PairPasskeyConfirmation,
        EventKind::PairPasskeyError,
        EventKind::QrScannedWithoutMultidevice,
        EventKind::LoggedOut,
        EventKind::StreamReplaced,
        EventKind::TemporaryBan,
        EventKind::ClientOutdated,
        EventKind::ConnectFailure,
        EventKind::Messages,
        EventKind::UndecryptableMessage,
        EventKind::ServerAck,
        EventKind::Receipt,
        EventKind::GroupUpdate,
        EventKind::IncomingCall,
        EventKind::MissedCall,
    ])
}

/// Hears the engine's events. Called on the engine's own tasks: it hands on and never waits.
pub(crate) struct Observer {
    pub(crate) parts: Arc<Parts>,
    pub(crate) generation: u64,
    pub(crate) client: OnceLock<std::sync::Weak<Client>>,
}

impl Observer {
    fn client(&self) -> Option<Arc<Client>> {
        self.client.get().and_then(std::sync::Weak::upgrade)
    }

    fn tell(&self, signal: Signal) {
        drop(self.parts.signals.send((self.generation, signal)));
    }

    fn note(&self, entry: Entry) {
        drop(self.parts.ledger.send(entry));
    }

    /// The engine confirms a scan before its new identity is on disk; a crash now would orphan the link.
    fn keep_credentials(&self) {
        let Some(client) = self.client() else { return };
        // WhatsApp closes the stream next (515), and this very client must follow: the bootstrap after a link is armed in it.
        client.enable_auto_reconnect.store(true, Ordering::Relaxed);
        let (parts, generation) = (Arc::clone(&self.parts), self.generation);
        self.parts.tasks.spawn("keep credentials", async move {
            if let Err(error) = client.persistence_manager().flush().await {
                tracing::error!(device = %parts.name, %error, "New credentials could not be written.");
            }
            drop(parts.signals.send((generation, Signal::Paired)));
        });
    }

    fn acked(&self, id: &str, error: Option<&str>) {
        let Some(id) = MessageId::parse(id) else { return };
        let status = match error {
            None => MessageStatus::Accepted,
            Some(code) => {
                MessageStatus::Failed { code: code.to_owned(), detail: refusal(code).to_owned() }
            }
        };
        if error == Some("463") {
            self.tell(Signal::SendingLocked);
        }
        self.note(Entry::Advance { ids: vec![id], status });
    }

    fn receipt(&self, receipt: &wa_rs::types::events::Receipt) {
        use wa_rs::types::presence::ReceiptType;
        let status = match receipt.r#type {
            // `inactive` is a delivery to a client nobody looks at.
            ReceiptType::Delivered | ReceiptType::Inactive => MessageStatus::Delivered,
            ReceiptType::Read => MessageStatus::Read,
            ReceiptType::Played => MessageStatus::Played,
            _ => return,
        };
        if receipt.source.is_from_me {
            return;
        }
        let ids = receipt.message_ids.iter().filter_map(|id| MessageId::parse(id)).collect();
        self.note(Entry::Advance { ids, status });
    }
}

impl EventHandler for Observer {
    fn handle_event(&self, event: Arc<Event>) {
        match &*event {
            Event::Connected(_) => self.tell(Signal::Ready),
            Event::SelfPushNameUpdated(_) => self.tell(Signal::Named),
            Event::PairSuccess(_) => self.keep_credentials(),
            Event::PairError(error) => {
                tracing::warn!(device = %self.parts.name, error = %error.error, "The link was refused.");
                self.tell(Signal::PairFailed);
            }
            Event::QrScannedWithoutMultidevice(_) => self.tell(Signal::PairFailed),
            Event::PairingQrCode(qr) => {
                self.tell(Signal::Qr(Secret::new(qr.code.clone()), qr.timeout));
            }
            Event::PairingCode(code) => {
                self.tell(Signal::PairCode(Secret::new(code.code.clone()), code.timeout));
            }
            Event::PairingQrCodesExhausted(end) if end.disconnected => {
                self.tell(Signal::QrExhausted);
            }
            Event::PairPasskeyRequest(ask) => {
                let options = Secret::new(ask.request_options_json.clone());
                self.tell(Signal::Passkey(Passkey::Request(options)));
            }
            Event::PairPasskeyConfirmation(confirm) => {
                self.tell(Signal::Passkey(Passkey::Confirm(Secret::new(confirm.code.clone()))));
            }
            Event::PairPasskeyError(error) => {
                tracing::warn!(device = %self.parts.name, error = %error.error, "The passkey step failed.");
                self.tell(Signal::PairFailed);
            }
            Event::LoggedOut(out) => {
                self.tell(Signal::LoggedOut(u16::try_from(out.reason.code()).unwrap_or(0)));
            }
            Event::StreamReplaced(_) => self.tell(Signal::Replaced),
            Event::TemporaryBan(ban) => {
                let until = ban.expire.to_std().ok().map(|left| UnixMillis::now().after(left));
                self.tell(Signal::Banned(until));
            }
            Event::ClientOutdated(_) => self.tell(Signal::Outdated),
            Event::ConnectFailure(failure) => match failure.reason.code() {
                402 => self.tell(Signal::Banned(None)),
                code => self.tell(Signal::Server(u16::try_from(code).unwrap_or(0))),
            },
            Event::Messages(batch) if batch.hook_committed => {
                // The engine dispatches this once the acks are on their way.
                crate::knobs::failpoint("ack.after");
            }
            Event::Messages(batch) => {
                if let Some(client) = self.client() {
                    let (parts, batch) = (Arc::clone(&self.parts), Arc::clone(&batch.messages));
                    self.parts.tasks.spawn("keep messages", async move {
                        super::inbound::keep_late(&parts, &client, &batch).await;
                    });
                }
            }
            Event::UndecryptableMessage(gone)
                if gone.unavailable_type.is_unrecoverable_fanout() =>
            {
                if let Some(client) = self.client() {
                    let (parts, gone) = (Arc::clone(&self.parts), gone.clone());
                    self.parts.tasks.spawn("keep unavailable", async move {
                        let kind = gone.unavailable_type.as_str();
                        super::inbound::keep_unavailable(&parts, &client, &gone.info, kind).await;
                    });
                }
            }
            Event::ServerAck(ack) if ack.class.as_deref() == Some("message") => {
                self.acked(&ack.id, ack.error.as_deref());
            }
            Event::Receipt(receipt) => self.receipt(receipt),
            _ => {
                if let Some(event) = super::decode::occasion(&self.parts.name, &event) {
                    self.note(Entry::Event(event));
                }
            }
        }
    }
}

/// What WhatsApp's codes for a refused message mean.
fn refusal(code: &str) -> &'static str {
    match code {
        "400" => "WhatsApp found the message malformed",
        "403" => "sending to this chat is not allowed",
        "404" => "the receiver does not exist",
        "463" => "WhatsApp does not let this account write to new contacts at the moment",
        "479" => "WhatsApp found an address in the message malformed",
        "503" => "WhatsApp was not available",
        _ => "WhatsApp refused the message",
    }
}
