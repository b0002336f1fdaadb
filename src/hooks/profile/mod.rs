//! The forms of body that a webhook can have beside `standard`, which is the event itself. Each is in a file of its own,
//! and says of an event what its product would, or passes it over.

mod event;
mod evolution;
mod gowa;
mod group;
mod message;
mod moonwa;
mod waha;
mod wuzapi;

use bytes::Bytes;

use self::event::Told;
pub(super) use self::event::{Setting, message};
use crate::config::Format;

/// The body for the event whose JSON is `source`, which has the URLs of its file; `None` when the format cannot express
/// the event, which is then passed over.
pub(super) fn body(source: &Bytes, setting: &Setting<'_>) -> Option<Bytes> {
    let value = match setting.endpoint.format {
        Format::Standard => return Some(source.clone()),
        Format::Moonwa => return moonwa::body(source),
        Format::Waha => waha::body(&Told::read(source)?, setting)?,
        Format::Gowa => gowa::body(&Told::read(source)?, setting)?,
        Format::Evolution => evolution::body(&Told::read(source)?, setting)?,
        Format::Wuzapi => return wuzapi::form(&Told::read(source)?),
        Format::WuzapiJson => wuzapi::body(&Told::read(source)?)?,
    };
    serde_json::to_vec(&value).ok().map(Bytes::from)
}
