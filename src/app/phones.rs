//! The bridge to Chatwoot asks the linked phones, which webhooks do not know, through this.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::hooks::chatwoot::{File, NoFile, Phones};
use crate::model::{DeviceName, DeviceState, Jid, MessageId};
use crate::whatsapp::{Fleet, WhatsAppError};

/// What webhooks ask of the devices, which they do not know.
pub(super) struct LinkedPhones(pub(super) Arc<Fleet>);

impl LinkedPhones {
    async fn fetch(
        &self,
        device: &DeviceName,
        message: &MessageId,
        most: usize,
    ) -> Result<File, NoFile> {
        let gone = || NoFile::Never("the device is no longer there".to_owned());
        let handle = self.0.device(device).ok_or_else(gone)?;
        let comes_back = matches!(
            handle.status().state,
            DeviceState::Connected
                | DeviceState::Degraded(_)
                | DeviceState::Reconnecting { .. }
                | DeviceState::Pending(_)
        );
        let failed = |error: WhatsAppError| match error {
            WhatsAppError::NotConnected if !comes_back => NoFile::Never(error.to_string()),
            WhatsAppError::NotConnected
            | WhatsAppError::Timeout
            | WhatsAppError::TooFast(_)
            | WhatsAppError::NoRoom(_)
            | WhatsAppError::Store(_) => NoFile::Later(error.to_string()),
            other => NoFile::Never(other.to_string()),
        };
        let large = || NoFile::Never(format!("larger than {} MiB", most >> 20));
        let mut stream = handle.media(message).await.map_err(failed)?;
        let size = stream.size.map_or(Ok(0), usize::try_from).unwrap_or(usize::MAX);
        if size > most {
            return Err(large());
        }
        let mut bytes = Vec::with_capacity(size);
        while let Some(chunk) = stream.chunks.recv().await {
            let chunk = chunk.map_err(failed)?;
            if bytes.len() + chunk.len() > most {
                return Err(large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(File { mime: stream.mime, name: stream.filename, bytes })
    }
}

impl Phones for LinkedPhones {
    fn file<'a>(
        &'a self,
        device: &'a DeviceName,
        message: &'a MessageId,
        most: usize,
    ) -> BoxFuture<'a, Result<File, NoFile>> {
        self.fetch(device, message, most).boxed()
    }

    fn group_name<'a>(
        &'a self,
        device: &'a DeviceName,
        group: &'a Jid,
    ) -> BoxFuture<'a, Option<String>> {
        async move { Some(self.0.device(device)?.group(group).await.ok()?.name) }.boxed()
    }
}
