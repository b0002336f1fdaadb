//! What a face is: the API of another product, spoken so that programs made for it run on when they are pointed at
//! moonwa. A face only translates: what it does is done by the same functions as for `/v1`.

use data_encoding::BASE64;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::request::Parts;
use zeroize::Zeroizing;

use crate::api::access::auth::{self, Access};
use crate::api::call::{Call, PathName};
use crate::api::http::form;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::Response;
use crate::api::route::Route;
use crate::config::{Config, DeviceConfig, FaceName};
use crate::model::DeviceName;

/// The API of another product.
pub(crate) struct Face {
    pub(crate) name: FaceName,
    /// The first parts of its paths. What lies below them and is not in the table is an operation that is not offered.
    pub(crate) roots: &'static [&'static str],
    pub(crate) routes: &'static [Route],
    /// The key of a request, where this product's callers put it. Of two faces that have the same path, a request is for
    /// the one whose callers put their key so.
    pub(crate) key: fn(&Parts) -> Option<String>,
    /// How it says what is wrong.
    pub(crate) refuse: fn(&Problem) -> Response,
}

impl Face {
    /// Lets a request in: who sent it, whether they may, and whether the device that its path names is within reach.
    pub(crate) fn admit(&self, call: &mut Call, access: Access) -> Result<(), Problem> {
        if access.is_open() {
            return Ok(());
        }
        self.identify(call)?;
        auth::check(&call.who, access, None)?;
        if let Some(named) = call.path.device().map(str::to_owned) {
            choose(call, Some(&named))?;
        }
        Ok(())
    }

    /// Finds out who sent a request. A browser's login does not count here: these callers are programs.
    pub(crate) fn identify(&self, call: &mut Call) -> Result<(), Problem> {
        let own = (self.key)(&call.head);
        let key = own.or_else(|| auth::presented(&call.head).map(str::to_owned));
        let key = Zeroizing::new(key.ok_or(Code::Unauthorized)?);
        call.who = call.identify_by(&key)?;
        Ok(())
    }
}

/// The value of a header.
pub(crate) fn header(head: &Parts, name: &str) -> Option<String> {
    let value = head.headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// The value of a parameter in the query.
pub(crate) fn query(head: &Parts, name: &str) -> Option<String> {
    let pairs = form::pairs(head.uri.query()?)?;
    let value = pairs.into_iter().find(|(known, _)| known == name)?.1;
    (!value.is_empty()).then_some(value)
}

/// The password of HTTP's Basic authentication, whatever the name before it.
pub(crate) fn password(head: &Parts) -> Option<String> {
    let (scheme, coded) = head.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let text = scheme.eq_ignore_ascii_case("basic").then(|| BASE64.decode(coded.trim().as_bytes()));
    let text = String::from_utf8(text?.ok()?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

/// Under which address the caller reached moonwa.
pub(crate) fn address(call: &Call) -> String {
    match &call.config.server.public_url {
        Some(url) => url.clone(),
        None => {
            let host = header(&call.head, HOST.as_str()).unwrap_or_default();
            format!("http://{host}{}", call.config.server.base_path.trim_end_matches('/'))
        }
    }
}

/// Decides which device a request is about, by the name that its caller gives it: a device's name, its label, or the
/// phone number of its account. Without a name it is the key's device, or the only one there is. From here on the device
/// is the one that the path names.
pub(crate) fn choose(call: &mut Call, named: Option<&str>) -> Result<DeviceName, Problem> {
    let named = named.map(str::trim).filter(|named| !named.is_empty());
    let found = match named {
        Some(named) => {
            known_as(call, named).or_else(|| anybody(call).filter(|_| named == "default"))
        }
        None => anybody(call),
    };
    let name = found.ok_or_else(|| match named {
        // The same answer whether or not the device exists: a key learns nothing about others.
        Some(_) if call.who.device().is_some() => {
            Problem::new(Code::Forbidden, "the key belongs to another device")
        }
        Some(_) => Problem::from(Code::DeviceNotFound),
        None => Problem::new(Code::DeviceNotFound, "say which device: there are several"),
    })?;
    call.path.set(PathName::Device, name.to_string());
    Ok(name)
}

/// The devices within the caller's reach.
pub(crate) fn within_reach<'a>(
    call: &'a Call,
    config: &'a Config,
) -> impl Iterator<Item = (&'a DeviceName, &'a DeviceConfig)> {
    config.devices.iter().filter(|(name, _)| call.who.reaches(name))
}

fn known_as(call: &Call, named: &str) -> Option<DeviceName> {
    let all = || within_reach(call, &call.config);
    let by_name = all().find(|(name, _)| name.as_str() == named);
    let by_label = || all().find(|(_, device)| device.label == named);
    let by_number = || {
        let digits = named.split(['@', ':']).next()?.trim_start_matches('+');
        let statuses = call.state.api.fleet.statuses();
        let statuses = statuses.borrow();
        all().find(|(name, _)| {
            let account = statuses.get(*name).and_then(|status| status.account.as_ref());
            let phone = account.and_then(|account| account.phone.as_ref());
            phone.is_some_and(|phone| phone.as_str() == digits)
        })
    };
    by_name.or_else(by_label).or_else(by_number).map(|(name, _)| name.clone())
}

/// The device that a caller means who names none.
fn anybody(call: &Call) -> Option<DeviceName> {
    let mut all = within_reach(call, &call.config);
    let first = all.next()?.0.clone();
    all.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_key_whatever_the_name() {
        let said = |value: &str| {
            let request = hyper::Request::get("/").header(AUTHORIZATION, value);
            password(&request.body(()).unwrap().into_parts().0)
        };
        let coded = BASE64.encode(b"admin:mw_k:ey");
        assert_eq!(said(&format!("Basic {coded}")).as_deref(), Some("mw_k:ey"));
        assert_eq!(said(&format!("basic {coded}")).as_deref(), Some("mw_k:ey"));
        for other in ["Bearer x", "Basic", "Basic !", "Basic YWJj"] {
            assert_eq!(said(other), None, "{other}");
        }
    }
}
