//! The identity of a device as another gateway keeps it, checked and turned into the rows of an `identity`.

use std::sync::Arc;

use bytes::Bytes;
use wa_rs::Jid;
use wa_rs::buffa::Message as _;
use wa_rs::wacore::adv::{AdvValidation, validate_adv_with_identity_key};
use wa_rs::wacore::libsignal::protocol::{KeyPair, PrivateKey};
use wa_rs::wacore::libsignal::store::record_helpers::new_pre_key_record;
use wa_rs::wacore::store::Device;
use wa_rs::wacore::store::device::account_serde;
use wa_rs::wacore::store::traits::AppStateSyncKey;
use wa_rs::waproto::codec;
use wa_rs::waproto::whatsapp as wa;

use super::signal::{flagged, pre_key};
use super::store::{key, to_json};
use super::tag::{DEVICE, LATEST_SYNC_KEY, SYNC_KEY};
use crate::model::UnixMillis;
use crate::store::Key;

/// What another gateway keeps of a linked device. Keys are private keys; their public halves follow from them.
pub(crate) struct ForeignDevice {
    pub(crate) jid: String,
    pub(crate) lid: Option<String>,
    pub(crate) push_name: String,
    pub(crate) registration_id: u32,
    pub(crate) noise_key: [u8; 32],
    pub(crate) identity_key: [u8; 32],
    pub(crate) signed_pre_key: [u8; 32],
    pub(crate) signed_pre_key_id: u32,
    pub(crate) signed_pre_key_signature: [u8; 64],
    pub(crate) adv_secret_key: [u8; 32],
    pub(crate) account: ForeignAccount,
    pub(crate) pre_keys: Vec<ForeignPreKey>,
    /// The first number that no pre-key ever had, as far as that is known.
    pub(crate) next_pre_key_id: u32,
    /// The newest one last.
    pub(crate) sync_keys: Vec<ForeignSyncKey>,
}

/// With what the phone has signed that the device is the account's.
pub(crate) struct ForeignAccount {
    pub(crate) details: Vec<u8>,
    pub(crate) signature_key: [u8; 32],
    pub(crate) signature: [u8; 64],
    pub(crate) device_signature: [u8; 64],
}

pub(crate) struct ForeignPreKey {
    pub(crate) id: u32,
    pub(crate) key: [u8; 32],
    pub(crate) uploaded: bool,
}

impl ForeignAccount {
    /// From the form that WhatsApp gives it, in which the engine keeps it too.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let account = account_serde::from_bytes(bytes).ok()?;
        Some(Self {
            details: account.details?,
            signature_key: account.account_signature_key?.try_into().ok()?,
            signature: account.account_signature?.try_into().ok()?,
            device_signature: account.device_signature?.try_into().ok()?,
        })
    }
}

impl ForeignPreKey {
    /// From a record of libsignal.
    pub(crate) fn decode(id: u32, record: &[u8], uploaded: bool) -> Option<Self> {
        let record = codec::pre_key_record_decode(record).ok()?;
        Some(Self { id, key: record.private_key?.try_into().ok()?, uploaded })
    }
}

/// A key of the synchronised settings.
pub(crate) struct ForeignSyncKey {
    pub(crate) id: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) timestamp: i64,
}

impl ForeignSyncKey {
    /// From the form in which the engine's own SQLite store keeps it: that of the message that brings it.
    pub(crate) fn decode(id: Vec<u8>, record: &[u8]) -> Option<Self> {
        let key = wa::message::AppStateSyncKeyData::decode_from_slice(record).ok()?;
        let data = key.key_data.filter(|data| data.len() == 32)?;
        let fingerprint = key.fingerprint.into_option().unwrap_or_default();
        Some(Self {
            id,
            data,
            fingerprint: codec::app_state_sync_key_fingerprint_to_vec(&fingerprint),
            timestamp: key.timestamp.unwrap_or_default(),
        })
    }
}

/// Why an identity cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForeignError {
    #[error("{0:?} is no address of a linked device")]
    Address(String),
    #[error("its {0} is no key")]
    Key(&'static str),
    #[error("its signed pre-key is not signed with its identity key: the source is damaged")]
    Signature,
    #[error("its account was not signed for its identity key: the source is damaged")]
    Account,
    #[error("it cannot be written down: {0}")]
    Row(String),
}

/// The fingerprint of a key of the synchronised settings, as the engine and whatsmeow keep it.
pub(crate) fn fingerprint(raw_id: u32, current_index: u32, device_indexes: Vec<u32>) -> Vec<u8> {
    codec::app_state_sync_key_fingerprint_to_vec(&wa::message::AppStateSyncKeyFingerprint {
        raw_id: Some(raw_id),
        current_index: Some(current_index),
        device_indexes,
    })
}

impl ForeignDevice {
    /// The account's phone number, without a plus.
    pub(crate) fn number(&self) -> &str {
        self.jid.split([':', '.', '@']).next().unwrap_or_default()
    }

    /// When the phone signed for it.
    pub(crate) fn linked_at(&self) -> Option<UnixMillis> {
        let details = codec::adv_device_identity_decode(&self.account.details).ok()?;
        details.timestamp.map(UnixMillis::from_secs)
    }

    /// The rows that are this identity in a store of moonwa.
    pub(crate) fn rows(&self) -> Result<Vec<(Vec<u8>, Bytes)>, ForeignError> {
        let json =
            |error: wa_rs::wacore::store::error::StoreError| ForeignError::Row(error.to_string());
        let device = to_json(&self.device()?).map_err(json)?;
        let mut rows = vec![(Key::new(DEVICE).into_bytes(), device.into())];
        for pre_key_of in &self.pre_keys {
            let pair = pair("pre-key", &pre_key_of.key)?;
            let record = codec::pre_key_record_to_vec(&new_pre_key_record(pre_key_of.id, &pair));
            let row = flagged(&record, pre_key_of.uploaded);
            rows.push((pre_key(pre_key_of.id).into_bytes(), row));
        }
        for sync_key in &self.sync_keys {
            let value = AppStateSyncKey {
                key_data: sync_key.data.clone(),
                fingerprint: sync_key.fingerprint.clone(),
                timestamp: sync_key.timestamp,
            };
            let value = to_json(&value).map_err(json)?;
            rows.push((key(SYNC_KEY, &sync_key.id).into_bytes(), value.into()));
        }
        if let Some(newest) = self.sync_keys.last() {
            rows.push((Key::new(LATEST_SYNC_KEY).into_bytes(), newest.id.clone().into()));
        }
        Ok(rows)
    }

    fn device(&self) -> Result<Device, ForeignError> {
        let pn = address(&self.jid).filter(|jid| jid.is_pn() && jid.device > 0);
        let pn = pn.ok_or_else(|| ForeignError::Address(self.jid.clone()))?;
        let lid = self.lid.as_deref().map(|text| {
            let lid = address(text).filter(Jid::is_lid);
            let lid = lid.ok_or_else(|| ForeignError::Address(text.to_owned()))?;
            // Some keep the account's and not the device's.
            Ok(Jid { device: pn.device, ..lid })
        });
        let identity_key = pair("identity key", &self.identity_key)?;
        let signed_pre_key = pair("signed pre-key", &self.signed_pre_key)?;
        let signed = signed_pre_key.public_key.serialize();
        if !identity_key.public_key.verify_signature(&signed, &self.signed_pre_key_signature) {
            return Err(ForeignError::Signature);
        }
        let highest = self.pre_keys.iter().map(|key| key.id).max().unwrap_or_default();
        Ok(Device {
            account: Some(Arc::new(self.account(&identity_key)?)),
            lid: lid.transpose()?,
            pn: Some(pn),
            push_name: self.push_name.clone(),
            registration_id: self.registration_id,
            noise_key: pair("noise key", &self.noise_key)?,
            identity_key,
            signed_pre_key,
            signed_pre_key_id: self.signed_pre_key_id,
            signed_pre_key_signature: self.signed_pre_key_signature,
            adv_secret_key: self.adv_secret_key,
            next_pre_key_id: self.next_pre_key_id.max(highest + 1),
            server_has_prekeys: self.pre_keys.iter().any(|key| key.uploaded),
            ..Device::new()
        })
    }

    fn account(&self, identity_key: &KeyPair) -> Result<wa::ADVSignedDeviceIdentity, ForeignError> {
        let account = wa::ADVSignedDeviceIdentity {
            details: Some(self.account.details.clone()),
            account_signature_key: Some(self.account.signature_key.to_vec()),
            account_signature: Some(self.account.signature.to_vec()),
            device_signature: Some(self.account.device_signature.to_vec()),
        };
        let bytes = account_serde::to_bytes(&account);
        let public = identity_key.public_key.public_key_bytes();
        let public = public.try_into().map_err(|_| ForeignError::Key("identity key"))?;
        match validate_adv_with_identity_key(&bytes, public, None) {
            AdvValidation::Valid => Ok(account),
            _ => Err(ForeignError::Account),
        }
    }
}

fn address(text: &str) -> Option<Jid> {
    text.parse().ok()
}

fn pair(what: &'static str, private: &[u8; 32]) -> Result<KeyPair, ForeignError> {
    let private = PrivateKey::deserialize(private).map_err(|_| ForeignError::Key(what))?;
    let public = private.public_key().map_err(|_| ForeignError::Key(what))?;
    Ok(KeyPair::new(public, private))
}
