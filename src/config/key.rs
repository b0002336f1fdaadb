//! Makes API keys, and knows them again.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};

use crate::model::Secret;

/// A new API key: `mw_`, eight random characters by which people recognise it, and 256 random bits.
pub(crate) fn new_key() -> Secret {
    let id = BASE32_NOPAD.encode(&rand::random::<[u8; 5]>()).to_ascii_lowercase();
    Secret::new(format!("mw_{id}_{}", BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>())))
}

/// Whether a key has the form of those above, so that no guess at it can be right by chance.
pub(crate) fn is_random_key(key: &str) -> bool {
    let parts = key.strip_prefix("mw_").and_then(|rest| rest.split_at_checked(8));
    let random = parts.and_then(|(_, rest)| rest.strip_prefix('_'));
    random.is_some_and(|text| {
        BASE64URL_NOPAD.decode(text.as_bytes()).is_ok_and(|bytes| bytes.len() == 32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_differ() {
        let (one, two) = (new_key(), new_key());
        assert_eq!(one.expose().len(), "mw_".len() + 8 + 1 + 43);
        assert_ne!(one, two);
        assert!(is_random_key(one.expose()) && is_random_key(two.expose()));
        for other in
            ["", "mw_", "mw_abcdefgh_short", "a-token-of-the-admin-0123456789", "mw_\u{e9}"]
        {
            assert!(!is_random_key(other), "{other}");
        }
    }
}
