//! What a device does on a command, which comes from a person through the API or the page, or from the file. Every
//! command is answered, and none is waited for here.

use std::sync::Arc;

use super::actor::{Device, Erasure, Wish};
use super::command::{Answer, DeviceCommand, Pairing};
use super::notice::Notice;
use crate::model::{DeviceState, Disconnect, LoggedOut, Pending, PhoneNumber, Stop, UnixMillis};
use crate::whatsapp::error::WhatsAppError;

impl Device {
    pub(crate) fn obey(&mut self, command: DeviceCommand) {
        match command {
            DeviceCommand::Start(answer) => drop(answer.send(self.start())),
            DeviceCommand::Stop(answer) => {
                self.stop_by_user();
                self.when_down(answer);
            }
            DeviceCommand::Reconnect(answer) => drop(answer.send(self.reconnect())),
            DeviceCommand::Logout(answer) => {
                self.logout();
                self.when_down(answer);
            }
            DeviceCommand::PairCode(phone, answer) => self.pair_code(phone, answer),
            DeviceCommand::PasskeyResponse(assertion, id, answer) => {
                self.passkey(Some((assertion, id)), answer);
            }
            DeviceCommand::PasskeyConfirm(answer) => self.passkey(None, answer),
            DeviceCommand::Enable(enabled) => self.enable(enabled),
            DeviceCommand::Quit => {}
        }
    }

    fn start(&mut self) -> Result<(), WhatsAppError> {
        if !self.enabled {
            return Err(WhatsAppError::Disabled);
        }
        // A person who presses START does not want to wait for the next retry.
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
                device = %self.context.name,
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

    fn pair_code(&mut self, phone: PhoneNumber, answer: Answer) {
        if self.linked {
            return drop(answer.send(Err(WhatsAppError::AlreadyLinked)));
        }
        if let Err(error) = self.start() {
            return drop(answer.send(Err(error)));
        }
        self.linking.pair_code = None;
        self.linking.trouble = None;
        self.pair = Some(Pairing { phone, answer: Some(answer) });
        self.show_linking();
        self.ask_pair_code();
    }

    /// WhatsApp takes the request once it has offered QR codes on this connection.
    pub(crate) fn ask_pair_code(&mut self) {
        let offered = self.current.as_ref().filter(|current| current.qr_seen);
        let client = offered.and_then(|current| current.client.clone());
        let (Some(client), Some(Pairing { phone, .. })) = (client, &self.pair) else { return };
        let (context, generation) = (Arc::clone(&self.context), self.generation);
        let options = wa_rs::pair_code::PairCodeOptions {
            phone_number: phone.as_str().to_owned(),
            ..Default::default()
        };
        self.context.tasks.spawn("pair code", async move {
            // A new request means that the old code is no longer wanted.
            client.cancel_pair_code().await;
            let outcome = match client.pair_with_code(options).await {
                Ok(_) => Ok(()),
                // Another request took its place and is answered by itself.
                Err(error) if error.lost_the_flow_to_another_request() => return,
                Err(error) => Err(match error.backoff() {
                    Some(wait) => WhatsAppError::TooFast(Some(UnixMillis::now().after(wait))),
                    None => WhatsAppError::Refused(error.to_string()),
                }),
            };
            drop(context.notices.send((generation, Notice::PairCodeAsked(outcome))));
        });
    }

    fn passkey(&mut self, assertion: Option<(String, String)>, answer: Answer) {
        let asked = self.linking.passkey.as_ref().and_then(|_step| self.client());
        let Some(client) = asked else {
            return drop(answer.send(Err(WhatsAppError::NotAsked)));
        };
        let (context, generation) = (Arc::clone(&self.context), self.generation);
        self.context.tasks.spawn("passkey", async move {
            let outcome = match assertion {
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
                            return drop(answer.send(Err(WhatsAppError::Refused(refused))));
                        }
                    }
                }
                None => client.send_passkey_confirmation().await,
            };
            let outcome = outcome.map_err(|error| {
                let failed = Notice::PasskeyFailed(error.to_string());
                drop(context.notices.send((generation, failed)));
                WhatsAppError::Refused(error.to_string())
            });
            drop(answer.send(outcome));
        });
    }

    /// Answers once no client runs and nothing is left to erase.
    fn when_down(&mut self, answer: Answer) {
        self.waiting.push(answer);
        if self.current.is_none() && self.erasure == Erasure::No {
            self.answer_waiting();
        }
    }
}
