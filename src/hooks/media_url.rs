//! The URLs of received files: under the address at which moonwa is reached, and signed, so that a program without a key
//! can fetch the file for a day. The log has neither: both are added whenever an event is given out.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::{DeviceName, MessageId, UnixMillis};
use crate::store::{Batch, Store, StoreError};

/// How long a signed URL works, by the machine's clock.
const GOOD_FOR: Duration = Duration::from_hours(24);
/// The row of the key among the gateway's own.
const ROW: &[u8] = b"media-url-key";

/// Why a signed URL is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UrlRefused {
    /// moonwa did not sign it, or not for this file.
    Forged,
    Expired,
}

pub(crate) struct MediaUrls {
    key: Zeroizing<[u8; 32]>,
    /// What stands before the path.
    public: ArcSwap<String>,
}

impl MediaUrls {
    /// With the key that the store has. It is made once.
    pub(super) async fn load(store: &Store) -> Result<Self, StoreError> {
        let rows = store.own_space();
        let known = rows.get(ROW).await?.and_then(|row| row.as_ref().try_into().ok());
        let key = match known {
            Some(key) => key,
            None => {
                let key: [u8; 32] = rand::random();
                let mut batch = Batch::new();
                batch.put(ROW, key.to_vec());
                rows.write(batch).await?;
                key
            }
        };
        Ok(Self { key: Zeroizing::new(key), public: ArcSwap::default() })
    }

    /// Says under which address moonwa is reached; none leaves the URLs relative.
    pub(super) fn publish_under(&self, public_url: Option<&str>) {
        self.public.store(public_url.unwrap_or_default().to_owned().into());
    }

    /// Under which address moonwa is reached; empty when it is not known.
    pub(crate) fn public_url(&self) -> Arc<String> {
        self.public.load_full()
    }

    /// The event as it is given out at that time: what the log has, with the URLs of its file if it has one.
    pub(crate) fn given_out(&self, event: &Bytes, now: UnixMillis) -> Bytes {
        if !has_file(event) {
            return event.clone();
        }
        self.with_urls(event, now).unwrap_or_else(|| event.clone())
    }

    fn with_urls(&self, event: &[u8], now: UnixMillis) -> Option<Bytes> {
        let mut event: Value = serde_json::from_slice(event).ok()?;
        let device = event.get("device")?.as_str()?.to_owned();
        let data = event.get_mut("data")?;
        let message = data.get("id")?.as_str()?.to_owned();
        let media = data.get_mut("media")?.as_object_mut()?;
        let url = format!("{}{}", self.public.load(), media.get("url")?.as_str()?);
        let signed = format!("{url}?{}", self.signature(&device, &message, now));
        media.insert("url".to_owned(), url.into());
        media.insert("signed_url".to_owned(), signed.into());
        serde_json::to_vec(&event).ok().map(Bytes::from)
    }

    /// What is put behind the URL of that message's file, so that it needs no key from now on for a day.
    pub(crate) fn signature(&self, device: &str, message: &str, now: UnixMillis) -> String {
        let expires = now.after(GOOD_FOR).secs();
        let signature = self.mac(device, message, expires).finalize().into_bytes();
        format!("expires={expires}&signature={}", BASE64URL_NOPAD.encode(&signature))
    }

    /// Whether moonwa signed this for that message's file, and it still works.
    pub(crate) fn check(
        &self,
        device: &DeviceName,
        message: &MessageId,
        expires: u64,
        signature: &str,
        now: UnixMillis,
    ) -> Result<(), UrlRefused> {
        let given = BASE64URL_NOPAD
            .decode(signature.as_bytes())
            .map_err(|_no_base64| UrlRefused::Forged)?;
        // Compares in constant time.
        let fits = self.mac(device.as_str(), message.as_str(), expires).verify_slice(&given);
        fits.map_err(|_other| UrlRefused::Forged)?;
        if now.secs() > expires { Err(UrlRefused::Expired) } else { Ok(()) }
    }

    /// Neither a device's name nor a message's id has a slash in it.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    fn mac(&self, device: &str, message: &str, expires: u64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).expect("any length");
        mac.update(format!("media/{device}/{message}/{expires}").as_bytes());
        mac
    }
}

/// Whether the event is a message with a file. Most are not, and go out as they are.
fn has_file(event: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Envelope {
        data: About,
    }
    #[derive(Deserialize)]
    struct About {
        media: Option<IgnoredAny>,
    }
    // In a text the quotes would be escaped.
    std::str::from_utf8(event).is_ok_and(|text| text.contains("\"media\":{"))
        && serde_json::from_slice(event).is_ok_and(|Envelope { data }| data.media.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::from_secs(1_800_000_000);
    const DAY: u64 = 24 * 3600;

    fn urls(public: Option<&str>) -> MediaUrls {
        let urls = MediaUrls { key: Zeroizing::new([7; 32]), public: ArcSwap::default() };
        urls.publish_under(public);
        urls
    }

    fn event(media: &str) -> Bytes {
        let head =
            r#"{"id":"evt_x","type":"message.received","device":"toko","data":{"id":"3EB0","#;
        Bytes::from(format!(r#"{head}"media":{media},"details":{{"price":1.10}}}}}}"#))
    }

    fn given_out(urls: &MediaUrls) -> Value {
        let url = r#"{"url":"/v1/devices/toko/media/3EB0","mime":"image/jpeg"}"#;
        serde_json::from_slice(&urls.given_out(&event(url), NOW)).unwrap()
    }

    #[test]
    fn only_events_with_a_file_are_touched() {
        for body in [event("null"), Bytes::from_static(b"no JSON"), Bytes::from_static(b"{}")] {
            assert_eq!(urls(Some("https://wa.example.com")).given_out(&body, NOW), body);
        }
    }

    #[test]
    fn urls_are_relative_until_it_is_said_where_moonwa_is() {
        let relative = given_out(&urls(None));
        assert_eq!(relative["data"]["media"]["url"], "/v1/devices/toko/media/3EB0");
        let below = given_out(&urls(Some("https://wa.example.com/wa")));
        let media = &below["data"]["media"];
        assert_eq!(media["url"], "https://wa.example.com/wa/v1/devices/toko/media/3EB0");
        let signed = media["signed_url"].as_str().unwrap();
        let query = signed.strip_prefix(media["url"].as_str().unwrap()).unwrap();
        assert!(query.starts_with("?expires=1800086400&signature="), "{signed}");
        let unsigned = relative["data"]["media"]["signed_url"].as_str().unwrap();
        assert!(unsigned.ends_with(query), "the signature does not depend on the address");
    }

    #[test]
    fn a_signature_is_good_for_one_file_and_one_day() {
        let urls = urls(None);
        let signed = given_out(&urls)["data"]["media"]["signed_url"].as_str().unwrap().to_owned();
        let signature = signed.rsplit_once('=').unwrap().1;
        let check = |device: &str, message: &str, expires: u64, signature: &str, at: u64| {
            let device = DeviceName::parse(device).unwrap();
            let message = MessageId::parse(message).unwrap();
            urls.check(&device, &message, expires, signature, UnixMillis::from_secs(at))
        };
        let (now, end) = (NOW.secs(), NOW.secs() + DAY);
        assert_eq!(check("toko", "3EB0", end, signature, now), Ok(()));
        assert_eq!(check("toko", "3EB0", end, signature, end), Ok(()));
        assert_eq!(check("toko", "3EB0", end, signature, end + 1), Err(UrlRefused::Expired));
        let other = signature.replace(|c: char| c.is_ascii_digit(), "A");
        for (device, message, expires, signature) in [
            ("gudang", "3EB0", end, signature),
            ("toko", "3EB1", end, signature),
            ("toko", "3EB0", end + 1, signature),
            ("toko", "3EB0", end, other.as_str()),
            ("toko", "3EB0", end, "AAAA"),
            ("toko", "3EB0", end, "no base64!"),
            ("toko", "3EB0", end, ""),
        ] {
            let refused = check(device, message, expires, signature, now);
            assert_eq!(
                refused,
                Err(UrlRefused::Forged),
                "{device} {message} {expires} {signature}"
            );
        }
    }
}
