//! Whom a message goes to or comes from. The engine's own
//! addresses, which also name one device of a person, never leave `whatsapp`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::phone::{AddressError, PhoneNumber, is_blank, mask};

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

    /// Where people post what is shown for a day.
    pub(crate) fn status() -> Self {
        Self("status@broadcast".to_owned())
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
        self.chat_kind() == ChatKind::Group
    }

    /// What kind of conversation is held under it.
    pub fn chat_kind(&self) -> ChatKind {
        match (self.user(), self.server()) {
            (_, "g.us") => ChatKind::Group,
            (_, "newsletter") => ChatKind::Channel,
            ("status", "broadcast") => ChatKind::Status,
            (_, "broadcast") => ChatKind::Broadcast,
            _ => ChatKind::Person,
        }
    }

    /// Whether this is a LID, an address that hides the phone number.
    pub fn is_lid(&self) -> bool {
        self.server() == "lid"
    }

    /// The phone number in it, when it is a phone address.
    pub fn phone(&self) -> Option<PhoneNumber> {
        (self.server() == "s.whatsapp.net").then(|| PhoneNumber::exact(self.user()).ok()).flatten()
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

/// What kind of conversation a message belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    #[default]
    Person,
    Group,
    /// What people show to all their contacts for a day.
    Status,
    /// What many read and its owner writes; a newsletter in addresses.
    Channel,
    /// A list through which one person writes to many: each of them sees a message of that person's.
    Broadcast,
}

impl ChatKind {
    /// Whether moonwa answers there. A channel or a status has readers, and nobody who asked.
    pub fn is_answerable(self) -> bool {
        matches!(self, Self::Person | Self::Group)
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
        let jid = Jid::parse(&text.replace(is_blank, ""))?;
        match jid.server() {
            "s.whatsapp.net" | "c.us" => PhoneNumber::exact(jid.user()).map(Self::Phone),
            "g.us" | "lid" | "newsletter" => Ok(Self::Jid(jid)),
            "broadcast" => Err(AddressError::Broadcast),
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

/// Somebody in an address book, as it is sent to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactCard {
    pub name: String,
    pub vcard: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_numbers_groups_or_lids() {
        assert!(
            matches!(Recipient::parse("12036304@g.us", None), Ok(Recipient::Jid(jid)) if jid.is_group())
        );
        assert!(
            matches!(Recipient::parse("1555@lid", None), Ok(Recipient::Jid(jid)) if jid.is_lid())
        );
        assert!(matches!(Recipient::parse("628123456789@c.us", None), Ok(Recipient::Phone(_))));
        assert!(matches!(
            Recipient::parse(" \u{200e}628123456789@s.whatsapp.net", None),
            Ok(Recipient::Phone(_))
        ));
        assert_eq!(
            Recipient::parse("08123456789@s.whatsapp.net", Some("62")),
            Err(AddressError::NotANumber),
            "an address is taken as it is"
        );
        assert_eq!(Recipient::parse("x@example.com", None), Err(AddressError::NotAJid));
        assert_eq!(Recipient::parse("@g.us", None), Err(AddressError::NotAJid));
        for list in ["status@broadcast", "1700000000@broadcast"] {
            assert_eq!(Recipient::parse(list, None), Err(AddressError::Broadcast));
        }
    }

    #[test]
    fn only_people_and_groups_are_answered() {
        let kinds = [
            ("628123456789@s.whatsapp.net", ChatKind::Person, true),
            ("1555@lid", ChatKind::Person, true),
            ("12036304@g.us", ChatKind::Group, true),
            ("12036304@newsletter", ChatKind::Channel, false),
            ("status@broadcast", ChatKind::Status, false),
            ("1700000000@broadcast", ChatKind::Broadcast, false),
        ];
        for (address, kind, answered) in kinds {
            let found = Jid::parse(address).unwrap().chat_kind();
            assert_eq!((found, found.is_answerable()), (kind, answered), "{address}");
        }
    }

    #[test]
    fn a_device_part_is_dropped_and_logs_are_masked() {
        let jid = Jid::parse("628123456789:12@s.whatsapp.net").unwrap();
        assert_eq!(jid.as_str(), "628123456789@s.whatsapp.net");
        assert_eq!(format!("{jid:?}"), "6281****789@s.whatsapp.net");
        assert_eq!(mask("12345"), "****");
    }
}
