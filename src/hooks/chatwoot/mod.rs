//! The bridge to Chatwoot: an endpoint whose events are not posted as they are, but kept in an inbox of type API. It uses
//! the application API, because only there a message can be outgoing and carry a `source_id` by which it is found again:
//! that is how one whose answer was lost is said once.

mod api;
mod contact;
mod content;
mod phones;
mod rows;
mod webhook;

use std::time::Instant;

use bytes::Bytes;
use serde::Deserialize;

use self::api::{Api, Failure, NewMessage};
use self::content::{FileOf, SOURCE, Say, Task, Whom};
pub(crate) use self::phones::{File, NoFile, Phones};
use self::rows::Done;
pub(crate) use self::rows::Rows;
pub(crate) use self::webhook::{Asked, Told, Wanted, is_genuine};
use crate::config::EndpointConfig;
use crate::hooks::attempt::Outcome;
use crate::hooks::backoff::Hint;
use crate::hooks::class::Class;
use crate::hooks::client::Client;
use crate::hooks::fault::Fault;
use crate::knobs::failpoint;
use crate::model::{DeviceName, MessageId, StatusData, UnixMillis};
use crate::store::{EndpointId, Store};

/// The largest file that Chatwoot takes unless it is told otherwise. It is held in memory, one for each endpoint.
const LARGEST: usize = 40 * 1024 * 1024;

/// Whether the event whose JSON is `source` is anything in Chatwoot.
pub(super) fn takes(source: &[u8]) -> bool {
    content::task(source).is_some()
}

/// What the bridge needs for one event.
pub(super) struct Bridge<'a> {
    pub(super) store: &'a Store,
    pub(super) client: &'a Client,
    pub(super) phones: Option<&'a dyn Phones>,
    pub(super) endpoint: &'a EndpointConfig,
    pub(super) id: &'a EndpointId,
}

impl Bridge<'_> {
    /// Brings an event into Chatwoot.
    pub(super) async fn deliver(&self, source: &Bytes) -> Outcome {
        let (at, started) = (UnixMillis::now(), Instant::now());
        let done = self.bring(source).await;
        self.outcome(done, at, started)
    }

    /// Looks whether the inbox is there, and changes nothing.
    pub(super) async fn test(&self) -> Outcome {
        let (at, started) = (UnixMillis::now(), Instant::now());
        let seen = match Api::of(self.client, self.endpoint) {
            Some(mut api) => api.look().await,
            None => Err(no_inbox()),
        };
        self.outcome(seen, at, started)
    }

    async fn bring(&self, source: &Bytes) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Of {
            device: DeviceName,
        }
        let device = serde_json::from_slice::<Of>(source).ok().map(|of| of.device);
        let (Some(device), Some(task)) = (device, content::task(source)) else { return Ok(()) };
        let api = Api::of(self.client, self.endpoint).ok_or_else(no_inbox)?;
        let rows = Rows::of(self.store, &device, self.id);
        let mut errand = Errand { bridge: self, device, api, rows };
        match task {
            Task::Status(status) => errand.status(&status).await,
            other => errand.run(other).await,
        }
    }

    fn outcome(&self, done: Result<(), Failure>, at: UnixMillis, started: Instant) -> Outcome {
        let took = started.elapsed();
        let here = |fault: Fault| Outcome {
            class: Class::Endpoint,
            at,
            took,
            status: None,
            fault: Some(fault),
            hint: Hint::default(),
            answer: Vec::new(),
        };
        match done {
            Ok(()) => Outcome { class: Class::Delivered, fault: None, ..here(Fault::here("")) },
            Err(Failure::Refused(answer)) => {
                let hint = match answer.status.as_u16() {
                    401 => {
                        Some("Chatwoot does not know the token, or its user is not in the account")
                    }
                    403 => Some(
                        "the token's user may not do that, or the inbox is none of the type API",
                    ),
                    404 => {
                        Some("Chatwoot has no such account or inbox, or the URL is not Chatwoot's")
                    }
                    _ => None,
                };
                let outcome = Outcome::of(Ok(answer), at, took, &self.endpoint.url);
                let fault = outcome.fault.map(|fault| match hint {
                    Some(hint) => fault.with(hint),
                    None => fault,
                });
                Outcome { fault, ..outcome }
            }
            Err(Failure::NoAnswer(error)) => Outcome::of(Err(error), at, took, &self.endpoint.url),
            Err(Failure::Unreadable(what)) => here(Fault::unreadable(what)),
            Err(Failure::Here(what)) => here(Fault::here(what)),
        }
    }
}

fn no_inbox() -> Failure {
    Failure::Here("moonwa.toml does not name the inbox".to_owned())
}

/// One event on its way.
struct Errand<'a> {
    bridge: &'a Bridge<'a>,
    device: DeviceName,
    api: Api<'a>,
    rows: Rows,
}

impl Errand<'_> {
    async fn run(&mut self, task: Task) -> Result<(), Failure> {
        match task {
            Task::Say(say) => self.say(*say).await,
            Task::Remove { whom, id } => self.remove(whom.as_ref(), &id).await,
            Task::Status(_) => Ok(()),
        }
    }

    /// Has a message in Chatwoot once.
    async fn say(&mut self, say: Say) -> Result<(), Failure> {
        let source = format!("{SOURCE}{}", if say.whole { &say.id } else { &say.key });
        if let Some(tried) = self.rows.tried(&say.key).await? {
            if tried.message.is_some() {
                return Ok(());
            }
            // Its answer was lost: Chatwoot may have it, and says so.
            let there = self.api.find_message(tried.conversation, &source, tried.after).await;
            match there {
                Ok(Some(message)) => return self.done(&say, tried.conversation, message).await,
                Err(error) if !error.is_status(404) => return Err(error),
                // It is not there, or its conversation is not.
                Ok(None) | Err(_) => {}
            }
        }
        let answers = match &say.about {
            Some(id) => self.rows.place(id).await?,
            None => None,
        };
        let (text, file) = self.with_file(&say).await?;
        let mut message = NewMessage { text, incoming: say.incoming, source, answers: None, file };
        // A conversation that was deleted in Chatwoot is made anew, once.
        let mut anew = true;
        loop {
            let phones = self.bridge.phones;
            let found =
                contact::conversation(&mut self.api, &self.rows, phones, &self.device, &say.whom);
            let (number, conversation) = Box::pin(found).await?;
            // An answer to a message in another conversation would be refused.
            message.answers =
                answers.filter(|place| place.conversation == number).map(|place| place.message);
            self.rows.begin(&say.key, number, conversation.last).await?;
            failpoint("chatwoot.begun");
            match self.api.make_message(number, &message).await {
                Err(gone) if anew && gone.is_status(404) => {
                    anew = false;
                    self.rows.forget(number, &say.whom.addresses).await?;
                }
                made => {
                    failpoint("chatwoot.made");
                    return self.done(&say, number, made?).await;
                }
            }
        }
    }

    async fn done(&mut self, say: &Say, conversation: u64, message: u64) -> Result<(), Failure> {
        let id = say.whole.then(|| say.id.clone());
        let unread = say.incoming && say.whole;
        self.rows.done(&say.key, Done { conversation, message, id, unread }).await?;
        failpoint("chatwoot.done");
        Ok(())
    }

    /// The text of a message, and its file if that can be had.
    async fn with_file(&mut self, say: &Say) -> Result<(String, Option<(String, File)>), Failure> {
        let Some(FileOf { message, kind, link }) = &say.file else {
            return Ok((say.text.clone(), None));
        };
        let file = match self.bridge.phones {
            Some(phones) => phones.file(&self.device, message, LARGEST).await,
            None => Err(NoFile::Never("it cannot be had".to_owned())),
        };
        match file {
            Ok(file) => {
                let name = content::file_name(file.name.as_deref(), kind, file.mime.as_deref());
                Ok((say.text.clone(), Some((name, file))))
            }
            Err(NoFile::Later(why)) => Err(Failure::Here(format!("the file of a message: {why}"))),
            Err(NoFile::Never(why)) => {
                let instead = content::instead(kind, &why, link.as_deref());
                let lines = [instead, say.text.clone()];
                Ok((lines.join("\n").trim_end().to_owned(), None))
            }
        }
    }

    /// Deletes a message in Chatwoot. What Chatwoot does not have needs no deleting.
    async fn remove(&mut self, whom: Option<&Whom>, id: &str) -> Result<(), Failure> {
        let Some(place) = self.rows.place(id).await? else { return Ok(()) };
        if let Some(whom) = whom {
            // An id is no secret, and nobody deletes what is in another chat.
            let own = self.rows.conversation_of(&whom.addresses).await?;
            if own.is_none_or(|(number, _)| number != place.conversation) {
                return Ok(());
            }
        }
        match self.api.remove_message(place.conversation, place.message).await {
            Err(error) if !error.is_status(404) => Err(error),
            _ => Ok(()),
        }
    }

    /// Says how far a message got; one that Chatwoot does not know yet is shown there first.
    async fn status(&mut self, status: &StatusData) -> Result<(), Failure> {
        if self.rows.place(&status.id).await?.is_none() {
            let tried = self.rows.tried(&format!("sent/{}", status.id)).await?;
            let shown = tried.is_some_and(|tried| tried.message.is_some());
            let Some(id) = MessageId::parse(&status.id).filter(|_| !shown) else { return Ok(()) };
            let message = self.bridge.store.queue().get(&self.device, &id).await?;
            let Some(task) = message.as_ref().and_then(content::sent) else { return Ok(()) };
            let removes = matches!(task, Task::Remove { .. });
            self.run(task).await?;
            if removes {
                self.rows.hide(&status.id).await?;
            }
        }
        let word = match status.status.as_str() {
            "delivered" => "delivered",
            "read" | "played" => "read",
            "failed" => "failed",
            // Chatwoot takes every new message for sent.
            _ => return Ok(()),
        };
        let Some(place) = self.rows.place(&status.id).await? else { return Ok(()) };
        let code = status.code.as_deref().filter(|_| word == "failed");
        match self.api.mark_message(place.conversation, place.message, word, code).await {
            Err(error) if !error.is_status(404) => Err(error),
            _ => Ok(()),
        }
    }
}
