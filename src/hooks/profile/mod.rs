//! The forms of body that a webhook can have beside `standard`, which is the event itself. Each is in a file of its own,
//! and says of an event what its product would, or passes it over.

mod event;
mod evolution;
mod gowa;
mod group;
mod message;
mod moonwa;
mod picture;
mod waha;
mod wuzapi;

use bytes::Bytes;
use data_encoding::BASE64;

use self::event::Told;
pub(super) use self::event::{Setting, message};
pub(crate) use self::picture::png;
use crate::config::Format;
use crate::model::{DeviceName, UnixMillis};

/// The body for the event whose JSON is `source`, which has the URLs of its file; `None` when the format cannot express
/// the event, which is then passed over.
pub(super) fn body(source: &Bytes, setting: &Setting<'_>) -> Option<Bytes> {
    let value = match setting.endpoint.format {
        // The bridge to Chatwoot reads the event itself.
        Format::Standard | Format::Chatwoot => return Some(source.clone()),
        Format::Moonwa => return moonwa::body(source),
        Format::Waha => waha::body(&Told::read(source)?, setting)?,
        Format::Gowa => gowa::body(&Told::read(source)?, setting)?,
        Format::Evolution => evolution::body(&Told::read(source)?, setting)?,
        Format::Wuzapi => return wuzapi::form(&Told::read(source)?),
        Format::WuzapiJson => wuzapi::body(&Told::read(source)?)?,
    };
    serde_json::to_vec(&value).ok().map(Bytes::from)
}

/// The body that tells of a code to scan; `None` where the format has no event for one.
pub(super) fn code(
    device: &DeviceName,
    code: &str,
    at: UnixMillis,
    setting: &Setting<'_>,
) -> Option<Bytes> {
    let picture = || {
        let picture = png(code).ok()?;
        Some(format!("data:image/png;base64,{}", BASE64.encode(&picture)))
    };
    let value = match setting.endpoint.format {
        Format::Evolution => evolution::code(device, code, &picture()?, at, setting),
        Format::Wuzapi => return Some(wuzapi::code_form(device, &picture()?)),
        Format::WuzapiJson => wuzapi::code(device, &picture()?),
        Format::Standard | Format::Moonwa | Format::Waha | Format::Gowa | Format::Chatwoot => {
            return None;
        }
    };
    serde_json::to_vec(&value).ok().map(Bytes::from)
}
