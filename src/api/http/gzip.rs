//! The page's files are part of the binary as gzip, as build.rs packs them: most browsers and programs take that.

use hyper::header::ACCEPT_ENCODING;
use hyper::http::request::Parts;
use zlib_rs::{Inflate, InflateFlush, Status};

/// The largest window there is, and 16 for a gzip file's header and end.
const GZIP: u8 = 15 + 16;

/// What was compressed, for whoever does not take gzip; nothing if it is no whole gzip file.
pub(crate) fn plain(gzip: &[u8]) -> Option<Vec<u8>> {
    // It ends with the length of what it gives.
    #[expect(clippy::little_endian_bytes, reason = "the format of gzip")]
    let length = u32::from_le_bytes(*gzip.last_chunk()?);
    let mut output = vec![0; length.try_into().ok()?];
    let mut inflate = Inflate::new(true, GZIP);
    let status = inflate.decompress(gzip, &mut output, InflateFlush::Finish).ok()?;
    (status == Status::StreamEnd).then_some(output)
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
    fn what_is_no_gzip_file_gives_nothing() {
        for bytes in [&b""[..], b"halo", b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\x01\0\0\0"] {
            assert_eq!(plain(bytes), None, "{bytes:?}");
        }
    }
}
