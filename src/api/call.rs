//! One request on its way to the code that answers it: who sent it, what its path names, and its body.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::api::access::auth::Principal;
use crate::api::http::form;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request;
use crate::api::state::State;
use crate::config::{Config, DeviceConfig};
use crate::model::DeviceName;
use crate::whatsapp::DeviceHandle;

/// The values of a path's `{names}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(&'static str, String)>);

impl Params {
    pub(crate) fn new(values: Vec<(&'static str, String)>) -> Self {
        Self(values)
    }

    /// The value of a name; empty when the route has none of it.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value.as_str())
    }
}

/// A request on its way through an operation.
pub(crate) struct Call {
    pub(crate) state: Arc<State>,
    pub(crate) config: Arc<Config>,
    pub(crate) head: Parts,
    pub(crate) params: Params,
    pub(crate) who: Principal,
    pub(crate) peer: IpAddr,
    pub(crate) client: IpAddr,
    pub(crate) body: Option<Incoming>,
}

impl Call {
    /// The body, unread. There is one.
    pub(crate) fn body(&mut self) -> Result<Incoming, Problem> {
        self.body.take().ok_or_else(|| Code::Internal.into())
    }

    /// Reads the whole body.
    pub(crate) async fn read(&mut self, max: usize) -> Result<Bytes, Problem> {
        let body = self.body()?;
        request::read_limited(body, max).await
    }

    /// Reads a JSON body.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self, max: usize) -> Result<T, Problem> {
        if self.head.headers.contains_key(CONTENT_TYPE) && !self.has_type("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType, "send application/json"));
        }
        request::parse(&self.read(max).await?)
    }

    /// Whether the body is said to be of that type.
    pub(crate) fn has_type(&self, wanted: &str) -> bool {
        let value = self.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = value.and_then(|value| value.split(';').next()).unwrap_or_default();
        kind.trim().eq_ignore_ascii_case(wanted)
    }

    /// Whether the `Accept` header names that type, or all of its group.
    pub(crate) fn accepts(&self, wanted: &str) -> bool {
        let group = wanted.split('/').next().unwrap_or_default();
        let values = self.head.headers.get_all(ACCEPT).into_iter();
        values.filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(',')).any(|one| {
            let one = one.split(';').next().unwrap_or_default().trim();
            one.eq_ignore_ascii_case(wanted)
                || one.strip_suffix("/*").is_some_and(|asked| asked.eq_ignore_ascii_case(group))
        })
    }

    /// A parameter of the query string.
    pub(crate) fn query(&self, name: &str) -> Result<Option<String>, Problem> {
        let pairs = form::pairs(self.head.uri.query().unwrap_or_default())
            .ok_or_else(|| Problem::new(Code::InvalidRequest, "the query string is not valid"))?;
        Ok(pairs.into_iter().find(|(n, _)| n == name).map(|(_, value)| value))
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The device named in the path, as the file has it.
    pub(crate) fn device(&self) -> Result<(DeviceName, &DeviceConfig), Problem> {
        let name = DeviceName::parse(self.params.get("device")).ok();
        name.and_then(|name| Some((self.config.devices.get(&name)?, name)))
            .map(|(config, name)| (name, config))
            .ok_or_else(|| Code::DeviceNotFound.into())
    }

    /// The running device named in the path.
    pub(crate) fn handle(&self) -> Result<DeviceHandle, Problem> {
        let (name, _) = self.device()?;
        self.state.api.fleet.device(&name).ok_or_else(|| Code::DeviceNotFound.into())
    }
}
