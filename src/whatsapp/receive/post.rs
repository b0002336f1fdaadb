//! Posts in channels. The engine does not say which of them the account wrote; their stanzas do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use wa_rs::types::events::InboundMessage;
use wa_rs::wacore_binary::NodeRef;
use wa_rs::{Jid, Server};

/// The account's own posts whose stanzas came and which the engine has not handed over yet.
#[derive(Default)]
pub(crate) struct OwnPosts(Mutex<VecDeque<(Jid, String)>>);

impl OwnPosts {
    /// One that the engine cannot read is never handed over.
    const MOST: usize = 64;

    /// Looks at a stanza before the engine does.
    pub(crate) fn look(&self, stanza: &NodeRef<'_>) {
        let text = |name: &str| stanza.get_attr(name).map(|value| value.as_str().into_owned());
        if stanza.tag.as_ref() != "message" || text("is_sender").as_deref() != Some("true") {
            return;
        }
        let channel = text("from").and_then(|from| from.parse::<Jid>().ok());
        let channel = channel.filter(|channel| channel.server == Server::Newsletter);
        if let (Some(channel), Some(id)) = (channel, text("id")) {
            let mut posts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if posts.len() == Self::MOST {
                posts.pop_front();
            }
            posts.push_back((channel, id));
        }
    }

    /// The message as the account's own if it is one.
    pub(crate) fn marked(&self, message: &InboundMessage) -> InboundMessage {
        let mut message = message.clone();
        let mut posts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = |(channel, id): &(Jid, String)| {
            *channel == message.info.source.chat && *id == message.info.id
        };
        if let Some(place) = posts.iter().position(own) {
            posts.remove(place);
            Arc::make_mut(&mut message.info).source.is_from_me = true;
        }
        message
    }
}
