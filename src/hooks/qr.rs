//! Codes to scan, for receivers that show them to people. A code is a login secret that works for some seconds: it goes
//! past the log and its cursors, once and at once, to whoever asked for it in the file. What comes too late is worth nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempt;
use super::client::{KeepAlive, Post};
use super::delivery::{Deliverer, Statuses};
use super::profile::{self, Setting};
use crate::config::EndpointConfig;
use crate::model::{DeviceName, DeviceState, EventId, Shown, UnixMillis};

/// Calls `post` for each code as it is shown, until nobody shows any more.
pub(super) async fn tell(mut statuses: Statuses, post: impl Fn(&DeviceName, &Shown)) {
    let mut told: BTreeMap<DeviceName, Shown> = BTreeMap::new();
    loop {
        let all = statuses.borrow_and_update().clone();
        for (device, status) in &*all {
            let DeviceState::Linking(linking) = &status.state else {
                told.remove(device);
                continue;
            };
            let Some(shown) = linking.qr.as_ref() else { continue };
            if told.get(device) != Some(shown) {
                told.insert(device.clone(), shown.clone());
                post(device, shown);
            }
        }
        if statuses.changed().await.is_err() {
            return;
        }
    }
}

/// One code for one endpoint.
pub(super) async fn post(
    deliverer: Deliverer,
    endpoint: Arc<EndpointConfig>,
    device: DeviceName,
    shown: Shown,
) {
    let event = EventId::derive(&["qr", device.as_str(), &shown.expires_at.millis().to_string()]);
    let public_url = deliverer.urls.public_url();
    let setting = Setting { statuses: None, public_url: &public_url, endpoint: &endpoint };
    let Some(body) = profile::code(&device, shown.code.expose(), UnixMillis::now(), &setting)
    else {
        return;
    };
    let post = Post { endpoint: endpoint.clone(), event, body };
    let outcome = attempt::post(&deliverer.client, &post, &mut KeepAlive::default()).await;
    if let Some(fault) = outcome.fault {
        let url = endpoint.shown_url();
        let error = fault.sentence;
        tracing::warn!(%device, url, error, "A webhook did not take a code to scan; the next one is posted as well.");
    }
}
