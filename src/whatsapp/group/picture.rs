//! A group's picture.

use std::io::Cursor;

use serde::Serialize;
use wa_rs::ContactError;

use super::failure::of_iq;
use super::fetch::asked;
use crate::model::Jid;
use crate::task::Tasks;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, inside, timely};
use crate::whatsapp::media::picture::square;
use crate::whatsapp::media::transfer::THREAD;

/// Where WhatsApp has a picture. The URL works for some days, for whoever has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct GroupPicture {
    id: String,
    url: String,
}

impl DeviceHandle {
    /// The group's picture; `None` when it has none, or WhatsApp does not show it.
    pub(crate) async fn group_picture(
        &self,
        id: &Jid,
    ) -> Result<Option<GroupPicture>, WhatsAppError> {
        let (client, group) = (self.client()?, inside(id)?);
        let contacts = client.contacts();
        match timely(Box::pin(contacts.get_profile_picture(&group, false))).await? {
            Ok(found) => Ok(found.map(|picture| GroupPicture { id: picture.id, url: picture.url })),
            Err(ContactError::Iq(error)) => Err(of_iq(error)),
            Err(error) => Err(WhatsAppError::Refused(error.to_string())),
        }
    }

    /// Gives the group a picture: the middle of the file, as a JPEG.
    pub(crate) async fn set_group_picture(
        &self,
        id: &Jid,
        file: Vec<u8>,
    ) -> Result<String, WhatsAppError> {
        let (client, group) = (self.client()?, inside(id)?);
        let place = self.context.places.conversion().await;
        let jpeg = Tasks::on_thread(THREAD, move || {
            let _place = place;
            square(&mut Cursor::new(file))
        });
        let unread = || WhatsAppError::Media("the file is no picture that can be read".to_owned());
        let jpeg = jpeg.await.ok().flatten().ok_or_else(unread)?;
        Ok(asked(client.groups().set_profile_picture(&group, jpeg)).await?.id)
    }

    pub(crate) async fn remove_group_picture(&self, id: &Jid) -> Result<(), WhatsAppError> {
        let (client, group) = (self.client()?, inside(id)?);
        asked(client.groups().remove_profile_picture(&group)).await?;
        Ok(())
    }
}
