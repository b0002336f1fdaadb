//! The page's files as they go over the wire: compressed for whoever takes gzip. What a file gives is made when it is
//! asked for first, and kept: it is at most a few kilobytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use hyper::header::ACCEPT_ENCODING;
use hyper::http::request::Parts;
use serde_json::Value;
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Status, compress_bound};

/// A gzip file's header and end are asked for by adding this to the size of the window.
const GZIP: i32 = 16;

type Hash = [u8; 32];

/// By the hash of the plain file: a debug build reads files that may have changed since.
static MADE: Mutex<BTreeMap<Hash, Bytes>> = Mutex::new(BTreeMap::new());

/// The compressed file, of a script or a style sheet if it is `code`; nothing when it would not be smaller.
pub(crate) fn compressed(hash: Hash, plain: &[u8], code: bool) -> Option<Bytes> {
    // A thread that panicked here left whole entries behind.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bytes) = made.get(&hash) {
        return Some(bytes.clone());
    }
    let bytes = Bytes::from(compress(&compact(plain, code))?);
    made.insert(hash, bytes.clone());
    Some(bytes)
}

/// The file without what is for those who edit it: a script or style sheet without its comments, JSON without its white
/// space; any other file as it is.
fn compact(plain: &[u8], code: bool) -> Cow<'_, [u8]> {
    match (code, str::from_utf8(plain)) {
        (true, Ok(text)) => without_comments(text).into_bytes().into(),
        _ => match serde_json::from_slice::<Value>(plain) {
            Ok(json) => json.to_string().into_bytes().into(),
            Err(_other_file) => plain.into(),
        },
    }
}

/// Comments that begin a line are emptied. Their lines stay, so that what a browser says of a line is true of the file.
/// No text of the page's scripts runs over several lines, so a line never begins within one.
fn without_comments(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    let mut within = false;
    for line in text.lines() {
        let begun = line.trim_start();
        within |= begun.starts_with("/*");
        output.push_str(match begun.split_once("*/") {
            _ if begun.starts_with("//") && !within => "",
            Some((_comment, rest)) if within => {
                within = false;
                rest
            }
            _ if within => "",
            _ => line,
        });
        output.push('\n');
    }
    output
}

fn compress(plain: &[u8]) -> Option<Vec<u8>> {
    let mut config = DeflateConfig::best_compression();
    config.window_bits += GZIP;
    let mut output = vec![0; compress_bound(plain.len())];
    let mut deflate = Deflate::new_with_config(config);
    let status = deflate.compress(plain, &mut output, DeflateFlush::Finish).ok()?;
    output.truncate(usize::try_from(deflate.total_out()).ok()?);
    (status == Status::StreamEnd && output.len() < plain.len()).then_some(output)
}

/// Whether the request takes gzip: it names it, or everything, and not with a weight of zero.
pub(crate) fn is_accepted(head: &Parts) -> bool {
    let values = head.headers.get_all(ACCEPT_ENCODING).into_iter();
    let mut everything = false;
    for coding in values.filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        let accepted = weight.is_none_or(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return accepted,
            "*" => everything = accepted,
            _ => {}
        }
    }
    everything
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(codings: &[&str]) -> bool {
        let mut request = hyper::Request::get("/");
        for coding in codings {
            request = request.header("accept-encoding", *coding);
        }
        is_accepted(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn gzip_is_used_only_where_it_is_taken() {
        for codings in [
            &["gzip"][..],
            &["gzip, deflate, br, zstd"],
            &["br;q=1.0, GZIP;q=0.5"],
            &["*"],
            &["br", "gzip"],
            &["*;q=0, gzip"],
        ] {
            assert!(accepted(codings), "{codings:?}");
        }
        for codings in
            [&[][..], &[""], &["identity"], &["gzip;q=0"], &["*, gzip; q=0"], &["br"], &["*;q=0.0"]]
        {
            assert!(!accepted(codings), "{codings:?}");
        }
    }

    #[test]
    fn what_is_compressed_is_smaller_and_gives_the_file_back() {
        let plain = "Halo, apa kabar? ".repeat(1000);
        let bytes = compressed([1; 32], plain.as_bytes(), false).unwrap();
        assert!(bytes.len() < plain.len() / 10, "{} bytes", bytes.len());
        assert_eq!(compressed([1; 32], plain.as_bytes(), false).unwrap(), bytes);
        let mut inflate = zlib_rs::Inflate::new(true, 16 + 15);
        let mut output = vec![0; plain.len()];
        inflate.decompress(&bytes, &mut output, zlib_rs::InflateFlush::Finish).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), plain);
        assert_eq!(compressed([2; 32], b"x", false), None, "one byte gets no smaller");
    }

    #[test]
    fn comments_are_emptied_and_nothing_else() {
        let plain = "// one\n/** two\n * // three */\n\tlet a = 1; // four\n/* five */ let b;\n\t/*\n\tsix\n\t*/\n* { }\nlet c;";
        let expected = "\n\n\n\tlet a = 1; // four\n let b;\n\n\n\n* { }\nlet c;\n";
        assert_eq!(without_comments(plain), expected);
    }
}
