//! How far a message got.

use serde::{Deserialize, Serialize};

/// How far a sent message got. Later states win; `Failed` is final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum MessageStatus {
    /// On our disk, and its time has not come.
    Scheduled,
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
            Self::Scheduled => "scheduled",
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
            Self::Scheduled => 0,
            Self::Queued => 1,
            Self::Sent => 2,
            Self::Accepted => 3,
            Self::Delivered => 4,
            Self::Read => 5,
            Self::Played => 6,
            Self::Failed { .. } => 7,
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
        !matches!(self, Self::Scheduled | Self::Queued | Self::Sent)
    }
}
