//! What messages are known by, to WhatsApp and to callers.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::Jid;

/// A WhatsApp message id. For a message to be sent, moonwa chooses it before the request is accepted, so that every
/// try is made under the same id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(String);

impl MessageId {
    /// A fresh id in the form of WhatsApp's own web client: `3EB0` and 18 hexadecimal digits.
    pub fn random() -> Self {
        let bytes: [u8; 9] = rand::random();
        Self(format!("3EB0{}", data_encoding::HEXUPPER.encode(&bytes)))
    }

    /// The id of the n-th file of an album.
    #[must_use]
    pub fn part(&self, n: usize) -> Self {
        Self::derived(&format!("{self}/{n}"))
    }

    /// The id of the n-th message that one of Chatwoot's becomes; `seed` names that one.
    pub(crate) fn asked(seed: &str, n: usize) -> Self {
        Self::derived(&format!("chatwoot/{seed}/{n}"))
    }

    fn derived(seed: &str) -> Self {
        let hash = Sha256::digest(seed);
        let (bytes, _) = hash.split_at(9);
        Self(format!("3EB0{}", data_encoding::HEXUPPER.encode(bytes)))
    }

    /// The id of the n-th answer that the rules of a device give to an event: the same however often it is given. Its last
    /// digits follow from the others, so that every moonwa knows such an answer, and none answers it by itself.
    pub fn answer(event: &str, n: usize) -> Self {
        let hash: [u8; 32] = Sha256::digest(format!("{event}/{n}")).into();
        let head = hash.first_chunk::<6>().copied().unwrap_or_default();
        let digits = [head.as_slice(), &answer_mark(head)].concat();
        Self(format!("3EB0{}", data_encoding::HEXUPPER.encode(&digits)))
    }

    /// Whether the rules of a moonwa sent it, this one or another.
    pub fn is_answer(&self) -> bool {
        let digits = self.0.strip_prefix("3EB0").map(str::as_bytes);
        let digits = digits.and_then(|hex| data_encoding::HEXUPPER.decode(hex).ok());
        digits
            .as_deref()
            .and_then(<[u8]>::split_first_chunk::<6>)
            .is_some_and(|(head, mark)| mark == answer_mark(*head))
    }

    /// An id that came from outside. `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
        good.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What follows the first digits of a rule's answer.
fn answer_mark(head: [u8; 6]) -> [u8; 3] {
    let hash: [u8; 32] =
        Sha256::digest([b"an answer by a rule of moonwa/".as_slice(), &head].concat()).into();
    hash.first_chunk::<3>().copied().unwrap_or_default()
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MessageId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a message id")
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.0
    }
}

/// The name of a paced list: `lst_` and 26 characters of base32.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListId(String);

impl ListId {
    /// The id that belongs to that seed.
    pub fn of(seed: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(seed).into();
        let half = digest.first_chunk::<16>().copied().unwrap_or_default();
        Self(format!("lst_{}", data_encoding::BASE32_NOPAD.encode(&half).to_ascii_lowercase()))
    }

    /// Reads an id that a caller sends back.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("lst_")?;
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        (rest.len() == 26 && rest.bytes().all(good)).then(|| Self(text.to_owned()))
    }

    /// The id of the message to one of its receivers, each of whom gets one.
    pub fn message(&self, to: &Jid) -> MessageId {
        MessageId::derived(&format!("{}/{}", self.0, to.as_str()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ListId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not the id of a list")
    }
}

impl From<ListId> for String {
    fn from(id: ListId) -> Self {
        id.0
    }
}

/// A caller's `Idempotency-Key`: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        good.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
