//! Linking with a passkey: the service wants a WebAuthn assertion before the phone and the companion agree on keys.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use buffa::{Enumeration as _, Message as _};
use serde_json::{Value, json};
use wacore::libsignal::crypto::aes_256_gcm_decrypt;
use wacore::shortcake::ShortcakeUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use wacore_libsignal::protocol::{KeyPair, PublicKey};
use waproto::whatsapp as wa;

use crate::Phone;
use crate::chain::raw;
use crate::fault::Fault;
use crate::util::{child_bytes, hex, iq_error, iq_result, leaf, now, random, rng, server};
use crate::world::{Address, World};

/// A linking with a passkey in progress.
pub(crate) struct PasskeyLink {
    pn: String,
    challenge: String,
    reference: String,
    /// What the companion said of itself, and the hash that binds it to its nonce.
    companion: Option<(wa::CompanionEphemeralIdentity, Vec<u8>, Vec<u8>)>,
    ephemeral: KeyPair,
    nonce: [u8; 32],
    /// What the phone shows to be compared.
    code: Option<String>,
    /// The secret that the companion told the phone.
    secret: Option<Vec<u8>>,
}

impl World {
    pub(super) fn passkey_asked(&self, conn: u64) -> bool {
        self.conns.get(&conn).is_some_and(|c| c.passkey.is_some())
    }

    /// A scan of an account that is protected by a passkey: the companion is asked for it.
    fn ask_passkey(&mut self, pn: &str, qr: &str) -> Result<u64> {
        let body = qr.rsplit('#').next().unwrap_or_default();
        let fields: Vec<&str> = body.split(',').collect();
        let (conn, _secret) = self.read_qr(&fields)?;
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(random::<32>());
        let options = json!({ "publicKey": { "challenge": challenge, "rpId": "whatsapp.com" } });
        let id = self.id();
        let c = self.conns.get_mut(&conn).context("the connection is gone")?;
        c.passkey = Some(PasskeyLink {
            pn: pn.to_owned(),
            challenge,
            reference: hex(&random::<16>()),
            companion: None,
            ephemeral: KeyPair::generate(&mut rng()),
            nonce: random::<32>(),
            code: None,
            secret: None,
        });
        let node = NodeBuilder::new("notification")
            .attr("from", server())
            .attr("type", "passkey_prologue_request")
            .attr("id", id)
            .attr("t", now())
            .children([leaf("passkey_request_options", options.to_string())])
            .build();
        self.send(conn, node);
        Ok(conn)
    }

    /// A request of the companion during such a linking.
    pub(super) fn passkey_iq(&mut self, conn: u64, child: &str, node: &Node) -> Node {
        let step = match child {
            "ref" => self.passkey_reference(conn).map(|reference| vec![leaf("ref", reference)]),
            "passkey_prologue" => self.passkey_prologue(conn, node).map(|()| Vec::new()),
            "companion_nonce" => self.passkey_nonce(conn, node).map(|()| Vec::new()),
            "encrypted_pairing_request" => self.passkey_request(conn, node).map(|()| Vec::new()),
            other => Err(anyhow::anyhow!("<{other}> in a linking with a passkey")),
        };
        match step {
            Ok(children) => iq_result(node, children),
            Err(error) => {
                self.journal.note(conn, None, "passkey refused", format!("{error:#}"));
                iq_error(node, 400, "bad-request")
            }
        }
    }

    fn passkey(&mut self, conn: u64) -> Result<&mut PasskeyLink> {
        self.conns.get_mut(&conn).and_then(|c| c.passkey.as_mut()).context("nobody asked")
    }

    fn passkey_reference(&mut self, conn: u64) -> Result<String> {
        Ok(self.passkey(conn)?.reference.clone())
    }

    /// The assertion, and what the companion commits itself to.
    fn passkey_prologue(&mut self, conn: u64, node: &Node) -> Result<()> {
        let link = self.passkey(conn)?;
        let prologue = node.get_optional_child("passkey_prologue").context("no prologue")?;
        let assertion = child_bytes(prologue, "webauthn_assertion").context("no assertion")?;
        let assertion: Value = serde_json::from_slice(&assertion).context("the assertion")?;
        let data = assertion.pointer("/response/clientDataJSON").and_then(Value::as_str);
        let data = data.context("no client data")?;
        let data: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(data)?)?;
        let challenge = data.get("challenge").and_then(Value::as_str);
        ensure!(challenge == Some(&link.challenge), "the assertion answers another challenge");
        child_bytes(prologue, "credential_id").context("no credential")?;
        let payload = child_bytes(prologue, "prologue_payload").context("no payload")?;
        let payload = wa::ProloguePayload::decode_from_slice(&payload)?;
        let said = payload.companion_ephemeral_identity.context("no companion identity")?;
        let identity = wa::CompanionEphemeralIdentity::decode_from_slice(&said)?;
        ensure!(identity.r#ref.as_deref() == Some(&link.reference), "another reference");
        let hash = payload.commitment.as_option().and_then(|c| c.hash.clone());
        link.companion = Some((identity, said, hash.context("no commitment")?));
        Ok(())
    }

    /// The phone's part, once the service has taken the assertion.
    fn continue_passkey(&mut self, pn: &str) -> Result<()> {
        let id = self.id();
        let bad = self.faults.strikes(Some(&Address::new(pn, 0)), &Fault::BadContinuation);
        let mine = |link: &PasskeyLink| link.pn == pn && link.companion.is_some();
        let (conn, link) = self
            .conns
            .iter()
            .find_map(|(conn, c)| Some((*conn, c.passkey.as_ref().filter(|link| mine(link))?)))
            .context("no companion has answered")?;
        let mut public_key = raw(&link.ephemeral).to_vec();
        if bad {
            public_key.pop();
        }
        let primary = wa::PrimaryEphemeralIdentity {
            public_key: Some(public_key),
            nonce: Some(link.nonce.to_vec()),
        };
        let node = NodeBuilder::new("notification")
            .attr("from", server())
            .attr("type", "crsc_continuation")
            .attr("id", id)
            .attr("t", now())
            .children([leaf("primary_ephemeral_identity", primary.encode_to_vec())])
            .build();
        self.send(conn, node);
        Ok(())
    }

    /// The companion reveals its nonce: from now on the phone shows the code.
    fn passkey_nonce(&mut self, conn: u64, node: &Node) -> Result<()> {
        let link = self.passkey(conn)?;
        let nonce = child_bytes(node, "companion_nonce").context("no nonce")?;
        let nonce: [u8; 32] = nonce.try_into().ok().context("not 32 bytes")?;
        let (_, said, hash) = link.companion.as_ref().context("no prologue before")?;
        let committed = ShortcakeUtils::commitment_hash(said, &nonce);
        ensure!(committed.as_slice() == hash, "the nonce is not what was committed to");
        let own = raw(&link.ephemeral);
        link.code = Some(ShortcakeUtils::derive_verification_code(&nonce, &own, &link.nonce));
        Ok(())
    }

    /// The companion's keys and its secret.
    fn passkey_request(&mut self, conn: u64, node: &Node) -> Result<()> {
        let c = self.conns.get(&conn).context("the connection is gone")?;
        let registered = c.registration.as_ref().context("not a new device")?.identity;
        let noise = c.noise;
        let link = self.passkey(conn)?;
        let (identity, _, _) = link.companion.as_ref().context("no prologue before")?;
        let public = identity.public_key.clone().context("no key")?;
        let device_type = identity.device_type.context("no type of device")?;
        let shared =
            link.ephemeral.calculate_agreement(&PublicKey::from_djb_public_key_bytes(&public)?)?;
        let key = ShortcakeUtils::derive_encryption_key_from_shared_secret(
            &shared,
            device_type,
            &link.reference,
        )?;
        let sealed = child_bytes(node, "encrypted_pairing_request").context("no request")?;
        let sealed = wa::EncryptedPairingRequest::decode_from_slice(&sealed)?;
        let iv: [u8; 12] =
            sealed.iv.and_then(|iv| iv.try_into().ok()).context("an iv of another size")?;
        let mut plain = Vec::new();
        let payload = sealed.encrypted_payload.context("no payload")?;
        aes_256_gcm_decrypt(&key, &iv, b"", &payload, &mut plain)
            .ok()
            .context("the pairing request does not decrypt")?;
        let request = wa::PairingRequest::decode_from_slice(&plain)?;
        ensure!(
            request.companion_identity_key.as_deref() == Some(&registered),
            "another identity than the registered one"
        );
        ensure!(request.companion_public_key.as_deref() == Some(&noise), "another noise key");
        let secret = request.adv_secret.context("no secret")?;
        link.secret = Some(secret);
        let (who, kind) = (Address::new(&link.pn, 0), device_type.to_i32().to_string());
        self.journal.note(conn, Some(who), "passkey", kind);
        Ok(())
    }

    /// The phone signs the companion in that has told its secret.
    fn finish_passkey(&mut self, pn: &str) -> Result<()> {
        let mine = |link: &PasskeyLink| link.pn == pn && link.secret.is_some();
        let mut conns = self.conns.iter_mut();
        let (conn, link) = conns
            .find_map(|(conn, c)| Some((*conn, c.passkey.take_if(|link| mine(link))?)))
            .context("no companion has told its secret")?;
        self.pair(conn, pn, &link.secret.unwrap_or_default())
    }
}

impl Phone {
    /// Scans a QR code with an account that a passkey protects; answers the connection that shows it.
    pub fn scan_with_passkey(&self, qr: &str) -> Result<u64> {
        let mut world = self.sim.world();
        let conn = world.ask_passkey(self.number(), qr)?;
        world.touch();
        Ok(conn)
    }

    /// What a browser with the passkey answers to WhatsApp's question.
    pub fn assertion(&self, options: &str) -> Result<Value> {
        let options: Value = serde_json::from_str(options)?;
        let challenge = options.pointer("/publicKey/challenge").context("no challenge")?;
        let data = json!({ "type": "webauthn.get", "challenge": challenge }).to_string();
        let id = BASE64_URL_SAFE_NO_PAD.encode(self.number().as_bytes());
        let data = BASE64_URL_SAFE_NO_PAD.encode(data);
        Ok(json!({ "id": id, "type": "public-key", "response": { "clientDataJSON": data } }))
    }

    /// The phone says its part, after the companion's answer was taken.
    pub fn continue_passkey(&self) -> Result<()> {
        let mut world = self.sim.world();
        world.continue_passkey(self.number())?;
        world.touch();
        Ok(())
    }

    /// The person confirms on the phone, after the companion's keys were taken.
    pub fn finish_passkey(&self) -> Result<()> {
        let mut world = self.sim.world();
        world.finish_passkey(self.number())?;
        world.touch();
        Ok(())
    }

    /// The code that the phone shows for comparison, once both sides have spoken.
    pub async fn passkey_code(&self) -> Result<String> {
        let found = self.sim.wait(|world| {
            world.conns.values().find_map(|c| {
                c.passkey.as_ref().filter(|link| link.pn == self.number())?.code.clone()
            })
        });
        found.await.context("no code to compare")
    }
}
