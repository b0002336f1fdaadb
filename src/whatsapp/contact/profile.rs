//! What a person shows of themselves. WhatsApp counts such questions, so they are asked one after the other, in turn with
//! the lookups of numbers, and not at all while WhatsApp refuses to answer.

use futures_util::FutureExt;
use serde::Serialize;
use wa_rs::wacore::iq::business::{BusinessHoursConfig, BusinessProfile};
use wa_rs::{ContactError, IqError};

use super::account::Picture;
use super::both;
use crate::model::Recipient;
use crate::whatsapp::directory::Unknown;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, timely};

/// What WhatsApp tells this account of a person; what they hide from it is absent.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ContactProfile {
    jid: String,
    phone: Option<String>,
    /// The digits of the LID.
    lid: Option<String>,
    /// The name that they chose, as their newest message had it.
    name: Option<String>,
    /// The name of a business that WhatsApp verified.
    verified_name: Option<String>,
    about: Option<String>,
    /// Another one when the picture changes.
    picture_id: Option<String>,
    business: Option<Business>,
}

#[derive(Clone, Debug, Serialize)]
struct Business {
    description: String,
    address: Option<String>,
    email: Option<String>,
    websites: Vec<String>,
    categories: Vec<String>,
    timezone: Option<String>,
    hours: Vec<Hours>,
}

/// When a business is open on a day.
#[derive(Clone, Debug, Serialize)]
struct Hours {
    /// `mon` to `sun`.
    day: String,
    /// `open_24h`, `specific_hours` or `appointment_only`.
    mode: String,
    from: Option<String>,
    to: Option<String>,
}

impl Business {
    fn of(profile: BusinessProfile) -> Self {
        let hours = profile.business_hours;
        Self {
            description: profile.description,
            address: profile.address,
            email: profile.email,
            websites: profile.website,
            categories: profile.categories.into_iter().map(|category| category.name).collect(),
            timezone: hours.timezone,
            hours: hours.business_config.unwrap_or_default().iter().map(Hours::of).collect(),
        }
    }
}

impl Hours {
    fn of(day: &BusinessHoursConfig) -> Self {
        // WhatsApp counts minutes from midnight.
        let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        Self {
            day: day.day_of_week.as_str().to_owned(),
            mode: day.mode.as_str().to_owned(),
            from: day.open_time.map(clock),
            to: day.close_time.map(clock),
        }
    }
}

impl DeviceHandle {
    /// What a person shows to this account.
    pub(crate) async fn contact(&self, who: &Recipient) -> Result<ContactProfile, WhatsAppError> {
        let client = self.client()?;
        let jid = self.person(who).await?;
        let asked = async {
            let _turn = self.context.directory.turn().await?;
            let contacts = client.contacts();
            let users = contacts.get_user_info(std::slice::from_ref(&jid)).boxed();
            let Some(user) = users.await.map_err(|error| self.unknown(error))?.into_values().next()
            else {
                return Err(Unknown::Unsaid("WhatsApp says nothing of this contact".into()).into());
            };
            let business = if user.is_business {
                let asked = client.get_business_profile(&jid).boxed().await;
                asked.map_err(|error| self.unknown(error.into()))?
            } else {
                None
            };
            Ok::<_, WhatsAppError>((user, business))
        };
        let (user, business) = timely(asked).await??;
        let (lid, phone) = both(&client, &jid).await;
        let name = match phone.as_deref() {
            Some(phone) => self.push_name(phone).await?,
            None => None,
        };
        Ok(ContactProfile {
            jid: jid.to_non_ad_string(),
            phone,
            lid,
            name,
            verified_name: user.verified_name.and_then(|verified| verified.name),
            about: user.status.filter(|about| !about.is_empty()),
            picture_id: user.picture_id,
            business: business.map(Business::of),
        })
    }

    /// Where a person's picture is; `None` when there is none, or none that this account may see.
    pub(crate) async fn contact_picture(
        &self,
        who: &Recipient,
    ) -> Result<Option<Picture>, WhatsAppError> {
        let client = self.client()?;
        let jid = self.person(who).await?;
        let asked = async {
            let _turn = self.context.directory.turn().await?;
            let contacts = client.contacts();
            let picture = contacts.get_profile_picture(&jid, false).boxed();
            picture.await.map_err(|error| self.unknown(error))
        };
        let picture = timely(asked).await??;
        Ok(picture.map(|picture| Picture { id: picture.id, url: Some(picture.url) }))
    }

    /// Why WhatsApp did not answer. One that has enough of questions is left alone for a while.
    fn unknown(&self, error: ContactError) -> WhatsAppError {
        match error {
            ContactError::Iq(IqError::ServerError { code: 429, .. }) => {
                self.context.directory.refused(&error).into()
            }
            error => error.into(),
        }
    }
}
