//! The account's settings, in which its other devices say what became of chats. The engine fetches what is announced; but
//! what is announced while it still fetches an earlier change it passes over, and that would come with the next change.

use std::sync::Arc;
use std::time::Duration;

use wa_rs::client::Client;
use wa_rs::sync_task::MajorSyncTask;
use wa_rs::wacore::appstate::patch_decode::WAPatchName;
use wa_rs::wacore_binary::NodeRef;

use crate::whatsapp::context::Context;

/// As long as this the engine has before it is looked whether it did.
const LATER: Duration = Duration::from_secs(1);
/// So often it is looked, where the first fetch of all is not done yet.
const LOOKS: u32 = 5;

/// Has a change fetched that was announced, if the engine passes over it.
pub(crate) fn look(context: &Context, client: Option<Arc<Client>>, stanza: &NodeRef<'_>) {
    let text = |node: &NodeRef<'_>, name: &str| {
        node.get_attr(name).map(|value| value.as_str().into_owned())
    };
    let is_news = stanza.tag.as_ref() == "notification"
        && text(stanza, "type").as_deref() == Some("server_sync");
    let Some(client) = client.filter(|_| is_news) else { return };
    for part in stanza.children().unwrap_or_default() {
        let version = text(part, "version").and_then(|version| version.parse().ok());
        let name = text(part, "name").and_then(|name| name.parse().ok());
        if let (Some(name), Some(version)) = (name, version)
            && !matches!(name, WAPatchName::Unknown)
        {
            let (client, stop) = (Arc::clone(&client), context.tasks.stop().clone());
            context.tasks.spawn("fetch settings", async move {
                stop.run_until_cancelled(fetch(&client, name, version)).await;
            });
        }
    }
}

async fn fetch(client: &Arc<Client>, name: WAPatchName, version: u64) {
    let backend = client.persistence_manager().backend();
    let mut known = 0;
    for _ in 0..LOOKS {
        tokio::time::sleep(LATER).await;
        known = backend.get_version(name.as_str()).await.map_or(known, |known| known.version);
        if known >= version {
            return;
        }
        if known > 0 {
            break;
        }
    }
    // It waits for whatever is fetched at the moment.
    let task = MajorSyncTask::AppStateSync { name, full_sync: known == 0 };
    client.process_sync_task(task).await;
}
