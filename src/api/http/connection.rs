//! Which connections are open, and which of them goes when all places are taken. A connection that waits for its client,
//! for the rest of a head or of a body, gives way to a new one; a request that is being answered never does.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::access::throttle::block;

/// One client has at most this part of the places.
const SHARE: usize = 4;
/// Connections beyond the places, open only until each is told that there is none.
const REFUSED: usize = 32;

/// How many connections may be open, and whom a connection belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: IpAddr,
    /// Whether the peer stands for many clients: a proxy, or this machine.
    pub(crate) many: bool,
    /// `server.max_connections`.
    pub(crate) most: usize,
}

/// All open connections.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Inner>);

#[derive(Default)]
struct Inner {
    table: Mutex<Table>,
    /// A place has become free, or the connection that has it waits for its client.
    freed: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Entry>,
}

struct Entry {
    peer: IpAddr,
    /// Who is counted for it. Behind a proxy this is known only while a request is answered.
    client: Option<IpAddr>,
    doing: Doing,
    since: Instant,
    shared: Arc<Shared>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// It waits for the head of a request, or for the rest of one.
    Head,
    /// It waits for the rest of a body.
    Body,
    Answer,
    /// It has no place and waits for a head, so that it can be told.
    Refuse,
}

/// What a connection's place and its socket know of each other.
#[derive(Default)]
struct Shared {
    gone: CancellationToken,
    /// Whether the client has yet to take a part of an answer.
    unsent: AtomicBool,
    /// Whether something has come since the last answer.
    begun: AtomicBool,
    /// Whether a whole head has come and is not answered yet.
    busy: AtomicBool,
    /// Whether the client may still be sending a body.
    unread: AtomicBool,
}

/// The client already has as many connections as it may have, or all places are taken.
#[derive(Debug)]
pub(crate) struct NoPlace;

impl Entry {
    fn waits(&self) -> bool {
        matches!(self.doing, Doing::Head | Doing::Body)
            && !self.shared.unsent.load(Ordering::Relaxed)
    }

    /// On whose account it waits: a proxy stands for itself until the client is known.
    fn group(&self) -> IpAddr {
        self.client.unwrap_or(self.peer)
    }
}

impl Table {
    fn count(&self, which: impl Fn(&Entry) -> bool) -> usize {
        self.open.values().filter(|entry| which(entry)).count()
    }

    fn has_room(&self, most: usize) -> bool {
        self.count(|entry| entry.doing != Doing::Refuse) < most
            || self.open.values().any(Entry::waits)
    }

    fn end(&mut self, id: u64) {
        if let Some(entry) = self.open.remove(&id) {
            entry.shared.gone.cancel();
        }
    }

    /// Ends one of those that wait, if any does: of whoever has most of them the one that waits longest. A client that
    /// holds few is not made to pay for one that holds many.
    fn make_room(&mut self, which: impl Fn(&u64, &Entry) -> bool) -> Result<(), NoPlace> {
        let waiting = || self.open.iter().filter(|(id, entry)| entry.waits() && which(id, entry));
        let mut groups: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (_, entry) in waiting() {
            *groups.entry(entry.group()).or_default() += 1;
        }
        let largest = groups.values().max().copied();
        let oldest = waiting()
            .filter(|(_, entry)| groups.get(&entry.group()).copied() == largest)
            .min_by_key(|(_, entry)| entry.since);
        let id = oldest.map(|(id, _)| *id).ok_or(NoPlace)?;
        self.end(id);
        Ok(())
    }

    /// Makes a place for one more of this client's, whose connections are counted.
    fn within_share(&mut self, client: IpAddr, but: u64, most: usize) -> Result<(), NoPlace> {
        let own = |id: &u64, entry: &Entry| *id != but && entry.client == Some(client);
        let held = self.open.iter().filter(|(id, entry)| own(id, entry)).count();
        if held < (most / SHARE).max(1) { Ok(()) } else { self.make_room(own) }
    }

    fn admit(&mut self, arrival: Arrival, client: Option<IpAddr>) -> Result<(), NoPlace> {
        if let Some(client) = client {
            self.within_share(client, self.next, arrival.most)?;
        }
        let taken = self.count(|entry| entry.doing != Doing::Refuse);
        if taken < arrival.most { Ok(()) } else { self.make_room(|_, _| true) }
    }

    /// Nobody waits long for a refusal, and many cannot take much.
    fn limit_refused(&mut self) {
        let refused = || self.open.iter().filter(|(_, entry)| entry.doing == Doing::Refuse);
        if refused().count() >= REFUSED
            && let Some(id) = refused().min_by_key(|(_, entry)| entry.since).map(|(id, _)| *id)
        {
            self.end(id);
        }
    }
}

impl Connections {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has_room(&self, most: usize) -> bool {
        self.table().has_room(most)
    }

    /// Waits until a new connection finds a place. For one caller at a time.
    pub(crate) async fn room(&self, most: usize) {
        while !self.table().has_room(most) {
            self.0.freed.notified().await;
        }
    }

    /// Gives a new connection its place. Without one it is told so as soon as it has sent a head.
    pub(crate) fn enter(&self, arrival: Arrival) -> Place {
        let mut table = self.table();
        let client = (!arrival.many).then(|| block(arrival.peer));
        let admitted = table.admit(arrival, client);
        if admitted.is_err() {
            table.limit_refused();
        }
        let doing = if admitted.is_ok() { Doing::Head } else { Doing::Refuse };
        let (id, shared) = (table.next, Arc::new(Shared::default()));
        table.next += 1;
        let since = Instant::now();
        let (peer, entry_shared) = (block(arrival.peer), Arc::clone(&shared));
        table.open.insert(id, Entry { peer, client, doing, since, shared: entry_shared });
        drop(table);
        let held = Held { connections: self.clone(), id, arrival, refused: admitted.is_err() };
        Place { shared, held: Arc::new(held) }
    }
}

struct Held {
    connections: Connections,
    id: u64,
    arrival: Arrival,
    refused: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.connections.table().open.remove(&self.id);
        self.connections.0.freed.notify_one();
    }
}

/// The place of one connection, given back when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    held: Arc<Held>,
}

impl Place {
    /// The other end of the connection.
    pub(crate) fn peer(&self) -> IpAddr {
        self.held.arrival.peer
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.held.connections.table().open.get_mut(&self.held.id) {
            change(entry);
        }
    }

    /// A head has come from this client, perhaps by way of a proxy; `many` says whether it stands for many clients even
    /// so.
    pub(crate) fn begin(&self, client: IpAddr, many: bool, has_body: bool) -> Result<(), NoPlace> {
        self.shared.busy.store(true, Ordering::Relaxed);
        self.shared.unread.store(has_body, Ordering::Relaxed);
        if self.held.refused {
            return Err(NoPlace);
        }
        let mut table = self.held.connections.table();
        let client = (!many).then(|| block(client)).filter(|_| self.held.arrival.many);
        if let Some(client) = client {
            table.within_share(client, self.held.id, self.held.arrival.most)?;
        }
        // Another connection may have taken the place while the head came.
        let entry = table.open.get_mut(&self.held.id).ok_or(NoPlace)?;
        entry.client = client.or(entry.client);
        entry.doing = if has_body { Doing::Body } else { Doing::Answer };
        entry.since = Instant::now();
        Ok(())
    }

    /// The body is here.
    pub(crate) fn read(&self) {
        self.shared.unread.store(false, Ordering::Relaxed);
        self.change(|entry| entry.doing = Doing::Answer);
    }

    /// The client waits, and so does nobody for it.
    pub(crate) fn wait(&self) {
        self.change(|entry| entry.doing = Doing::Body);
    }

    /// The answer is on its way, and the next head may come.
    pub(crate) fn answered(&self) {
        self.shared.begun.store(false, Ordering::Relaxed);
        self.shared.busy.store(false, Ordering::Relaxed);
        if self.held.refused {
            return;
        }
        let many = self.held.arrival.many;
        self.change(|entry| {
            entry.client = entry.client.filter(|_| !many);
            entry.doing = Doing::Head;
            entry.since = Instant::now();
        });
        self.held.connections.0.freed.notify_one();
    }

    /// Cancelled when another connection has taken the place.
    pub(crate) fn gone_token(&self) -> CancellationToken {
        self.shared.gone.clone()
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.shared.gone.is_cancelled()
    }

    /// Whether the connection ends here, and no request that could be answered is on it.
    pub(crate) fn is_over(&self) -> bool {
        self.is_gone() && !self.shared.busy.load(Ordering::Relaxed)
    }

    /// Whether a part of a head has come, so that the client waits to be told something.
    pub(crate) fn has_begun(&self) -> bool {
        self.shared.begun.load(Ordering::Relaxed)
    }

    /// Whether a body was not read to its end.
    pub(crate) fn is_unread(&self) -> bool {
        self.shared.unread.load(Ordering::Relaxed)
    }

    /// A part of a head or of a body has come.
    pub(crate) fn came(&self) {
        self.shared.begun.store(true, Ordering::Relaxed);
    }

    /// Whether a part of an answer waits until the client takes it.
    pub(crate) fn set_unsent(&self, unsent: bool) {
        self.shared.unsent.store(unsent, Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Place {
    /// The place of the only connection.
    pub(crate) fn alone() -> Self {
        let peer = std::net::Ipv4Addr::LOCALHOST.into();
        Connections::default().enter(Arrival { peer, many: true, most: 1 })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const MOST: usize = 16;

    fn arrival(peer: &str, many: bool) -> Arrival {
        Arrival { peer: peer.parse().unwrap(), many, most: MOST }
    }

    fn begin(place: &Place, client: &str, has_body: bool) -> bool {
        place.begin(client.parse().unwrap(), false, has_body).is_ok()
    }

    #[tokio::test]
    async fn one_client_has_a_share_of_the_places() {
        let connections = Connections::default();
        let enter = |peer: &str| connections.enter(arrival(peer, false));
        let share: Vec<_> = (0..MOST / SHARE).map(|_| enter("192.0.2.1")).collect();
        assert!(share.iter().all(|place| begin(place, "192.0.2.1", false)));
        assert!(!begin(&enter("192.0.2.1"), "192.0.2.1", false), "all of them are being answered");
        assert!(begin(&enter("192.0.2.2"), "192.0.2.2", false));
        share[1].answered();
        assert!(begin(&enter("192.0.2.1"), "192.0.2.1", false), "an idle one gives way");
        let gone: Vec<bool> = share.iter().map(Place::is_gone).collect();
        assert_eq!(gone, [false, true, false, false]);
        drop(share);
        assert!(connections.table().open.is_empty(), "nothing is kept of who left");
    }

    #[tokio::test]
    async fn a_proxys_clients_are_counted_and_not_the_proxy() {
        let connections = Connections::default();
        let enter = || connections.enter(arrival("127.0.0.1", true));
        let places: Vec<_> = (0..MOST).map(|_| enter()).collect();
        for place in &places[..MOST / SHARE] {
            assert!(begin(place, "192.0.2.1", false));
        }
        let next = &places[MOST / SHARE];
        assert!(!begin(next, "192.0.2.1", false), "a fifth request of one client");
        assert!(begin(next, "192.0.2.2", false), "another client's on the same connection");
        places[0].answered();
        assert!(begin(&places[0], "192.0.2.1", false));
    }

    #[tokio::test]
    async fn whoever_has_most_that_wait_gives_way_first() {
        let connections = Connections::default();
        let proxy = || connections.enter(arrival("127.0.0.1", true));
        let bodies = |client: &str, count: usize| -> Vec<Place> {
            let places: Vec<_> = (0..count).map(|_| proxy()).collect();
            assert!(places.iter().all(|place| begin(place, client, true)));
            places
        };
        let upload = bodies("192.0.2.1", 1);
        let working = connections.enter(arrival("192.0.2.9", false));
        assert!(begin(&working, "192.0.2.9", false));
        let mut slow = Vec::new();
        for n in 2..6 {
            slow.extend(bodies(&format!("192.0.2.{n}"), 3));
        }
        let rest: Vec<_> = (0..2).map(|_| proxy()).collect();
        let new: Vec<_> = (0..8).map(|_| proxy()).collect();
        assert!(new.iter().all(|place| begin(place, "192.0.2.7", false) || place.is_gone()));
        assert!(!upload[0].is_gone() && !working.is_gone());
        assert!(slow.iter().any(Place::is_gone));
        assert_eq!(connections.table().open.len(), MOST);
        drop(rest);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_rush_waits_for_its_turn() {
        let connections = Connections::default();
        let enter = || connections.enter(arrival("127.0.0.1", true));
        let mut places: Vec<_> = (0..MOST).map(|_| enter()).collect();
        let soon = Duration::from_secs(1);
        assert!(timeout(soon, connections.room(MOST)).await.is_ok(), "they wait for their heads");
        for place in &places {
            assert!(place.begin("127.0.0.1".parse().unwrap(), true, false).is_ok());
        }
        assert!(timeout(soon, connections.room(MOST)).await.is_err());
        let (room, ()) = tokio::join!(timeout(soon, connections.room(MOST)), async {
            places[3].answered();
        });
        assert!(room.is_ok(), "one is answered");
        assert!(places[3].begin("127.0.0.1".parse().unwrap(), true, false).is_ok());
        let (room, ()) = tokio::join!(timeout(soon, connections.room(MOST)), async {
            places.pop();
        });
        assert!(room.is_ok(), "one is closed");
    }

    #[tokio::test]
    async fn who_finds_no_place_is_told_and_few_wait_for_that() {
        let connections = Connections::default();
        let enter = || connections.enter(arrival("127.0.0.1", true));
        let places: Vec<_> = (0..MOST).map(|_| enter()).collect();
        for place in &places {
            assert!(place.begin("127.0.0.1".parse().unwrap(), true, false).is_ok());
        }
        let refused: Vec<_> = (0..=REFUSED).map(|_| enter()).collect();
        assert!(refused[0].is_gone() && !refused[1].is_gone());
        assert!(!begin(&refused[1], "127.0.0.1", false));
        places[0].answered();
        places[0].set_unsent(true);
        assert!(!begin(&enter(), "127.0.0.1", false), "its answer is not all sent");
        places[0].set_unsent(false);
        assert!(begin(&enter(), "127.0.0.1", false));
    }
}
