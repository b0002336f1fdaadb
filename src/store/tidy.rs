//! What is removed from the databases as it gets old, about once a minute.

use std::sync::Arc;

use super::StoreError;
use super::message::sweep;
use super::outbox::Outbox;
use super::retention::retire;
use super::state::State;
use super::txn::Txn;
use super::writer::Tidy;
use crate::model::UnixMillis;

impl Tidy for State {
    fn tidy(self: &Arc<Self>, _txn: &mut Txn<'_>, _now: UnixMillis) -> Result<(), StoreError> {
        // Its rows are removed by their owners, who know what they mean.
        Ok(())
    }
}

impl Tidy for Outbox {
    fn tidy(self: &Arc<Self>, txn: &mut Txn<'_>, now: UnixMillis) -> Result<(), StoreError> {
        retire(self, txn, now)?;
        sweep(self, txn, now)
    }
}
