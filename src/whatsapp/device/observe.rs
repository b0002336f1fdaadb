//! What the engine tells a device while a client runs. Each event at once becomes a notice to the actor or a record for
//! the recorder. Messages do not come this way but through the durability hook.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use wa_rs::client::Client;
use wa_rs::types::events::{
    Event, EventHandler, EventInterest, EventKind, InboundMessage, UndecryptableMessage,
};
use wa_rs::wacore::types::call::CallAction;
use wa_rs::wacore_binary::NodeRef;

use super::notice::Notice;
use super::refusal;
use super::status::restricted;
use crate::model::{MessageId, MessageStatus, Passkey, Secret};
use crate::store::Said;
use crate::whatsapp::chat::{call, label};
use crate::whatsapp::contact::presence;
use crate::whatsapp::contact::row::Named;
use crate::whatsapp::context::Context;
use crate::whatsapp::history::{settings, sync, timer};
use crate::whatsapp::receive::retry::Retry;
use crate::whatsapp::receive::undecryptable::Why;
use crate::whatsapp::receive::{hook, notification, undecryptable};
use crate::whatsapp::recorder::Record;

pub(crate) fn interest() -> EventInterest {
    EventInterest::of(&[
        EventKind::Connected,
        EventKind::SelfPushNameUpdated,
        EventKind::PairSuccess,
        EventKind::PairError,
        EventKind::PairingQrCode,
        EventKind::PairingCode,
        EventKind::PairingCodeRefresh,
        EventKind::PairingCodeError,
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
        EventKind::MexNotification,
        EventKind::Messages,
        EventKind::UndecryptableMessage,
        EventKind::RawNode,
        EventKind::ServerAck,
        EventKind::Receipt,
        EventKind::ContactUpdate,
        EventKind::GroupUpdate,
        EventKind::PictureUpdate,
        EventKind::IncomingCall,
        EventKind::MissedCall,
        EventKind::LabelEditUpdate,
        EventKind::LabelAssociationUpdate,
        EventKind::HistorySync,
        EventKind::MarkChatAsReadUpdate,
        EventKind::ArchiveUpdate,
        EventKind::PinUpdate,
        EventKind::MuteUpdate,
        EventKind::DeleteChatUpdate,
        EventKind::DeleteMessageForMeUpdate,
    ])
}

/// The engine calls it on its own tasks, so it passes on what it hears and never waits.
pub(crate) struct Observer {
    pub(crate) context: Arc<Context>,
    pub(crate) generation: u64,
    pub(crate) client: OnceLock<std::sync::Weak<Client>>,
}

impl Observer {
    fn client(&self) -> Option<Arc<Client>> {
        self.client.get().and_then(std::sync::Weak::upgrade)
    }

    fn tell(&self, notice: Notice) {
        drop(self.context.notices.send((self.generation, notice)));
    }

    fn note(&self, record: Record) {
        self.context.notes.note(record);
    }

    /// Notes what the engine acknowledges next.
    fn owe(&self, record: Record) {
        let notes = &self.context.notes;
        notes.pay(notes.owe(), record);
    }

    /// The engine confirms a scan before its new identity is on disk; a crash now would orphan the link.
    fn keep_credentials(&self) {
        let Some(client) = self.client() else { return };
        // WhatsApp closes the stream next (515), and the same client must reconnect: only it is ready for the bootstrap
        // that follows a link.
        client.enable_auto_reconnect.store(true, Ordering::Relaxed);
        let (context, generation) = (Arc::clone(&self.context), self.generation);
        self.context.tasks.spawn("keep credentials", async move {
            if let Err(error) = client.persistence_manager().flush().await {
                tracing::error!(device = %context.name, %error, "New credentials could not be written.");
            }
            drop(context.notices.send((generation, Notice::Paired)));
        });
    }

    fn acked(&self, id: &str, error: Option<&str>) {
        let Some(id) = MessageId::parse(id) else { return };
        let Some(code) = error else {
            self.context.acks.note(id.clone());
            return self.note(Record::Advance { ids: vec![id], status: MessageStatus::Accepted });
        };
        if code == "463" {
            restricted(&self.context.name, "463");
            self.tell(Notice::SendingLocked);
        }
        let detail = refusal(code).to_owned();
        let status = MessageStatus::Failed { code: code.to_owned(), detail };
        self.note(Record::Advance { ids: vec![id], status });
    }

    fn read_acked(&self, message: &str) {
        if let Some(id) = self.context.read_receipts.acked(message) {
            self.note(Record::Advance { ids: vec![id], status: MessageStatus::Accepted });
        }
    }

    fn receipt(&self, receipt: &wa_rs::types::events::Receipt) {
        use wa_rs::types::presence::ReceiptType;
        let status = match receipt.r#type {
            // `inactive`: it reached a client that nobody looks at.
            ReceiptType::Delivered | ReceiptType::Inactive => MessageStatus::Delivered,
            ReceiptType::Read => MessageStatus::Read,
            ReceiptType::Played => MessageStatus::Played,
            ReceiptType::ReadSelf | ReceiptType::PlayedSelf => return self.read_elsewhere(receipt),
            _ => return,
        };
        if receipt.source.is_from_me {
            return;
        }
        let own = || self.client().is_some_and(|it| sync::is_own(&it, &receipt.source.sender));
        // Unless receipts are switched off, the account's other devices say it so.
        if status != MessageStatus::Delivered && own() {
            self.read_elsewhere(receipt);
        }
        let ids = receipt.message_ids.iter().filter_map(|id| MessageId::parse(id)).collect();
        self.owe(Record::Advance { ids, status });
    }

    /// The account's owner read messages on another device.
    fn read_elsewhere(&self, receipt: &wa_rs::types::events::Receipt) {
        let ids = receipt.message_ids.iter().filter_map(|id| MessageId::parse(id)).collect();
        self.note_chat(&receipt.source.chat, Said::Read(ids));
    }

    fn note_chat(&self, chat: &wa_rs::Jid, what: Said) {
        if let Some(client) = self.client() {
            sync::note(&self.context, client, chat.clone(), what);
        }
    }

    /// Keeps messages that the engine acknowledged before they were kept.
    fn keep_late(&self, messages: &[InboundMessage]) {
        let Some(client) = self.client() else { return };
        let context = Arc::clone(&self.context);
        let messages = messages.iter().map(|message| context.own_posts.marked(message));
        let messages: Vec<InboundMessage> = messages.collect();
        let debt = context.notes.owe();
        self.context.tasks.spawn("keep messages", async move {
            hook::keep_late(&context, &client, &messages, debt).await;
        });
    }

    /// Looks at a stanza before the engine acknowledges it, or hands it over.
    fn look(&self, stanza: &NodeRef<'_>) {
        self.context.own_posts.look(stanza);
        presence::look(&self.context, stanza);
        settings::look(&self.context, self.client(), stanza);
        if let Some((unread, from, chat)) = undecryptable::unreadable(stanza) {
            let debt = self.context.notes.owe();
            hook::note_unread(&self.context, unread, &from, &chat, debt);
        }
        // Before the engine asks for the devices of whoever wants something again.
        if let (Some(retry), Some(client)) = (Retry::of(stanza), self.client()) {
            let context = Arc::clone(&self.context);
            self.context.tasks.spawn("send again", async move {
                retry.answer(&context, &client).await;
            });
        }
    }

    /// What the account's owner did with a chat on another device, and what the phone tells of the time before.
    fn chats(&self, event: &Event) {
        let (Event::HistorySync(told), Some(client)) = (event, self.client()) else {
            if let Some((chat, what)) = sync::said(event) {
                self.note_chat(chat, what);
            }
            return;
        };
        let (context, told) = (Arc::clone(&self.context), (**told).clone());
        self.context.tasks.spawn("keep history", async move {
            sync::take(&context, &client, told).await;
        });
    }

    /// Rejects a call, if that is what moonwa.toml wants.
    fn rejected(&self, event: &Arc<Event>) -> bool {
        let (Event::IncomingCall(call), Some(client)) = (&**event, self.client()) else {
            return false;
        };
        if !call::rejects(&self.context, call) {
            return false;
        }
        let (context, event) = (Arc::clone(&self.context), Arc::clone(event));
        self.context.tasks.spawn("reject call", async move {
            if let Event::IncomingCall(call) = &*event {
                call::reject(&context, &client, call).await;
            }
        });
        true
    }

    /// Whether a call that is over was rejected here.
    fn was_rejected(&self, event: &Event) -> bool {
        let Event::IncomingCall(call) = event else { return false };
        matches!(call.action, CallAction::Terminate { .. })
            && self.context.rejected.has(call.action.call_id())
    }

    /// What happened to a group, or a call.
    fn happened(&self, event: &Arc<Event>) {
        if let (Event::GroupUpdate(update), Some(client)) = (&**event, self.client())
            && let Some((key, timer)) = timer::changed(&client, update)
        {
            self.owe(Record::Timer(key, timer));
        }
        let rejected = self.rejected(event);
        if let Some(told) = notification::notification(&self.context.name, event) {
            let told = if rejected || self.was_rejected(event) {
                notification::rejected(told)
            } else {
                told
            };
            self.owe(Record::Event(told));
        }
    }

    fn unread(&self, gone: &UndecryptableMessage) {
        let Some(client) = self.client() else { return };
        let (context, gone) = (Arc::clone(&self.context), gone.clone());
        let debt = context.notes.owe();
        self.context.tasks.spawn("keep unread", async move {
            let why = if gone.is_unavailable { Why::PhoneOnly } else { Why::DecryptionFailed };
            if gone.unavailable_type.is_unrecoverable_fanout() {
                let kind = gone.unavailable_type.as_str();
                hook::keep_unavailable(&context, &client, &gone.info, kind, debt).await;
            } else {
                hook::keep_unread(&context, &client, &gone.info, why, debt).await;
            }
        });
    }

    /// What happens while a phone is asked to know the device.
    fn linking(&self, event: &Event) {
        match event {
            Event::PairSuccess(_) => {
                self.context.watched.forget();
                self.keep_credentials();
            }
            Event::PairError(error) => {
                tracing::warn!(device = %self.context.name, error = %error.error, "The link was refused.");
                self.tell(Notice::PairFailed);
            }
            Event::QrScannedWithoutMultidevice(_) => self.tell(Notice::PairFailed),
            Event::PairingQrCode(qr) => {
                self.tell(Notice::Qr(Secret::new(qr.code.clone()), qr.timeout));
            }
            Event::PairingCode(code) => {
                self.tell(Notice::PairCode(Secret::new(code.code.clone()), code.timeout));
            }
            Event::PairingCodeRefresh(refresh) => {
                self.tell(Notice::PairCodeStale { by_hand: refresh.force_manual });
            }
            Event::PairingCodeError(error) => {
                self.tell(Notice::PairCodeRefused(error.error.clone()));
            }
            Event::PairingQrCodesExhausted(end) if end.disconnected => {
                self.tell(Notice::QrExhausted);
            }
            Event::PairPasskeyRequest(ask) => {
                let options = Secret::new(ask.request_options_json.clone());
                self.tell(Notice::Passkey(Passkey::Request(options)));
            }
            Event::PairPasskeyConfirmation(confirm) => {
                self.tell(Notice::Passkey(Passkey::Confirm(Secret::new(confirm.code.clone()))));
            }
            Event::PairPasskeyError(error) => {
                tracing::warn!(device = %self.context.name, error = %error.error, "The passkey step failed.");
                self.tell(Notice::PasskeyFailed(error.error.clone()));
            }
            _ => {}
        }
    }
}

impl EventHandler for Observer {
    fn handle_event(&self, event: Arc<Event>) {
        match &*event {
            Event::Connected(_) => {
                // The engine has said "available" before it tells us.
                self.context.presence.send_modify(|_same| ());
                self.tell(Notice::Ready);
            }
            Event::SelfPushNameUpdated(_) => self.tell(Notice::Named),
            Event::PairSuccess(_)
            | Event::PairError(_)
            | Event::QrScannedWithoutMultidevice(_)
            | Event::PairingQrCode(_)
            | Event::PairingCode(_)
            | Event::PairingCodeRefresh(_)
            | Event::PairingCodeError(_)
            | Event::PairingQrCodesExhausted(_)
            | Event::PairPasskeyRequest(_)
            | Event::PairPasskeyConfirmation(_)
            | Event::PairPasskeyError(_) => self.linking(&event),
            Event::LoggedOut(out) => {
                self.tell(refusal::of_logout(out).map_or(Notice::LoggedOut, Notice::Refused));
            }
            Event::StreamReplaced(_) => self.tell(Notice::Replaced),
            Event::TemporaryBan(ban) => self.tell(Notice::Banned(refusal::of_ban(ban))),
            Event::MexNotification(told) => {
                if let Some(notice) = refusal::of_update(&told.op_name, &told.payload) {
                    self.tell(notice);
                }
            }
            Event::ClientOutdated(_) => self.tell(Notice::Outdated),
            Event::ConnectFailure(failure) => match failure.reason.code() {
                402 => self.tell(Notice::Banned(refusal::of_failure(failure))),
                code => self.tell(Notice::Server(u16::try_from(code).unwrap_or(0))),
            },
            Event::Messages(batch) if batch.hook_committed => {
                // The engine dispatches this once the acks are on their way.
                crate::knobs::failpoint("ack.after");
            }
            Event::Messages(batch) => self.keep_late(&batch.messages),
            Event::UndecryptableMessage(gone) => self.unread(gone),
            Event::RawNode(stanza) => self.look(stanza.get()),
            Event::ServerAck(ack) if ack.class.as_deref() == Some("receipt") => {
                self.read_acked(&ack.id);
            }
            Event::ServerAck(ack) if ack.class.as_deref() == Some("message") => {
                self.acked(&ack.id, ack.error.as_deref());
            }
            Event::Receipt(receipt) => self.receipt(receipt),
            Event::LabelEditUpdate(update) => {
                if let Some(client) = self.client() {
                    label::edited(&self.context, &client, update);
                }
            }
            Event::LabelAssociationUpdate(update) => {
                if let Some(client) = self.client() {
                    label::associated(&self.context, &client, update);
                }
            }
            Event::ContactUpdate(update) => {
                if let Some(named) = self.client().and_then(|client| Named::of(&client, update)) {
                    self.note(Record::Name(named));
                }
            }
            Event::HistorySync(_)
            | Event::MarkChatAsReadUpdate(_)
            | Event::ArchiveUpdate(_)
            | Event::PinUpdate(_)
            | Event::MuteUpdate(_)
            | Event::DeleteChatUpdate(_)
            | Event::DeleteMessageForMeUpdate(_) => self.chats(&event),
            _ => self.happened(&event),
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
