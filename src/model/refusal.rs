//! What WhatsApp says about an account when it restricts it.

use serde::{Deserialize, Serialize};

use super::{Secret, UnixMillis};

/// What WhatsApp said when it shut an account out. It says it once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    pub code: u16,
    /// In WhatsApp's words.
    pub text: Option<String>,
    /// Where WhatsApp explains it.
    pub url: Option<String>,
    pub until: Option<UnixMillis>,
    /// With it the account's owner can appeal, once.
    pub appeal: Option<Secret>,
}

impl Refusal {
    /// The code and the words.
    pub fn detail(&self) -> String {
        match &self.text {
            Some(text) => format!("{}: {text}", self.code),
            None => self.code.to_string(),
        }
    }
}

/// How many people WhatsApp lets an account write to who did not write first, as far as it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewChats {
    pub used: u64,
    pub total: u64,
    /// When it counts from zero again.
    pub until: Option<UnixMillis>,
}
