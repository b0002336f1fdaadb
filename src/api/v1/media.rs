//! The files of received messages.

use std::io;

use futures_util::stream::poll_fn;
use hyper::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
};

use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response;
use crate::hooks::UrlRefused;
use crate::model::UnixMillis;

/// Whether the request's URL is one that moonwa signed for this file; it then needs no key. One that is forged or too old
/// is refused.
pub(crate) fn is_signed(call: &Call) -> Result<bool, Problem> {
    let Some(signature) = call.query("signature")? else { return Ok(false) };
    let expires = call.query("expires")?.and_then(|secs| secs.parse().ok()).unwrap_or_default();
    let (device, message) = (call.device_name()?, call.message()?);
    let urls = call.state.api.webhooks.media_urls();
    match urls.check(&device, &message, expires, &signature, UnixMillis::now()) {
        Ok(()) => Ok(true),
        Err(UrlRefused::Forged) => {
            let detail =
                "the signature is not this URL's; use signed_url as it came, or send a key";
            Err(Problem::new(Code::Unauthorized, detail))
        }
        Err(UrlRefused::Expired) => {
            let until = UnixMillis::from_secs(expires);
            let detail = format!(
                "it worked until {until}; GET /v1/devices/{device}/events has the event with a new one"
            );
            Err(Problem::new(Code::UrlExpired, detail))
        }
    }
}

/// `GET …/media/{message}`: decrypted while it is sent. The headers keep a browser from showing a stranger's file as
/// a page of this site.
pub(crate) async fn show(call: &Call) -> Answer {
    let message = call.message()?;
    let mut media = call.handle()?.media(&message).await?;
    let mut chunks = std::mem::replace(&mut media.chunks, tokio::sync::mpsc::channel(1).1);
    let pieces = poll_fn(move |cx| {
        chunks.poll_recv(cx).map(|piece| piece.map(|piece| piece.map_err(io::Error::other)))
    });
    let mut response = response::stream(pieces);
    let headers = response.headers_mut();
    let kind = media.mime.as_deref().and_then(|mime| HeaderValue::from_str(mime).ok());
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, kind.unwrap_or(unknown));
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    if let Some(size) = media.size {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    let name = disposition(media.filename.as_deref());
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// A download under the sender's file name (RFC 6266). Everything in the name that could mean something is encoded.
fn disposition(filename: Option<&str>) -> String {
    let Some(name) = filename.filter(|name| !name.is_empty()) else {
        return "attachment".to_owned();
    };
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("attachment; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_file_name_is_only_a_name() {
        assert_eq!(disposition(None), "attachment");
        assert_eq!(
            disposition(Some("Faktur \"Mei\".pdf\r\nX: y")),
            "attachment; filename*=UTF-8''Faktur%20%22Mei%22.pdf%0D%0AX%3A%20y"
        );
    }
}
