//! Linking a companion: QR references, what the phone signs, `pair-success`, and the check of what
//! the companion signed in return. Pairing by code ends in the same place.

use std::collections::VecDeque;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use buffa::Message as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use wacore_libsignal::protocol::PublicKey;
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;
use waproto::whatsapp::{
    ADVDeviceIdentity, ADVEncryptionType, ADVKeyIndexList, ADVSignedDeviceIdentity,
    ADVSignedDeviceIdentityHMAC, ADVSignedKeyIndexList, ClientPairingProps, DeviceProps,
};

use crate::fault::Fault;
use crate::util::{attr, be, bytes, empty, hex, leaf, now, random, rng, server, text};
use crate::world::{Address, Device, DeviceKeys, World};

const ACCOUNT_PREFIX: &[u8] = &[6, 0];
const DEVICE_PREFIX: &[u8] = &[6, 1];
const LIST_PREFIX: &[u8] = &[6, 2];

/// The keys with which an unpaired device registers.
#[derive(Clone)]
pub(crate) struct Registration {
    id: u32,
    /// Its identity key.
    pub identity: [u8; 32],
    signed: (u32, Vec<u8>, Vec<u8>),
    /// What it says of itself.
    props: DeviceProps,
    /// What WhatsApp Web says of itself and this one did not.
    pub missing: Vec<&'static str>,
}

/// A pairing by code in progress.
pub(crate) struct LinkCode {
    /// The account's number.
    pub pn: String,
    /// The reference which ties the stages together.
    pub reference: Vec<u8>,
    /// The companion's wrapped ephemeral key.
    pub wrapped: Vec<u8>,
    /// The phone's ephemeral key and the companion's, once the code was entered.
    pub keys: Option<(wacore_libsignal::protocol::KeyPair, [u8; 32])>,
}

/// What `pair-success` offered and the companion has to confirm.
pub(crate) struct PendingPair {
    who: Address,
    iq: String,
    key_index: u32,
    details: Vec<u8>,
    account_key: Vec<u8>,
    account_signature: Vec<u8>,
}

impl Registration {
    /// Reads the registration part of a `ClientPayload`.
    pub(crate) fn read(data: DevicePairingRegistrationData) -> Result<Self> {
        let identity = data.e_ident.context("no e_ident")?;
        let props = DeviceProps::decode_from_slice(&data.device_props.unwrap_or_default())?;
        let missing = [
            ("os", props.os.is_none()),
            ("version", !props.version.is_set()),
            ("platform_type", props.platform_type.is_none()),
            ("require_full_sync", props.require_full_sync.is_none()),
            ("history_sync_config", !props.history_sync_config.is_set()),
        ];
        let missing = missing.into_iter().filter_map(|(name, absent)| absent.then_some(name));
        Ok(Self {
            id: be(&data.e_regid.context("no e_regid")?),
            identity: identity.try_into().ok().context("e_ident has not 32 bytes")?,
            signed: (
                be(&data.e_skey_id.context("no e_skey_id")?),
                data.e_skey_val.context("no e_skey_val")?,
                data.e_skey_sig.context("no e_skey_sig")?,
            ),
            missing: missing.collect(),
            props,
        })
    }
}

impl World {
    /// Offers QR references to an unpaired device.
    pub(crate) fn offer_pairing(&mut self, conn: u64, registration: Registration) {
        let refs: Vec<String> =
            (0..self.config.qr_refs).map(|_| format!("2@{}", hex(&random::<24>()))).collect();
        if let Some(c) = self.conns.get_mut(&conn) {
            c.registration = Some(registration);
        }
        self.offer_refs(conn, refs);
    }

    /// An offer without references ends the show: the client has nothing more to display.
    pub(crate) fn expire_refs(&mut self, conn: u64) {
        self.offer_refs(conn, Vec::new());
    }

    fn offer_refs(&mut self, conn: u64, refs: Vec<String>) {
        let node = NodeBuilder::new("iq")
            .attr("from", server())
            .attr("type", "set")
            .attr("id", self.id())
            .attr("xmlns", "md")
            .children([NodeBuilder::new("pair-device")
                .children(refs.iter().map(|r| leaf("ref", r.as_bytes())))
                .build()])
            .build();
        if let Some(c) = self.conns.get_mut(&conn) {
            c.refs = refs;
        }
        self.send(conn, node);
    }

    /// `companion_reg_refresh`: the client has to make a new secret.
    pub(crate) fn refresh_registration(&mut self, conn: u64) {
        let node = NodeBuilder::new("notification")
            .attr("from", server())
            .attr("type", "companion_reg_refresh")
            .attr("id", self.id())
            .attr("t", now())
            .children([empty("companion_reg_refresh")])
            .build();
        self.send(conn, node);
    }

    /// The phone scans a QR code. Answers the connection on which the companion has to confirm.
    pub(crate) fn scan(&mut self, pn: &str, qr: &str) -> Result<u64> {
        let body = qr.rsplit('#').next().unwrap_or_default();
        let fields: Vec<&str> = body.split(',').collect();
        if fields.len() == 4 {
            self.violation(None, "qr", "only four fields".to_owned());
            bail!("the QR code has four fields; phones need the fifth");
        }
        let (conn, secret) = self.read_qr(&fields)?;
        self.pair(conn, pn, &secret)?;
        Ok(conn)
    }

    /// The connection that shows this QR code, and the secret in it.
    pub(crate) fn read_qr(&mut self, fields: &[&str]) -> Result<(u64, [u8; 32])> {
        let [reference, noise, identity, secret, _client] = fields else {
            bail!("not a QR code of WhatsApp: {} fields instead of five", fields.len());
        };
        let noise = key(noise).context("the QR code's noise key")?;
        let identity = key(identity).context("the QR code's identity key")?;
        let secret = key(secret).context("the QR code's secret")?;
        let conn = self
            .conns
            .iter()
            .find(|(_, c)| c.refs.iter().any(|r| r == reference))
            .map(|(id, _)| *id)
            .context("the QR code has expired")?;
        let c = self.conns.get_mut(&conn).context("the connection is gone")?;
        ensure!(c.noise == noise, "the QR code belongs to another connection");
        let registered = c.registration.as_ref().map(|r| r.identity);
        ensure!(registered == Some(identity), "the QR code has a foreign identity key");
        c.refs.clear();
        Ok((conn, secret))
    }

    /// Signs the companion on that connection into the account and tells it so.
    pub(crate) fn pair(&mut self, conn: u64, pn: &str, secret: &[u8]) -> Result<()> {
        let id = self.id();
        let any = Address::new(pn, 0);
        let bad_hmac = self.faults.strikes(Some(&any), &Fault::BadHmac);
        let bad_signature = self.faults.strikes(Some(&any), &Fault::BadSignature);
        let account = self.accounts.get_mut(pn).context("no such account")?;
        let c = self.conns.get_mut(&conn).context("the connection is gone")?;
        let registration = c.registration.as_ref().context("nobody to pair there")?;
        let key_index = account.next_key_index;
        account.next_key_index += 1;
        let who = Address::new(pn, account.next_device);
        account.next_device += 1;
        let details = ADVDeviceIdentity {
            raw_id: Some(account.raw_id),
            timestamp: Some(now()),
            key_index: Some(key_index),
            account_type: Some(ADVEncryptionType::E2EE),
            device_type: Some(ADVEncryptionType::E2EE),
        }
        .encode_to_vec();
        let mut signature =
            account.phone.sign(&[ACCOUNT_PREFIX, &details, &registration.identity].concat())?;
        if bad_signature && let Some(byte) = signature.first_mut() {
            *byte ^= 1;
        }
        let account_key = account.phone.identity_key().to_vec();
        let signed = ADVSignedDeviceIdentity {
            details: Some(details.clone()),
            account_signature_key: Some(account_key.clone()),
            account_signature: Some(signature.clone()),
            device_signature: None,
        }
        .encode_to_vec();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret)?;
        mac.update(&signed);
        let mut tag = mac.finalize().into_bytes().to_vec();
        if bad_hmac && let Some(byte) = tag.first_mut() {
            *byte ^= 1;
        }
        let container = ADVSignedDeviceIdentityHMAC {
            details: Some(signed),
            hmac: Some(tag),
            account_type: None,
        }
        .encode_to_vec();
        let props = ClientPairingProps {
            is_chat_db_lid_migrated: Some(account.migrated),
            ..Default::default()
        }
        .encode_to_vec();
        let node = NodeBuilder::new("iq")
            .attr("from", server())
            .attr("type", "set")
            .attr("id", id.as_str())
            .attr("t", now())
            .children([NodeBuilder::new("pair-success")
                .children([
                    leaf("device-identity", container),
                    NodeBuilder::new("device")
                        .attr("jid", Jid::pn_device(pn, who.device))
                        .attr("lid", Jid::lid_device(account.lid.as_str(), who.device))
                        .build(),
                    NodeBuilder::new("platform").attr("name", "android").build(),
                    leaf("client-props", props),
                ])
                .build()])
            .build();
        c.pairing = Some(PendingPair {
            who,
            iq: id,
            key_index,
            details,
            account_key,
            account_signature: signature,
        });
        self.send(conn, node);
        Ok(())
    }

    /// The companion's answer to `pair-success`. False when the stanza is something else.
    pub(crate) fn pair_answer(&mut self, conn: u64, node: &Node) -> bool {
        let Some(c) = self.conns.get_mut(&conn) else { return false };
        if c.pairing.as_ref().map(|p| p.iq.as_str()) != attr(node, "id").as_deref() {
            return false;
        }
        let Some(pending) = c.pairing.take() else { return false };
        let who = pending.who.clone();
        if text(node, "type") == "error" {
            let reason = node.get_optional_child("error").map(|e| text(e, "text"));
            self.journal.note(conn, Some(who), "pairing refused", reason.unwrap_or_default());
            return true;
        }
        match self.finish_pairing(conn, pending, node) {
            Ok(()) => {
                self.journal.note(conn, Some(who.clone()), "paired", String::new());
                self.stream_error(conn, 515, None);
                self.devices_changed(&who, "add");
            }
            Err(error) => {
                self.violation(Some(&who), "pair-device-sign", format!("{error:#}"));
                self.journal.note(conn, Some(who), "pairing refused", error.to_string());
                self.close(conn);
            }
        }
        true
    }

    fn finish_pairing(&mut self, conn: u64, pending: PendingPair, node: &Node) -> Result<()> {
        let c = self.conns.get_mut(&conn).context("the connection is gone")?;
        let registration = c.registration.take().context("no registration")?;
        let blob = node
            .get_optional_child_by_tag(&["pair-device-sign", "device-identity"])
            .context("no device-identity")?;
        ensure!(
            attr(blob, "key-index") == Some(pending.key_index.to_string()),
            "another key-index"
        );
        let mut signed = ADVSignedDeviceIdentity::decode_from_slice(&bytes(blob))?;
        ensure!(signed.details.as_ref() == Some(&pending.details), "other details");
        ensure!(
            signed.account_signature.as_ref() == Some(&pending.account_signature),
            "another account signature"
        );
        let message =
            [DEVICE_PREFIX, &pending.details, &registration.identity, &pending.account_key]
                .concat();
        let public = PublicKey::from_djb_public_key_bytes(&registration.identity)?;
        let signature = signed.device_signature.clone().context("no device signature")?;
        ensure!(public.verify_signature(&message, &signature), "a wrong device signature");
        // Some clients strip it, and everybody who checks the bundle needs it.
        signed.account_signature_key = Some(pending.account_key);
        let device = Device {
            id: pending.who.device,
            key_index: pending.key_index,
            noise: c.noise,
            keys: DeviceKeys {
                registration: registration.id,
                identity: registration.identity,
                signed: registration.signed,
                ..Default::default()
            },
            identity: signed.encode_to_vec(),
            props: registration.props,
            queue: VecDeque::new(),
            conn: None,
            has_app_state_key: false,
        };
        let account = self.accounts.get_mut(&pending.who.pn).context("no such account")?;
        account.devices.insert(device.id, device);
        Ok(())
    }

    /// The account's signed list of valid devices.
    pub(crate) fn key_index_list(&self, pn: &str) -> Result<Vec<u8>> {
        let account = self.accounts.get(pn).context("no such account")?;
        let details = ADVKeyIndexList {
            raw_id: Some(account.raw_id),
            timestamp: Some(now()),
            current_index: Some(account.next_key_index - 1),
            valid_indexes: std::iter::once(0)
                .chain(account.devices.values().map(|d| d.key_index))
                .collect(),
            account_type: Some(ADVEncryptionType::E2EE),
        }
        .encode_to_vec();
        let account_signature = account.phone.sign(&[LIST_PREFIX, details.as_slice()].concat())?;
        Ok(ADVSignedKeyIndexList {
            details: Some(details),
            account_signature: Some(account_signature),
            account_signature_key: Some(account.phone.identity_key().to_vec()),
        }
        .encode_to_vec())
    }

    /// Tells the account's own companions and those who asked for its devices.
    pub(crate) fn devices_changed(&mut self, who: &Address, what: &'static str) {
        if what == "add" && self.faults.strikes(Some(who), &Fault::DeviceUntold) {
            return;
        }
        let list = self.key_index_list(&who.pn).unwrap_or_default();
        let Some(account) = self.accounts.get(&who.pn) else { return };
        let key_index =
            account.devices.get(&who.device).map_or(account.next_key_index - 1, |d| d.key_index);
        let server = account.server();
        let mut to: Vec<Address> = Vec::new();
        for pn in account.watchers.iter().chain(std::iter::once(&who.pn)) {
            let Some(watcher) = self.accounts.get(pn) else { continue };
            to.extend(watcher.devices.keys().map(|d| Address::new(pn, *d)));
        }
        let mut index = NodeBuilder::new("key-index-list").attr("ts", now());
        if what == "add" {
            index = index.bytes(list);
        }
        let mut operation = NodeBuilder::new(what).children([
            NodeBuilder::new("device")
                .attr("jid", account.jid(server).with_device(who.device))
                .attr("key-index", key_index)
                .build(),
            index.build(),
        ]);
        operation = operation.attr("device_hash", "2:sim");
        let operation = operation.build();
        let (from, lid) = (account.jid(server), account.jid(wacore_binary::Server::Lid));
        for device in to.into_iter().filter(|d| d != who) {
            if self.strikes_on(&device, &Fault::DevicesUntold) {
                continue;
            }
            let node = NodeBuilder::new("notification")
                .attr("from", from.clone())
                .attr("lid", lid.clone())
                .attr("type", "devices")
                .attr("id", self.id())
                .attr("t", now())
                .children([operation.clone()])
                .build();
            self.deliver(&device, node);
        }
    }
}

fn key(field: &str) -> Result<[u8; 32]> {
    let bytes = BASE64_STANDARD.decode(field).context("no base64")?;
    bytes.try_into().ok().context("not 32 bytes")
}

/// Signs with an account's identity.
pub(crate) fn sign(
    pair: &wacore_libsignal::protocol::IdentityKeyPair,
    message: &[u8],
) -> Result<Vec<u8>> {
    Ok(pair.private_key().calculate_signature(message, &mut rng())?.to_vec())
}
