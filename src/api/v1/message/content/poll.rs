//! A poll as callers write it.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::issues::Issues;
use crate::api::http::request::optional_whole;
use crate::model::Content;

const OPTIONS: RangeInclusive<usize> = 2..=12;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PollBody {
    pub(crate) question: String,
    pub(crate) options: Vec<String>,
    #[serde(default, deserialize_with = "optional_whole")]
    pub(crate) selectable: Option<u32>,
    /// The right answer, which makes it a quiz.
    pub(crate) correct: Option<String>,
}

impl PollBody {
    pub(super) fn content(self, issues: &mut Issues) -> Content {
        let Self { question, options, selectable, correct } = self;
        issues.text("poll.question", &question);
        let mut distinct: Vec<&str> = options.iter().map(|option| option.trim()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let count = options.len();
        if !OPTIONS.contains(&count) || distinct.len() != count || distinct.contains(&"") {
            issues.add("poll.options", "2 to 12 different answers");
        }
        let selectable = selectable.unwrap_or(1);
        if usize::try_from(selectable).map_or(true, |n| n > count) {
            issues.add(
                "poll.selectable",
                "0 for any number, or at most as many as there are answers",
            );
        }
        if let Some(correct) = &correct {
            if !options.contains(correct) {
                issues.add("poll.correct", "one of the options, letter by letter");
            }
            if selectable != 1 {
                issues.add("poll.selectable", "of a quiz one answer may be chosen");
            }
        }
        Content::Poll { question, options, selectable, correct }
    }
}
