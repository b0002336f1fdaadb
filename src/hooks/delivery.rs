//! One event to one endpoint: the POST, and the reply that may come back with it. Whether and when there is a next
//! time is the machine's business.

use std::sync::Arc;

use bytes::Bytes;

use super::attempt::{Outcome, Post};
use super::class::Class;
use super::pool::Pool;
use super::reply;
use crate::config::{EndpointConfig, Format};
use crate::model::EventId;
use crate::store::{EndpointId, Store};

/// What a delivery needs beside the event. Clones share it.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) store: Store,
    pub(super) pool: Pool,
    /// What all waits are multiplied with; 1 but in tests.
    pub(super) scale: f64,
}

/// An event on its way.
pub(super) struct Parcel {
    pub(super) id: EndpointId,
    pub(super) endpoint: Arc<EndpointConfig>,
    pub(super) event: EventId,
    /// The log's bytes.
    pub(super) source: Bytes,
    /// What is posted.
    pub(super) body: Bytes,
}

impl Delivery {
    /// Posts, and queues the reply in the answer. `failing`: the endpoint failed lately.
    pub(super) async fn deliver(&self, parcel: &Parcel, failing: bool) -> Outcome {
        let (endpoint, event) = (parcel.endpoint.clone(), parcel.event.clone());
        let post = Post { endpoint, event, body: parcel.body.clone() };
        let mut outcome = self.pool.post(post, failing).await;
        if outcome.class != Class::Delivered || parcel.endpoint.format != Format::Moonwa {
            return outcome;
        }
        let Parcel { id, event, source, .. } = parcel;
        // The event counts as delivered once its reply is safe: else it is posted again later.
        match reply::queue(&self.store, id, event, source, &outcome.answer).await {
            Ok(0) => {}
            Ok(messages) => tracing::debug!(event = %event, messages, "A webhook replied."),
            Err(error) => {
                outcome.class = Class::Endpoint;
                outcome.fault = Some(error.into());
            }
        }
        outcome
    }
}
