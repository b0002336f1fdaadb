//! What a device does now, as one value, and what is shown of that. Nothing else makes the state that people see, so it
//! cannot differ from what the actor does.

use std::sync::Arc;

use tokio::time::Instant;
use wa_rs::client::Client;

use super::link::Link;
use super::notice::{Ending, Pairing};
use super::probe::Probe;
use crate::model::{
    Degradation, DeviceState, Disconnect, Linking, LoggedOut, Obstacle, Pending, Secret, Stop,
    UnixMillis,
};

pub(crate) enum Phase {
    /// No client runs, and none is wanted.
    Resting(Rest),
    /// The next client follows at that time.
    Waiting(Instant, Effort),
    /// A client of a linked device runs, and is not connected yet.
    Opening(Current, Gap),
    /// A client runs to be linked, or was linked just now.
    Linking(Current, Linkage),
    /// The client is connected, though something may be wrong.
    Online(Current, Option<Degradation>),
    /// The client goes down.
    Closing {
        current: Current,
        /// Whether the credentials go with it.
        erase: bool,
        then: Then,
    },
    /// No client runs, and the credentials are being erased.
    Erasing(Then),
}

/// Why no client is wanted.
#[derive(Clone)]
pub(crate) enum Rest {
    Pending(Pending),
    LoggedOut(LoggedOut),
    Stopped(Stop),
}

/// What the next client is for.
pub(crate) enum Effort {
    Link(Linkage),
    Connect(Gap),
}

/// What comes after a client, or after its credentials.
pub(crate) enum Then {
    Rest(Rest),
    /// Another client, at once.
    Open(Effort),
    /// Another client, after the pause that a failure costs. The client ends by itself, so what it still says counts.
    Retry(Effort),
}

/// Why a linked device is not connected.
#[derive(Clone)]
pub(crate) struct Gap {
    /// How many tries in a row have failed.
    pub(crate) attempt: u32,
    /// When the next one starts, or this one did.
    pub(crate) at: UnixMillis,
    pub(crate) why: Disconnect,
}

/// What is known of a linking.
#[derive(Default)]
pub(crate) struct Linkage {
    /// What a person can use now.
    pub(crate) codes: Linking,
    /// The passkey question, for another try after a failed one.
    pub(crate) question: Option<Secret>,
    pub(crate) pair: Option<Pairing>,
}

/// The client that runs now, and what is known of it.
pub(crate) struct Current {
    pub(crate) link: Link,
    /// Until it goes down: then whoever holds it must let go.
    pub(crate) client: Option<Arc<Client>>,
    pub(crate) probe: Probe,
    pub(crate) online_since: Option<Instant>,
    /// WhatsApp's own code for the end of this connection.
    pub(crate) server: Option<u16>,
    pub(crate) qr_seen: bool,
    /// What stands in the way of the connection, as far as was told.
    pub(crate) obstacle: Option<Obstacle>,
    pub(crate) ending: Ending,
    /// How many writes the store had refused when this client started.
    pub(crate) refused: u64,
}

impl Phase {
    /// What a device does until it has looked at its credentials. One that is linked must never look unlinked.
    pub(crate) fn first(enabled: bool) -> Self {
        if !enabled {
            return Self::default();
        }
        let gap = Gap { attempt: 0, at: UnixMillis::now(), why: Disconnect::Starting };
        Self::Waiting(Instant::now(), Effort::Connect(gap))
    }

    /// What people see of it.
    pub(crate) fn shown(&self) -> DeviceState {
        match self {
            Self::Resting(rest) => rest.shown(),
            Self::Waiting(_, effort) => effort.shown(),
            Self::Opening(_, gap) => gap.shown(),
            Self::Linking(_, linkage) => linkage.shown(),
            Self::Online(_, None) => DeviceState::Connected,
            Self::Online(_, Some(wrong)) => DeviceState::Degraded(wrong.clone()),
            Self::Closing { then, .. } | Self::Erasing(then) => match then {
                Then::Rest(rest) => rest.shown(),
                Then::Open(effort) | Then::Retry(effort) => effort.shown(),
            },
        }
    }

    /// The client, while messages can be sent through it.
    pub(crate) fn live(&self) -> Option<Arc<Client>> {
        match self {
            Self::Online(current, _) => current.client.clone(),
            _ => None,
        }
    }

    /// The client that runs and is not going down.
    pub(crate) fn running(&mut self) -> Option<&mut Current> {
        match self {
            Self::Opening(current, _) | Self::Linking(current, _) | Self::Online(current, _) => {
                Some(current)
            }
            _ => None,
        }
    }

    /// The client, even if it is going down.
    pub(crate) fn current(&mut self) -> Option<&mut Current> {
        match self {
            Self::Closing { current, .. } => Some(current),
            _ => self.running(),
        }
    }

    /// The linking that goes on, or goes on with the next client.
    pub(crate) fn linkage(&mut self) -> Option<&mut Linkage> {
        match self {
            Self::Linking(_, linkage)
            | Self::Waiting(_, Effort::Link(linkage))
            | Self::Closing { then: Then::Open(Effort::Link(linkage)), .. }
            | Self::Closing { then: Then::Retry(Effort::Link(linkage)), .. }
            | Self::Erasing(Then::Open(Effort::Link(linkage))) => Some(linkage),
            _ => None,
        }
    }

    /// The same device once `then` is due. A client that runs is told to go down first.
    pub(crate) fn toward(self, then: Then) -> Self {
        match self {
            Self::Resting(_) | Self::Waiting(..) => then.begin(),
            Self::Opening(mut current, _)
            | Self::Linking(mut current, _)
            | Self::Online(mut current, _) => {
                current.client = None;
                current.link.close();
                Self::Closing { current, erase: false, then }
            }
            Self::Closing { current, erase, .. } => Self::Closing { current, erase, then },
            Self::Erasing(_) => Self::Erasing(then),
        }
    }
}

impl Default for Phase {
    /// Nobody has asked for anything.
    fn default() -> Self {
        Self::Resting(Rest::Pending(Pending::NotStarted))
    }
}

impl Then {
    /// What it is when nothing stands before it any more.
    pub(crate) fn begin(self) -> Phase {
        match self {
            Self::Rest(rest) => Phase::Resting(rest),
            Self::Open(effort) | Self::Retry(effort) => Phase::Waiting(Instant::now(), effort),
        }
    }
}

impl Rest {
    fn shown(&self) -> DeviceState {
        match self.clone() {
            Self::Pending(why) => DeviceState::Pending(why),
            Self::LoggedOut(why) => DeviceState::LoggedOut(why),
            Self::Stopped(why) => DeviceState::Stopped(why),
        }
    }
}

impl Effort {
    fn shown(&self) -> DeviceState {
        match self {
            Self::Link(linkage) => linkage.shown(),
            Self::Connect(gap) => gap.shown(),
        }
    }
}

impl Gap {
    fn shown(&self) -> DeviceState {
        let Self { attempt, at: retry_at, why } = self.clone();
        DeviceState::Reconnecting { attempt, retry_at, why }
    }
}

impl Linkage {
    fn shown(&self) -> DeviceState {
        DeviceState::Linking(self.codes.clone())
    }

    /// What is left of it for another connection, with which its codes die.
    pub(crate) fn renewed(self) -> Self {
        let codes = Linking { trouble: self.codes.trouble, ..Linking::default() };
        Self { codes, question: None, pair: self.pair }
    }
}

impl Current {
    /// Why the connection is over.
    pub(crate) fn why(&self) -> Disconnect {
        match self.server {
            Some(code) => Disconnect::Server(code),
            None if self.ending.throttled => Disconnect::Server(429),
            None if self.ending.reached => Disconnect::Closed,
            None => Disconnect::Unreachable(self.obstacle.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Shown, Trouble};

    fn linkage() -> Linkage {
        let code = || Shown { code: Secret::new("2@x"), expires_at: UnixMillis::from_secs(1) };
        let trouble = Some(Trouble::PairCodeExpired);
        let codes = Linking { qr: Some(code()), pair_code: Some(code()), passkey: None, trouble };
        Linkage { codes, question: Some(Secret::new("?")), pair: None }
    }

    #[test]
    fn before_it_knows_a_device_looks_linked_unless_it_is_disabled() {
        let first = Phase::first(true).shown();
        let DeviceState::Reconnecting { attempt: 0, why: Disconnect::Starting, .. } = first else {
            panic!("{first:?}");
        };
        assert_eq!(Phase::first(false).shown(), DeviceState::Pending(Pending::NotStarted));
    }

    #[test]
    fn codes_die_with_their_connection_and_the_trouble_stays() {
        let waiting = Phase::Waiting(Instant::now(), Effort::Link(linkage().renewed()));
        let trouble = Some(Trouble::PairCodeExpired);
        let left = Linking { trouble, ..Linking::default() };
        assert_eq!(waiting.shown(), DeviceState::Linking(left));
    }

    #[test]
    fn what_comes_after_the_credentials_is_shown_while_they_are_erased() {
        let rest = || Then::Rest(Rest::LoggedOut(LoggedOut::ByUser));
        let erasing = Phase::Erasing(rest());
        assert_eq!(erasing.shown(), DeviceState::LoggedOut(LoggedOut::ByUser));
        let mut again = erasing.toward(Then::Open(Effort::Link(linkage())));
        assert_eq!(again.shown(), DeviceState::Linking(linkage().codes));
        assert!(again.linkage().is_some(), "a pair code can be asked for");
        // A stop takes that back, and nothing skips the erasing.
        let back = again.toward(Then::Rest(Rest::Pending(Pending::Cancelled)));
        assert!(matches!(back, Phase::Erasing(_)));
        assert_eq!(back.shown(), DeviceState::Pending(Pending::Cancelled));
        assert!(matches!(rest().begin(), Phase::Resting(_)));
    }
}
