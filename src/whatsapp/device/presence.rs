//! Whether WhatsApp is told that somebody sits at the device. The engine says "available" by itself at each login and
//! after a change of the account's name, and it cannot be told not to; while a linked device is available, WhatsApp does
//! not notify the owner's phone. So whatever the engine says, the configured word is said after it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use wa_rs::PresenceStatus;
use wa_rs::client::{Client, NodeFilter};

use crate::config::Presence;
use crate::whatsapp::contact::presence::ask_again;
use crate::whatsapp::context::Context;

/// The engine tells of a stanza just before it writes it; after this long it stands in the queue of the connection, and
/// what we say comes behind it.
const WRITTEN: Duration = Duration::from_millis(50);

/// Has the last word about the presence for as long as it is polled. The word is said again whenever
/// `Context::presence` is touched: with a new configuration, and at a login.
pub(crate) async fn keep(context: &Context, client: &Arc<Client>) -> Infallible {
    let mut wanted = context.presence.subscribe();
    let mut asked = false;
    loop {
        let (status, other) = match *wanted.borrow_and_update() {
            Presence::Unavailable => (PresenceStatus::Unavailable, "available"),
            Presence::Available => (PresenceStatus::Available, "unavailable"),
        };
        // Before our own word, so that nothing said after it is missed.
        let contradiction =
            client.wait_for_sent_node(NodeFilter::tag("presence").attr("type", other));
        // WhatsApp takes no presence without a name, and the engine has said none then.
        let named = !client.persistence_manager().get_device_snapshot().push_name.is_empty();
        if named && client.is_logged_in() {
            match client.presence().set(status).await {
                // Only those who are there are told of others.
                Ok(()) if status == PresenceStatus::Available && !asked => {
                    asked = true;
                    ask_again(context, client).await;
                }
                Ok(()) => {}
                // The connection is going down; at the next login the word is said again.
                Err(error) => {
                    tracing::debug!(device = %context.name, %error, "The presence was not told.");
                }
            }
        }
        tokio::select! {
            // The context holds the sender.
            _ = wanted.changed() => {}
            // Also when the connection ends, with which the engine forgets who waits.
            _ = contradiction => tokio::time::sleep(WRITTEN).await,
        }
    }
}
