//! What a device does when it is told to: by a person through the API or the page, or by the file. Every command is
//! answered; none is waited for here.

use std::sync::Arc;

use super::{Command, Device, Erasure, Reply, Wish};
use crate::model::{
    DeviceState, Disconnect, Linking, LoggedOut, Pending, PhoneNumber, Stop, UnixMillis,
};
use crate::whatsapp::WhatsAppError;
use crate::whatsapp::link::Signal;

impl Device {
    pub(crate) fn obey(&mut self, command: Command) {
        match command {
            Command::Start(reply) => drop(reply.send(self.start())),
            Command::Stop(reply) => {
                self.stop_by_user();
                self.when_down(reply);
            }
            Command::Reconnect(reply) => drop(reply.send(self.reconnect())),
            Command::Logout(reply) => {
                self.logout();
                self.when_down(reply);
            }
            Command::PairCode(phone, reply) => self.pair_code(phone, reply),
            Command::PasskeyResponse(assertion, id, reply) => {
                self.passkey(Some((assertion, id)), reply);
            }
            Command::PasskeyConfirm(reply) => self.passkey(None, reply),
            Command::Enable(enabled) => self.enable(enabled),
            Command::Quit => {}
        }
    }

    fn start(&mut self) -> Result<(), WhatsAppError> {
        if !self.enabled {
            return Err(WhatsAppError::Disabled);
        }
        // A person who presses START does not want to wait for the ladder.
        self.retry = None;
        if matches!(self.wish, Wish::Down) {
            self.wish = Wish::Up;
            self.again = true;
            self.why = Disconnect::Asked;
            self.backoff.reset();
            self.show_waiting(UnixMillis::now());
        }
        Ok(())
    }

    fn stop_by_user(&mut self) {
        match (&self.wish, self.linked) {
            (Wish::Up, true) => self.rest(DeviceState::Stopped(Stop::ByUser)),
            (Wish::Up, false) => self.rest(DeviceState::Pending(Pending::Cancelled)),
            (Wish::Down, _) => {}
        }
    }

    fn reconnect(&mut self) -> Result<(), WhatsAppError> {
        if !self.linked {
            return Err(WhatsAppError::NotConnected);
        }
        if matches!(self.wish, Wish::Up) {
            self.backoff.reset();
            self.drop_connection(Disconnect::Asked);
            return Ok(());
        }
        self.start()
    }

    fn logout(&mut self) {
        if !self.linked {
            return self.stop_by_user();
        }
        if let Some(current) = &self.current {
            current.link.say_farewell();
        } else {
            tracing::warn!(
                device = %self.parts.name,
                "Logged out while WhatsApp was not connected: the phone lists the device until it is removed there."
            );
        }
        self.forget(DeviceState::LoggedOut(LoggedOut::ByUser));
    }

    fn enable(&mut self, enabled: bool) {
        if self.enabled == enabled {
            return;
        }
        self.enabled = enabled;
        if !enabled {
            self.rest(DeviceState::Stopped(Stop::Disabled));
        } else if self.linked {
            drop(self.start());
        } else {
            self.rest(DeviceState::Pending(Pending::NotStarted));
        }
    }

    fn pair_code(&mut self, phone: PhoneNumber, reply: Reply) {
        if self.linked {
            return drop(reply.send(Err(WhatsAppError::AlreadyLinked)));
        }
        if let Err(error) = self.start() {
            return drop(reply.send(Err(error)));
        }
        self.pair = Some((phone, reply));
        self.ask_pair_code();
    }

    /// WhatsApp takes the request once it has offered QR codes on this connection.
    pub(crate) fn ask_pair_code(&mut self) {
        let offered = self.current.as_ref().filter(|current| current.qr_seen);
        let client = offered.and_then(|current| current.client.clone());
        let (Some(client), Some((phone, _))) = (client, &self.pair) else { return };
        let (parts, generation) = (Arc::clone(&self.parts), self.generation);
        let options = wa_rs::pair_code::PairCodeOptions {
            phone_number: phone.as_str().to_owned(),
            ..Default::default()
        };
        self.parts.tasks.spawn("pair code", async move {
            // A new request means that the old code is not wanted any more.
            client.cancel_pair_code().await;
            let outcome =
                client.pair_with_code(options).await.map(drop).map_err(|error| {
                    match error.backoff() {
                        Some(wait) => WhatsAppError::TooFast(Some(UnixMillis::now().after(wait))),
                        None => WhatsAppError::Refused(error.to_string()),
                    }
                });
            drop(parts.signals.send((generation, Signal::PairCodeAsked(outcome))));
        });
    }

    fn passkey(&mut self, answer: Option<(String, String)>, reply: Reply) {
        let asked = match self.parts.status.state() {
            DeviceState::Linking(Linking { passkey: Some(_), .. }) => self.client(),
            _ => None,
        };
        let Some(client) = asked else {
            return drop(reply.send(Err(WhatsAppError::NotAsked)));
        };
        self.parts.tasks.spawn("passkey", async move {
            let outcome = match answer {
                Some((assertion, id)) => {
                    let credential_id =
                        data_encoding::BASE64URL_NOPAD.decode(id.trim_end_matches('=').as_bytes());
                    match credential_id {
                        Ok(credential_id) => {
                            let assertion_json = assertion.into_bytes();
                            let assertion =
                                wa_rs::passkey::Assertion { assertion_json, credential_id };
                            client.send_passkey_response(assertion).await
                        }
                        Err(error) => {
                            let refused = format!("credential_id: {error}");
                            return drop(reply.send(Err(WhatsAppError::Refused(refused))));
                        }
                    }
                }
                None => client.send_passkey_confirmation().await,
            };
            let outcome = outcome.map_err(|error| WhatsAppError::Refused(error.to_string()));
            drop(reply.send(outcome));
        });
    }

    /// Answers once no client runs and nothing is left to erase.
    fn when_down(&mut self, reply: Reply) {
        self.waiting.push(reply);
        if self.current.is_none() && self.erasure == Erasure::No {
            self.answer_waiting();
        }
    }
}
