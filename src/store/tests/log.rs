use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::{EventId, EventType};
use crate::store::database::committer::Tidy;
use crate::store::database::segment::Segment;
use crate::store::log::Page;
use crate::store::repair::inspect;
use crate::store::tally::Counted;

fn event(device: &DeviceName, n: u64) -> NewEvent {
    NewEvent {
        device: device.clone(),
        id: id(device, n),
        kind: EventType::MessageReceived,
        at: UnixMillis::from_secs(n),
        body: format!("{{\"n\":{n}}}").into(),
        counts: Counted::Nothing,
    }
}

fn id(device: &DeviceName, n: u64) -> EventId {
    EventId::derive(&[device.as_str(), &n.to_string()])
}

fn seqs(page: &Page) -> Vec<u64> {
    page.events.iter().map(|event| event.seq.0).collect()
}

fn numbers(outbox: &Outbox) -> Vec<u64> {
    outbox.segments().iter().map(|segment| segment.number).collect()
}

fn retire(outbox: &Arc<Outbox>, now: UnixMillis) {
    let mut group = database::txn::Group::default();
    group.run(|txn| crate::store::log::retention::retire(outbox, txn, now)).unwrap();
    group.commit(&outbox.db, fjall::PersistMode::Buffer).unwrap();
}

#[tokio::test]
async fn events_come_back_in_order_and_survive() {
    let opened = open().await;
    let (a, b) = (device("a"), device("b"));
    let log = opened.store.log();
    log.append(vec![event(&a, 1), event(&b, 1), event(&a, 2)]).await.unwrap();
    log.append(vec![event(&a, 3)]).await.unwrap();

    let opened = opened.reopen().await;
    let log = opened.store.log();
    let page = log.read_after(&a, Seq(0), 2).await.unwrap();
    assert_eq!((seqs(&page), page.dropped), (vec![1, 2], 0));
    let page = log.read_after(&a, Seq(2), 64).await.unwrap();
    assert_eq!(seqs(&page), [3]);
    let last = &page.events[0];
    assert_eq!((&last.id, last.kind), (&id(&a, 3), EventType::MessageReceived));
    assert_eq!((last.at, &last.body[..]), (UnixMillis::from_secs(3), &b"{\"n\":3}"[..]));
    assert_eq!(*log.tail(&a).borrow(), Seq(3));
    assert_eq!(*log.tail(&b).borrow(), Seq(1));
    assert_eq!(*log.tail(&device("c")).borrow(), Seq(0));
    let page = log.read_after(&a, Seq(3), 64).await.unwrap();
    assert_eq!((seqs(&page), page.dropped), (vec![], 0));
}

#[tokio::test]
async fn appending_twice_is_appending_once() {
    let opened = open().await;
    let a = device("a");
    let log = opened.store.log();
    log.append(vec![event(&a, 1), event(&a, 1), event(&a, 2)]).await.unwrap();
    let together = [log.append(vec![event(&a, 2), event(&a, 3)]), log.append(vec![event(&a, 3)])];
    assert!(futures_util::future::join_all(together).await.iter().all(Result::is_ok));
    let opened = opened.reopen().await;
    let log = opened.store.log();
    log.append(vec![event(&a, 3), event(&a, 4)]).await.unwrap();
    assert_eq!(seqs(&log.read_after(&a, Seq(0), 64).await.unwrap()), [1, 2, 3, 4]);
    assert_eq!(log.find(&a, &id(&a, 3)).await.unwrap(), Some(Seq(3)));
    assert_eq!(log.find(&a, &id(&a, 9)).await.unwrap(), None);
    assert_eq!(log.find(&device("b"), &id(&a, 3)).await.unwrap(), None);
}

#[tokio::test]
async fn a_tail_wakes_whoever_waits() {
    let opened = open().await;
    let a = device("a");
    let mut tail = opened.store.log().tail(&a);
    let append = opened.store.log().append(vec![event(&a, 1)]);
    let (seen, appended) =
        futures_util::future::join(tail.wait_for(|seq| *seq == Seq(1)), append).await;
    assert!(seen.is_ok() && appended.is_ok());
}

#[tokio::test]
async fn too_much_drops_the_oldest_and_counts_every_one() {
    let small = |options: &mut StoreOptions| options.max_size = 64 * 1024;
    let opened = open().await.reopen_with(small).await;
    let (a, b) = (device("a"), device("b"));
    let log = opened.store.log();
    let big = |n| NewEvent { body: vec![b'x'; 1000].into(), ..event(&a, n) };
    log.append(vec![event(&b, 1)]).await.unwrap();
    for n in 1..=200 {
        log.append(vec![big(n)]).await.unwrap();
    }
    let page = log.read_after(&a, Seq(0), 1000).await.unwrap();
    let kept = page.events.len() as u64;
    assert!((30..=75).contains(&kept), "{kept} of 200 kept");
    assert_eq!(page.dropped + kept, 200);
    assert_eq!(seqs(&page), (201 - kept..=200).collect::<Vec<_>>());
    let halfway = log.read_after(&a, Seq(50), 1).await.unwrap();
    assert_eq!(halfway.dropped, page.dropped - 50);
    // A device whose every event is gone still knows how many it had.
    let other = log.read_after(&b, Seq(0), 10).await.unwrap();
    assert_eq!((seqs(&other), other.dropped), (vec![], 1));
    assert_eq!(log.find(&a, &id(&a, 1)).await.unwrap(), None);
    // Whoever waits is told of it without reading, and of what comes next.
    let told = |log: &EventLog| [&a, &b].map(|device| (log.dropped(device), log.at_risk(device)));
    let told =
        |log: &EventLog| told(log).map(|(dropped, risk)| (*dropped.borrow(), *risk.borrow()));
    let [(dropped, at_risk), other] = told(log);
    assert_eq!((dropped, other), (Seq(page.dropped), (Seq(1), Seq(1))));
    assert!(at_risk > dropped && at_risk.0 < page.dropped + kept / 2, "{at_risk:?}");

    let opened = opened.reopen_with(small).await;
    let log = opened.store.log();
    let [(dropped_before, at_risk_now), other_before] = told(log);
    assert_eq!((dropped_before, other_before), (dropped, other));
    assert!(at_risk_now >= at_risk, "{at_risk_now:?}");
    let again = log.read_after(&a, Seq(0), 1000).await.unwrap();
    assert_eq!((again.dropped, seqs(&again)), (page.dropped, seqs(&page)));
    log.append(vec![event(&b, 2)]).await.unwrap();
    assert_eq!(seqs(&log.read_after(&b, Seq(1), 10).await.unwrap()), [2]);
    let folders = std::fs::read_dir(opened.dir.path().join("outbox/keyspaces")).unwrap().count();
    assert!(folders <= 3 + 10, "{folders} keyspaces: dropped ones were not deleted");
}

#[tokio::test]
async fn too_old_is_dropped_too() {
    let opened = open().await;
    let a = device("a");
    opened.store.log().append(vec![event(&a, 1)]).await.unwrap();
    opened.store.close().await.unwrap();
    let limits = Limits { keep: Duration::from_secs(3600), max_size: 1 << 30 };
    let outbox = Arc::new(Outbox::open(&opened.dir.path().join("outbox"), limits).unwrap());
    let retire = |now: UnixMillis| {
        retire(&outbox, now);
        numbers(&outbox)
    };
    let now = UnixMillis::now();
    assert_eq!(retire(now.after(Duration::from_secs(3500))), [1]);
    assert_eq!(retire(now.after(Duration::from_secs(3700))), [2], "an empty one takes its place");
    drop(outbox);
    let store = Store::open(options(opened.dir.path())).await.unwrap();
    let page = store.log().read_after(&a, Seq(0), 10).await.unwrap();
    assert_eq!((seqs(&page), page.dropped), (vec![], 1));
    store.log().append(vec![event(&a, 2)]).await.unwrap();
    assert_eq!(seqs(&store.log().read_after(&a, Seq(1), 10).await.unwrap()), [2]);
}

#[tokio::test]
async fn a_wall_clock_that_jumps_makes_no_event_old() {
    let opened = open().await;
    let a = device("a");
    opened.store.log().append(vec![event(&a, 1)]).await.unwrap();
    opened.store.close().await.unwrap();
    let path = opened.dir.path().join("outbox");
    let limits = Limits { keep: Duration::from_hours(72), max_size: 1 << 30 };
    let days = |n: u64| Duration::from_hours(24 * n);
    // After a start the wall clock is five days ahead of the store's; then the store has been open for five days.
    for saved in [UnixMillis::now().before(days(5)), UnixMillis::now().after(days(5))] {
        let outbox = Arc::new(Outbox::open(&path, limits).unwrap());
        let key = Key::new(b'a').into_bytes();
        outbox.meta.insert(key, saved.millis().to_be_bytes().as_slice()).unwrap();
        drop(outbox);
        let outbox = Arc::new(Outbox::open(&path, limits).unwrap());
        let mut group = database::txn::Group::default();
        let wall = UnixMillis::now();
        group.run(|txn| outbox.tidy(txn)).unwrap();
        group.commit(&outbox.db, fjall::PersistMode::SyncAll).unwrap();
        let expected: &[u64] = if saved < wall { &[1] } else { &[2] };
        assert_eq!(numbers(&outbox), expected);
    }
}

#[tokio::test]
async fn a_replay_finds_the_place_before_a_time() {
    let opened = open().await;
    let a = device("a");
    let log = opened.store.log();
    assert_eq!(log.before(&a, UnixMillis::from_secs(0)).await.unwrap(), Seq(0));
    log.append(vec![event(&a, 1), event(&a, 2)]).await.unwrap();
    let first = log.read_after(&a, Seq(0), 1).await.unwrap().events[0].stored;
    // The next one is stored at a later millisecond of the store's clock.
    let clock = opened.store.own_space();
    while clock.now() <= first {
        tokio::task::yield_now().await;
    }
    log.append(vec![event(&a, 3)]).await.unwrap();
    let third = log.read_after(&a, Seq(2), 1).await.unwrap().events[0].stored;
    assert_eq!(log.before(&a, UnixMillis::from_secs(0)).await.unwrap(), Seq(0));
    assert_eq!(log.before(&a, first).await.unwrap(), Seq(0));
    assert_eq!(log.before(&a, third).await.unwrap(), Seq(2));
    assert_eq!(log.before(&a, third.after(Duration::from_secs(60))).await.unwrap(), Seq(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_beside_the_writer_misses_nothing() {
    // A commit fills several slices, and fjall puts full ones to the disk beside it.
    const ALL: u64 = 5_120;
    const BATCH: u64 = 256;
    let opened = open().await.reopen_with(|options| options.max_size = 1 << 20).await;
    let a = device("a");
    let read = tokio::sync::watch::Sender::new(0);
    let writer = async {
        for first in (1..=ALL).step_by(256) {
            // Far less is unread than is kept, so that nothing may be dropped.
            read.subscribe().wait_for(|read| *read + BATCH >= first).await.unwrap();
            let long = |n| NewEvent { body: vec![b'x'; 1000].into(), ..event(&a, n) };
            opened.store.log().append((first..first + BATCH).map(long).collect()).await.unwrap();
        }
    };
    let mut tail = opened.store.log().tail(&a);
    let reader = async {
        while *read.borrow() < ALL {
            let after = *read.borrow();
            tail.wait_for(|tail| tail.0 > after).await.unwrap();
            let page = opened.store.log().read_after(&a, Seq(after), 64).await.unwrap();
            let expected: Vec<u64> = (after + 1..).take(page.events.len()).collect();
            assert_eq!((seqs(&page), page.dropped), (expected, 0), "after {after}");
            read.send_replace(after + page.events.len() as u64);
        }
    };
    tokio::join!(writer, reader);
}

/// What a process does with the log before it dies.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Appends an event.
    Append,
    /// Makes a slice; dies before the first commit to it.
    Make,
    /// Takes the oldest slice off the books; dies before its rows are gone.
    Unlist,
    /// Drops all that is stored, as too old.
    Retire,
    /// Nothing.
    Open,
}

impl Deed {
    async fn be_done(self, path: &Path, last: u64) {
        let limits = Limits { keep: Duration::from_secs(3600), max_size: 1 << 30 };
        let outbox = || Arc::new(Outbox::open(&path.join("outbox"), limits).unwrap());
        match self {
            Self::Append => {
                let store = Store::open(options(path)).await.unwrap();
                store.log().append(vec![event(&device("a"), last + 1)]).await.unwrap();
                store.close().await.unwrap();
            }
            Self::Make => {
                let outbox = outbox();
                let number = numbers(&outbox).last().map_or(1, |last| last + 1);
                Segment::open(&outbox.db, number).unwrap();
            }
            Self::Unlist => {
                let outbox = outbox();
                if let [oldest, _, ..] = *numbers(&outbox) {
                    outbox.meta.remove(Key::new(b'g').number(oldest).into_bytes()).unwrap();
                }
            }
            Self::Retire => retire(&outbox(), UnixMillis::now().after(Duration::from_secs(3700))),
            Self::Open => drop(outbox()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// fjall would give a new slice the number of a dropped one, and take the new one for dropped at the next start.
    #[test]
    fn wherever_it_dies_the_log_has_no_holes(deeds in vec(
        prop_oneof![
            4 => Just(Deed::Append),
            3 => Just(Deed::Make),
            2 => Just(Deed::Unlist),
            1 => Just(Deed::Retire),
            2 => Just(Deed::Open),
        ],
        1..40,
    )) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        // Each slice's events, oldest first.
        let (mut slices, mut last) = (vec![vec![]], 0);
        for deed in deeds {
            runtime.block_on(deed.be_done(dir.path(), last));
            match deed {
                Deed::Append => {
                    last += 1;
                    slices.last_mut().unwrap().push(last);
                }
                Deed::Make => slices.push(vec![]),
                Deed::Unlist if slices.len() > 1 => drop(slices.remove(0)),
                Deed::Retire => slices = vec![vec![]],
                Deed::Unlist | Deed::Open => {}
            }
            let damages = inspect::verify(&dir.path().join("outbox")).unwrap();
            prop_assert!(damages.is_empty(), "{:?} looks like damage: {:?}", deed, damages);
            // One that was never used goes with the next start, unless it is the highest.
            let (used, highest) = (slices.iter().filter(|slice| !slice.is_empty()), slices.last());
            let highest = highest.filter(|slice| slice.is_empty());
            slices = used.chain(highest).cloned().collect();
            let page = runtime.block_on(async {
                let store = Store::open(options(dir.path())).await.unwrap();
                let page = store.log().read_after(&device("a"), Seq(0), 100).await.unwrap();
                store.close().await.unwrap();
                page
            });
            prop_assert_eq!(seqs(&page), slices.concat(), "after {:?}", deed);
        }
    }
}
