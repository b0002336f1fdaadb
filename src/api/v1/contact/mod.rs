//! Asking WhatsApp about people, and what the account shows of itself.

pub(crate) mod account;
pub(crate) mod block;
pub(crate) mod presence;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request::MAX_JSON;
use crate::api::http::response;
use crate::model::PhoneNumber;
use crate::whatsapp::Lookup;

/// The most numbers in one question.
const MOST: usize = 50;
/// The most characters of a number, as people may write it.
const LONGEST_NUMBER: usize = 40;
/// The most characters that are looked for.
const LONGEST: usize = 100;
/// The most contacts in one answer.
const LISTED: usize = 200;

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

/// `GET …/contacts`: whom the device knows, by number.
pub(crate) async fn list(call: &Call) -> Answer {
    let limit = match call.query("limit")? {
        Some(text) => text.parse().ok().filter(|limit| (1..=LISTED).contains(limit)),
        None => Some(LISTED),
    };
    let limit =
        limit.ok_or_else(|| Problem::field("limit", format!("a number from 1 to {LISTED}")))?;
    let (words, after) = (call.query("q")?, call.query("after")?);
    if words.as_ref().is_some_and(|words| words.chars().count() > LONGEST) {
        return Err(Problem::field("q", format!("at most {LONGEST} characters")));
    }
    let is_number = |text: &String| {
        (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !after.iter().all(is_number) {
        return Err(Problem::field("after", "`next` of the page before, which has digits only"));
    }
    let words = words.as_deref().filter(|words| !words.is_empty());
    let (contacts, more) = call.handle()?.contacts(words, after.as_deref(), limit).await?;
    let next = contacts.last().filter(|_| more).map(|last| last.phone.clone());
    Ok(response::ok(&json!({ "contacts": contacts, "next": next })))
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
    let wrong = |text: &String| text.is_empty() || text.chars().count() > LONGEST_NUMBER;
    if let Some(n) = phones.iter().position(wrong) {
        let most = format!("1 to {LONGEST_NUMBER} characters");
        return Err(Problem::field(&format!("phones[{n}]"), most));
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
        Ok(phone) => match found.next() {
            Some(Ok(found)) => {
                row(asked, Some(&phone), Some(found.is_some()), found.as_ref(), None)
            }
            Some(Err(error)) => row(asked, Some(&phone), None, None, Some(&error.to_string())),
            None => row(asked, Some(&phone), None, None, None),
        },
        Err(error) => row(asked, None, None, None, Some(&error.to_string())),
    });
    Ok(response::ok(&json!({ "contacts": rows.collect::<Vec<_>>() })))
}

/// What is told of one number: whether WhatsApp knows it, as far as it says, and as whom.
fn row(
    asked: &str,
    phone: Option<&PhoneNumber>,
    there: Option<bool>,
    found: Option<&Lookup>,
    problem: Option<&str>,
) -> Value {
    json!({
        "asked": asked,
        "phone": phone,
        "on_whatsapp": there,
        "jid": found.map(|found| &found.jid),
        "lid": found.and_then(|found| found.lid.as_ref()),
        "name": found.and_then(|found| found.name.as_ref()),
        "problem": problem,
    })
}
