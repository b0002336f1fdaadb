//! Makes API keys.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};

use crate::model::Secret;

/// A new API key: `mw_`, eight random characters by which people recognise it, and 256 random bits.
pub(crate) fn new_key() -> Secret {
    let id = BASE32_NOPAD.encode(&rand::random::<[u8; 5]>()).to_ascii_lowercase();
    Secret::new(format!("mw_{id}_{}", BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_differ() {
        let (one, two) = (new_key(), new_key());
        assert_eq!(one.expose().len(), "mw_".len() + 8 + 1 + 43);
        assert_ne!(one, two);
    }
}
