//! Reads `multipart/form-data` as it arrives, part by part. Nothing here knows what the parts mean.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as HttpBody;
use tokio::time::{Instant, timeout_at};

use super::problem::{Code, Problem};
use super::request::CHUNK;

/// The most for the head of a part.
const MAX_HEAD: usize = 64 * 1024;
const MAX_PARTS: usize = 64;
const HEAD_END: &[u8] = b"\r\n\r\n";

fn broken(what: &str) -> Problem {
    Problem::new(Code::InvalidRequest, format!("the multipart body is not valid: {what}"))
}

/// The head of a part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) mime: Option<String>,
}

pub(crate) struct Multipart<B> {
    body: Pin<Box<B>>,
    read: BytesMut,
    /// The end of a part: CRLF, two dashes and the boundary.
    mark: Vec<u8>,
    parts: usize,
    most_parts: usize,
    deadline: Instant,
}

impl<B: HttpBody<Data = Bytes>> Multipart<B> {
    /// The parts of a body with that `Content-Type`, all of which must come within `patience`.
    pub(crate) fn open(content_type: &str, body: B, patience: Duration) -> Result<Self, Problem> {
        let boundary = parameter(content_type, "boundary");
        let boundary = boundary.filter(|text| (1..=70).contains(&text.len())).ok_or_else(|| {
            broken("its Content-Type has no boundary; leave that header to your HTTP library")
        })?;
        Ok(Self {
            body: Box::pin(body),
            // The first mark has no CRLF before it, so one is put there.
            read: BytesMut::from(&b"\r\n"[..]),
            mark: format!("\r\n--{boundary}").into_bytes(),
            parts: 0,
            most_parts: MAX_PARTS,
            deadline: Instant::now() + patience,
        })
    }

    /// The same body, which may have so many parts.
    pub(crate) fn with_parts(self, most: usize) -> Self {
        Self { most_parts: most, ..self }
    }

    async fn fill(&mut self) -> Result<(), Problem> {
        let patience = self.deadline.min(Instant::now() + CHUNK);
        let frame = timeout_at(patience, self.body.frame()).await;
        match frame.map_err(|_elapsed| Problem::from(Code::Timeout))? {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.read.extend_from_slice(&data);
                }
                Ok(())
            }
            Some(Err(_)) | None => Err(broken("it ends too early")),
        }
    }

    /// The next part, if there is one. What is left of the part before it is skipped.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Problem> {
        while self.piece().await?.is_some() {}
        self.read.advance(self.mark.len());
        while self.read.len() < 2 {
            self.fill().await?;
        }
        if self.read.starts_with(b"--") {
            return Ok(None);
        }
        self.parts += 1;
        if self.parts > self.most_parts {
            return Err(broken("too many parts"));
        }
        let mut searched = 0;
        let end = loop {
            let rest = self.read.get(searched..).unwrap_or_default();
            if let Some(end) = find(rest, HEAD_END) {
                break searched + end;
            }
            if self.read.len() > MAX_HEAD {
                return Err(broken("a part's head is too long"));
            }
            // Only its last bytes may begin the end: a head that comes byte by byte costs no more than one at once.
            searched = self.read.len().saturating_sub(HEAD_END.len());
            self.fill().await?;
        };
        let head = self.read.split_to(end);
        self.read.advance(HEAD_END.len());
        let part = str::from_utf8(&head).ok().and_then(Part::parse);
        part.map(Some).ok_or_else(|| broken("a part has no name"))
    }

    /// More of the present part, or `None` at its end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(end) = find(&self.read, &self.mark) {
                return Ok((end > 0).then(|| self.read.split_to(end).freeze()));
            }
            // The last bytes may be the start of a mark.
            let sure = self.read.len().saturating_sub(self.mark.len());
            if sure > 0 {
                return Ok(Some(self.read.split_to(sure).freeze()));
            }
            self.fill().await?;
        }
    }

    /// All of the present part, which has at most `most` bytes.
    pub(crate) async fn text(&mut self, most: usize) -> Result<String, Problem> {
        let mut text = Vec::new();
        while let Some(piece) = self.piece().await? {
            text.extend_from_slice(&piece);
            if text.len() > most {
                let detail = format!("a field has at most {most} bytes");
                return Err(Problem::new(Code::TooLarge, detail));
            }
        }
        String::from_utf8(text).map_err(|_not_utf8| broken("a field is not UTF-8"))
    }
}

impl Part {
    fn parse(head: &str) -> Option<Self> {
        let mut part = Self::default();
        let mut named = false;
        for line in head.split("\r\n").filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            if name.trim().eq_ignore_ascii_case("content-type") {
                part.mime = Some(value.trim().to_owned());
            } else if name.trim().eq_ignore_ascii_case("content-disposition") {
                named = parameter(value, "name").map(|name| part.name = name).is_some();
                part.filename = parameter(value, "filename");
            }
        }
        named.then_some(part)
    }
}

/// A parameter of a header value: `form-data; name="file"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once(';') {
        let (name, value) = after.split_once('=')?;
        let quoted = value.trim_start().strip_prefix('"');
        let text = if let Some(quoted) = quoted {
            let (text, after) = quoted.split_once('"')?;
            rest = after;
            text
        } else {
            rest = value;
            value.split(';').next().unwrap_or_default().trim()
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(text.to_owned());
        }
    }
    None
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        let at = from + at;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// The parts of a body under the boundary `XX` that comes in pieces of `step` bytes, each with its text.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) async fn parts(body: &[u8], step: usize) -> Result<Vec<(Part, String)>, Problem> {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    let pieces: Vec<_> = body
        .chunks(step)
        .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))))
        .collect();
    let body = StreamBody::new(stream::iter(pieces));
    let patience = Duration::from_secs(10);
    let mut multipart = Multipart::open("multipart/form-data; boundary=XX", body, patience)?;
    let mut parts = Vec::new();
    while let Some(part) = multipart.next().await? {
        parts.push((part, multipart.text(100).await?));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    const BODY: &[u8] =
        b"--XX\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\n628\r\n--XX\r\n\
        Content-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--XX\r\n\
        content-disposition: form-data; filename=\"a;b.png\"; name=file\r\n\
        Content-Type: image/png\r\n\r\n\r\n--X\r\n-\r\n--XX--\r\n";

    #[tokio::test]
    async fn parts_are_the_same_however_the_body_is_cut() {
        for step in [1, 2, 3, 7, 50, BODY.len()] {
            let parts = parts(BODY, step).await.unwrap();
            let texts: Vec<_> =
                parts.iter().map(|(part, text)| (part.name.as_str(), text.as_str())).collect();
            assert_eq!(texts, [("to", "628"), ("empty", ""), ("file", "\r\n--X\r\n-")], "{step}");
            let file = &parts[2].0;
            assert_eq!(file.filename.as_deref(), Some("a;b.png"));
            assert_eq!(file.mime.as_deref(), Some("image/png"));
        }
    }

    #[tokio::test]
    async fn broken_bodies_are_refused() {
        for body in [
            &b""[..],
            b"--XX",
            b"--YY\r\n\r\n--YY--",
            b"--XX\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\n628",
            b"--XX\r\nContent-Type: x\r\n\r\n628\r\n--XX--",
            b"--XX\r\nname\r\n\r\n628\r\n--XX--",
        ] {
            let problem = parts(body, 5).await.unwrap_err();
            assert_eq!(problem.code, Code::InvalidRequest, "{}", String::from_utf8_lossy(body));
        }
        let endless = [b"--XX\r\n".to_vec(), vec![b'a'; MAX_HEAD * 2]].concat();
        assert!(parts(&endless, 1000).await.is_err());
        let part = b"--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
        assert!(parts(&[part.repeat(MAX_PARTS), b"--XX--".to_vec()].concat(), 50).await.is_ok());
        assert!(parts(&part.repeat(MAX_PARTS + 1), 50).await.is_err());
        for unnamed in ["multipart/form-data", "multipart/form-data; boundary="] {
            assert!(Multipart::open(unnamed, Full::new(Bytes::new()), PATIENCE).is_err());
        }
    }
}
