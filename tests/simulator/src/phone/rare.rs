//! What a phone does now and then: it votes, calls, sends what only phones may open, and uploads a file again that the
//! media host has thrown away.

use anyhow::{Context as _, Result, ensure};
use buffa::{Message as _, MessageField};
use serde_json::{Value, json};
use wacore::crypto::hkdf_sha256_into;
use wacore::media_retry::decrypt_media_retry_notification;
use wacore::poll;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};
use wacore_libsignal::crypto::aes_256_gcm_encrypt;
use waproto::whatsapp as wa;

use crate::fault::Fault;
use crate::media::path_of;
use crate::util::{child_bytes, empty, jid, leaf, message_id, now, random, server, text};
use crate::world::{Address, World};
use crate::{Phone, Simulator};

/// With what an answer to a poll or an event is sealed, and the key that names what it answers.
struct Sealing {
    secret: Vec<u8>,
    creator: String,
    answerer: String,
    key: wa::MessageKey,
}

impl World {
    /// The message a phone knows by that id, and who wrote it.
    fn known(&self, pn: &str, id: &str) -> Option<(String, wa::Message)> {
        let phone = &self.accounts.get(pn)?.phone;
        let received =
            phone.inbox.iter().rev().find_map(|item| item.message().filter(|m| m.id == id));
        match received {
            Some(found) => Some((found.from.clone(), found.message.clone())),
            None => phone.sent.get(id).map(|sent| (pn.to_owned(), sent.message.clone())),
        }
    }

    /// With what a phone seals its answer to a poll or an event that it knows.
    fn sealing(&self, pn: &str, chat: &str, id: &str) -> Result<Sealing> {
        let (author, asked) = self.known(pn, id).context("the phone knows no such message")?;
        let secret = asked.message_context_info.as_option().and_then(|c| c.message_secret.clone());
        let secret = secret.context("it came without its secret")?;
        let answerer = self.accounts.get(pn).context("no such phone")?;
        let creator = self.accounts.get(&author).context("no such author")?;
        let group = self.groups.get(chat).map(crate::group::GroupState::jid);
        let form = if group.is_some() { Server::Lid } else { answerer.server() };
        let (creator, answerer) = (creator.jid(form).to_string(), answerer.jid(form).to_string());
        let remote = match &group {
            Some(group) => group.clone(),
            None => self.accounts.get(chat).context("no such chat")?.jid(form),
        };
        let key = wa::MessageKey {
            remote_jid: Some(remote.to_string()),
            from_me: Some(author == pn),
            id: Some(id.to_owned()),
            participant: group.is_some().then(|| creator.clone()),
        };
        Ok(Sealing { secret, creator, answerer, key })
    }

    /// The vote of a phone on a poll it knows, sealed as the poll's own secret asks.
    fn vote_message(&self, pn: &str, chat: &str, id: &str, chosen: &[&str]) -> Result<wa::Message> {
        let Sealing { secret, creator, answerer, key } = self.sealing(pn, chat, id)?;
        let hashes: Vec<Vec<u8>> =
            chosen.iter().map(|name| poll::compute_option_hash(name).to_vec()).collect();
        let (payload, iv) =
            poll::encrypt_poll_vote_with_secret(&hashes, &secret, id, &creator, &answerer)?;
        Ok(wa::Message {
            poll_update_message: MessageField::some(wa::message::PollUpdateMessage {
                poll_creation_message_key: MessageField::some(key),
                vote: MessageField::some(wa::message::PollEncValue {
                    enc_payload: Some(payload),
                    enc_iv: Some(iv.to_vec()),
                }),
                sender_timestamp_ms: i64::try_from(now() * 1000).ok(),
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    /// What a phone says to an event it knows, sealed as the event's own secret asks.
    fn response_message(
        &self,
        pn: &str,
        chat: &str,
        id: &str,
        said: &wa::message::EventResponseMessage,
    ) -> Result<wa::Message> {
        let Sealing { secret, creator, answerer, key } = self.sealing(pn, chat, id)?;
        let (payload, iv) = wacore::event::encrypt_event_response_with_secret(
            said, &secret, id, &creator, &answerer,
        )?;
        Ok(wa::Message {
            enc_event_response_message: MessageField::some(wa::message::EncEventResponseMessage {
                event_creation_message_key: MessageField::some(key),
                enc_payload: Some(payload),
                enc_iv: Some(iv.to_vec()),
            }),
            ..Default::default()
        })
    }

    /// A stanza to every companion of an account, as a person's phone causes it.
    fn tell_companions(&mut self, to: &str, node: &Node) {
        for device in self.device_ids(to).into_iter().filter(|device| *device != 0) {
            self.deliver(&Address::new(to, device), node.clone());
        }
    }

    fn call(&mut self, pn: &str, to: &str, video: bool) -> Result<String> {
        let caller = self.accounts.get(pn).context("no such phone")?;
        let (from, number) = (caller.jid(caller.server()), caller.jid(Server::Pn));
        let id = message_id();
        let mut offer = NodeBuilder::new("offer")
            .attr("call-id", id.as_str())
            .attr("call-creator", from.clone())
            .attr("caller_pn", number);
        let audio = NodeBuilder::new("audio").attr("enc", "opus").attr("rate", "16000").build();
        let video = video.then(|| empty("video"));
        offer = offer.children([audio].into_iter().chain(video));
        let node = NodeBuilder::new("call")
            .attr("from", from)
            .attr("id", self.id())
            .attr("t", now())
            .children([offer.build()])
            .build();
        self.tell_companions(to, &node);
        Ok(id)
    }

    /// The caller gives up, or somebody took or refused the call on the phone.
    fn hang_up(
        &mut self,
        pn: &str,
        to: &str,
        call: &str,
        reason: Option<&'static str>,
    ) -> Result<()> {
        let caller = self.accounts.get(pn).context("no such phone")?;
        let from = caller.jid(caller.server());
        let mut end =
            NodeBuilder::new("terminate").attr("call-id", call).attr("call-creator", from.clone());
        if let Some(reason) = reason {
            end = end.attr("reason", reason);
        }
        let node = NodeBuilder::new("call")
            .attr("from", from)
            .attr("id", self.id())
            .attr("t", now())
            .children([end.build()])
            .build();
        self.tell_companions(to, &node);
        Ok(())
    }

    /// What companions get of a message that only phones may open.
    fn unavailable(&mut self, pn: &str, to: &str) -> Result<String> {
        let sender = self.accounts.get(pn).context("no such phone")?;
        let id = message_id();
        let node = NodeBuilder::new("message")
            .attr("from", sender.jid(Server::Lid))
            .attr("sender_pn", sender.jid(Server::Pn))
            .attr("addressing_mode", "lid")
            .attr("notify", sender.name.clone())
            .attr("id", id.as_str())
            .attr("type", "media")
            .attr("t", now())
            .children([NodeBuilder::new("unavailable").attr("type", "view_once").build()])
            .build();
        self.tell_companions(to, &node);
        Ok(id)
    }

    /// A companion's request to upload a file again. The phone answers by the sealed new path, or by an error.
    pub(crate) fn upload_again(&mut self, from: &Address, node: &Node) {
        let id = text(node, "id");
        self.journal.note(0, Some(from.clone()), "upload again", id.clone());
        let refused = self.faults.strikes(Some(from), &Fault::ReuploadRefused);
        let answer = if refused { None } else { self.uploaded_again(from, node, &id) };
        let child = answer.unwrap_or_else(|| NodeBuilder::new("error").attr("code", "2").build());
        let Some(account) = self.accounts.get(&from.pn) else { return };
        let mut builder = NodeBuilder::new("notification")
            .attr("type", "mediaretry")
            .attr("id", id)
            .attr("from", account.jid(Server::Pn))
            .attr("t", now());
        builder = builder
            .children([Some(child), node.get_optional_child("rmr").cloned()].into_iter().flatten());
        let answer = builder.build();
        self.deliver(from, answer);
    }

    fn uploaded_again(&mut self, from: &Address, node: &Node, id: &str) -> Option<Node> {
        let rmr = node.get_optional_child("rmr");
        if rmr.is_none_or(|rmr| jid(rmr, "jid").is_none()) {
            self.violation(Some(from), "upload again", "the receipt names no chat".to_owned());
            return None;
        }
        let (_, message) = self.known(&from.pn, id)?;
        let (path, key) = path_of(&message)?;
        let sealed = node.get_optional_child("encrypt")?;
        let (payload, iv) = (child_bytes(sealed, "enc_p")?, child_bytes(sealed, "enc_iv")?);
        match decrypt_media_retry_notification(&key, id, &iv, &payload) {
            Ok(_) => {}
            Err(error) => {
                self.violation(Some(from), "upload again", format!("not sealed right: {error}"));
                return None;
            }
        }
        let direct_path = self.media.revive(&path)?;
        let answer = wa::MediaRetryNotification {
            stanza_id: Some(id.to_owned()),
            direct_path: Some(direct_path),
            result: Some(wa::media_retry_notification::ResultType::SUCCESS),
            ..Default::default()
        };
        let (payload, iv) = seal(&key, id, &answer.encode_to_vec()).ok()?;
        let parts = [leaf("enc_p", payload), leaf("enc_iv", iv)];
        Some(NodeBuilder::new("encrypt").children(parts).build())
    }
}

/// Seals an answer as the library opens it; it can seal the request only.
fn seal(key: &[u8], id: &str, plain: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut sealing = [0; 32];
    let info = b"WhatsApp Media Retry Notification";
    hkdf_sha256_into(key, None, info, &mut sealing)
        .map_err(|error| anyhow::anyhow!("deriving: {error}"))?;
    let iv: [u8; 12] = random();
    let mut sealed = Vec::new();
    aes_256_gcm_encrypt(&sealing, &iv, id.as_bytes(), plain, &mut sealed)
        .map_err(|error| anyhow::anyhow!("sealing: {error}"))?;
    Ok((sealed, iv.to_vec()))
}

impl Phone {
    /// The person votes on a poll; nothing chosen takes the vote back.
    pub async fn vote(&self, to: impl AsRef<str>, poll: &str, chosen: &[&str]) -> Result<String> {
        let message = self.sim.world().vote_message(self.number(), to.as_ref(), poll, chosen)?;
        self.send(to, message).await
    }

    /// The person invites to an event.
    pub async fn send_event(&self, to: impl AsRef<str>, name: &str) -> Result<String> {
        let event = wa::message::EventMessage {
            name: Some(name.to_owned()),
            start_time: i64::try_from(now()).ok(),
            ..Default::default()
        };
        let secret: [u8; 32] = random();
        let message = wa::Message {
            event_message: MessageField::some(event),
            message_context_info: MessageField::some(wa::MessageContextInfo {
                message_secret: Some(secret.to_vec()),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.send(to, message).await
    }

    /// The person says whether they come to an event, and with how many others.
    pub async fn respond(
        &self,
        to: impl AsRef<str>,
        event: &str,
        going: bool,
        guests: i32,
    ) -> Result<String> {
        use wa::message::event_response_message::EventResponseType;
        let said = wa::message::EventResponseMessage {
            response: Some(if going {
                EventResponseType::GOING
            } else {
                EventResponseType::NOT_GOING
            }),
            timestamp_ms: i64::try_from(now() * 1000).ok(),
            extra_guest_count: Some(guests),
        };
        let message =
            self.sim.world().response_message(self.number(), to.as_ref(), event, &said)?;
        self.send(to, message).await
    }

    /// The person calls; answers the call's id.
    pub async fn call(&self, to: impl AsRef<str>, video: bool) -> Result<String> {
        let mut world = self.sim.world();
        let id = world.call(self.number(), to.as_ref(), video)?;
        world.touch();
        Ok(id)
    }

    /// A call of this person's is over; without a reason they gave up.
    pub async fn hang_up(
        &self,
        to: impl AsRef<str>,
        call: &str,
        reason: Option<&'static str>,
    ) -> Result<()> {
        let mut world = self.sim.world();
        world.hang_up(self.number(), to.as_ref(), call, reason)?;
        world.touch();
        Ok(())
    }

    /// The person sends something that may be seen once: companions are only told that it is there.
    pub async fn send_for_phones_only(&self, to: impl AsRef<str>) -> Result<String> {
        let mut world = self.sim.world();
        ensure!(world.accounts.contains_key(to.as_ref()), "no such phone");
        let id = world.unavailable(self.number(), to.as_ref())?;
        world.touch();
        Ok(id)
    }
}

impl World {
    /// Whether an account may write to new contacts, as WhatsApp says it: the end is 0 for one that was never locked.
    pub(crate) fn lock_of(&self, number: &str) -> Value {
        let until = self.accounts.get(number).map_or(0, |account| account.locked);
        json!({
            "is_active": until > now(),
            "time_enforcement_ends": until.to_string(),
            "enforcement_type": "DEFAULT",
        })
    }

    /// A notification in JSON, to all companions of an account.
    fn update(&mut self, number: &str, name: &'static str, body: &Value) {
        let Some(account) = self.accounts.get(number) else { return };
        let devices: Vec<u16> = account.devices.keys().copied().collect();
        for device in devices {
            let update = NodeBuilder::new("update").attr("op_name", name);
            let node = NodeBuilder::new("notification")
                .attr("from", server())
                .attr("type", "mex")
                .attr("id", self.id())
                .attr("t", now())
                .children([update.bytes(body.to_string().into_bytes()).build()])
                .build();
            self.deliver(&Address::new(number, device), node);
        }
        self.touch();
    }
}

impl Simulator {
    /// WhatsApp does not let this account write to people for so many seconds; it answers 463 and says until when.
    pub fn lock_sending(&self, number: &str, seconds: u64) {
        if let Some(account) = self.world().accounts.get_mut(number) {
            account.locked = now() + seconds;
        }
    }

    /// WhatsApp tells the companions of an account whether it may write to new contacts, as `lock_sending` left it.
    pub fn tell_lock(&self, number: &str) {
        let mut world = self.world();
        let lock = world.lock_of(number);
        let body = json!({ "data": { "xwa2_notify_account_reachout_timelock": lock } });
        world.update(number, "NotificationUserReachoutTimelockUpdate", &body);
    }

    /// WhatsApp tells the companions of an account how many new chats it allows until a time in seconds; 0: not until when.
    pub fn tell_quota(&self, number: &str, used: u64, total: u64, until: u64) {
        let quota = json!({
            "used_quota": used.to_string(),
            "total_quota": total.to_string(),
            "cycle_end_timestamp": until.to_string(),
        });
        let body = json!({ "data": { "xwa2_notify_new_chat_message_capping": quota } });
        self.world().update(number, "NotificationNewChatMessageCappingUpdate", &body);
    }

    /// The media host throws away every file it has: downloads are answered 410 until a phone uploads again.
    pub fn expire_media(&self) {
        let mut world = self.world();
        world.media.expire();
        world.touch();
    }
}
