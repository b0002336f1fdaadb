//! Removes old rows from the databases, about once a minute.

use std::sync::Arc;
use std::time::Duration;

use crate::store::StoreError;
use crate::store::database::committer::Tidy;
use crate::store::database::outbox::Outbox;
use crate::store::database::state::State;
use crate::store::database::txn::Txn;
use crate::store::history;
use crate::store::log::retention::retire;
use crate::store::message::sweep;

/// How often an idle gateway saves the time of the store's clock.
const SELDOM: Duration = Duration::from_mins(10);

impl Tidy for State {
    fn tidy(self: &Arc<Self>, _txn: &mut Txn<'_>) -> Result<(), StoreError> {
        // Its rows are removed by their owners, who know what they mean.
        Ok(())
    }

    fn end(&self, _txn: &mut Txn<'_>) {}
}

impl Tidy for Outbox {
    fn tidy(self: &Arc<Self>, txn: &mut Txn<'_>) -> Result<(), StoreError> {
        let now = self.clock.now();
        retire(self, txn, now)?;
        history::retire(self, txn)?;
        self.clock.save(&self.meta, txn, SELDOM);
        sweep(self, txn, now)
    }

    fn end(&self, txn: &mut Txn<'_>) {
        for segment in self.segments() {
            segment.settle(&self.meta, txn);
        }
    }
}
