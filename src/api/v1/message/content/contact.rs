//! Contacts as callers write them.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::issues::Issues;
use crate::model::{ContactCard, Content};

/// How many go into one message beside the one that is alone.
const CARDS: RangeInclusive<usize> = 2..=30;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContactBody {
    pub(crate) name: String,
    pub(crate) vcard: String,
}

impl ContactBody {
    pub(super) fn content(self, issues: &mut Issues) -> Content {
        let ContactCard { name, vcard } = self.card("contact", issues);
        Content::Contact { name, vcard }
    }

    fn card(self, path: &str, issues: &mut Issues) -> ContactCard {
        issues.text(&format!("{path}.name"), &self.name);
        if !self.vcard.trim_start().starts_with("BEGIN:VCARD") {
            issues.add(&format!("{path}.vcard"), "must begin with BEGIN:VCARD");
        }
        ContactCard { name: self.name, vcard: self.vcard }
    }
}

/// Those of one message, in order.
pub(super) fn several(list: Vec<ContactBody>, issues: &mut Issues) -> Content {
    if !CARDS.contains(&list.len()) {
        issues.add("contacts", "2 to 30 contacts; for one there is contact");
    }
    let cards = list.into_iter().enumerate();
    let contacts = cards.map(|(n, card)| card.card(&format!("contacts[{n}]"), issues)).collect();
    Content::Contacts { contacts }
}
