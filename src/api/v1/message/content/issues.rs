//! What is wrong with a message that a caller wants to be sent.

use serde_json::Number;

use crate::api::http::problem::Issue;
use crate::model::MessageId;

/// WhatsApp refuses longer texts.
const LONGEST_TEXT: usize = 65_536;

/// Collects what is wrong, so that a caller hears of everything at once.
#[derive(Default)]
pub(crate) struct Issues(pub(crate) Vec<Issue>);

impl Issues {
    pub(crate) fn add(&mut self, path: &str, msg: impl ToString) {
        self.0.push(Issue::new(path, msg));
    }

    pub(crate) fn message(&mut self, path: &str, text: &str) -> Option<MessageId> {
        let id = MessageId::parse(text);
        if id.is_none() {
            self.add(path, "not a message id");
        }
        id
    }

    pub(crate) fn degrees(&mut self, path: &str, value: &Number, most: f64) {
        if !value.as_f64().is_some_and(|degrees| degrees.abs() <= most) {
            self.add(path, format!("lies between -{most} and {most}"));
        }
    }

    pub(crate) fn text(&mut self, path: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(path, "must not be empty");
        } else if text.chars().count() > LONGEST_TEXT {
            self.add(path, format!("has at most {LONGEST_TEXT} characters"));
        }
    }
}
