//! Reads `multipart/form-data` as it arrives. Fields are small and are kept in memory; the file goes straight to the
//! spool, so that a large upload needs space on disk and not in memory.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as HttpBody;
use tokio::time::{Instant, timeout_at};

use super::content::{MediaBody, SendBody, media_kind};
use crate::api::call::Call;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request::CHUNK;
use crate::model::DeviceName;
use crate::store::{SpoolFull, Upload};

/// The most for a field other than the file, and for the head of a part.
const MAX_FIELD: usize = 64 * 1024;
const MAX_PARTS: usize = 64;
const HEAD_END: &[u8] = b"\r\n\r\n";
/// How long the whole upload may take: 64 MiB at 100 kB/s.
const WHOLE: Duration = Duration::from_mins(12);

fn broken(what: &str) -> Problem {
    Problem::new(Code::InvalidRequest, format!("the multipart body is not valid: {what}"))
}

/// The head of a part.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    name: String,
    filename: Option<String>,
    mime: Option<String>,
}

struct Multipart<B> {
    body: Pin<Box<B>>,
    read: BytesMut,
    /// The end of a part: CRLF, two dashes and the boundary.
    mark: Vec<u8>,
    deadline: Instant,
}

impl<B: HttpBody<Data = Bytes>> Multipart<B> {
    fn new(body: B, boundary: &str) -> Self {
        Self {
            body: Box::pin(body),
            // The first mark has no CRLF before it, so one is put there.
            read: BytesMut::from(&b"\r\n"[..]),
            mark: format!("\r\n--{boundary}").into_bytes(),
            deadline: Instant::now() + WHOLE,
        }
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
    async fn next(&mut self) -> Result<Option<Part>, Problem> {
        while self.piece().await?.is_some() {}
        self.read.advance(self.mark.len());
        while self.read.len() < 2 {
            self.fill().await?;
        }
        if self.read.starts_with(b"--") {
            return Ok(None);
        }
        let mut searched = 0;
        let end = loop {
            let rest = self.read.get(searched..).unwrap_or_default();
            if let Some(end) = find(rest, HEAD_END) {
                break searched + end;
            }
            if self.read.len() > MAX_FIELD {
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
    async fn piece(&mut self) -> Result<Option<Bytes>, Problem> {
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

    /// All of the present part, which must be small.
    async fn text(&mut self) -> Result<String, Problem> {
        let mut text = Vec::new();
        while let Some(piece) = self.piece().await? {
            text.extend_from_slice(&piece);
            if text.len() > MAX_FIELD {
                return Err(Problem::new(Code::TooLarge, "a field has at most 64 KiB"));
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

/// Reads an upload: the fields of a message, and the file in the part `file`.
pub(crate) async fn send_body(call: &mut Call) -> Result<(SendBody, Option<Upload>), Problem> {
    let boundary = call.header("content-type").and_then(|value| parameter(value, "boundary"));
    let boundary = boundary.filter(|text| (1..=70).contains(&text.len()));
    let boundary = boundary.ok_or_else(|| broken("it has no boundary"))?;
    let mut multipart = Multipart::new(call.body()?, &boundary);
    let mut send = SendBody::default();
    let mut media = MediaBody::default();
    let (mut kind, mut file, mut parts) = (None, None, 0);
    while let Some(part) = multipart.next().await? {
        parts += 1;
        if parts > MAX_PARTS {
            return Err(broken("too many parts"));
        }
        match part.name.as_str() {
            "file" => {
                media.filename = media.filename.or(part.filename);
                media.mime = media.mime.or(part.mime);
                file = Some(to_spool(call, &mut multipart).await?);
            }
            "to" => send.to = multipart.text().await?,
            "kind" => {
                let name = multipart.text().await?;
                let known = media_kind(&name);
                let words = "image, video, audio, voice, document or sticker";
                kind = Some(known.ok_or_else(|| Problem::field("kind", words))?);
            }
            "caption" => media.caption = given(multipart.text().await?),
            "filename" => media.filename = given(multipart.text().await?),
            "mime" => media.mime = given(multipart.text().await?),
            "thumbnail" => media.thumbnail = given(multipart.text().await?),
            "reply_to" => send.reply_to = given(multipart.text().await?),
            "mentions" => send.mentions.extend(given(multipart.text().await?)),
            "view_once" => send.view_once = multipart.text().await? == "true",
            other => return Err(Problem::field(other, "unknown field")),
        }
    }
    let kind = kind.ok_or_else(|| Problem::field("kind", "required"))?;
    let file = file.ok_or_else(|| Problem::field("file", "required"))?;
    media.spool = Some(file.name().clone());
    if kind != crate::model::MediaKind::Document {
        // Every upload has a file name, but only a document shows it.
        media.filename = None;
    }
    send.set_media(kind, media);
    Ok((send, Some(file)))
}

/// A form sends an empty field if a person left it empty.
fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

async fn to_spool<B: HttpBody<Data = Bytes>>(
    call: &Call,
    multipart: &mut Multipart<B>,
) -> Result<Upload, Problem> {
    let most = call.config.media.max_size;
    let mut upload = begin(call, &call.device()?.0).await?;
    let mut size = 0_u64;
    while let Some(piece) = multipart.piece().await? {
        size += piece.len() as u64;
        if size > most {
            let detail = format!("a file has at most {most} bytes (media.max_size)");
            return Err(Problem::new(Code::TooLarge, detail));
        }
        upload.write(&piece).await.map_err(failed)?;
    }
    if upload.finish().await.map_err(failed)? == 0 {
        return Err(Problem::field("file", "must not be empty"));
    }
    Ok(upload)
}

/// A place for a file of that device.
pub(super) async fn begin(call: &Call, device: &DeviceName) -> Result<Upload, Problem> {
    let (spool, tasks) = (call.state.api.store.spool(), &call.state.api.tasks);
    spool.upload(device, tasks).await.map_err(failed)
}

/// Why a file was not taken.
#[expect(clippy::needless_pass_by_value, reason = "a function for map_err")]
pub(super) fn failed(error: std::io::Error) -> Problem {
    match SpoolFull::of(&error) {
        Some(full) => full.into(),
        None => {
            tracing::error!(%error, "An upload could not be kept.");
            Code::StoreFailed.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    async fn read(body: &[u8], step: usize) -> Result<Vec<(Part, String)>, Problem> {
        let pieces: Vec<_> = body
            .chunks(step)
            .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let mut multipart = Multipart::new(StreamBody::new(stream::iter(pieces)), "XX");
        let mut parts = Vec::new();
        while let Some(part) = multipart.next().await? {
            parts.push((part, multipart.text().await?));
        }
        Ok(parts)
    }

    const BODY: &[u8] =
        b"--XX\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\n628\r\n--XX\r\n\
        Content-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--XX\r\n\
        content-disposition: form-data; filename=\"a;b.png\"; name=file\r\n\
        Content-Type: image/png\r\n\r\n\r\n--X\r\n-\r\n--XX--\r\n";

    #[tokio::test]
    async fn parts_are_the_same_however_the_body_is_cut() {
        for step in [1, 2, 3, 7, 50, BODY.len()] {
            let parts = read(BODY, step).await.unwrap();
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
            let problem = read(body, 5).await.unwrap_err();
            assert_eq!(problem.code, Code::InvalidRequest, "{}", String::from_utf8_lossy(body));
        }
        let endless = [b"--XX\r\n".to_vec(), vec![b'a'; MAX_FIELD * 2]].concat();
        assert!(read(&endless, 1000).await.is_err());
    }
}
