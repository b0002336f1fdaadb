//! The labels of an account and what carries them, as they are kept.

use serde::{Deserialize, Serialize};

use crate::store::{Batch, Space, StoreError};

/// Where labels are kept, and where it is kept what carries them, in the device's space: each by account.
const LABELS: &str = "label/";
pub(crate) const LABELED: &str = "labeled/";

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Label {
    /// WhatsApp's number for it.
    pub(crate) id: String,
    pub(crate) name: String,
    /// One of WhatsApp's colours, by number.
    pub(crate) color: i32,
}

/// What became of a label, as it is written down.
#[derive(Clone, Debug)]
pub(crate) struct Labeling {
    pub(crate) account: String,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Saved(Label),
    Deleted(String),
    Put { id: String, chat: String },
    Taken { id: String, chat: String },
}

impl Labeling {
    pub(crate) fn put(&self, batch: &mut Batch) {
        let account = &self.account;
        match &self.what {
            What::Saved(label) => match serde_json::to_vec(label) {
                Ok(json) => batch.put(format!("{LABELS}{account}/{}", label.id), json),
                Err(error) => tracing::error!(%error, "A label could not be serialised."),
            },
            What::Deleted(id) => batch.remove(format!("{LABELS}{account}/{id}")),
            What::Put { id, chat } => {
                batch.put(format!("{LABELED}{account}/{chat}/{id}"), Vec::new());
            }
            What::Taken { id, chat } => batch.remove(format!("{LABELED}{account}/{chat}/{id}")),
        }
    }

    pub(crate) async fn write(self, space: &Space) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.put(&mut batch);
        space.write(batch).await
    }
}

fn read(row: &[u8]) -> Result<Label, StoreError> {
    serde_json::from_slice(row).map_err(|error| StoreError::Damaged(format!("a label: {error}")))
}

/// A label, by its number.
pub(crate) async fn label(
    space: &Space,
    account: &str,
    id: &str,
) -> Result<Option<Label>, StoreError> {
    let row = space.get(format!("{LABELS}{account}/{id}").into_bytes()).await?;
    row.map(|row| read(&row)).transpose()
}

/// All of them, oldest first.
pub(crate) async fn all(space: &Space, account: &str) -> Result<Vec<Label>, StoreError> {
    let rows = space.scan(format!("{LABELS}{account}/").as_str()).await?;
    let mut labels = rows.iter().map(|(_, row)| read(row)).collect::<Result<Vec<_>, _>>()?;
    labels.sort_by_key(|label| (label.id.parse::<u64>().unwrap_or(u64::MAX), label.id.clone()));
    Ok(labels)
}
