//! Finding messages by their words.

use fjall::Readable;

use super::look::{Chats, Leaf, Look, Message};
use super::row::{ChatRow, Place, word_key, word_place, word_prefix};
use super::state::Part;
use super::words;
use crate::store::StoreError;
use crate::store::key::{Key, after_prefix};

/// Places in their parts, and the one from which on there may be more.
type Places<'p> = (Vec<(&'p Part, Place)>, Option<Place>);

/// Places of one word that are looked at together.
const STEP: usize = 256;
/// Places that one search looks at before it says how to go on.
const SEARCHED: usize = 10_000;
/// Words that may begin as the last one of a search does.
const BEGINNINGS: usize = 64;

impl Look<'_> {
    /// The messages that have all the words, newest first, each with its chat.
    pub(super) fn search(
        &self,
        query: &str,
        chat: Option<&ChatRow>,
        before: Place,
        limit: usize,
    ) -> Result<Leaf<(Message, ChatRow)>, StoreError> {
        let (wanted, open) = words::wanted(query);
        let mut leaf: Leaf<(Message, ChatRow)> = Leaf::empty();
        let (mut chats, mut searched) = (Chats::default(), 0);
        // The longest word is the rarest, as a rule. One that is only begun may be many.
        let whole = wanted.iter().take(wanted.len() - usize::from(open && !wanted.is_empty()));
        let driver = whole.max_by_key(|word| word.len());
        for group in groups(&self.parts, before) {
            let mut end = before;
            loop {
                let (places, horizon) = self.places(group, (driver, wanted.last()), end)?;
                for (part, place) in places {
                    searched += 1;
                    if horizon.is_some_and(|horizon| place < horizon) {
                        break;
                    }
                    if chat.is_some_and(|chat| !chat.numbers.contains(&place.chat)) {
                        continue;
                    }
                    let Some(message) = self.message(part, place)? else { continue };
                    let text = message.kept.text.as_deref().unwrap_or_default();
                    if !words::has(text, &wanted, open) {
                        continue;
                    }
                    let Some(chat) = chats.of(self, place.chat)? else { continue };
                    if leaf.items.len() >= limit {
                        leaf.next = leaf.items.last().map(|(last, _)| last.place);
                        return Ok(leaf);
                    }
                    leaf.items.push((message, chat));
                }
                let Some(horizon) = horizon.filter(|horizon| horizon.time >= self.horizon) else {
                    break;
                };
                if searched > SEARCHED {
                    leaf.next = Some(horizon);
                    return Ok(leaf);
                }
                end = horizon;
            }
        }
        Ok(leaf)
    }

    /// Where in these parts one of the words is: the newest places before `end`, and the one from which on there may be more.
    fn places<'p>(
        &self,
        parts: &'p [Part],
        (driver, begun): (Option<&String>, Option<&String>),
        end: Place,
    ) -> Result<Places<'p>, StoreError> {
        let (mut places, mut horizon) = (Vec::new(), None);
        for part in parts {
            let driving = match (driver, begun) {
                (Some(word), _) => vec![word.clone()],
                (None, Some(begun)) => self.beginning(part, begun)?,
                (None, None) => Vec::new(),
            };
            for word in driving {
                let prefix = word_prefix(self.device, &word);
                let from = word_key(self.device, &word, end).into_bytes();
                let Some(to) = after_prefix(prefix.as_ref()) else { continue };
                let mut taken = 0;
                for guard in self.now.range(&part.rows, from..to) {
                    let key = guard.key().map_err(StoreError::database)?;
                    let Some(place) = word_place(&key) else { continue };
                    if place >= end {
                        continue;
                    }
                    places.push((part, place));
                    taken += 1;
                    if taken >= STEP {
                        horizon = horizon.max(Some(place));
                        break;
                    }
                }
            }
        }
        places.sort_by_key(|(_, place)| std::cmp::Reverse(*place));
        places.dedup_by_key(|(_, place)| *place);
        Ok((places, horizon))
    }

    /// The words of a part that begin so.
    fn beginning(&self, part: &Part, begun: &str) -> Result<Vec<String>, StoreError> {
        let device = Key::new(b'W').device(self.device);
        let prefix = device.clone().rest(begun).into_bytes();
        let Some(to) = after_prefix(&prefix) else { return Ok(Vec::new()) };
        let (mut from, mut found) = (prefix, Vec::new());
        while found.len() < BEGINNINGS
            && let Some(guard) = self.now.range(&part.rows, from.clone()..to.clone()).next()
        {
            let key = guard.key().map_err(StoreError::database)?;
            let word = key.get(device.as_ref().len()..).unwrap_or_default();
            let word = word.split(|byte| *byte == 0).next().unwrap_or_default();
            // After every place of this word.
            from = device.clone().rest(word).rest([1]).into_bytes();
            found.extend(String::from_utf8(word.to_vec()).ok());
        }
        Ok(found)
    }
}

/// The parts whose times lie within one another belong together, the newest first.
fn groups(parts: &[Part], before: Place) -> Vec<&[Part]> {
    let skipped = parts.iter().take_while(|part| part.from > before.time).count();
    let mut rest = parts.get(skipped..).unwrap_or_default();
    let mut groups = Vec::new();
    while let Some(first) = rest.first() {
        let (mut from, mut size) = (first.from, 1);
        while let Some(next) = rest.get(size).filter(|next| next.to > from) {
            from = from.min(next.from);
            size += 1;
        }
        let (group, others) = rest.split_at(size.min(rest.len()));
        groups.push(group);
        rest = others;
    }
    groups
}
