//! What every part of a device works with.

use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, watch};

use super::chat::rejected::Rejected;
use super::contact::row::PushNames;
use super::contact::watched::Watched;
use super::device::notice::Notice;
use super::device::status::StatusCell;
use super::directory::Directory;
use super::media::fetch::Fetcher;
use super::media::place::Places;
use super::net::Net;
use super::receive::post::OwnPosts;
use super::recorder::{Notes, Record, resolved};
use super::send::ack::{Acks, Written};
use super::send::claim::Claims;
use super::send::fresh::Fresh;
use super::send::hold::Holds;
use super::session::{Holders, SessionStore};
use crate::config::{Calls, Pace, Presence, Proxy, ShownAs};
use crate::model::DeviceName;
use crate::store::Store;
use crate::task::Tasks;

pub(crate) struct Context {
    pub(crate) name: DeviceName,
    pub(crate) store: Store,
    pub(crate) tasks: Tasks,
    pub(crate) net: Net,
    pub(crate) max_media: u64,
    pub(crate) fetcher: Fetcher,
    /// Where there is room for work with whole files.
    pub(crate) places: Places,
    pub(crate) directory: Directory,
    pub(crate) acks: Acks,
    pub(crate) claims: Claims,
    pub(crate) holds: Holds,
    pub(crate) fresh: Fresh,
    /// Who was given the keys of groups, as far as only memory knows.
    pub(crate) holders: Holders,
    /// Whose timer was asked for lately.
    pub(crate) timers_asked: Fresh,
    pub(crate) read_receipts: Written,
    pub(crate) own_posts: OwnPosts,
    pub(crate) status: StatusCell,
    /// How fast messages go out.
    pub(crate) pace: watch::Sender<Option<Pace>>,
    /// Held while a message that has a pace is written.
    pub(crate) wire: tokio::sync::Mutex<()>,
    /// What becomes of calls.
    pub(crate) calls: watch::Sender<Calls>,
    pub(crate) rejected: Rejected,
    /// What WhatsApp is told about whether somebody is there.
    pub(crate) presence: watch::Sender<Presence>,
    /// Held while a group is made under a key.
    pub(crate) making: tokio::sync::Mutex<()>,
    pub(crate) push_names: PushNames,
    /// Whose presence is to be known.
    pub(crate) watched: Watched,
    /// As what the phone lists the device from the next linking on.
    pub(crate) shown_as: watch::Sender<ShownAs>,
    /// Through what the next client reaches WhatsApp.
    pub(crate) proxy: watch::Sender<Option<Proxy>>,
    /// It was said that sent messages are dropped because they are too many.
    pub(crate) crowded: Arc<OnceLock<()>>,
    pub(crate) notes: Notes,
    pub(crate) notices: mpsc::UnboundedSender<(u64, Notice)>,
}

impl Context {
    /// Fresh for every client: a store that was halted stays halted.
    pub(crate) fn backend(&self) -> Arc<SessionStore> {
        let (device, notes) = (self.name.clone(), self.notes.clone());
        let told = Arc::new(move |lid: &str, phone: &str| {
            notes.pay(notes.owe(), Record::Event(resolved(&device, lid, phone)));
        });
        let (device, warned) = (self.name.clone(), Arc::clone(&self.crowded));
        let crowded = Arc::new(move |dropped| {
            metrics::counter!("moonwa_sent_messages_dropped_total", "device" => device.to_string())
                .increment(dropped);
            warned.get_or_init(|| {
                tracing::warn!(
                    %device,
                    "More was sent in 14 days than is kept for phones that ask for a message again: the oldest ones go, and a phone \
                     that was off all the time may not get them. It is counted in moonwa_sent_messages_dropped_total."
                );
            });
        });
        let notes = self.notes.clone();
        let spend = Arc::new(move |keys| notes.note(Record::Spent(keys)));
        let session = SessionStore::new(self.store.space(&self.name));
        Arc::new(
            session
                .telling(told)
                .telling_crowded(crowded)
                .spending(spend)
                .sharing(self.holders.clone())
                .waiting(self.tasks.clone()),
        )
    }
}
