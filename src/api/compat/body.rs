//! The body of a request to a face, however it was written: JSON, a form, or a form in parts with a file.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::api::call::Call;
use crate::api::http::form;
use crate::api::http::multipart::Multipart;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request;
use crate::api::v1::message::content::MediaBody;
use crate::api::v1::message::expect_device;
use crate::api::v1::message::upload::to_spool;
use crate::model::end_of_path;
use crate::store::Upload;

/// How long a form in parts may take.
const WHOLE: Duration = Duration::from_mins(12);
/// The largest body in memory: some of these programs send a file in Base64 and in no other way, 16 MiB at most.
const MAX_BODY: usize = 24 * 1024 * 1024;
/// The most bytes of a field other than the file.
const MAX_FIELD: usize = 64 * 1024;

/// What a request says.
#[derive(Default)]
pub(crate) struct Given {
    fields: Map<String, Value>,
    pub(crate) upload: Option<Upload>,
    /// Of the file that was uploaded: its name and its type.
    file: (Option<String>, Option<String>),
}

impl Given {
    /// Reads a body; in a form in parts, `file` is the name of the part with a file. The device must have been chosen
    /// where a file may come.
    pub(crate) async fn read(call: &mut Call, file: Option<&str>) -> Result<Self, Problem> {
        if call.has_type("multipart/form-data") {
            if file.is_some() {
                expect_device(call)?;
            }
            return Self::read_parts(call, file).await;
        }
        let is_form = call.has_type("application/x-www-form-urlencoded");
        let bytes = call.read(MAX_BODY).await?;
        let mut given = Self::default();
        if matches!(bytes.trim_ascii(), b"" | b"null") {
            return Ok(given);
        }
        if is_form {
            let broken = || Problem::new(Code::InvalidRequest, "the form is not valid");
            let text = str::from_utf8(&bytes).map_err(|_not_utf8| broken())?;
            for (name, value) in form::pairs(text).ok_or_else(broken)? {
                given.add(name, value);
            }
        } else {
            given.fields = request::parse(&bytes)?;
        }
        Ok(given)
    }

    async fn read_parts(call: &mut Call, file: Option<&str>) -> Result<Self, Problem> {
        let content_type = call.header("content-type").unwrap_or_default().to_owned();
        let mut parts = Multipart::open(&content_type, call.body()?, WHOLE)?;
        let mut given = Self::default();
        while let Some(part) = parts.next().await? {
            if part.filename.is_some() && file == Some(part.name.as_str()) {
                // PHP's curl sends the whole path.
                let name = part.filename.as_deref().and_then(end_of_path);
                given.upload = Some(to_spool(call, &mut parts).await?);
                given.file = (name, part.mime);
            } else {
                let text = parts.text(MAX_FIELD).await?;
                given.add(part.name, text);
            }
        }
        Ok(given)
    }

    /// A field of a form. One that comes again is a list, as is one called `name[]`.
    fn add(&mut self, name: String, text: String) {
        let (name, is_list) = match name.strip_suffix("[]") {
            Some(name) => (name.to_owned(), true),
            None => (name, false),
        };
        match self.fields.get_mut(&name) {
            Some(Value::Array(list)) => list.push(text.into()),
            Some(one) => *one = Value::Array(vec![one.take(), text.into()]),
            None if is_list => drop(self.fields.insert(name, Value::Array(vec![text.into()]))),
            None => drop(self.fields.insert(name, text.into())),
        }
    }

    /// A text, or a number that stands for one; an empty one counts as absent.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::String(text) => (!text.trim().is_empty()).then(|| text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub(crate) fn need(&self, name: &str) -> Result<String, Problem> {
        self.text(name).ok_or_else(|| Problem::field(name, "required"))
    }

    /// Whether a field is true, in any of the ways in which programs say so.
    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.fields.get(name) {
            Some(Value::Bool(on)) => *on,
            Some(Value::String(text)) => matches!(text.trim(), "true" | "1" | "on"),
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            _ => false,
        }
    }

    /// The same, where a field that is absent means something else than false.
    pub(crate) fn flag_or(&self, name: &str, absent: bool) -> bool {
        if self.fields.get(name).is_none_or(Value::is_null) { absent } else { self.flag(name) }
    }

    /// What is nested in a field, which is taken out: a file in it may be large.
    pub(crate) fn take(&mut self, name: &str) -> Option<Self> {
        match self.fields.remove(name)? {
            Value::Object(fields) => Some(Self { fields, ..Self::default() }),
            _ => None,
        }
    }

    /// Whether a field is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !value.is_null())
    }

    /// A text that may be large.
    pub(crate) fn take_text(&mut self, name: &str) -> Option<String> {
        match self.fields.remove(name)? {
            Value::String(text) => (!text.is_empty()).then_some(text),
            _ => None,
        }
    }

    /// What is nested in the list in a field.
    pub(crate) fn inners(&self, name: &str) -> Vec<Self> {
        let list = self.fields.get(name).and_then(Value::as_array);
        let of = |value: &Value| match value {
            Value::Object(fields) => Some(Self { fields: fields.clone(), ..Self::default() }),
            _ => None,
        };
        list.into_iter().flatten().filter_map(of).collect()
    }

    /// A number, as one or as its text.
    pub(crate) fn number(&self, name: &str) -> Result<serde_json::Number, Problem> {
        let text = self.need(name)?;
        text.trim().parse().map_err(|_no_number| Problem::field(name, "must be a number"))
    }

    /// A list of texts; a single one is a list of one.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let of = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        match self.fields.get(name) {
            Some(Value::Array(list)) => list.iter().filter_map(of).collect(),
            Some(one) => of(one).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// What is nested in a field; nothing when there is none.
    pub(crate) fn inner(&self, name: &str) -> Self {
        self.fields.get(name).map(Self::of).unwrap_or_default()
    }

    pub(crate) fn of(value: &Value) -> Self {
        Self { fields: value.as_object().cloned().unwrap_or_default(), ..Self::default() }
    }

    /// The same with every name in small letters, for callers whose product does not mind their case.
    #[must_use]
    pub(crate) fn uncased(self) -> Self {
        let fields = self.fields.into_iter();
        let fields = fields.map(|(name, value)| (name.to_lowercase(), value)).collect();
        Self { fields, ..self }
    }

    /// The file of a message: the one that was uploaded, or what a field has, which is a URL, or Base64.
    pub(crate) fn file(&mut self, field: &'static str) -> Result<MediaBody, Problem> {
        if self.upload.is_some() {
            return Ok(self.media(field));
        }
        let text = self.take_text(field).ok_or_else(|| Problem::field(field, "required"))?;
        let is_url = text.starts_with("http://") || text.starts_with("https://");
        let (url, base64) = if is_url { (Some(text), None) } else { (None, Some(text)) };
        Ok(MediaBody { url, base64, ..MediaBody::default() })
    }

    /// The file of a message: the one that was uploaded, or the one at the URL in the field `url`.
    pub(crate) fn media(&self, url: &str) -> MediaBody {
        let (name, mime) = self.file.clone();
        match &self.upload {
            Some(upload) => MediaBody {
                spool: Some(upload.name().clone()),
                filename: name,
                mime,
                ..MediaBody::default()
            },
            None => MediaBody { url: self.text(url), ..MediaBody::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_the_same_as_json() {
        let mut form = Given::default();
        for (name, value) in [
            ("phone", "628123456789"),
            ("view_once", "true"),
            ("options[]", "ya"),
            ("options[]", "tidak"),
            ("mentions", "1"),
            ("mentions", "2"),
            ("empty", " "),
        ] {
            form.add(name.to_owned(), value.to_owned());
        }
        let json = r#"{"phone":628123456789,"view_once":true,"options":["ya","tidak"],"mentions":["1","2"],"empty":""}"#;
        let json = Given { fields: serde_json::from_str(json).unwrap(), ..Given::default() };
        for given in [&form, &json] {
            assert_eq!(given.text("phone").as_deref(), Some("628123456789"));
            assert!(given.flag("view_once") && !given.flag("compress"));
            assert_eq!(given.list("options"), ["ya", "tidak"]);
            assert_eq!(given.list("mentions"), ["1", "2"]);
            assert_eq!(given.text("empty"), None);
            assert!(given.need("empty").is_err());
            assert_eq!(given.number("phone").unwrap().as_u64(), Some(628_123_456_789));
        }
    }
}
