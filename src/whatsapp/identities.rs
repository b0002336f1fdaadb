//! Keeps the identity of every linked device in a file beside the store too, and takes it from there when the store has
//! lost it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::WhatsAppError;
use super::session::{self, SessionStore};
use crate::model::DeviceName;
use crate::store::{Store, StoreError, StoreOptions};

/// Changes come several at a time; so long is waited for the rest.
const QUIET: Duration = Duration::from_millis(500);

/// Renews the files until it is told to stop.
pub(crate) async fn keep(store: Store, stop: CancellationToken) {
    let mut changes = store.identities().changes();
    match store.devices().await {
        Ok(devices) => devices.iter().for_each(|device| store.identities().note(device)),
        Err(error) => tracing::error!(%error, "The identities cannot be kept in files."),
    }
    while !stop.is_cancelled() {
        renew(&store).await;
        tokio::select! {
            () = stop.cancelled() => {}
            changed = changes.changed() => if changed.is_err() { break },
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(QUIET) => {}
        }
    }
    renew(&store).await;
}

async fn renew(store: &Store) {
    for device in store.identities().take_changed() {
        if let Err(error) = renew_one(store, &device).await {
            tracing::error!(%device, %error, "The identity could not be kept in a file.");
        }
    }
}

async fn renew_one(store: &Store, device: &DeviceName) -> Result<(), WhatsAppError> {
    let session = SessionStore::new(store.space(device));
    let Some(identity) = session.identity().await? else { return Ok(()) };
    let (identities, name) = (store.identities().clone(), device.clone());
    let saved = store.blocking(move || identities.save(&name, &identity)).await?;
    saved.map_err(|error| StoreError::file(store.identities().folder(), error))?;
    // It may have been unlinked meanwhile. Then the file must not stay.
    if !session.is_linked().await? {
        store.space(device).forget_identity().await?;
    }
    Ok(())
}

/// Opens a store. With `repair`, what is damaged is made again first; without, a store that has lost credentials is
/// refused.
pub(crate) async fn open(options: StoreOptions, repair: bool) -> Result<Store, WhatsAppError> {
    if repair {
        let (store, notes) = self::repair(options).await?;
        for note in notes {
            tracing::warn!("{note}");
        }
        return Ok(store);
    }
    let path = options.path.clone();
    let store = Store::open(options).await?;
    let missing = missing(&store).await?;
    if missing.is_empty() {
        return Ok(store);
    }
    let names = missing.iter().map(DeviceName::as_str).collect::<Vec<_>>().join(", ");
    let folder = store.identities().folder().to_owned();
    store.close().await?;
    Err(StoreError::Lost(format!(
        "{} has lost the credentials of {names}. Their identities are kept in {}. To put them back without a new QR code, \
         run: moonwa repair. The sessions begin anew, so a message on its way may come late. With repair = \"auto\" under \
         [store], moonwa does that itself when it starts. To give these devices up, delete their files there.",
        path.display(),
        folder.display()
    ))
    .into())
}

/// Why a session of another gateway cannot become a device here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdoptError {
    #[error("this session is adopted already: it is the device {0}")]
    Known(DeviceName),
    #[error("{0} is linked already: take another name, or log it out first (moonwa logout {0})")]
    Linked(DeviceName),
    #[error("{0} is being linked now: cancel that first")]
    Busy(DeviceName),
    #[error(transparent)]
    Other(#[from] WhatsAppError),
}

/// Refuses a session that is a device here already, and a name that another one has.
pub(crate) async fn refuse_taken(
    store: &Store,
    name: &DeviceName,
    jid: &str,
) -> Result<(), AdoptError> {
    if let Some(known) = linked_as(store, jid).await? {
        return Err(AdoptError::Known(known));
    }
    let session = SessionStore::new(store.space(name));
    if session.is_linked().await.map_err(WhatsAppError::from)? {
        return Err(AdoptError::Linked(name.clone()));
    }
    Ok(())
}

/// Which device of a store is linked as this companion device of an account.
pub(crate) async fn linked_as(
    store: &Store,
    jid: &str,
) -> Result<Option<DeviceName>, WhatsAppError> {
    for name in store.devices().await? {
        if SessionStore::new(store.space(&name)).is_linked_as(jid).await? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Opens a store, makes again what is damaged and puts back the identities that are lost. Says what was done.
pub(crate) async fn repair(options: StoreOptions) -> Result<(Store, Vec<String>), WhatsAppError> {
    let state = options.path.join("state");
    let (store, repaired) = Store::open_repairing(options, session::survives_loss).await?;
    let mut notes: Vec<String> = repaired.iter().map(ToString::to_string).collect();
    // What was read of a damaged database may be old; the files are not.
    let devices = if repaired.iter().any(|repaired| repaired.database == state) {
        store.identities().devices()
    } else {
        missing(&store).await?
    };
    for device in devices {
        let session = SessionStore::new(store.space(&device));
        let (identities, name) = (store.identities().clone(), device.clone());
        let identity = store.blocking(move || identities.load(&name)).await?;
        notes.push(match identity {
            Some(identity) => {
                session.take_back(identity).await?;
                format!("{device} is put back; it needs no new QR code")
            }
            None if session.is_linked().await? => {
                format!("{device} is put back from what was left in the damaged database")
            }
            None => format!("{device} has to be linked again: its kept identity is damaged too"),
        });
    }
    Ok((store, notes))
}

/// The devices that have an identity in a file and none in the store.
async fn missing(store: &Store) -> Result<Vec<DeviceName>, WhatsAppError> {
    let mut missing = Vec::new();
    for device in store.identities().devices() {
        if !SessionStore::new(store.space(&device)).is_linked().await? {
            missing.push(device);
        }
    }
    Ok(missing)
}
