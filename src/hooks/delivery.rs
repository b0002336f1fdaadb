//! Delivering one event to one endpoint: the POST, and the reply that may come back with it. Whether and when to try
//! again is up to the machine.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::watch;

use super::attempt::{self, Outcome};
use super::chatwoot::{self, Bridge, Phones};
use super::class::Class;
use super::client::{Client, KeepAlive, Post};
use super::media_url::MediaUrls;
use super::profile::{self, Setting};
use super::reply;
use crate::config::{EndpointConfig, Format};
use crate::model::{DeviceName, DeviceStatus, EventId, UnixMillis};
use crate::store::{EndpointId, Store};

/// What is known of all devices.
pub(super) type Statuses = watch::Receiver<Arc<BTreeMap<DeviceName, DeviceStatus>>>;

/// Carries out deliveries. Clones share the client.
#[derive(Clone)]
pub(super) struct Deliverer {
    pub(super) store: Store,
    pub(super) client: Client,
    pub(super) urls: Arc<MediaUrls>,
    /// Whose accounts the devices are linked to.
    pub(super) statuses: Arc<OnceLock<Statuses>>,
    /// The linked phones, for who needs their files.
    pub(super) phones: Arc<OnceLock<Arc<dyn Phones>>>,
    /// Every wait is multiplied by this; it is 1 except in tests.
    pub(super) scale: f64,
}

/// One event for one endpoint.
pub(super) struct Delivery {
    pub(super) id: EndpointId,
    pub(super) endpoint: Arc<EndpointConfig>,
    pub(super) event: EventId,
    /// The event as the log has it.
    pub(super) source: Bytes,
    /// The event as the receiver gets it.
    pub(super) body: Bytes,
}

impl Deliverer {
    /// What is posted to the endpoint, if it is posted now, of the event whose JSON is `source`.
    pub(super) fn body(&self, endpoint: &EndpointConfig, source: &Bytes) -> Option<Bytes> {
        if endpoint.format == Format::Chatwoot && !chatwoot::takes(source) {
            return None;
        }
        let source = match endpoint.format {
            // It names no file.
            Format::Moonwa => source.clone(),
            _ => self.urls.given_out(source, UnixMillis::now()),
        };
        let statuses = self.statuses.get().map(|statuses| statuses.borrow().clone());
        let public_url = self.urls.public_url();
        let statuses = statuses.as_deref();
        profile::body(&source, &Setting { statuses, public_url: &public_url, endpoint })
    }

    /// Posts the event, and queues the reply in the answer.
    pub(super) async fn deliver(&self, delivery: &Delivery, keep_alive: &mut KeepAlive) -> Outcome {
        if delivery.endpoint.format == Format::Chatwoot {
            let bridge = self.bridge(&delivery.id, &delivery.endpoint);
            return Box::pin(bridge.deliver(&delivery.body)).await;
        }
        let (endpoint, event) = (delivery.endpoint.clone(), delivery.event.clone());
        let post = Post { endpoint, event, body: delivery.body.clone() };
        let mut outcome = attempt::post(&self.client, &post, keep_alive).await;
        if outcome.class != Class::Delivered || delivery.endpoint.format != Format::Moonwa {
            return outcome;
        }
        let Delivery { id, event, source, .. } = delivery;
        // The event counts as delivered only when its reply is stored; otherwise it is posted again later.
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

    /// The bridge to the inbox of an endpoint.
    pub(super) fn bridge<'a>(
        &'a self,
        id: &'a EndpointId,
        endpoint: &'a EndpointConfig,
    ) -> Bridge<'a> {
        let phones = self.phones.get().map(|phones| &**phones);
        Bridge { store: &self.store, client: &self.client, phones, endpoint, id }
    }
}
