//! A reply with places in it for what is known of the message.

use std::fmt;

/// A text and its placeholders. `{{` and `}}` stand for a brace.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    written: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Placeholder),
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// The name that the writer chose, or else the phone number.
    Name,
    /// The writer's phone number, as far as WhatsApp shows it.
    Phone,
    /// The message's text or caption.
    Text,
    /// When it was written: 14:05.
    Time,
    /// On which day: 2026-11-29.
    Date,
    /// The device's label.
    Device,
}

impl Placeholder {
    pub(crate) const ALL: [(&str, Self); 6] = [
        ("name", Self::Name),
        ("phone", Self::Phone),
        ("text", Self::Text),
        ("time", Self::Time),
        ("date", Self::Date),
        ("device", Self::Device),
    ];
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// There is no placeholder of that name.
    Unknown(String),
    /// A brace that nothing closes or opens.
    Brace(char),
}

impl Template {
    pub fn parse(written: &str) -> Result<Self, TemplateError> {
        let (mut parts, mut text) = (Vec::new(), String::new());
        let mut rest = written;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                text.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                text.push('}');
                rest = after;
            } else if let Some(inner) = from.strip_prefix('{') {
                let (name, after) = inner.split_once('}').ok_or(TemplateError::Brace('{'))?;
                let known = Placeholder::ALL.iter().find(|(known, _)| *known == name);
                let (_, place) = known.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Place(*place));
                rest = after;
            } else {
                return Err(TemplateError::Brace('}'));
            }
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self { written: written.to_owned(), parts })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The text with what stands in for each placeholder.
    pub(crate) fn fill(&self, value: impl Fn(Placeholder) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Place(place) => value(*place),
        };
        self.parts.iter().map(part).collect()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.written, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str) -> Result<String, TemplateError> {
        Ok(Template::parse(text)?.fill(|place| format!("<{place:?}>")))
    }

    #[test]
    fn placeholders_are_filled_and_doubled_braces_are_braces() {
        assert_eq!(
            filled("Halo {name}, {{promo}} {date} {time}").unwrap(),
            "Halo <Name>, {promo} <Date> <Time>"
        );
        assert_eq!(filled("{phone}{text}{device}").unwrap(), "<Phone><Text><Device>");
        assert_eq!(filled("{{{name}}}").unwrap(), "{<Name>}");
        assert_eq!(filled("").unwrap(), "");
        let unknown = |name: &str| Err(TemplateError::Unknown(name.to_owned()));
        assert_eq!(filled("{nama}"), unknown("nama"));
        assert_eq!(filled("{}"), unknown(""));
        assert_eq!(filled("{Name}"), unknown("Name"));
        assert_eq!(filled("a {name"), Err(TemplateError::Brace('{')));
        assert_eq!(filled("a } b"), Err(TemplateError::Brace('}')));
    }

    proptest! {
        #[test]
        fn what_stands_in_is_never_read_as_a_placeholder(value in "[{}a-z]{0,20}") {
            let template = Template::parse("a {text} b").unwrap();
            prop_assert_eq!(template.fill(|_| value.clone()), format!("a {value} b"));
        }

        #[test]
        fn every_text_can_be_said(text: String) {
            let escaped = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(filled(&escaped), Ok(text));
        }
    }
}
