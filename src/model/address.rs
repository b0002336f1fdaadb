//! Whom a message goes to or comes from. Only here is decided how callers may write a phone number. The engine's own
//! addresses, which also name one device of a person, never leave `whatsapp`.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// A WhatsApp address without a device part: `628…@s.whatsapp.net`, `…@lid`, `…@g.us`, `…@newsletter`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Jid(String);

impl Jid {
    /// Reads `user@server`; a device part (`user:3@server`) is dropped.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (user, server) = text.split_once('@').ok_or(AddressError::NotAJid)?;
        let user = user.split(':').next().unwrap_or_default();
        let sane = |part: &str| {
            !part.is_empty()
                && part.len() <= 64
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        if !sane(user) || !sane(server) {
            return Err(AddressError::NotAJid);
        }
        Ok(Self(format!("{user}@{server}")))
    }

    /// The address of a phone number.
    pub fn of_phone(phone: &PhoneNumber) -> Self {
        Self(format!("{}@s.whatsapp.net", phone.as_str()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub fn user(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }

    /// The part after the `@`.
    pub fn server(&self) -> &str {
        self.0.split('@').nth(1).unwrap_or_default()
    }

    pub fn is_group(&self) -> bool {
        self.server() == "g.us"
    }

    /// Whether this is a LID, an address that hides the phone number.
    pub fn is_lid(&self) -> bool {
        self.server() == "lid"
    }

    /// The phone number in it, when it is a phone address.
    pub fn phone(&self) -> Option<PhoneNumber> {
        (self.server() == "s.whatsapp.net")
            .then(|| PhoneNumber::parse(self.user(), None).ok())
            .flatten()
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", mask(self.user()), self.server())
    }
}

impl TryFrom<String> for Jid {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<Jid> for String {
    fn from(jid: Jid) -> Self {
        jid.0
    }
}

/// An international phone number: 7 to 15 digits, no leading zero, no plus sign.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number as people write it: spaces, dashes, dots, brackets and one leading `+` are dropped. A leading
    /// `0` is understood only when the device has a country code.
    pub fn parse(text: &str, country_code: Option<&str>) -> Result<Self, AddressError> {
        let trimmed = text.trim();
        let digits: String = trimmed
            .strip_prefix('+')
            .unwrap_or(trimmed)
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '[' | ']' | '.' | '\u{a0}'))
            .collect();
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AddressError::NotANumber);
        }
        let digits = match (digits.strip_prefix('0'), country_code) {
            (None, _) => digits,
            (Some(national), Some(code)) if !national.starts_with('0') => {
                format!("{code}{national}")
            }
            (Some(_), _) => return Err(AddressError::LeadingZero),
        };
        if !(7..=15).contains(&digits.len()) {
            return Err(AddressError::WrongLength);
        }
        Ok(Self(digits))
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
        Self::parse(&text, None)
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.0
    }
}

/// Whom a message is sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A phone number; looked up on WhatsApp before the send.
    Phone(PhoneNumber),
    /// A group (`…@g.us`), a LID or a channel.
    Jid(Jid),
}

impl Recipient {
    /// Reads what callers write as a receiver: a number, or an address with an `@`.
    pub fn parse(text: &str, country_code: Option<&str>) -> Result<Self, AddressError> {
        if !text.contains('@') {
            return PhoneNumber::parse(text, country_code).map(Self::Phone);
        }
        let jid = Jid::parse(text.trim())?;
        match jid.server() {
            "s.whatsapp.net" | "c.us" => PhoneNumber::parse(jid.user(), None).map(Self::Phone),
            "g.us" | "lid" | "newsletter" => Ok(Self::Jid(jid)),
            _ => Err(AddressError::NotAJid),
        }
    }

    /// The address as WhatsApp writes it.
    pub fn jid(&self) -> Jid {
        match self {
            Self::Phone(phone) => Jid::of_phone(phone),
            Self::Jid(jid) => jid.clone(),
        }
    }
}

/// Why a receiver was refused; the text says what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Something other than digits.
    #[error("a phone number has digits only, with the country code: 628123456789")]
    NotANumber,
    /// `0812…` without a country code.
    #[error(
        "write the number with its country code and without the leading 0: 628123456789 (or set country_code for the device)"
    )]
    LeadingZero,
    /// Too short or too long.
    #[error("a phone number has 7 to 15 digits, with the country code: 628123456789")]
    WrongLength,
    /// Not `user@server`.
    #[error(
        "not a WhatsApp address: write a phone number such as 628123456789, or a group id ending in @g.us"
    )]
    NotAJid,
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
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for text in ["628123456789", "+62 812-3456-789", "(62) 8123456789", " 62.812.3456.789 "] {
            assert_eq!(
                PhoneNumber::parse(text, None).map(|n| n.to_string()),
                Ok("628123456789".to_owned()),
                "{text}"
            );
        }
        assert_eq!(
            PhoneNumber::parse("08123456789", Some("62")).map(String::from),
            Ok("628123456789".to_owned())
        );
        assert_eq!(PhoneNumber::parse("08123456789", None), Err(AddressError::LeadingZero));
        assert_eq!(PhoneNumber::parse("008123456789", Some("62")), Err(AddressError::LeadingZero));
        assert_eq!(PhoneNumber::parse("++628123456789", None), Err(AddressError::NotANumber));
        assert_eq!(PhoneNumber::parse("62812x", None), Err(AddressError::NotANumber));
        assert_eq!(PhoneNumber::parse("628123", None), Err(AddressError::WrongLength));
        assert_eq!(PhoneNumber::parse("6281234567890123", None), Err(AddressError::WrongLength));
        assert_eq!(PhoneNumber::parse("", None), Err(AddressError::WrongLength));
    }

    #[test]
    fn receivers_are_numbers_groups_or_lids() {
        assert!(
            matches!(Recipient::parse("12036304@g.us", None), Ok(Recipient::Jid(jid)) if jid.is_group())
        );
        assert!(
            matches!(Recipient::parse("1555@lid", None), Ok(Recipient::Jid(jid)) if jid.is_lid())
        );
        assert!(matches!(Recipient::parse("628123456789@c.us", None), Ok(Recipient::Phone(_))));
        assert_eq!(Recipient::parse("x@example.com", None), Err(AddressError::NotAJid));
        assert_eq!(Recipient::parse("@g.us", None), Err(AddressError::NotAJid));
    }

    #[test]
    fn a_device_part_is_dropped_and_logs_are_masked() {
        let jid = Jid::parse("628123456789:12@s.whatsapp.net").unwrap();
        assert_eq!(jid.as_str(), "628123456789@s.whatsapp.net");
        assert_eq!(format!("{jid:?}"), "6281****789@s.whatsapp.net");
        assert_eq!(mask("12345"), "****");
    }
}
