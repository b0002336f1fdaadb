//! `/user/…` and `/group/list`: people and groups.

use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};

use super::form::{done, given};
use crate::api::call::{Answer, Call};
use crate::api::compat::face;
use crate::api::http::problem::Problem;
use crate::model::{Jid, PhoneNumber};
use crate::whatsapp::Lookup;

/// Each number that a request has, and what WhatsApp says of it.
type Looked = (String, PhoneNumber, Option<Lookup>);

async fn looked(call: &mut Call) -> Result<Vec<Looked>, Problem> {
    let phones = given(call).await?.list("phone");
    if phones.is_empty() {
        return Err(Problem::field("Phone", "required"));
    }
    let call = &*call;
    let look = async |query: String| {
        let digits = query.split('@').next().unwrap_or_default();
        let (_, device) = call.device()?;
        let phone = PhoneNumber::parse(digits, device.country_code.as_deref())
            .map_err(|error| Problem::field("Phone", error))?;
        let found = call.handle()?.lookup(&phone).await?;
        Ok::<_, Problem>((query, phone, found))
    };
    try_join_all(phones.into_iter().map(look)).await
}

fn lid(found: Option<&Lookup>) -> String {
    let lid = found.and_then(|found| found.lid.as_ref());
    lid.map(|lid| format!("{lid}@lid")).unwrap_or_default()
}

/// `POST /user/check`.
pub(super) async fn check(call: &mut Call) -> Answer {
    let looked = looked(call).await?;
    let users = looked.iter().map(|(query, phone, found)| {
        let jid = found.as_ref().map_or_else(|| Jid::of_phone(phone), |found| found.jid.clone());
        let name = found.as_ref().and_then(|found| found.name.as_deref());
        json!({
            "Query": query,
            "IsInWhatsapp": found.is_some(),
            "JID": jid,
            "LID": lid(found.as_ref()),
            "VerifiedName": name.unwrap_or_default(),
        })
    });
    Ok(done(&json!({ "Users": users.collect::<Vec<_>>() })))
}

/// `POST /user/info`: what moonwa knows of people. Status, picture and devices are not asked for.
pub(super) async fn info(call: &mut Call) -> Answer {
    let looked = looked(call).await?;
    let users: Map<String, Value> = looked
        .iter()
        .filter_map(|(_, _, found)| {
            let found = found.as_ref()?;
            let name = found.name.as_ref();
            let name = name.map(|name| json!({ "Details": { "verifiedName": name } }));
            let user = json!({
                "Devices": [],
                "LID": lid(Some(found)),
                "PictureID": "",
                "Status": "",
                "VerifiedName": name,
            });
            Some((found.jid.to_string(), user))
        })
        .collect();
    Ok(done(&json!({ "Users": users })))
}

/// `GET /group/list`.
pub(super) async fn groups(call: &mut Call) -> Answer {
    face::choose(call, None)?;
    let groups = call.handle()?.groups().await?;
    let groups = groups.iter().map(
        |group| json!({ "JID": group.id, "Name": group.name, "Participants": [], "Topic": "" }),
    );
    Ok(done(&json!({ "Groups": groups.collect::<Vec<_>>() })))
}
