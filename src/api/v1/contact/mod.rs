//! Asking WhatsApp about people, and what the account shows of itself.

pub(crate) mod account;
pub(crate) mod block;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request::MAX_JSON;
use crate::api::http::response;
use crate::model::PhoneNumber;
use crate::whatsapp::{Lookup, WhatsAppError};

/// The most numbers in one question.
const MOST: usize = 50;

/// `GET …/contacts/{phone}`.
pub(crate) async fn show(call: &Call) -> Answer {
    let phone = call.phone()?;
    let found = call.handle()?.lookup(&phone).await?;
    Ok(response::ok(&json!({
        "phone": phone,
        "on_whatsapp": found.is_some(),
        "jid": found.as_ref().map(|found| &found.jid),
        "lid": found.as_ref().and_then(|found| found.lid.as_ref()),
        "name": found.as_ref().and_then(|found| found.name.as_ref()),
    })))
}

/// `GET …/contacts/{contact}/profile`.
pub(crate) async fn profile(call: &Call) -> Answer {
    let contact = call.contact()?;
    Ok(response::ok(&Box::pin(call.handle()?.contact(&contact)).await?))
}

/// `GET …/contacts/{contact}/picture`.
pub(crate) async fn picture(call: &Call) -> Answer {
    let contact = call.contact()?;
    let picture = Box::pin(call.handle()?.contact_picture(&contact)).await?;
    let none =
        || Problem::new(Code::NotFound, "there is no picture, or this account may not see it");
    Ok(response::ok(&picture.ok_or_else(none)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckBody {
    phones: Vec<String>,
}

/// `POST …/contacts/check`: one row for each number, in their order. One that is wrong, or of which WhatsApp says nothing,
/// does not keep the others from an answer.
pub(crate) async fn check(call: &mut Call) -> Answer {
    let CheckBody { phones } = call.json(MAX_JSON).await?;
    if phones.is_empty() || phones.len() > MOST {
        return Err(Problem::field("phones", format!("give 1 to {MOST} numbers")));
    }
    let (_, device) = call.device()?;
    let code = device.country_code.as_deref();
    let read: Vec<_> = phones.iter().map(|text| PhoneNumber::parse(text, code)).collect();
    let good: Vec<PhoneNumber> = read.iter().flatten().cloned().collect();
    let found = Box::pin(call.handle()?.check(&good)).await?;
    if let Some(Err(error)) = found.first()
        && found.iter().all(Result::is_err)
    {
        return Err(error.clone().into());
    }
    let mut found = found.into_iter();
    let rows = phones.iter().zip(read).map(|(asked, phone)| match phone {
        Ok(phone) => row(asked, Some(&phone), found.next()),
        Err(error) => {
            let mut row = row(asked, None, None);
            row["problem"] = error.to_string().into();
            row
        }
    });
    Ok(response::ok(&json!({ "contacts": rows.collect::<Vec<_>>() })))
}

fn row(
    asked: &str,
    phone: Option<&PhoneNumber>,
    found: Option<Result<Option<Lookup>, WhatsAppError>>,
) -> Value {
    let problem = match &found {
        Some(Err(error)) => Some(error.to_string()),
        _ => None,
    };
    let found = found.and_then(Result::ok);
    let there = found.as_ref().map(Option::is_some);
    let found = found.flatten();
    json!({
        "asked": asked,
        "phone": phone,
        "on_whatsapp": there,
        "jid": found.as_ref().map(|found| &found.jid),
        "lid": found.as_ref().and_then(|found| found.lid.as_ref()),
        "name": found.as_ref().and_then(|found| found.name.as_ref()),
        "problem": problem,
    })
}
