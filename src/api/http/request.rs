//! Reads the body of a request within limits of size and time. hyper itself sets no such limits.

use std::pin::{Pin, pin};
use std::str::FromStr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Number;
use tokio::time::{Instant, timeout, timeout_at};

use super::problem::{Code, Problem};

/// The most bytes that a JSON or form body may have.
pub(crate) const MAX_JSON: usize = 64 * 1024;
/// How long a whole body may take.
const WHOLE: Duration = Duration::from_secs(30);
/// How long a client may pause within a body.
pub(crate) const CHUNK: Duration = Duration::from_secs(10);
/// How long an answer waits for the body that nobody asked for.
const UNASKED: Duration = Duration::from_secs(1);

/// Reads a whole body of at most `max` bytes.
pub(crate) async fn read_limited<B>(body: B, max: usize) -> Result<Bytes, Problem>
where
    B: HttpBody<Data = Bytes>,
{
    let too_large = || Problem::new(Code::TooLarge, format!("a body has at most {max} bytes here"));
    // This is checked before the first read, so that a client that waits for `100 Continue` need not send the body.
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let whole = Instant::now() + WHOLE;
    let mut body = pin!(body);
    let mut read = BytesMut::new();
    while let Some(data) = next_piece(body.as_mut(), whole).await? {
        if read.len() + data.len() > max {
            return Err(too_large());
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// Reads a short body that nobody asked for. hyper ends the connection after the answer if the body has not come by then,
/// and a client that keeps the connection learns of that from its next request, which fails.
pub(crate) async fn spend<B>(body: B)
where
    B: HttpBody<Data = Bytes>,
{
    timeout(UNASKED, read_limited(body, MAX_JSON)).await.ok();
}

/// More of a body that must be there at that time; `None` at its end.
pub(crate) async fn next_piece<B>(
    mut body: Pin<&mut B>,
    end: Instant,
) -> Result<Option<Bytes>, Problem>
where
    B: HttpBody<Data = Bytes>,
{
    loop {
        let patience = end.min(Instant::now() + CHUNK);
        let frame = match timeout_at(patience, body.frame()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                return Err(Problem::new(Code::InvalidRequest, "the body broke off"));
            }
            Err(_) => return Err(Code::Timeout.into()),
        };
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

/// Reads JSON. An error names its place, as the number of the byte, counted from 1.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Files that Windows' editors saved begin with a byte order mark, and scripts send them as they are.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| {
        let place = offset(bytes, error.line(), error.column());
        let text = error.to_string();
        // serde_json ends its texts with line and column, which say little about a body of one line.
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        Problem::new(Code::InvalidRequest, format!("{what}, at byte {place} of the JSON body"))
    })
}

/// For a field that is there or not, and has a value when it is there: `null` would not say whether to keep or to clear.
pub(crate) fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A whole number; 60.0 is 60 in JSON.
pub(crate) fn whole<'de, D: serde::Deserializer<'de>, T: FromStr>(from: D) -> Result<T, D::Error> {
    as_whole(&Number::deserialize(from)?)
}

/// One that may be left out, and is no null.
pub(crate) fn given_whole<'de, D: serde::Deserializer<'de>, T: FromStr>(
    from: D,
) -> Result<Option<T>, D::Error> {
    whole(from).map(Some)
}

/// One that may be left out, or null.
pub(crate) fn optional_whole<'de, D: serde::Deserializer<'de>, T: FromStr>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Option::<Number>::deserialize(from)?.map(|number| as_whole(&number)).transpose()
}

fn as_whole<T: FromStr, E: serde::de::Error>(number: &Number) -> Result<T, E> {
    let number = number.to_string();
    let whole = number.strip_suffix(".0").unwrap_or(&number).parse();
    whole.map_err(|_fraction| E::custom(format_args!("{number} is no whole number that fits here")))
}

/// The byte at a line and a column of `serde_json`, which counts both from 1, columns in bytes.
fn offset(bytes: &[u8], line: usize, column: usize) -> usize {
    let before: usize =
        bytes.split_inclusive(|b| *b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (before + column).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use serde_json::Value;

    use super::*;

    type Piece = Result<Frame<Bytes>, io::Error>;

    #[expect(clippy::unnecessary_wraps, reason = "a body's pieces may be errors")]
    fn piece(size: usize) -> Piece {
        Ok(Frame::data(Bytes::from(vec![b'x'; size])))
    }

    #[tokio::test]
    async fn a_body_may_be_exactly_as_large_as_the_limit() {
        let body = |last| StreamBody::new(stream::iter([piece(40), piece(last)]));
        assert_eq!(read_limited(body(60), 100).await.map(|b| b.len()), Ok(100));
        assert_eq!(read_limited(body(61), 100).await.unwrap_err().code, Code::TooLarge);
        assert_eq!(
            read_limited(Full::new(Bytes::from_static(b"12345")), 4).await.unwrap_err().code,
            Code::TooLarge
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_dropped_after_ten_seconds() {
        let started = Instant::now();
        let silent = StreamBody::new(stream::pending::<Piece>());
        assert_eq!(read_limited(silent, 100).await.unwrap_err().code, Code::Timeout);
        assert_eq!(started.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drip_is_dropped_after_thirty_seconds() {
        let started = Instant::now();
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((piece(1), ()))
        });
        assert_eq!(read_limited(StreamBody::new(drip), 100).await.unwrap_err().code, Code::Timeout);
        assert_eq!(started.elapsed().as_secs(), 30);
    }

    #[test]
    fn broken_json_says_where() {
        let problem = parse::<Value>(b"{\"a\":\n tru}").unwrap_err();
        assert_eq!(problem.detail.as_deref(), Some("expected ident, at byte 11 of the JSON body"));
        assert!(parse::<Value>(b"{\"a\":\"\xff\"}").is_err());
        assert!(parse::<Value>("[".repeat(100_000).as_bytes()).is_err(), "the stack must survive");
    }
}
