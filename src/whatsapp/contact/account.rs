//! What the account shows of itself: name, about and picture.

use std::io::Cursor;

use futures_util::FutureExt;
use serde::Serialize;
use wa_rs::store::commands::DeviceCommand;
use wa_rs::waproto::buffa::MessageField;
use wa_rs::waproto::whatsapp::SyncActionValue;
use wa_rs::waproto::whatsapp::sync_action_value::PushNameSetting;
use wa_rs::{ProfileError, schemas};

use crate::model::UnixMillis;
use crate::task::Tasks;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, timely};
use crate::whatsapp::media::picture;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct AccountProfile {
    jid: String,
    /// The digits of the LID.
    lid: Option<String>,
    name: Option<String>,
    about: Option<String>,
    picture_id: Option<String>,
}

/// A picture of a profile.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Picture {
    pub(crate) id: String,
    /// Where WhatsApp has it, for some days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}

impl DeviceHandle {
    /// What the account shows of itself.
    pub(crate) async fn profile(&self) -> Result<AccountProfile, WhatsAppError> {
        let client = self.client()?;
        let jid = client.pn().ok_or(WhatsAppError::NotConnected)?.to_non_ad();
        let contacts = client.contacts();
        let asked = contacts.get_user_info(std::slice::from_ref(&jid)).boxed();
        let user = timely(asked).await??.into_values().next();
        let (about, picture_id) = user.map(|user| (user.status, user.picture_id)).unzip();
        Ok(AccountProfile {
            jid: jid.to_non_ad_string(),
            lid: client.lid().map(|lid| lid.user.to_string()),
            name: Some(client.push_name()).filter(|name| !name.is_empty()),
            about: about.flatten().filter(|about| !about.is_empty()),
            picture_id: picture_id.flatten(),
        })
    }

    /// Changes the text that people read below the name. Done when this returns.
    pub(crate) async fn set_about(&self, about: &str) -> Result<(), WhatsAppError> {
        let client = self.client()?;
        Ok(timely(client.profile().set_status_text(about).boxed()).await??)
    }

    /// Changes the name that people see who do not have the number in their contacts. The engine's own call only logs when
    /// WhatsApp does not keep the name among the account's settings; this one does not return before it does.
    pub(crate) async fn set_name(&self, name: &str) -> Result<(), WhatsAppError> {
        let client = self.client()?;
        let setting = PushNameSetting { name: Some(name.to_owned()) };
        let value = SyncActionValue {
            push_name_setting: MessageField::some(setting),
            timestamp: i64::try_from(UnixMillis::now().millis()).ok(),
            ..Default::default()
        };
        let told = client.send_app_state_action(&schemas::SETTING_PUSH_NAME, &[], &value);
        timely(told.boxed()).await??;
        let command = DeviceCommand::SetPushName(name.to_owned());
        client.persistence_manager().process_command(command).await;
        // The word about the presence carries the name to WhatsApp.
        self.context.presence.send_modify(|_same| ());
        Ok(())
    }

    /// Shows another picture: the middle of this one. The answer is WhatsApp's name for it.
    pub(crate) async fn set_picture(&self, file: Vec<u8>) -> Result<Picture, WhatsAppError> {
        let client = self.client()?;
        let place = self.context.places.conversion().await;
        let square = Tasks::on_thread("picture", move || picture::square(&mut Cursor::new(file)));
        let square = square.await.ok().flatten();
        drop(place);
        let square = square.ok_or_else(|| {
            WhatsAppError::Media(
                "it is no picture that moonwa can read: send JPEG, PNG or WebP".to_owned(),
            )
        })?;
        let set = timely(client.profile().set_profile_picture(square).boxed()).await??;
        Ok(Picture { id: set.id, url: None })
    }

    /// Shows no picture any more.
    pub(crate) async fn remove_picture(&self) -> Result<(), WhatsAppError> {
        let client = self.client()?;
        timely(client.profile().remove_profile_picture().boxed()).await??;
        Ok(())
    }
}

impl From<ProfileError> for WhatsAppError {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Iq(error) => error.into(),
            ProfileError::Client(_) => Self::NotConnected,
            error => Self::Refused(error.to_string()),
        }
    }
}
