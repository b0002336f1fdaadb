//! What is known of people whom somebody wants to write to.

use crate::model::Recipient;
use crate::store::StoreError;
use crate::whatsapp::context::Context;
use crate::whatsapp::history::lookup::names;
use crate::whatsapp::send::turn::addresses;

/// What is known of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acquaintance {
    /// Whether they ever wrote to the account.
    pub(crate) wrote: bool,
    /// The name that they gave themselves.
    pub(crate) name: Option<String>,
    pub(crate) addresses: Vec<String>,
}

/// What is known of each of them, in their order.
pub(crate) async fn acquaintances(
    context: &Context,
    people: &[Recipient],
) -> Result<Vec<Acquaintance>, StoreError> {
    let mut all = Vec::with_capacity(people.len());
    for person in people {
        all.push(addresses(context, person).await?);
    }
    let wrote = context.store.queue().wrote(&context.name, all.clone()).await?;
    let names = names(&context.store, &context.name).await?;
    let named =
        |addresses: &Vec<String>| addresses.iter().find_map(|user| names.get(user).cloned());
    let known = all.into_iter().zip(wrote);
    Ok(known
        .map(|(addresses, wrote)| Acquaintance { wrote, name: named(&addresses), addresses })
        .collect())
}
