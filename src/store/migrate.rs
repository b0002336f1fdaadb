//! Moves rows of an older version to where they belong now. A step that was interrupted is done again.

use fjall::PersistMode;

use crate::store::StoreError;
use crate::store::database::keyspace;
use crate::store::database::outbox::Outbox;
use crate::store::database::state::State;

/// Rows moved in one commit.
const STEP: usize = 1_000;

/// The send queue was in `state/`, where a status and its event were two commits.
pub(super) fn queue_from_state(state: &State, outbox: &Outbox) -> Result<(), StoreError> {
    const QUEUE: &str = "queue";
    if !state.db.keyspace_exists(QUEUE) {
        return Ok(());
    }
    let old = keyspace(&state.db, QUEUE)?;
    let mut moved = 0_usize;
    loop {
        let rows: Result<Vec<_>, _> = old.iter().take(STEP).map(fjall::Guard::into_inner).collect();
        let rows = rows.map_err(StoreError::database)?;
        if rows.is_empty() {
            break;
        }
        let mut copies = outbox.db.batch().durability(Some(PersistMode::SyncAll));
        let mut originals = state.db.batch().durability(Some(PersistMode::SyncAll));
        for (key, value) in rows {
            copies.insert(&outbox.queue, key.clone(), value);
            originals.remove(&old, key);
            moved += 1;
        }
        copies.commit().map_err(StoreError::database)?;
        originals.commit().map_err(StoreError::database)?;
    }
    // The empty keyspace stays: fjall gives the number of a dropped one out again.
    if moved > 0 {
        tracing::info!(rows = moved, "The send queue moved into the outbox.");
    }
    Ok(())
}
