//! What a device does on a command, which comes from a person through the API or the page, or from the file. Every
//! command is answered, and none is waited for here.

use std::sync::Arc;

use tokio::time::Instant;

use super::actor::Device;
use super::notice::{Answer, DeviceCommand, Notice, Pairing};
use super::phase::{Phase, Rest, Then};
use crate::model::{Disconnect, LoggedOut, Pending, PhoneNumber, Stop, Trouble, UnixMillis};
use crate::whatsapp::error::WhatsAppError;

impl Device {
    pub(crate) fn obey(&mut self, command: DeviceCommand) {
        match command {
            DeviceCommand::Start(answer) => {
                let outcome = self.start();
                self.replies.push((answer, outcome));
            }
            DeviceCommand::Stop(answer) => {
                self.stop_by_user();
                self.waiting.push(answer);
            }
            DeviceCommand::Reconnect(answer) => {
                let outcome = self.reconnect();
                self.replies.push((answer, outcome));
            }
            DeviceCommand::Logout(answer) => {
                self.logout();
                self.waiting.push(answer);
            }
            DeviceCommand::PairCode(phone, answer) => self.pair_code(phone, answer),
            DeviceCommand::PasskeyResponse(assertion, id, answer) => {
                self.passkey(Some((assertion, id)), answer);
            }
            DeviceCommand::PasskeyConfirm(answer) => self.passkey(None, answer),
            DeviceCommand::Enable(enabled) => self.enable(enabled),
            DeviceCommand::Reroute => self.reroute(),
            DeviceCommand::Quit => {}
        }
    }

    fn start(&mut self) -> Result<(), WhatsAppError> {
        if !self.enabled {
            return Err(WhatsAppError::Disabled);
        }
        // A person who presses START does not want to wait for the next retry.
        if let Phase::Waiting(due, _) = &mut self.phase {
            *due = Instant::now();
        }
        if self.rests() {
            self.backoff.reset();
            let effort = self.effort(Disconnect::Asked);
            self.head_for(Then::Open(effort));
        }
        Ok(())
    }

    fn stop_by_user(&mut self) {
        match (self.rests(), self.linked) {
            (false, true) => self.rest(Rest::Stopped(Stop::ByUser)),
            (false, false) => self.rest(Rest::Pending(Pending::Cancelled)),
            (true, _) => {}
        }
    }

    fn reconnect(&mut self) -> Result<(), WhatsAppError> {
        if !self.linked {
            return Err(WhatsAppError::NotConnected);
        }
        if self.rests() {
            return self.start();
        }
        self.backoff.reset();
        self.drop_connection(Disconnect::Asked);
        Ok(())
    }

    fn reroute(&mut self) {
        if !self.rests() {
            self.backoff.reset();
            self.drop_connection(Disconnect::Asked);
        }
    }

    fn logout(&mut self) {
        if !self.linked {
            return self.stop_by_user();
        }
        if let Some(current) = self.phase.current() {
            current.link.say_farewell();
        } else {
            tracing::warn!(
                device = %self.context.name,
                "Logged out while WhatsApp was not connected: the phone lists the device until it is removed there."
            );
        }
        self.forget(LoggedOut::ByUser);
    }

    fn enable(&mut self, enabled: bool) {
        if self.enabled == enabled {
            return;
        }
        self.enabled = enabled;
        if !enabled {
            self.rest(Rest::Stopped(Stop::Disabled));
        } else if self.linked {
            drop(self.start());
        } else {
            self.rest(Rest::Pending(Pending::NotStarted));
        }
    }

    fn pair_code(&mut self, phone: PhoneNumber, answer: Answer) {
        if self.linked {
            return self.replies.push((answer, Err(WhatsAppError::AlreadyLinked)));
        }
        if let Err(error) = self.start() {
            return self.replies.push((answer, Err(error)));
        }
        if let Some(linkage) = self.phase.linkage() {
            linkage.codes.pair_code = None;
            linkage.codes.trouble = None;
            linkage.pair = Some(Pairing { phone, answer: Some(answer) });
        }
        self.ask_pair_code();
    }

    /// WhatsApp takes the request once it has offered QR codes on this connection.
    pub(crate) fn ask_pair_code(&self) {
        let Phase::Linking(current, linkage) = &self.phase else { return };
        let client = current.client.clone().filter(|_| current.qr_seen);
        let (Some(client), Some(Pairing { phone, .. })) = (client, &linkage.pair) else { return };
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

    pub(crate) fn refuse_pair_code(&mut self, error: WhatsAppError, why: String) {
        tracing::warn!(device = %self.context.name, error = %why, "WhatsApp refused the pair code.");
        if let Some(linkage) = self.phase.linkage() {
            linkage.codes.pair_code = None;
            linkage.codes.trouble = Some(Trouble::PairCodeRefused(why));
        }
        self.end_pairing(Err(error));
    }

    /// No further pair code is wanted.
    pub(crate) fn end_pairing(&mut self, outcome: Result<(), WhatsAppError>) {
        let pairing = self.phase.linkage().and_then(|linkage| linkage.pair.take());
        let answer = pairing.and_then(|pairing| pairing.answer);
        self.replies.extend(answer.map(|answer| (answer, outcome)));
    }

    fn passkey(&mut self, assertion: Option<(String, String)>, answer: Answer) {
        let client = match &self.phase {
            Phase::Linking(current, linkage) if linkage.codes.passkey.is_some() => {
                current.client.clone()
            }
            _ => None,
        };
        let Some(client) = client else {
            return self.replies.push((answer, Err(WhatsAppError::NotAsked)));
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
}
