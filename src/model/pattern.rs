//! Which chats are meant, as people write it: a phone number, an address, or a part of either with a `*`.

use std::fmt;

use super::address::Jid;
use super::phone::{AddressError, PhoneNumber, is_blank};

/// Where a pattern has its `*`: any text may stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatPattern {
    written: String,
    /// A number and an address never match the same text, because only one of them has an `@`.
    head: String,
    tail: Option<String>,
}

impl ChatPattern {
    /// Reads `628123456789`, `62812*`, `12036304@g.us` or `*@g.us`.
    pub fn parse(written: &str) -> Result<Self, AddressError> {
        let text = written.replace(is_blank, "");
        if let Some((head, tail)) = text.split_once('*') {
            let head = head.strip_prefix('+').unwrap_or(head);
            let plain = |part: &str| {
                part.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'.' | b'-' | b'_')
                })
            };
            // A star alone would be a long way of saying nothing.
            if !plain(head) || !plain(tail) || (head.is_empty() && tail.is_empty()) {
                return Err(AddressError::NotAPattern);
            }
            let (head, tail) = (head.to_owned(), Some(tail.to_owned()));
            return Ok(Self { written: written.to_owned(), head, tail });
        }
        let head = if text.contains('@') {
            Jid::parse(&text)?.as_str().to_owned()
        } else {
            PhoneNumber::parse(&text, None)?.as_str().to_owned()
        };
        Ok(Self { written: written.to_owned(), head, tail: None })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it means the chat with this address: in full, or the phone number in it.
    pub fn fits(&self, address: &str) -> bool {
        let number = address.strip_suffix("@s.whatsapp.net");
        [Some(address), number].into_iter().flatten().any(|text| self.fits_text(text))
    }

    fn fits_text(&self, text: &str) -> bool {
        match &self.tail {
            None => text == self.head,
            Some(tail) => {
                text.strip_prefix(self.head.as_str()).is_some_and(|rest| rest.ends_with(tail))
            }
        }
    }
}

impl fmt::Display for ChatPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_an_address_or_a_part_of_one() {
        let cases = [
            ("+62 812-3456-789", "628123456789@s.whatsapp.net", true),
            ("628123456789", "628123456789", true),
            ("628123456789", "628123456780@s.whatsapp.net", false),
            ("62812*", "628123456789@s.whatsapp.net", true),
            ("+62812*", "628123456789", true),
            ("62812*", "62813456789@s.whatsapp.net", false),
            ("12036304@g.us", "12036304@g.us", true),
            ("*@g.us", "12036304@g.us", true),
            ("*@g.us", "628123456789@s.whatsapp.net", false),
            ("120*@g.us", "12036304@g.us", true),
            ("628*789", "628123456789@s.whatsapp.net", true),
        ];
        for (pattern, address, fits) in cases {
            assert_eq!(
                ChatPattern::parse(pattern).unwrap().fits(address),
                fits,
                "{pattern} {address}"
            );
        }
        let overlapping = ChatPattern::parse("12*21@lid").unwrap();
        assert!(!overlapping.fits("121@lid"), "head and tail do not share a letter");
        for bad in ["", "*", "budi", "62*8*", "6 2*\u{e9}", "0812"] {
            assert!(ChatPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
