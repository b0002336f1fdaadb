//! Whose conversation it is: the contact and the conversation in Chatwoot, which are made when they are not there.

use super::api::{Api, Contact, Failure};
use super::content::Whom;
use super::phones::Phones;
use super::rows::{Conversation, Rows};
use crate::model::DeviceName;

/// The conversation that a message to or from somebody belongs to. Each of these has one: the newest in the inbox, which
/// Chatwoot opens again when the contact writes.
pub(super) async fn conversation(
    api: &mut Api<'_>,
    rows: &Rows,
    phones: Option<&dyn Phones>,
    device: &DeviceName,
    whom: &Whom,
) -> Result<(u64, Conversation), Failure> {
    if let Some((number, known)) = rows.conversation_of(&whom.addresses).await? {
        return Ok((number, named(api, rows, whom, number, known).await?));
    }
    let name = match (&whom.name, whom.group(), phones) {
        (Some(name), ..) => Some(name.clone()),
        (None, Some(group), Some(phones)) => phones.group_name(device, &group).await,
        _ => None,
    };
    let contact = contact(api, whom, name.as_deref()).await?;
    let (number, last) = match api.newest_conversation(contact.id).await? {
        Some(newest) => newest,
        None => {
            let source = match contact.source {
                Some(source) => source,
                None => api.enter_inbox(contact.id).await?,
            };
            (api.make_conversation(contact.id, &source).await?, 0)
        }
    };
    let conversation = Conversation {
        contact: contact.id,
        address: whom.address().to_owned(),
        last,
        named: name.is_some(),
        unread: None,
    };
    rows.remember(number, &conversation, &whom.addresses).await?;
    Ok((number, conversation))
}

/// Finds the contact, or makes it. Chatwoot has no two with one number or one identifier, so however often this is tried,
/// there is one.
async fn contact(api: &mut Api<'_>, whom: &Whom, name: Option<&str>) -> Result<Contact, Failure> {
    let (identifier, phone) = (whom.address(), whom.phone.as_deref());
    if let Some(known) = api.find_contact(identifier, phone).await? {
        return Ok(known);
    }
    let shown = phone.map_or_else(|| identifier.to_owned(), |phone| format!("+{phone}"));
    match api.make_contact(name.unwrap_or(&shown), identifier, phone).await {
        Err(refused) if refused.is_status(422) => {
            // Somebody made it at the same time.
            api.find_contact(identifier, phone).await?.ok_or(refused)
        }
        made => made,
    }
}

/// Gives a contact the name that it has chosen, once, when it was made without one.
async fn named(
    api: &mut Api<'_>,
    rows: &Rows,
    whom: &Whom,
    number: u64,
    known: Conversation,
) -> Result<Conversation, Failure> {
    let (Some(name), false) = (&whom.name, known.named) else { return Ok(known) };
    match api.rename_contact(known.contact, name).await {
        // Without the contact the conversation is gone as well, and that is found out with the message.
        Err(gone) if !gone.is_status(404) => return Err(gone),
        _ => {}
    }
    let known = Conversation { named: true, ..known };
    rows.remember(number, &known, &whom.addresses).await?;
    Ok(known)
}
