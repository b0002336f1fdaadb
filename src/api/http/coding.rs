//! The page's files are part of the binary as Brotli and as gzip, as build.rs packs them. Browsers take Brotli over TLS and
//! on their own machine, and gzip otherwise, as most programs do.

use hyper::header::ACCEPT_ENCODING;
use hyper::http::request::Parts;
use zlib_rs::{Inflate, InflateFlush, Status};

/// The form in which a file goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Gzip,
    Plain,
}

impl Coding {
    /// The smallest that the request takes. Whoever takes everything gets what everything knows.
    pub(crate) fn of(head: &Parts) -> Self {
        if weight(head, "br").unwrap_or_default() > 0.0 {
            return Self::Brotli;
        }
        let gzip = weight(head, "gzip").or_else(|| weight(head, "*"));
        if gzip.unwrap_or_default() > 0.0 { Self::Gzip } else { Self::Plain }
    }

    /// As `Content-Encoding` names it.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Plain => None,
        }
    }
}

/// The weight that the request gives to a coding, if it names it.
fn weight(head: &Parts, coding: &str) -> Option<f32> {
    let values = head.headers.get_all(ACCEPT_ENCODING).into_iter();
    let mut named = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|one| one.split_once(';').unwrap_or((one, "")));
    let (_, weight) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case(coding))?;
    let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok());
    Some(weight.unwrap_or(1.0))
}

/// The largest window there is, and 16 for a gzip file's header and end.
const GZIP: u8 = 15 + 16;

/// What was compressed, for whoever takes no compression; nothing if it is no whole gzip file.
pub(crate) fn plain(gzip: &[u8]) -> Option<Vec<u8>> {
    // It ends with the length of what it gives.
    #[expect(clippy::little_endian_bytes, reason = "the format of gzip")]
    let length = u32::from_le_bytes(*gzip.last_chunk()?);
    let mut output = vec![0; length.try_into().ok()?];
    let mut inflate = Inflate::new(true, GZIP);
    let status = inflate.decompress(gzip, &mut output, InflateFlush::Finish).ok()?;
    (status == Status::StreamEnd).then_some(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coding(asked: &[&str]) -> Coding {
        let mut request = hyper::Request::get("/");
        for coding in asked {
            request = request.header("accept-encoding", *coding);
        }
        Coding::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_coding_is_used_only_where_it_is_taken() {
        for asked in [&["gzip, deflate, br, zstd"][..], &["BR;q=1.0, gzip;q=0.5"], &["gzip", "br"]]
        {
            assert_eq!(coding(asked), Coding::Brotli, "{asked:?}");
        }
        for asked in
            [&["gzip"][..], &["*"], &["br;q=0, GZIP;q=0.5"], &["deflate", "gzip"], &["*;q=0, gzip"]]
        {
            assert_eq!(coding(asked), Coding::Gzip, "{asked:?}");
        }
        for asked in [&[][..], &[""], &["identity"], &["gzip;q=0"], &["*, gzip; q=0"], &["*;q=0.0"]]
        {
            assert_eq!(coding(asked), Coding::Plain, "{asked:?}");
        }
    }

    #[test]
    fn what_is_no_gzip_file_gives_nothing() {
        for bytes in [&b""[..], b"halo", b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\x01\0\0\0"] {
            assert_eq!(plain(bytes), None, "{bytes:?}");
        }
    }
}
