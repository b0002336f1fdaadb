//! What GOWA was told when it was started: in its environment or in flags, as `.env` files, systemd units, Compose files
//! and scripts write them. None of them is run: what a shell would put together stays as it is written, and is told.

use std::iter::Peekable;
use std::str::Chars;

use super::settings::{ForeignHook, ForeignSettings};
use crate::model::Secret;

/// A setting of GOWA's: its flags, and its variable.
type Setting = (&'static [&'static str], &'static str);

const WEBHOOK: Setting = (&["--webhook", "-w"], "WHATSAPP_WEBHOOK");
const SECRET: Setting = (&["--webhook-secret"], "WHATSAPP_WEBHOOK_SECRET");
const EVENTS: Setting = (&["--webhook-events"], "WHATSAPP_WEBHOOK_EVENTS");

/// What GOWA signs with where nobody has chosen a secret.
const OWN_SECRET: &str = "secret";

const BY_RECEIVER: &str = "has no counterpart: the receiver of the webhook does that";

/// What is no webhook, the value that changes nothing, and what takes its place here.
const OTHERS: &[(Setting, &str, &str)] = &[
    ((&["--autoreply"], "WHATSAPP_AUTO_REPLY"), "", BY_RECEIVER),
    ((&["--auto-mark-read"], "WHATSAPP_AUTO_MARK_READ"), "false", BY_RECEIVER),
    ((&["--auto-reject-call"], "WHATSAPP_AUTO_REJECT_CALL"), "false", BY_RECEIVER),
    (
        (&["--basic-auth", "-b"], "APP_BASIC_AUTH"),
        "",
        "has no counterpart: with faces = [\"gowa\"] the password is the device's key, whatever the name",
    ),
    (
        (&["--webhook-insecure-skip-verify"], "WHATSAPP_WEBHOOK_INSECURE_SKIP_VERIFY"),
        "false",
        "has no counterpart: moonwa posts to nobody whose certificate is wrong",
    ),
    (
        (&["--presence-on-connect"], "WHATSAPP_PRESENCE_ON_CONNECT"),
        "unavailable",
        "was left out: presence = \"available\" is its like",
    ),
    (
        (&["--base-path"], "APP_BASE_PATH"),
        "",
        "was left out: base_path below [server] is its like, for all devices",
    ),
    (
        (&["--chatwoot-enabled"], "CHATWOOT_ENABLED"),
        "false",
        "has no counterpart: Chatwoot can be given a webhook of moonwa's by a program between",
    ),
];

/// The settings in a text; `None` when GOWA is told nothing there.
pub(super) fn settings(text: &str) -> Option<ForeignSettings> {
    let text: Vec<_> = text.lines().map(whole_list).collect();
    let text = text.join("\n");
    let told = Told(Words(text.chars().peekable()).collect());
    let mut settings = ForeignSettings::default();
    let is_known = |value: &str| !value.contains(['$', '`']);
    let secret = told.last(SECRET).unwrap_or_else(|| OWN_SECRET.to_owned());
    let secret = is_known(&secret).then(|| Secret::new(secret));
    let events = told.list(EVENTS);
    for url in told.list(WEBHOOK) {
        if !is_known(&url) {
            settings
                .notes
                .push(format!("The webhook {url} is put together elsewhere: write it here"));
            continue;
        }
        if !url.starts_with("http") {
            continue;
        }
        let hook = ForeignHook {
            url,
            secret: secret.clone(),
            format: Some("gowa"),
            ..ForeignHook::default()
        };
        settings.hook(hook, events.iter().map(String::as_str));
    }
    if secret.is_none() && !settings.hooks.is_empty() {
        let note = "The secret is put together elsewhere: write it into a file, and secret = { file = … } beside the url";
        settings.notes.push(note.to_owned());
    }
    for (setting, usual, instead) in OTHERS {
        if told.last(*setting).is_some_and(|value| value != *usual) {
            settings.notes.push(format!("{} {instead}", setting.1));
        }
    }
    (!settings.hooks.is_empty() || !settings.notes.is_empty()).then_some(settings)
}

/// A line with which a list is set; in `.env` files it may have blanks without quotes around it.
fn whole_list(line: &str) -> String {
    let set = line.trim_start_matches(['-', ' ', '\t']);
    let set = set.strip_prefix("export ").unwrap_or(set);
    let is_list = [WEBHOOK, EVENTS].iter().any(|(_, variable)| {
        set.strip_prefix(variable).is_some_and(|rest| rest.starts_with(['=', ':']))
    });
    if is_list { line.replace(", ", ",") } else { line.to_owned() }
}

/// The words of a text.
struct Told(Vec<String>);

impl Told {
    /// The values of a setting: flags win over the environment, and the last one of a variable counts.
    fn all(&self, (flags, variable): Setting) -> Vec<String> {
        let after = |place: usize| self.0.get(place + 1).cloned();
        // A flag that is only there.
        let yes = || "true".to_owned();
        let by_flag = self.0.iter().enumerate().filter_map(|(place, word)| {
            let (name, value) = word.split_once('=').map_or((&**word, None), |(n, v)| (n, Some(v)));
            if !flags.contains(&name) {
                return None;
            }
            let value = match value {
                Some(value) => value.to_owned(),
                None => after(place).filter(|next| !next.starts_with('-')).unwrap_or_else(yes),
            };
            // Other programs in a script have the short ones too, for something else.
            (name.len() > 2 || value.contains([':', '$'])).then_some(value)
        });
        let by_flag: Vec<_> = by_flag.collect();
        if !by_flag.is_empty() {
            return by_flag;
        }
        let mut by_variable = self.0.iter().enumerate().filter_map(|(place, word)| {
            let word = word.strip_prefix("Environment=").unwrap_or(word);
            let rest = word.strip_prefix(variable)?;
            match rest.strip_prefix('=') {
                Some(value) => Some(value.to_owned()),
                // YAML.
                None if rest == ":" => after(place),
                None => None,
            }
        });
        by_variable.next_back().into_iter().collect()
    }

    fn last(&self, setting: Setting) -> Option<String> {
        self.all(setting).pop().filter(|value| !value.is_empty())
    }

    fn list(&self, setting: Setting) -> Vec<String> {
        let all = self.all(setting).join(",");
        let parts = all.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }
}

/// The words of a text as shells, systemd and YAML agree on them: between blanks and brackets, in quotes or not; what
/// follows a `#` at a word's beginning is none.
struct Words<'a>(Peekable<Chars<'a>>);

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.skip();
        self.0.peek()?;
        let (mut word, mut quote) = (String::new(), None);
        while let Some(&next) = self.0.peek() {
            if quote.is_none() && (next.is_whitespace() || matches!(next, '[' | ']')) {
                break;
            }
            self.0.next();
            match next {
                '"' | '\'' if quote == Some(next) => quote = None,
                // Within a word it is an apostrophe.
                '"' | '\'' if quote.is_none() && (word.is_empty() || word.ends_with('=')) => {
                    quote = Some(next);
                }
                '\\' if quote != Some('\'') => match self.0.next() {
                    // The line goes on.
                    Some('\n') | None => {}
                    Some(escaped) => word.push(escaped),
                },
                // Between the entries of a list; within a word it is one's own.
                ',' if quote.is_none()
                    && self.0.peek().is_none_or(|c| c.is_whitespace() || *c == ']') => {}
                other => word.push(other),
            }
        }
        Some(word)
    }
}

impl Words<'_> {
    /// Goes to where the next word begins.
    fn skip(&mut self) {
        while let Some(&next) = self.0.peek() {
            match next {
                '#' => while self.0.next().is_some_and(|c| c != '\n') {},
                '\\' => {
                    // Only the end of a line may be hidden before a word.
                    let mut ahead = self.0.clone();
                    ahead.next();
                    if !ahead.next().is_none_or(char::is_whitespace) {
                        return;
                    }
                    self.0.next();
                }
                '[' | ']' => drop(self.0.next()),
                blank if blank.is_whitespace() => drop(self.0.next()),
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(text: &str) -> Vec<(String, Option<String>, Vec<&'static str>)> {
        let read = settings(text).unwrap_or_default();
        let hook = |hook: ForeignHook| {
            let secret = hook.secret.map(|secret| secret.expose().to_owned());
            (hook.url, secret, hook.events.into_iter().collect())
        };
        read.hooks.into_iter().map(hook).collect()
    }

    fn notes(text: &str) -> Vec<String> {
        settings(text).unwrap_or_default().notes
    }

    #[test]
    fn the_same_settings_are_read_wherever_they_stand() {
        let expected: Vec<_> = ["http://a/wa", "http://b/wa?x=1&y=2"]
            .map(|url| {
                let events = vec!["message.received", "message.sent", "message.status"];
                (url.to_owned(), Some("rahasia, panjang".to_owned()), events)
            })
            .into();
        for text in [
            // .env
            "# webhooks\nWHATSAPP_WEBHOOK=\"http://a/wa, http://b/wa?x=1&y=2\"\n\
             export WHATSAPP_WEBHOOK_SECRET='rahasia, panjang'\nWHATSAPP_WEBHOOK_EVENTS=message,message.ack\n",
            // A unit of systemd
            "[Service]\nEnvironment=\"WHATSAPP_WEBHOOK_SECRET=rahasia, panjang\" APP_PORT=3000\n\
             ExecStart=/usr/local/bin/whatsapp rest --webhook=http://a/wa \\\n  --webhook 'http://b/wa?x=1&y=2' \
             --webhook-events \"message,message.ack\"\nRestart=always\n",
            // Compose, its command as a text
            "services:\n  gowa:\n    environment:\n      WHATSAPP_WEBHOOK_SECRET: \"rahasia, panjang\" # signs\n    command:\n\
             \x20     - rest\n      - -w=\"http://a/wa,http://b/wa?x=1&y=2\"\n      - --webhook-events=message,message.ack\n",
            // Compose, its command as a list; the flag wins over the variable
            "    environment:\n      - WHATSAPP_WEBHOOK=http://old/wa\n      - WHATSAPP_WEBHOOK_SECRET=rahasia, panjang\n\
             command: [\"rest\", \"--webhook\", \"http://a/wa,http://b/wa?x=1&y=2\", \"--webhook-secret\", \"rahasia, panjang\", \
             \"--webhook-events\", \"message,message.ack\"]\n",
            // A script
            "#!/bin/sh\ndocker run -d -e WHATSAPP_WEBHOOK='http://a/wa,http://b/wa?x=1&y=2' \\\n  -e WHATSAPP_WEBHOOK_SECRET=rahasia\\,\\ panjang \\\n\
             \x20 -e WHATSAPP_WEBHOOK_EVENTS=message,message.ack -w /app aldinokemal2104/go-whatsapp-web-multidevice rest\n",
            // .env without quotes
            "WHATSAPP_AUTO_REPLY=\nWHATSAPP_WEBHOOK=http://a/wa, http://b/wa?x=1&y=2\nAPP_OS=Ann's\n\
             WHATSAPP_WEBHOOK_EVENTS=message, message.ack\nWHATSAPP_WEBHOOK_SECRET=\"rahasia, panjang\"\n",
        ] {
            assert_eq!(hooks(text), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_counterpart_is_told_without_its_secrets() {
        let said = notes(
            "ExecStart=gowa rest -b=ann:kunci,bob:kunci2 --autoreply \"Jangan balas\" --auto-mark-read=false \
             --presence-on-connect=available --webhook-insecure-skip-verify --base-path /wa",
        );
        let names = [
            "WHATSAPP_AUTO_REPLY",
            "APP_BASIC_AUTH",
            "WHATSAPP_WEBHOOK_INSECURE_SKIP_VERIFY",
            "WHATSAPP_PRESENCE_ON_CONNECT",
            "APP_BASE_PATH",
        ];
        assert_eq!(said.len(), names.len(), "{said:?}");
        for (note, name) in said.iter().zip(names) {
            assert!(note.starts_with(name) && !note.contains("kunci"), "{note}");
        }
        // What a shell would put in is not known here.
        let text = "WHATSAPP_WEBHOOK=http://a/wa,${HOOK} WHATSAPP_WEBHOOK_SECRET=$SECRET";
        assert_eq!(hooks(text), [("http://a/wa".to_owned(), None, vec!["*"])]);
        assert_eq!(notes(text).len(), 2);
    }

    #[test]
    fn whoever_sets_no_secret_has_gowas_own() {
        let own = [("http://a/wa".to_owned(), Some("secret".to_owned()), vec!["*"])];
        assert_eq!(hooks("WHATSAPP_WEBHOOK=http://a/wa\n"), own);
        assert_eq!(hooks("WHATSAPP_WEBHOOK=\nWHATSAPP_WEBHOOK_SECRET=x"), []);
        for nothing in ["", "#", "\\", "'", "--webhook", "services:\n  db:\n    image: x\n"] {
            assert!(settings(nothing).is_none(), "{nothing}");
        }
    }
}
