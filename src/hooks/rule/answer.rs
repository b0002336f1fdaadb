//! What rules that act on a message send.

use super::judge::{Asked, local};
use crate::config::{Placeholder, RuleConfig, RuleReply};
use crate::model::{
    Content, DeviceName, EventId, Jid, MessageData, MessageId, Recipient, SendRequest, SentMessage,
};

/// The most characters of a name and of a text in a reply: it repeats what somebody else wrote.
const LONGEST_NAME: usize = 100;
const LONGEST_TEXT: usize = 1000;

/// Whose rules they are.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) device: &'a DeviceName,
    pub(crate) label: &'a str,
}

/// The answers of these rules to an event, in their order. Their ids follow from the event's.
pub(crate) fn answers<'r>(
    whose: Whose<'_>,
    event: &EventId,
    asked: Asked<'_>,
    acting: impl Iterator<Item = &'r RuleConfig>,
) -> Vec<SentMessage> {
    let Some(to) = asked.message.answer_to() else { return Vec::new() };
    let requests = acting.flat_map(|rule| requests(rule, &to, whose, asked));
    let answer = |(n, request)| SentMessage {
        id: MessageId::answer(event.as_str(), n),
        ..SentMessage::new(whose.device.clone(), request)
    };
    requests.enumerate().map(answer).collect()
}

fn requests(
    rule: &RuleConfig,
    to: &Recipient,
    whose: Whose<'_>,
    asked: Asked<'_>,
) -> Vec<SendRequest> {
    let message = asked.message;
    let id = MessageId::parse(&message.id);
    let mut requests = Vec::new();
    if let (Some(emoji), Some(message)) = (&rule.react, &id) {
        let author = Jid::parse(&asked.message.from.jid).ok();
        let content = Content::Reaction { message: message.clone(), author, emoji: emoji.clone() };
        requests.push(SendRequest::plain(to.clone(), content));
    }
    if let Some(RuleReply { text, typing, quote }) = &rule.reply {
        let text = text.fill(|place| value(place, rule, whose, asked));
        let request = SendRequest::plain(to.clone(), Content::Text { text });
        let reply_to = id.clone().filter(|_| *quote);
        requests.push(SendRequest { typing: *typing, reply_to, ..request });
    }
    if let (Some(other), Some(message)) = (&rule.forward_to, id)
        && !is_chat_of(asked.message, other)
    {
        requests.push(SendRequest::plain(other.clone(), Content::Forward { message }));
    }
    requests
}

/// Whether it is the chat that the message is in.
fn is_chat_of(message: &MessageData, to: &Recipient) -> bool {
    let to = to.jid();
    message.chat == to.as_str() || message.people().iter().any(|one| one == to.user())
}

/// What stands in for a placeholder.
fn value(place: Placeholder, rule: &RuleConfig, whose: Whose<'_>, asked: Asked<'_>) -> String {
    let MessageData { from, text, .. } = asked.message;
    let phone = || from.phone.clone().unwrap_or_default();
    let time =
        |format: &str| local(asked.at, rule.when.time_zone.as_ref()).strftime(format).to_string();
    match place {
        Placeholder::Name => {
            let name = clean(from.name.as_deref().unwrap_or_default(), LONGEST_NAME);
            if name.is_empty() { phone() } else { name }
        }
        Placeholder::Phone => phone(),
        Placeholder::Text => clean(text.as_deref().unwrap_or_default(), LONGEST_TEXT),
        Placeholder::Time => time("%H:%M"),
        Placeholder::Date => time("%Y-%m-%d"),
        Placeholder::Device => whose.label.to_owned(),
    }
}

/// What somebody wrote, on one line and without what turns the text around it.
fn clean(text: &str, most: usize) -> String {
    let turns = |char: char| matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let chars = text.chars().map(|char| if char.is_whitespace() { ' ' } else { char });
    let kept: String =
        chars.filter(|char| !char.is_control() && !turns(*char)).take(most).collect();
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Template;
    use crate::hooks::rule::judge::tests::{at, message};

    fn reply(text: &str) -> RuleConfig {
        let text = Template::parse(text).unwrap();
        RuleConfig {
            reply: Some(RuleReply { text, typing: None, quote: false }),
            ..RuleConfig::new(1)
        }
    }

    fn answered(rule: &RuleConfig, message: &MessageData) -> Vec<SentMessage> {
        let device = DeviceName::parse("toko").unwrap();
        let whose = Whose { device: &device, label: "Toko Maju" };
        let now = at("2026-11-29T07:05:00Z");
        let asked = Asked { message, at: now, now };
        answers(whose, &EventId::derive(&["x"]), asked, std::iter::once(rule))
    }

    fn said(text: &str, message: &MessageData) -> String {
        let sent = answered(&reply(text), message);
        let [SentMessage { request: SendRequest { content: Content::Text { text }, .. }, .. }] =
            &sent[..]
        else {
            panic!("{sent:?}")
        };
        text.clone()
    }

    #[test]
    fn a_reply_says_what_is_known_of_the_message() {
        let mut message = message("berapa harga?");
        message.from.name = Some("Budi \u{202e}\n\u{7}S".to_owned());
        let mut rule = reply("{name} {phone}: {text} {time} {date} {device}");
        rule.when.time_zone = Some(jiff::tz::TimeZone::get("Asia/Jakarta").unwrap());
        let sent = answered(&rule, &message);
        let Content::Text { text } = &sent[0].request.content else { panic!() };
        assert_eq!(text, "Budi  S 628123456789: berapa harga? 14:05 2026-11-29 Toko Maju");
        message.from.name = None;
        assert_eq!(said("{name}", &message), "628123456789");
        message.from.phone = None;
        assert_eq!(said("-{name}{phone}-", &message), "--");
        assert_eq!(said("{text}", &self::message(&"x".repeat(5000))).len(), LONGEST_TEXT);
        assert_eq!(said("{text}", &self::message("{name}")), "{name}", "it is no template");
    }

    #[test]
    fn everything_that_a_rule_sends_has_an_id_that_follows_from_the_event() {
        let mut rule = reply("halo");
        rule.react = Some("👍".to_owned());
        rule.forward_to = Some(Recipient::parse("628999000111", None).unwrap());
        rule.reply.as_mut().unwrap().quote = true;
        let message = message("halo");
        let sent = answered(&rule, &message);
        let ids: Vec<_> = sent.iter().map(|sent| sent.id.clone()).collect();
        let event = EventId::derive(&["x"]);
        let expected: Vec<_> = (0..3).map(|n| MessageId::answer(event.as_str(), n)).collect();
        assert_eq!(ids, expected);
        assert!(
            matches!(&sent[0].request.content, Content::Reaction { emoji, .. } if emoji == "👍")
        );
        assert_eq!(sent[1].request.reply_to, MessageId::parse(&message.id));
        assert!(matches!(&sent[2].request.content, Content::Forward { .. }));
        assert_eq!(sent[2].request.to.jid().user(), "628999000111");
        rule.forward_to = Some(Recipient::parse("628123456789", None).unwrap());
        assert_eq!(answered(&rule, &message).len(), 2, "nobody gets back what they wrote");
    }

    proptest! {
        #[test]
        fn nothing_that_somebody_wrote_breaks_out_of_its_line(text: String) {
            let cleaned = clean(&text, 50);
            prop_assert!(cleaned.chars().count() <= 50);
            let turned = '\u{202e}';
            prop_assert!(!cleaned.chars().any(|char| char.is_control() || char == turned));
        }
    }
}
