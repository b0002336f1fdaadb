//! How far a message got.

use serde::{Deserialize, Serialize};

/// How far a sent message got. Later states win; `Failed` is final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum MessageStatus {
    /// On our disk.
    Queued,
    /// Written to the socket; WhatsApp has not confirmed it.
    Sent,
    /// WhatsApp's server has it.
    Accepted,
    /// On the receiver's phone.
    Delivered,
    Read,
    /// Heard or watched.
    Played,
    /// It will not arrive.
    Failed {
        /// A stable code: `not_on_whatsapp`, `463`, `expired`, …
        code: String,
        /// For people.
        detail: String,
    },
}

impl MessageStatus {
    /// The word for this status in the API and in events.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed { .. } => "failed",
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Sent => 1,
            Self::Accepted => 2,
            Self::Delivered => 3,
            Self::Read => 4,
            Self::Played => 5,
            Self::Failed { .. } => 6,
        }
    }

    /// Whether `next` is progress. Receipts may come out of order, and a message that was delivered cannot fail any
    /// more.
    pub fn may_become(&self, next: &Self) -> bool {
        match (self, next) {
            (
                Self::Failed { .. } | Self::Delivered | Self::Read | Self::Played,
                Self::Failed { .. },
            ) => false,
            _ => next.rank() > self.rank(),
        }
    }

    /// Whether it is known if WhatsApp took the message.
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Queued | Self::Sent)
    }
}
