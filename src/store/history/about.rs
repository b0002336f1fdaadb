//! What is said of a message: a reaction, a new text, that it was taken back. What is told before its message waits for
//! it, so that both orders give the same.

use serde::{Deserialize, Serialize};

use super::desk::{Chat, Desk, newest};
use super::row::{Kept, Reaction, is_older, is_same_person, waiting_key};
use crate::model::{Body, Content, EventType, MessageData, Person, UnixMillis};
use crate::store::StoreError;
use crate::store::json::{from_json, to_row};

/// Something that was said of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The message.
    #[serde(rename = "i")]
    id: String,
    /// When it was said, by WhatsApp's clock. Without it, it is newer than whatever was told before.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    at: Option<UnixMillis>,
    /// Who said it; absent when it was the account itself.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    from: Option<Person>,
    #[serde(rename = "g", default, skip_serializing_if = "std::ops::Not::not")]
    in_group: bool,
    #[serde(rename = "c")]
    change: Change,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    React(String),
    Reword(Option<String>),
    Delete,
    /// The account's owner deleted it for themselves; whether they wrote it.
    Hide(bool),
}

/// What waits for its message.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    /// The addresses of the chat.
    #[serde(rename = "a")]
    addresses: Vec<String>,
    #[serde(flatten)]
    about: About,
}

impl About {
    /// What an event says of an earlier message.
    pub(crate) fn of(kind: EventType, data: &MessageData, at: UnixMillis) -> Option<Self> {
        let target = match &data.body {
            Body::Reaction(reaction) => &reaction.about,
            Body::Revoked(target) => target,
            _ => &data.circumstances.about,
        };
        let change = match (kind, &data.body) {
            (EventType::MessageReaction, Body::Reaction(reaction)) => {
                Change::React(reaction.emoji.clone())
            }
            (EventType::MessageEdited, _) => Change::Reword(data.text.clone()),
            (EventType::MessageRevoked, _) => Change::Delete,
            _ => return None,
        };
        let from = (!data.from_me).then(|| data.from.clone());
        let in_group = data.group.is_some();
        Some(Self { id: target.message.clone()?, at: Some(at), from, in_group, change })
    }

    /// What the account says through moonwa.
    pub(super) fn own(content: &Content, at: Option<UnixMillis>) -> Option<Self> {
        let change = match content {
            Content::Reaction { emoji, .. } => Change::React(emoji.clone()),
            Content::Edit { text, .. } => Change::Reword(Some(text.clone())),
            Content::Revoke { .. } => Change::Delete,
            _ => return None,
        };
        let id = content.about()?.to_string();
        // What WhatsApp took from the account in a group was the account's to say.
        Some(Self { id, at, from: None, in_group: true, change })
    }

    /// The account's owner deleted a message for themselves.
    pub(crate) fn hidden(id: &str, from_me: bool, at: UnixMillis) -> Self {
        let change = Change::Hide(from_me);
        Self { id: id.to_owned(), at: Some(at), from: None, in_group: false, change }
    }

    /// Whether it is about this message, and said by somebody who may: only who wrote a message may change it; in a group
    /// its admins may take it back.
    fn may(&self, kept: &Kept) -> bool {
        let own = match (&self.from, &kept.from) {
            (None, _) => kept.from_me,
            (Some(one), Some(other)) if self.in_group && !kept.from_me => {
                is_same_person(one, other)
            }
            (Some(_), _) => !kept.from_me,
        };
        let may = match self.change {
            Change::React(_) => true,
            Change::Reword(_) => own,
            Change::Delete => own || self.in_group,
            Change::Hide(from_me) => kept.from_me == from_me,
        };
        may && kept.id == self.id
    }

    fn apply(&self, kept: &mut Kept) {
        match &self.change {
            Change::React(emoji) => kept.react(Reaction {
                emoji: emoji.clone(),
                from_me: self.from.is_none(),
                from: self.from.clone(),
                at: self.at,
            }),
            Change::Reword(text) => kept.reword(text.clone(), self.at),
            Change::Delete => kept.delete(),
            Change::Hide(_) => kept.hide(),
        }
    }

    /// Whether of the two only the newer one counts.
    fn replaces(&self, other: &Self) -> bool {
        let same = match (&self.from, &other.from) {
            (Some(one), Some(two)) => is_same_person(one, two),
            (one, two) => one.is_none() && two.is_none(),
        };
        let kind = std::mem::discriminant::<Change>;
        same && self.id == other.id && kind(&self.change) == kind(&other.change)
    }
}

impl Desk<'_, '_, '_> {
    /// Notes at a message what is said of it, or has that wait for the message.
    pub(super) fn say(&mut self, addresses: &[String], about: &About) -> Result<(), StoreError> {
        if let Some(chat) = self.known(addresses)? {
            // It may have an address more now.
            self.save(&chat)?;
            let mut found = self.find(&about.id, Some(&chat))?;
            found.retain(|found| about.may(&found.kept));
            if let Some(mut found) = newest(found) {
                about.apply(&mut found.kept);
                return self.change(&found);
            }
        }
        self.wait(addresses, about)
    }

    fn wait(&mut self, addresses: &[String], about: &About) -> Result<(), StoreError> {
        let time = about.at.unwrap_or_else(UnixMillis::now);
        if time < self.keeps.limits().horizon() {
            return Ok(());
        }
        let part = self.keeps.clone().part(self.outbox, self.txn, time)?;
        let key = waiting_key(self.device, self.account(), &about.id);
        let row = self.txn.get(&part.rows, &key)?;
        let before = row.as_deref().map_or(0, <[u8]>::len);
        let mut waiting: Vec<Waiting> = row.map_or(Ok(Vec::new()), |row| from_json(&row))?;
        let same = |known: &Waiting| about.replaces(&known.about) && known.addresses == addresses;
        if waiting.iter().any(|known| same(known) && is_older(about.at, known.about.at)) {
            return Ok(());
        }
        waiting.retain(|known| !same(known));
        waiting.push(Waiting { addresses: addresses.to_vec(), about: about.clone() });
        let row = to_row(&waiting)?;
        let size = key.as_ref().len() + row.len();
        self.txn.put(&part.rows, key, row);
        super::part::grew(self.outbox, self.txn, &part, size.saturating_sub(before))
    }

    /// Notes at a message that comes what was said of it before.
    pub(super) fn catch_up(&mut self, chat: &Chat, kept: &mut Kept) -> Result<(), StoreError> {
        let key = waiting_key(self.device, self.account(), &kept.id);
        // The oldest first.
        for part in self.keeps.parts().into_iter().rev() {
            let Some(row) = self.txn.get(&part.rows, &key)? else { continue };
            let waiting: Vec<Waiting> = from_json(&row)?;
            let (told, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|one| {
                let here = one.addresses.iter().any(|one| chat.row.addresses.contains(one));
                here && one.about.may(kept)
            });
            for one in &told {
                one.about.apply(kept);
            }
            if rest.is_empty() {
                self.txn.remove(&part.rows, key.clone());
            } else if !told.is_empty() {
                self.txn.put(&part.rows, key.clone(), to_row(&rest)?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::ChatKind;
    use crate::store::history::{Learned, Note, Said, Source};
    use crate::store::tests::{device, open};
    use crate::store::{HistoryLimits, Store};

    const LIMITS: HistoryLimits =
        HistoryLimits { keep: Duration::from_hours(30 * 24), max_size: 1 << 30 };

    /// A time of today.
    fn at(minute: u64) -> UnixMillis {
        let began = UnixMillis::now().before(Duration::from_hours(20));
        UnixMillis::from_secs(began.secs() / 86_400 * 86_400 + minute * 60)
    }

    fn person(name: &str) -> Person {
        let jid = format!("{name}@lid");
        Person { jid, phone: None, lid: Some(name.to_owned()), name: None }
    }

    fn says(name: &str, minute: u64, change: Change) -> About {
        let from = Some(person(name));
        About { id: String::new(), at: Some(at(minute)), from, in_group: true, change }
    }

    /// Tells a group of a message by Ani and of what is said of it, in that order; where there is nothing, the message.
    async fn tell(store: &Store, n: usize, order: &[Option<About>]) -> (String, String) {
        let (id, group) = (format!("3EB0{n:08X}"), format!("1203630{n:08}@g.us"));
        let (toko, addresses) = (device("toko"), vec![group.clone()]);
        for step in order {
            if let Some(about) = step {
                let what = Said::About(About { id: id.clone(), ..about.clone() });
                let note = Note { addresses: addresses.clone(), what };
                store.history().note(&toko, vec![note]).await.unwrap();
                continue;
            }
            let kept = Kept {
                id: id.clone(),
                from: Some(person("ani")),
                kind: "text".to_owned(),
                text: Some("pertama".to_owned()),
                source: Source::History,
                ..Kept::default()
            };
            let (addresses, kind) = (addresses.clone(), ChatKind::Group);
            let (at, reactions) = (at(5), Vec::new());
            let learned = Learned { addresses, kind, at, kept, reactions };
            store.history().learn(&toko, vec![learned]).await.unwrap();
        }
        (id, group)
    }

    async fn found(store: &Store, id: &str) -> Option<Kept> {
        let found = store.history().find(&device("toko"), id).await.unwrap().unwrap();
        found.into_iter().next().map(|(message, _)| message.kept)
    }

    fn orders(steps: &[Option<About>]) -> Vec<Vec<Option<About>>> {
        let Some((first, rest)) = steps.split_first() else { return vec![Vec::new()] };
        let mut all = Vec::new();
        for order in orders(rest) {
            for place in 0..=order.len() {
                let mut order = order.clone();
                order.insert(place, first.clone());
                all.push(order);
            }
        }
        all
    }

    #[tokio::test]
    async fn a_message_and_what_is_said_of_it_may_come_in_any_order() {
        let opened = open().await;
        let store = &opened.store;
        store.history().turn(Some(LIMITS)).await.unwrap();
        let react = |emoji: &str| Change::React(emoji.to_owned());
        let reword = |text: &str| Change::Reword(Some(text.to_owned()));
        let (old, new) = (says("ani", 10, reword("kedua")), says("ani", 20, reword("ketiga")));
        let stranger = says("eko", 30, reword("palsu"));
        let (likes, stops) = (says("budi", 10, react("+")), says("budi", 20, react("")));
        let loves = says("cici", 15, react("*"));
        let hidden = About { from: None, ..says("ani", 40, Change::Hide(false)) };
        let edited = Kept {
            from: Some(person("ani")),
            kind: "text".to_owned(),
            text: Some("ketiga".to_owned()),
            edited: true,
            edited_at: Some(at(20)),
            source: Source::History,
            ..Kept::default()
        };
        let reaction = |name: &str, minute: u64, emoji: &str| Reaction {
            emoji: emoji.to_owned(),
            from_me: false,
            from: Some(person(name)),
            at: Some(at(minute)),
        };
        let reacted = Kept {
            text: Some("pertama".to_owned()),
            edited: false,
            edited_at: None,
            reactions: vec![reaction("cici", 15, "*"), reaction("budi", 20, "")],
            ..edited.clone()
        };
        let gone = Kept { text: None, deleted: true, reactions: Vec::new(), ..reacted.clone() };
        let deleted = says("ani", 30, Change::Delete);
        let mut n = 0;
        for (said, wanted) in [
            (vec![old.clone(), new.clone(), stranger.clone()], Some(edited)),
            (vec![likes.clone(), stops, loves], Some(reacted)),
            (vec![new.clone(), likes.clone(), deleted, stranger], Some(gone)),
            (vec![new, likes, hidden], None),
        ] {
            let steps: Vec<_> = said.into_iter().map(Some).chain([None]).collect();
            for order in orders(&steps) {
                n += 1;
                let (id, _) = tell(store, n, &order).await;
                let wanted = wanted.clone().map(|kept| Kept { id: id.clone(), ..kept });
                assert_eq!(found(store, &id).await, wanted, "{order:?}");
            }
        }
        assert_eq!(n, 24 + 24 + 120 + 24);
    }

    #[tokio::test]
    async fn what_waits_survives_a_start_counts_and_leaves_with_its_time() {
        let opened = open().await;
        opened.store.history().turn(Some(LIMITS)).await.unwrap();
        let edit = says("ani", 10, Change::Reword(Some("kedua".to_owned())));
        let before = opened.store.history().bytes().await.unwrap();
        tell(&opened.store, 1, &[Some(edit.clone())]).await;
        let counted = opened.store.history().bytes().await.unwrap();
        assert!(counted > before + 50, "{before} and {counted}");
        // Said again, it does not wait twice.
        tell(&opened.store, 1, &[Some(edit.clone())]).await;
        let again = opened.store.history().bytes().await.unwrap();
        assert!(again < counted + 50, "{counted} and {again}");
        let old = UnixMillis::now().before(Duration::from_hours(31 * 24));
        tell(&opened.store, 2, &[Some(About { at: Some(old), ..edit.clone() })]).await;
        assert_eq!(opened.store.history().bytes().await.unwrap(), again, "too old to wait");

        let opened = opened.reopen().await;
        opened.store.history().turn(Some(LIMITS)).await.unwrap();
        let (id, _) = tell(&opened.store, 1, &[None]).await;
        let text = found(&opened.store, &id).await.and_then(|kept| kept.text);
        assert_eq!(text.as_deref(), Some("kedua"));
        tell(&opened.store, 3, &[Some(edit)]).await;
        let shorter = HistoryLimits { keep: Duration::from_hours(1), ..LIMITS };
        opened.store.history().turn(Some(shorter)).await.unwrap();
        assert_eq!(opened.store.history().bytes().await.unwrap(), 0, "it left with its part");
    }
}
