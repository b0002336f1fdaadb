//! What a message's text must have in it.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// The most bytes of a text that are looked at: what people ask for stands at its beginning.
const LOOKED_AT: usize = 4096;
/// The most bytes of a pattern that is made ready.
const LARGEST: usize = 1 << 18;

/// A regular expression.
#[derive(Clone)]
pub struct TextPattern(Regex);

impl TextPattern {
    /// Reads a regular expression, or says in one line what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = RegexBuilder::new(text).size_limit(LARGEST).build();
        read.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The lines above it show the place with a caret.
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim().trim_start_matches("error: ").to_owned()
            }
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it fits anywhere in the beginning of a text.
    pub fn fits(&self, text: &str) -> bool {
        let end = text.floor_char_boundary(LOOKED_AT);
        self.0.is_match(text.get(..end).unwrap_or(text))
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for TextPattern {}

impl fmt::Debug for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_anywhere_and_says_what_is_wrong_with_it() {
        let price = TextPattern::parse("(?i)^(harga|price)").unwrap();
        assert!(price.fits("Harga berapa?") && price.fits("PRICE") && !price.fits("berapa harga"));
        assert_eq!(TextPattern::parse("(harga").unwrap_err(), "unclosed group");
        assert_eq!(TextPattern::parse(&"(a{100}){100}".repeat(9)).unwrap_err(), "it is too large");
        assert!(!TextPattern::parse("x").unwrap().fits(&format!("{}x", "é".repeat(LOOKED_AT / 2))));
        assert!(TextPattern::parse("é").unwrap().fits(&format!("a{}", "é".repeat(LOOKED_AT))));
    }
}
