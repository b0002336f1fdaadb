//! What goes into a channel: its posts are not encrypted, and a change of one goes out under the post's own id.

use std::time::Duration;

use wa_rs::client::Client;
use wa_rs::wacore::proto_helpers::MessageBuilderExt;
use wa_rs::waproto::whatsapp as wa;
use wa_rs::{Jid, NewsletterError};

use crate::model::Content;
use crate::whatsapp::send::failure::Failure;

/// How long the engine may take to write one to the socket.
const PATIENCE: Duration = Duration::from_secs(90);

/// Fails for what cannot be posted. A file would be encrypted, and nobody has its key.
pub(crate) fn takes(content: &Content) -> Result<(), Failure> {
    match content {
        Content::Text { .. }
        | Content::LinkedText { .. }
        | Content::Location { .. }
        | Content::Contact { .. }
        | Content::Contacts { .. }
        | Content::Edit { .. }
        | Content::Revoke { .. } => Ok(()),
        _ => Err(refused("this kind of message cannot be posted in a channel")),
    }
}

fn refused(why: &str) -> Failure {
    Failure::never("not_in_channels", &why)
}

/// Gives a post other words, or deletes it.
pub(crate) async fn change(client: &Client, to: &Jid, content: &Content) -> Result<(), Failure> {
    let newsletter = client.newsletter();
    let changing = async {
        match content {
            Content::Edit { message, text } => {
                let new = wa::Message::text(text.clone());
                newsletter.edit_message(to, message.as_str(), new).await.map_err(failure)
            }
            Content::Revoke { message, .. } => {
                newsletter.revoke_message(to, message.as_str()).await.map_err(failure)
            }
            _ => Err(refused("a post is changed by its words alone")),
        }
    };
    let changed = tokio::time::timeout(PATIENCE, changing).await;
    changed.map_err(|_| Failure::Later("the send took too long".to_owned()))?
}

fn failure(error: NewsletterError) -> Failure {
    match error {
        NewsletterError::Client(_) => Failure::Offline,
        error => Failure::Later(error.to_string()),
    }
}
