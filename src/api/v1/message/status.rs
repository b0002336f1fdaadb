//! What is shown to people for a day: queued, paced and followed like any message.

use serde::Deserialize;

use super::content::{Issues, MediaBody, Wish};
use super::queue::idempotency_key;
use super::{MAX_INLINE, accept_wish, expect_device, queued_answer, upload};
use crate::api::call::{Answer, Call};
use crate::api::http::problem::Problem;
use crate::api::http::request::given;
use crate::model::{Content, Jid, MediaKind, Recipient, SendRequest, StatusFont};
use crate::store::{Due, Upload};

/// The most people that a request may name.
const MOST: usize = 500;
/// The longest text that phones show, in characters.
const LONGEST: usize = 700;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusBody {
    #[serde(default, deserialize_with = "given")]
    text: Option<String>,
    #[serde(default, deserialize_with = "given")]
    background: Option<String>,
    #[serde(default, deserialize_with = "given")]
    font: Option<StatusFont>,
    #[serde(default, deserialize_with = "given")]
    image: Option<MediaBody>,
    #[serde(default, deserialize_with = "given")]
    video: Option<MediaBody>,
    #[serde(default, deserialize_with = "given")]
    audience: Option<Vec<String>>,
}

/// `POST …/status`.
pub(crate) async fn post(call: &mut Call) -> Answer {
    idempotency_key(call)?;
    call.handle()?;
    let (body, upload) = if call.has_type("multipart/form-data") {
        expect_device(call)?;
        let (body, file) = uploaded(call).await?;
        (body, Some(file))
    } else {
        (call.json::<StatusBody>(MAX_INLINE).await?, None)
    };
    let (_, device) = call.device()?;
    let request = body.request(device.country_code.as_deref())?;
    let wish = Wish { request, files: Vec::new(), at: None, expires: None };
    let message = accept_wish(call, wish, upload, Due::Now).await?;
    Ok(queued_answer(call, &message))
}

/// Reads an upload: a picture or a film, and who may see it.
async fn uploaded(call: &mut Call) -> Result<(StatusBody, Upload), Problem> {
    let mut audience = Vec::new();
    let field = |name: &str, text: String| {
        let known = name == "audience";
        if known {
            audience.extend(upload::given(text));
        }
        known
    };
    let kinds = [MediaKind::Image, MediaKind::Video];
    let (kind, media, file) = upload::file_of(call, &kinds, field).await?;
    let audience = (!audience.is_empty()).then_some(audience);
    let body = match kind {
        MediaKind::Video => StatusBody { video: Some(media), ..StatusBody::default() },
        _ => StatusBody { image: Some(media), ..StatusBody::default() },
    };
    Ok((StatusBody { audience, ..body }, file))
}

impl StatusBody {
    fn request(self, country_code: Option<&str>) -> Result<SendRequest, Problem> {
        let mut issues = Issues::default();
        let color = self.background.as_deref().map(color);
        if color == Some(None) {
            issues.add("background", "a colour as #1e6e4f");
        }
        if self.text.is_none() && (self.background.is_some() || self.font.is_some()) {
            issues.add("text", "background and font are those of a text");
        }
        let mut contents = Vec::new();
        if let Some(text) = self.text {
            if !(1..=LONGEST).contains(&text.chars().count()) {
                issues.add("text", format!("1 to {LONGEST} characters"));
            }
            let (background, font) = (color.flatten(), self.font);
            contents.push(Content::StatusText { text, background, font });
        }
        let files =
            [("image", MediaKind::Image, self.image), ("video", MediaKind::Video, self.video)];
        for (name, kind, file) in files {
            contents.extend(file.map(|file| file.content(name, kind, &mut issues)));
        }
        if contents.len() != 1 {
            issues.add("", "give exactly one of text, image, video");
        }
        let audience = self.audience.map(|people| {
            if !(1..=MOST).contains(&people.len()) {
                issues.add("audience", format!("1 to {MOST} people"));
            }
            let mut read = Vec::with_capacity(people.len());
            for (n, who) in people.iter().enumerate() {
                match Recipient::parse(who, country_code) {
                    Ok(who) if is_person(&who) => read.push(who),
                    Ok(_) => issues.add(&format!("audience[{n}]"), "a phone number or a LID"),
                    Err(error) => issues.add(&format!("audience[{n}]"), error),
                }
            }
            read
        });
        match contents.pop() {
            Some(content) if issues.0.is_empty() => {
                let to = Recipient::Jid(Jid::status());
                Ok(SendRequest { audience, ..SendRequest::plain(to, content) })
            }
            _ => Err(Problem::invalid(issues.0)),
        }
    }
}

fn is_person(who: &Recipient) -> bool {
    matches!(who, Recipient::Phone(_)) || who.jid().is_lid()
}

/// `#1e6e4f`, as WhatsApp has it: opaque.
fn color(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let rgb = u32::from_str_radix(digits, 16).ok()?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(0xff00_0000 | rgb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::request::parse;

    fn read(json: &str) -> Result<SendRequest, Problem> {
        parse::<StatusBody>(json.as_bytes())?.request(None)
    }

    #[test]
    fn a_status_is_one_thing_for_people() {
        let text =
            read(r##"{"text":"Diskon!","background":"#1e6e4f","font":"calistoga"}"##).unwrap();
        let background = Some(0xff1e_6e4f);
        let font = Some(StatusFont::Calistoga);
        let expected = Content::StatusText { text: "Diskon!".to_owned(), background, font };
        assert_eq!((text.content, text.to.jid().as_str()), (expected, "status@broadcast"));
        let few =
            read(r#"{"image":{"url":"https://a.example/x.jpg"},"audience":["628123456789"]}"#);
        assert_eq!(few.unwrap().audience.map(|people| people.len()), Some(1));
        for bad in [
            "{}",
            r#"{"text":""}"#,
            r#"{"text":"a","background":"green"}"#,
            r##"{"text":"a","background":"#+12345"}"##,
            r#"{"text":"a","font":"comic"}"#,
            r#"{"text":"a","video":{"url":"https://a.example/x.mp4"}}"#,
            r#"{"text":"a","audience":[]}"#,
            r#"{"text":"a","audience":["120363000000000001@g.us"]}"#,
            r#"{"text":null}"#,
            r##"{"image":{"url":"https://a.example/x.jpg"},"background":"#1e6e4f"}"##,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
