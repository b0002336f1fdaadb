//! Rows of JSON, packed: what all of them repeat (the names of their fields, and words) is in a dictionary, so that even a short
//! row gets small. A row that does not begin with `PACKED` is as an older version wrote it, or gets no smaller.

use std::borrow::Cow;

use lz4_flex::block::{compress_with_dict, decompress_with_dict};

use super::StoreError;
use super::key::{Key, Parts};

/// No JSON begins with it. What is packed with another dictionary begins with another number.
const PACKED: u8 = 1;
/// No row unpacks to more: whatever says so is damaged.
const MOST: usize = 256 << 20;
/// What rows look like. It must never change: what was packed with it is only read with it.
const WORDS: &[u8] = concat!(
    r#"{"device":"toko","acked":1,"tries":0,"failures":0,"failing_since":null,"next_try":null,"state":"active","#,
    r#""last_status":200,"last_code":null,"last_error":null,"delivered":1,"parked":0,"dropped":0,"removed_at":null}"#,
    r#"{"order":17960,"key":"","changed":"2026-11-30T01:15:45.711Z","message":{"id":"3EB0","device":"toko","request":"#,
    r#"{"to":{"phone":"628"},"content":{"kind":"text","text":""}},"status":{"status":"scheduled"},"reply_to":"3EB0","#,
    r#"{"to":{"jid":"@g.us"},"content":{"kind":"media","media":"image","source":{"uploaded":"","url":"https://"},"#,
    r#""mime":null,"filename":null,"caption":null}},"status":{"status":"queued"},"created":"2026-"#,
    r#""}},"status":{"status":"sent"},"created":"2026-11-30T01:15:45.703Z","updated":"2026-12-"#,
    r#""}},"status":{"status":"accepted"},"created":"2027-01-"}},"status":{"status":"delivered"},"created":"2027-02-"#,
    r#""}},"status":{"status":"read"},"created":"2027-03-","due":"","list":""}}"#,
    r#""}},"status":{"status":"failed","code":"not_on_whatsapp","detail":"the number is not on WhatsApp"},"created":""#,
    r#""device":"toko","data":{"status":"connected","state":"reconnecting","reason":null,"detail":""}}"#,
    r#""device":"toko","data":{"id":"3EB0","to":"628@s.whatsapp.net","status":"sent","code":null}}"#,
    r#"@lid","status":"accepted","code":null}}@g.us","status":"delivered","code":null}}"#,
    r#"@s.whatsapp.net","status":"read","code":null}}@s.whatsapp.net","status":"failed","code":""}}"#,
    r#""device":"toko","data":{"id":"3A","chat":"120363@g.us","chat_kind":"group","from":{"jid":"1@lid","phone":"628","#,
    r#""lid":"1@lid","name":""},"from_me":true,"group":"120363@g.us","kind":"image","text":null,"mentions":["#,
    r#""],"mentioned":[{"jid":"","phone":null,"lid":null,"name":null}],"reply_to":{"id":"3EB0","from":"","text":"","#,
    r#""kind":"document"},"disappears_after":604800,"media":{"url":"https://","mime":"image/jpeg","size":1,"sha256":"","#,
    r#""filename":null},"details":{"forwarded":true}}}"kind":"audio""kind":"video""kind":"sticker""mime":"video/mp4""#,
    r#""mime":"audio/ogg; codecs=opus""#,
    r#""device":"toko","data":{"id":"3EB0","chat":"628@s.whatsapp.net","chat_kind":"person","from":{"jid":"1@lid","phone":"628"#,
    r#"","lid":"1@lid","name":""},"from_me":false,"group":null,"kind":"text","text":"","mentions":[],"reply_to":null,"#,
    r#""media":null}}"#,
)
.as_bytes();

/// The row to be written for that JSON.
pub(super) fn pack(json: &[u8]) -> Cow<'_, [u8]> {
    let length = u64::try_from(json.len()).unwrap_or(u64::MAX);
    let head = Key::new(PACKED).short(length);
    let packed = head.rest(compress_with_dict(json, WORDS)).into_bytes();
    if packed.len() < json.len() { packed.into() } else { json.into() }
}

/// The JSON of a row.
pub(super) fn unpack(row: &[u8]) -> Result<Cow<'_, [u8]>, StoreError> {
    let Some((&PACKED, rest)) = row.split_first() else { return Ok(row.into()) };
    let mut parts = Parts::of(rest);
    let length = parts.short().and_then(|length| usize::try_from(length).ok());
    let json = length.filter(|length| *length <= MOST && *length / 256 <= rest.len());
    let json = json.and_then(|length| {
        let json = decompress_with_dict(parts.rest(), length, WORDS).ok()?;
        (json.len() == length).then_some(json)
    });
    json.map(Cow::from).ok_or_else(|| StoreError::Damaged("a packed row".to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(json in r#"[ -~]{0,300}(,"mentions":\[\],"reply_to":null){0,9}[a-z]{0,99}"#) {
            let packed = pack(json.as_bytes()).into_owned();
            prop_assert!(packed.len() <= json.len());
            prop_assert_eq!(unpack(&packed).unwrap(), json.as_bytes());
        }

        #[test]
        fn damaged_rows_are_refused_without_a_panic(mut row: Vec<u8>) {
            unpack(&row).ok();
            row.insert(0, PACKED);
            unpack(&row).ok();
        }
    }

    #[test]
    fn a_short_row_gets_small() {
        let json = br#""device":"toko","data":{"id":"3ACD163696C98692EEBB","chat":"628666100006@s.whatsapp.net","chat_kind":"person","from":{"jid":"15161170687322@lid","phone":"628666100006","lid":"15161170687322","name":"Bob"},"from_me":false,"group":null,"kind":"text","text":"pesanan 2418","mentions":[],"reply_to":null,"media":null}}"#;
        assert!(json.len() > 300 && pack(json).len() < 140, "{}", pack(json).len());
    }

    #[test]
    fn much_of_the_same_comes_out_again_and_a_length_that_cannot_be_is_refused() {
        let text = "é".repeat(1 << 20);
        let packed = pack(text.as_bytes());
        assert_eq!(unpack(&packed).unwrap(), text.as_bytes());
        let (head, rest) = (Key::new(PACKED).short(u64::MAX), &[0_u8; 9]);
        assert!(unpack(head.rest(rest).as_ref()).is_err());
    }

    #[test]
    fn the_dictionary_never_changes() {
        assert_eq!(xxhash_rust::xxh3::xxh3_64(WORDS), 462_484_368_427_621_435);
    }
}
