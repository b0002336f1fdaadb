//! The handlers of `/v1`, and those for load balancers and Prometheus.

pub(crate) mod backup;
pub(crate) mod chat;
pub(crate) mod chatwoot;
pub(crate) mod config;
pub(crate) mod contact;
pub(crate) mod device;
pub(crate) mod device_edit;
pub(crate) mod event;
pub(crate) mod foreign;
pub(crate) mod group;
pub(crate) mod health;
pub(crate) mod live;
pub(crate) mod media;
pub(crate) mod message;
pub(crate) mod metrics;
pub(crate) mod qr;
pub(crate) mod standing;
pub(crate) mod webhook;
