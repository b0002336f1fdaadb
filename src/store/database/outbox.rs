//! The database `outbox/` on disk, and the segments of its log.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fjall::{Database, Keyspace};

use crate::store::StoreError;
use crate::store::database;
use crate::store::database::clock::StoreClock;
use crate::store::database::segment::{Limits, Segment};
use crate::store::database::{Base, META, check_format, keyspace};
use crate::store::history::Slot;
use crate::store::key::Parts;
use crate::store::repair::damage::Damage;
use crate::store::seq::Places;

/// `outbox/`: the send queue, the event log, cursors, dead letters.
pub(crate) struct Outbox {
    path: PathBuf,
    pub(crate) db: Database,
    pub(crate) meta: Keyspace,
    pub(crate) dead: Keyspace,
    pub(crate) queue: Keyspace,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<StoreClock>,
    segments: RwLock<Vec<Segment>>,
    pub(crate) history: Slot,
    /// How far retention has got in each log, and how far it is about to get.
    pub(crate) dropped: Places,
    pub(crate) at_risk: Places,
}

impl Outbox {
    pub(crate) fn open(path: &Path, limits: Limits) -> Result<Self, StoreError> {
        let db = database::open(path)?;
        let meta = keyspace(&db, META)?;
        check_format(path, &db, &meta)?;
        let dead = keyspace(&db, "dead")?;
        let queue = keyspace(&db, "queue")?;
        let mut segments = Vec::new();
        for guard in meta.prefix(*b"g") {
            let key = guard.key().map_err(StoreError::database)?;
            let mut parts = Parts::of(&key);
            parts.tag();
            if let Some(number) = parts.number() {
                if !Segment::numbers(&db).contains(&number) {
                    let file = path.join("keyspaces");
                    let what = format!("lacks segment {number} of the log");
                    return Err(StoreError::broken(path, vec![Damage { file, what }]));
                }
                segments.push(Segment::open(&db, number)?);
            }
        }
        // A crash may leave a segment without its entry. The highest was just made and is kept, see `Segment`; the
        // others were just dropped.
        let known: Vec<u64> = segments.iter().map(|segment| segment.number).collect();
        let made = Segment::numbers(&db).into_iter().filter(|number| !known.contains(number));
        let mut left: Vec<u64> = made.collect();
        left.sort_unstable();
        if let Some(highest) = left.pop_if(|number| known.iter().all(|known| known < number)) {
            segments.push(Segment::open(&db, highest)?);
        }
        for number in left {
            let dropped = Segment::open(&db, number)?;
            db.delete_keyspace(dropped.rows).map_err(StoreError::database)?;
        }
        let mut newest = None;
        for segment in &segments {
            newest = newest.max(segment.committed(&meta)?.map(|row| row.newest));
        }
        let clock = Arc::new(StoreClock::open(&meta, newest)?);
        Ok(Self {
            path: path.to_owned(),
            db,
            meta,
            dead,
            queue,
            limits,
            clock,
            segments: RwLock::new(segments),
            history: Slot::default(),
            dropped: Places::default(),
            at_risk: Places::default(),
        })
    }

    /// Oldest first. A reader takes its snapshot before it asks, so that an event it cannot find was dropped.
    pub(crate) fn segments(&self) -> Vec<Segment> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add_segment(&self, segment: Segment) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    pub(crate) fn take_segment(&self, number: u64) -> Option<Segment> {
        let mut all = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let place = all.iter().position(|segment| segment.number == number)?;
        Some(all.remove(place))
    }
}

impl Base for Outbox {
    const NAME: &'static str = "outbox";
    const MAY_BE_HELD: bool = true;
    fn path(&self) -> &Path {
        &self.path
    }
    fn db(&self) -> &Database {
        &self.db
    }
    fn meta(&self) -> &Keyspace {
        &self.meta
    }
}
