//! Phone numbers. Only here is decided how callers may write one. A digit is never dropped without a rule that is written
//! down here: what is left would be somebody else's number.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// Countries where a number is dialled with a 0 at home and without it from abroad, and where no number begins with 0
/// after the country code (ITU-T E.164 and its national numbering plans).
const TRUNK_ZERO: [&str; 51] = [
    "20", "27", "31", "32", "33", "40", "41", "43", "44", "46", "49", "60", "61", "62", "63", "64",
    "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98", "212", "213", "233",
    "234", "254", "255", "256", "353", "380", "381", "385", "386", "855", "856", "880", "886",
    "961", "962", "964", "966", "967", "971", "972",
];
/// Countries where the 0 is a part of the number, also from abroad: Italy, San Marino, Ivory Coast, Congo.
const ZERO_STAYS: [&str; 4] = ["39", "378", "225", "242"];

/// An international phone number: 7 to 15 digits, no leading zero, no plus sign.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number as people and programs write it:
    ///
    /// - Spaces, dashes and brackets of any kind, invisible characters (they come along when a number is copied from a
    ///   list of contacts) and one leading `+` are dropped.
    /// - `country_code` is that of the device's country. With it, `0812…`, `0062812…`, `+62 (0)812…` and `620812…` are
    ///   `62812…`; without it they are refused, with the number that was probably meant where that is known.
    /// - Everything else is refused, most of all what a spreadsheet makes of a number.
    pub fn parse(text: &str, country_code: Option<&str>) -> Result<Self, AddressError> {
        let text: String = text.chars().filter(|c| !is_blank(*c)).collect();
        let (plus, digits) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            let spreadsheet = is_decimal(digits);
            return Err(if spreadsheet {
                AddressError::Spreadsheet
            } else {
                AddressError::NotANumber
            });
        }
        match (digits.strip_prefix("00"), digits.strip_prefix('0')) {
            (Some(abroad), _) if !plus => Self::international(abroad, country_code, true),
            (None, Some(national)) if !plus => {
                let code = country_code.ok_or(AddressError::LeadingZero)?;
                let stays = ZERO_STAYS.contains(&code);
                Self::exact(&format!("{code}{}", if stays { digits } else { national }))
            }
            _ => Self::international(digits, country_code, false),
        }
    }

    /// Reads digits that begin with a country code. `asked` says whether they need the device's country code to be
    /// believed.
    fn international(
        digits: &str,
        country_code: Option<&str>,
        asked: bool,
    ) -> Result<Self, AddressError> {
        let trunk = TRUNK_ZERO.iter().find_map(|code| Some((*code, digits.strip_prefix(code)?)));
        let (number, code) =
            match trunk.and_then(|(code, rest)| Some((code, rest.strip_prefix('0')?))) {
                Some((code, national)) => (format!("{code}{national}"), Some(code)),
                None => (digits.to_owned(), trunk.map(|(code, _)| code)),
            };
        let plain = number == digits && !asked;
        let number = Self::exact(&number)?;
        let ours = match code {
            Some(code) => country_code == Some(code),
            None => country_code.is_some_and(|code| digits.starts_with(code)),
        };
        if number.has_trunk_zero() {
            return Err(AddressError::NotANumber);
        }
        if plain || ours { Ok(number) } else { Err(AddressError::ExtraZero { meant: number.0 }) }
    }

    fn has_trunk_zero(&self) -> bool {
        let rest = |code: &&str| self.0.strip_prefix(code);
        TRUNK_ZERO.iter().filter_map(rest).any(|rest| rest.starts_with('0'))
    }

    /// Reads a number as WhatsApp and our own store write it: digits and nothing else.
    pub fn exact(digits: &str) -> Result<Self, AddressError> {
        if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AddressError::NotANumber);
        }
        if !(7..=15).contains(&digits.len()) {
            return Err(AddressError::WrongLength);
        }
        Ok(Self(digits.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::exact(&text)
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.0
    }
}

/// Spaces, dashes, brackets and characters that nobody sees.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '-' | '(' | ')' | '[' | ']'
                | '\u{ad}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2010}'..='\u{2015}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'
                | '\u{2066}'..='\u{2069}'
                | '\u{2212}'
                | '\u{fe58}'
                | '\u{fe63}'
                | '\u{feff}'
                | '\u{ff0d}'
        )
}

/// Whether this is a number with a decimal sign or an exponent.
fn is_decimal(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b',' | b'e' | b'E' | b'+'))
}

/// Why a receiver was refused; the text says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Something other than digits.
    #[error("a phone number has digits only, with the country code: 628123456789")]
    NotANumber,
    /// A decimal point or an exponent: what is left of the digits may be somebody else's number.
    #[error(
        "a decimal point or an exponent, as a spreadsheet writes numbers: digits may be lost; format the column as text and write the number as 628123456789"
    )]
    Spreadsheet,
    /// `0812…` without a country code.
    #[error(
        "write the number with its country code and without the leading 0: 628123456789 (or set country_code for the device)"
    )]
    LeadingZero,
    /// A 0 after the country code, or 00 before it.
    #[error(
        "write the number with its country code, without 00 before it and without a 0 after it: {meant} was probably meant"
    )]
    ExtraZero { meant: String },
    /// Too short or too long.
    #[error("a phone number has 7 to 15 digits, with the country code: 628123456789")]
    WrongLength,
    /// Not `user@server`.
    #[error(
        "not a WhatsApp address: write a phone number such as 628123456789, or a group id ending in @g.us"
    )]
    NotAJid,
    /// Not a part of a number or an address with one `*`.
    #[error("write a phone number, a group id, or a part of one with a *: \"62812*\"")]
    NotAPattern,
    /// A status, or somebody's broadcast list.
    #[error("nobody reads what is written to a status or to a broadcast list; write to the person")]
    Broadcast,
}

/// Whether the operator wants phone numbers in full in the log.
static FULL_NUMBERS: AtomicBool = AtomicBool::new(false);

/// Switches masking off in the whole process, or on again.
pub(crate) fn show_full_numbers(on: bool) {
    FULL_NUMBERS.store(on, Ordering::Relaxed);
}

/// A phone number or user part as logs show it: `6281****789`.
pub(crate) fn mask(user: &str) -> String {
    if FULL_NUMBERS.load(Ordering::Relaxed) {
        return user.to_owned();
    }
    let chars: Vec<char> = user.chars().collect();
    match (chars.get(..4), chars.get(chars.len().saturating_sub(3)..)) {
        (Some(head), Some(tail)) if chars.len() >= 9 => {
            format!("{}****{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
        }
        _ => "****".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, code: Option<&str>) -> Result<String, AddressError> {
        PhoneNumber::parse(text, code).map(String::from)
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for text in [
            "628123456789",
            "+62 812-3456-789",
            "(62) 8123456789",
            "\u{202a}+62\u{a0}812\u{2011}3456\u{2013}789\u{202c}",
            "\u{feff}62\u{2009}8123\u{200b}456789\u{200f}",
            "[62] 8123 456 789\t",
        ] {
            assert_eq!(read(text, None).as_deref(), Ok("628123456789"), "{text}");
        }
    }

    #[test]
    fn zeros_before_and_after_the_country_code_need_the_devices_country() {
        for text in ["08123456789", "0062 8123456789", "+62 (0)8123456789", "6208123456789"] {
            assert_eq!(read(text, Some("62")).as_deref(), Ok("628123456789"), "{text}");
        }
        assert_eq!(read("08123456789", None), Err(AddressError::LeadingZero));
        let meant = |number: &str| Err(AddressError::ExtraZero { meant: number.to_owned() });
        for code in [None, Some("49")] {
            for text in
                ["00628123456789", "+62 (0)8123456789", "6208123456789", "0062(0)8123456789"]
            {
                assert_eq!(read(text, code), meant("628123456789"), "{text}");
            }
        }
        assert_eq!(read("0049 171 1234567", Some("62")), meant("491711234567"));
        assert_eq!(read("0062 008123456789", Some("62")), Err(AddressError::NotANumber));
        assert_eq!(read("+08123456789", Some("62")), Err(AddressError::NotANumber));
        assert_eq!(read("0008123456789", Some("62")), Err(AddressError::NotANumber));
    }

    #[test]
    fn where_the_zero_is_a_part_of_the_number_it_stays() {
        assert_eq!(read("06 1234 5678", Some("39")).as_deref(), Ok("390612345678"));
        assert_eq!(read("+39 06 1234 5678", None).as_deref(), Ok("390612345678"));
        assert_eq!(read("0039 06 1234 5678", Some("39")).as_deref(), Ok("390612345678"));
        assert_eq!(read("07 12 34 56 78", Some("225")).as_deref(), Ok("2250712345678"));
    }

    #[test]
    fn what_a_spreadsheet_makes_of_a_number_is_refused() {
        for text in [
            "628123456789.0",
            "6.28123456789e11",
            "6.28123456789E+11",
            "6,28E+11",
            "62.812.345.678",
        ] {
            assert_eq!(read(text, Some("62")), Err(AddressError::Spreadsheet), "{text}");
        }
        assert!(AddressError::Spreadsheet.to_string().contains("spreadsheet"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["++628123456789", "62812x", "tel:628123456789", "62812/3456789", "٦٢٨١٢٣٤٥٦"]
        {
            assert_eq!(read(text, None), Err(AddressError::NotANumber), "{text}");
        }
        for text in ["628123", "6281234567890123", "", "()"] {
            assert_eq!(read(text, None), Err(AddressError::WrongLength), "{text}");
        }
    }

    proptest! {
        /// Other digits are another number, but for a 0 or 00 by the rules above.
        #[test]
        fn no_digit_is_dropped_without_a_rule(text in "[+]?[0-9(). eE,x\u{200b}\u{2011}-]{6,20}", ours in any::<bool>()) {
            let code = ours.then_some("62");
            if let Ok(number) = read(&text, code) {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                let mut same = vec![digits.clone()];
                if ours {
                    same.extend(digits.strip_prefix('0').map(|national| format!("62{national}")));
                    same.extend(digits.strip_prefix("00").map(str::to_owned));
                    let trunk = digits.trim_start_matches('0').strip_prefix("620");
                    same.extend(trunk.map(|national| format!("62{national}")));
                }
                prop_assert!(same.contains(&number), "{text:?} became {number}");
                prop_assert_eq!(read(&number, code), Ok(number.clone()), "read again");
                prop_assert_eq!(read(&number, None), Ok(number), "read elsewhere");
            }
        }
    }
}
