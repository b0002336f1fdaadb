//! What the phones have and what the webhooks were told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use moonwa_simulator::harness::WebhookReceiver;
use moonwa_simulator::{InboxItem, Phone};

use super::caller::number_of;
use super::{CHATS, Cast};

/// How far a status is, as its words go.
const STATUSES: [&str; 6] = ["queued", "sent", "accepted", "delivered", "read", "played"];
/// As far as a message gets to which nobody reacts.
const FINAL: &str = "delivered";

/// Of how many messages an endpoint heard that they are delivered.
pub(super) fn heard(hook: &WebhookReceiver) -> usize {
    let deliveries = hook.deliveries();
    let taken = deliveries.iter().filter(|delivery| delivery.answered == 200);
    let bodies = taken.map(|delivery| delivery.json()["data"].take());
    let finals = bodies.filter(|data| data["status"] == FINAL);
    finals.map(|data| data["id"].to_string()).collect::<BTreeSet<_>>().len()
}

/// Everything that was not as it should be; empty when all is well.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    sends: usize,
    /// How often a phone dropped a message that it had.
    repeated: usize,
    /// Which message is missing on whose phone.
    lost: Vec<(usize, String)>,
    /// Which message a phone shows twice.
    twice: Vec<(usize, String)>,
    /// Which message came after a later one.
    inversions: Vec<(usize, String)>,
    /// What each endpoint was told of a message, when that was wrong.
    told: Vec<(usize, Vec<String>)>,
}

impl Verdict {
    pub(super) fn of(cast: &Cast, sent: &[String]) -> Self {
        let mut verdict = Self { sends: sent.len(), ..Self::default() };
        for chat in 0..CHATS {
            let expected: Vec<usize> = (chat..sent.len()).step_by(CHATS).collect();
            let group = if chat == CHATS - 1 { Some(cast.group.id.as_str()) } else { None };
            for phone in cast.readers(chat) {
                verdict.read(phone, cast.ann.number(), group, &expected, sent);
            }
        }
        verdict.repeated = cast.friends.iter().map(|friend| friend.repeated().len()).sum();
        for hook in &cast.hooks {
            verdict.hear(hook, sent);
        }
        verdict
    }

    fn read(
        &mut self,
        phone: &Phone,
        from: &str,
        group: Option<&str>,
        expected: &[usize],
        sent: &[String],
    ) {
        let inbox = phone.inbox();
        let messages = inbox
            .iter()
            .filter_map(InboxItem::message)
            .filter(|message| message.from == from && message.chat == group.unwrap_or(from));
        let (mut seen, mut highest) = (BTreeSet::new(), None);
        for message in messages {
            let Some(n) = message.text.as_deref().and_then(number_of) else { continue };
            // Under another id it would be another message to the person who reads it.
            if !seen.insert(n) || sent.get(n) != Some(&message.id) {
                self.twice.push((n, phone.number().to_owned()));
            }
            if highest.is_some_and(|highest| n < highest) {
                self.inversions.push((n, phone.number().to_owned()));
            }
            highest = highest.max(Some(n));
        }
        let lost = expected.iter().filter(|n| !seen.contains(n));
        self.lost.extend(lost.map(|n| (*n, phone.number().to_owned())));
    }

    /// A status may be told twice after a kill, as every event, and then under its id. Apart from that, forwards only.
    fn hear(&mut self, hook: &WebhookReceiver, sent: &[String]) {
        let (mut known, mut told) = (BTreeSet::new(), BTreeMap::<String, Vec<String>>::new());
        for delivery in hook.deliveries() {
            if delivery.answered == 200 && known.insert(delivery.id()) {
                let data = delivery.json()["data"].clone();
                let word = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
                told.entry(word("id")).or_default().push(word("status"));
            }
        }
        for (n, id) in sent.iter().enumerate() {
            let told = told.remove(id).unwrap_or_default();
            let rank = |word: &String| STATUSES.iter().position(|known| known == word);
            let forwards = told.is_sorted_by(|one, next| {
                rank(one).is_some_and(|one| rank(next).is_some_and(|next| one < next))
            });
            if !forwards || told.last().map(String::as_str) != Some(FINAL) {
                self.told.push((n, told));
            }
        }
    }

    /// Says what became of the first few that were lost.
    pub(super) fn explain(&self, cast: &Cast, sent: &[String]) {
        let journal = cast.sim.journal();
        for (n, phone) in self.lost.iter().take(3) {
            println!("message {n} ({}) is not on {phone}:", sent[*n]);
            for delivery in cast.hooks[0].deliveries() {
                if delivery.json()["data"]["id"] == sent[*n] {
                    println!("  told {}", delivery.json()["data"]);
                }
            }
            for entry in journal.iter().filter(|entry| entry.text.contains(&sent[*n])) {
                let text: String = entry.text.chars().take(200).collect();
                let device =
                    entry.device.as_ref().map(|device| format!("{}:{}", device.pn, device.device));
                println!(
                    "  {} {:?} {} {} {text}",
                    entry.seq,
                    entry.direction,
                    entry.connection,
                    device.unwrap_or_default()
                );
            }
        }
    }

    pub(super) fn assert_good(&self, seed: u64) {
        assert_eq!(self.lost, [], "accepted and lost (seed {seed})");
        assert_eq!(self.twice, [], "twice on a phone (seed {seed})");
        assert_eq!(self.inversions, [], "out of order in its chat (seed {seed})");
        assert_eq!(self.told, [], "told wrongly (seed {seed})");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sends, {} lost, {} twice, {} out of order, {} told wrongly; {} repeats dropped by phones",
            self.sends,
            self.lost.len(),
            self.twice.len(),
            self.inversions.len(),
            self.told.len(),
            self.repeated
        )
    }
}
