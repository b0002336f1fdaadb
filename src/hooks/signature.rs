//! Headers by which a receiver can tell that a request is ours and fresh: those of Standard Webhooks, and those of
//! other products for people who come from there.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use crate::config::Compat;
use crate::model::{EventId, Secret, UnixMillis};

/// Adds the headers for a request that carries `body`. Without a secret the request has an id but no signature.
pub(super) fn sign(
    headers: &mut HeaderMap,
    secrets: &[Secret],
    compat: &BTreeSet<Compat>,
    id: &EventId,
    at: UnixMillis,
    body: &[u8],
) {
    set(headers, "webhook-id", id.as_str());
    set(headers, "webhook-timestamp", &at.secs().to_string());
    // Every secret signs, so that a receiver can move from the old one to the new one at leisure.
    let signatures: Vec<String> =
        secrets.iter().map(|secret| standard(secret, id.as_str(), at.secs(), body)).collect();
    if !signatures.is_empty() {
        set(headers, "webhook-signature", &signatures.join(" "));
    }
    // Those products know only one secret, and use its text as the key, whatever it looks like.
    let text = secrets.first().map(|secret| secret.expose().as_bytes());
    if compat.contains(&Compat::Waha) {
        set(headers, "x-webhook-request-id", id.as_str());
        set(headers, "x-webhook-timestamp", &at.millis().to_string());
        if let Some(key) = text {
            set(headers, "x-webhook-hmac", &HEXLOWER.encode(&hmac::<Hmac<Sha512>>(key, &[body])));
            set(headers, "x-webhook-hmac-algorithm", "sha512");
        }
    }
    if compat.contains(&Compat::Gowa)
        && let Some(key) = text
    {
        let hex = HEXLOWER.encode(&hmac::<Hmac<Sha256>>(key, &[body]));
        set(headers, "x-hub-signature-256", &format!("sha256={hex}"));
    }
    if compat.contains(&Compat::Wuzapi)
        && let Some(key) = text
    {
        let hex = HEXLOWER.encode(&hmac::<Hmac<Sha256>>(key, &[body]));
        set(headers, "x-hmac-signature", &hex);
    }
}

/// `v1,` and the signature of `{id}.{seconds}.{body}`.
fn standard(secret: &Secret, id: &str, secs: u64, body: &[u8]) -> String {
    let head = format!("{id}.{secs}.");
    let mac = hmac::<Hmac<Sha256>>(&key_bytes(secret), &[head.as_bytes(), body]);
    format!("v1,{}", STANDARD.encode(mac))
}

/// The key is base64 after `whsec_`; any other secret is used as it is.
fn key_bytes(secret: &Secret) -> Zeroizing<Vec<u8>> {
    let text = secret.expose();
    let decoded = text.strip_prefix("whsec_").and_then(|encoded| {
        STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')).ok().filter(|key| !key.is_empty())
    });
    Zeroizing::new(decoded.unwrap_or_else(|| text.as_bytes().to_vec()))
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn hmac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // Ids, numbers and digests are plain ASCII, so the conversion cannot fail.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;

    fn headers(secrets: &[&str], compat: &[Compat]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let secrets: Vec<Secret> = secrets.iter().copied().map(Secret::new).collect();
        let compat = compat.iter().copied().collect();
        let id = EventId::derive(&["x"]);
        sign(
            &mut headers,
            &secrets,
            &compat,
            &id,
            UnixMillis::from_millis(1_649_367_553_042),
            BODY,
        );
        headers
    }

    #[test]
    fn the_vector_of_standard_webhooks() {
        let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
        let signature = standard(&Secret::new(SECRET), id, 1_649_367_553, BODY);
        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn two_secrets_sign_side_by_side() {
        let both = headers(&[SECRET, "an older secret of some length"], &[]);
        let new = headers(&[SECRET], &[]);
        let old = headers(&["an older secret of some length"], &[]);
        let text = |headers: &HeaderMap| headers["webhook-signature"].to_str().unwrap().to_owned();
        assert_eq!(text(&both), format!("{} {}", text(&new), text(&old)));
        assert_eq!(new["webhook-timestamp"], "1649367553");
        assert_eq!(new["webhook-id"], EventId::derive(&["x"]).as_str());
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        let headers = headers(&[], &[Compat::Waha, Compat::Gowa]);
        assert!(headers.contains_key("webhook-id"));
        for name in ["webhook-signature", "x-webhook-hmac", "x-hub-signature-256"] {
            assert!(!headers.contains_key(name), "{name}");
        }
    }

    #[test]
    fn a_secret_is_decoded_only_when_it_says_so() {
        assert_eq!(*key_bytes(&Secret::new("plain")), b"plain");
        assert_eq!(*key_bytes(&Secret::new("whsec_aGVsbG8=")), b"hello");
        assert_eq!(*key_bytes(&Secret::new("whsec_aGVsbG8")), b"hello");
        assert_eq!(*key_bytes(&Secret::new("whsec_!")), b"whsec_!");
    }

    #[test]
    fn the_sample_of_waha() {
        let body: &[u8] = br#"{"event":"message","session":"default","engine":"WEBJS"}"#;
        assert_eq!(
            HEXLOWER.encode(&hmac::<Hmac<Sha512>>(b"my-secret-key", &[body])),
            "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8\
             097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89"
        );
    }

    // Digests made with `openssl dgst -hmac`.
    #[test]
    fn other_products_verify() {
        let headers = headers(&["my-secret-key"], &[Compat::Waha, Compat::Gowa, Compat::Wuzapi]);
        assert_eq!(
            headers["x-webhook-hmac"],
            "655c205c3884a7259adc755c4849a087f740252a55bd1b882fe09195742a51a38dc5dfbf9f10f13c4ac6597a32bb9424bd25c715a857f4cce012e2771b3ffbf6"
        );
        assert_eq!(headers["x-webhook-hmac-algorithm"], "sha512");
        assert_eq!(headers["x-webhook-timestamp"], "1649367553042");
        assert_eq!(headers["x-webhook-request-id"], EventId::derive(&["x"]).as_str());
        assert_eq!(
            headers["x-hub-signature-256"],
            "sha256=640a7b40994cc470bfa34794a71d108df9211774d442fc142fac49076925359a"
        );
        assert_eq!(
            headers["x-hmac-signature"],
            "640a7b40994cc470bfa34794a71d108df9211774d442fc142fac49076925359a"
        );
    }
}
