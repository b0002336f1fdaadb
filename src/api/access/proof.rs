//! What a caller has shown, kept for as long as something goes on for them, and whether it still lets them in.

use std::sync::Arc;
use std::time::Duration;

use hyper::http::request::Parts;
use tokio::select;
use tokio::time::interval;

use super::auth::{Principal, key_with, logged_in, presented};
use crate::api::state::State;
use crate::config::Config;
use crate::model::KeyHash;

/// How often it is looked whether a login has been idle too long.
const LOOK: Duration = Duration::from_secs(15);

/// What a caller shows, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    None,
    Key(KeyHash),
    Login(String),
}

impl Proof {
    /// What a caller showed who was let in.
    pub(crate) fn of(head: &Parts, who: &Principal) -> Self {
        match (presented(head), who) {
            (Some(key), _) => Self::Key(KeyHash::of(key)),
            (None, who) => who.login().cloned().map_or(Self::None, Self::Login),
        }
    }

    /// The token of moonwa.toml that it is, or comes from.
    pub(crate) fn token(&self, state: &State, config: &Config) -> Option<KeyHash> {
        match self {
            Self::None => None,
            Self::Key(hash) => config.admin.token.filter(|token| token == hash),
            Self::Login(id) => state.logins.token(id),
        }
    }

    /// Whether it still proves the same.
    fn holds(&self, state: &State, who: &Principal) -> bool {
        let config = state.api.config.load();
        match self {
            Self::None => true,
            Self::Login(id) => {
                state.logins.is_open(id, config.admin.token)
                    && logged_in(state, &config, id.clone()).as_ref() == Some(who)
            }
            Self::Key(hash) => match who {
                Principal::Key { .. } => key_with(&config, *hash).as_ref() == Some(who),
                _ => state.api.operator == *hash || config.admin.token == Some(*hash),
            },
        }
    }

    /// Waits until it proves nothing any more: for what goes on long after it was shown.
    pub(crate) async fn ended(self, state: Arc<State>, who: Principal) {
        let (mut logins, mut reports) = (state.logins.ended(), state.api.reload.reports());
        let mut tick = interval(LOOK);
        while self.holds(&state, &who) {
            select! {
                Ok(()) = logins.changed() => {}
                Ok(()) = reports.changed() => {}
                _ = tick.tick() => {}
            }
        }
    }
}
