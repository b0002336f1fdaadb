//! A phone's Signal state, all in memory: identity, prekeys, sessions and sender keys.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use wacore_libsignal::protocol::error::Result as SignalResult;
use wacore_libsignal::protocol::{
    Direction, GenericSignedPreKey as _, IdentityChange, IdentityKey, IdentityKeyPair,
    IdentityKeyStore, KeyPair, PreKeyId, PreKeyRecord, PreKeyStore, ProtocolAddress, SenderKeyName,
    SenderKeyRecord, SenderKeyStore, SessionRecord, SessionStore, SignalProtocolError,
    SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore, Timestamp,
};

use crate::iq::Bundle;
use crate::util::{below, rng};

const SIGNED_ID: u32 = 1;

/// Own identity and what is known of others'.
pub(crate) struct Identities {
    /// Own identity.
    pub own: IdentityKeyPair,
    /// Own registration id.
    pub registration: u32,
    known: BTreeMap<String, IdentityKey>,
}

/// One-time prekeys.
#[derive(Default)]
pub(crate) struct PreKeys(BTreeMap<u32, PreKeyRecord>);

/// The signed prekey.
pub(crate) struct SignedPreKeys(SignedPreKeyRecord);

/// Sessions by address.
#[derive(Default)]
pub(crate) struct Sessions(pub BTreeMap<String, SessionRecord>);

/// Sender keys of groups.
#[derive(Default)]
pub(crate) struct SenderKeys(BTreeMap<String, SenderKeyRecord>);

/// All of them.
pub(crate) struct Stores {
    /// Identities.
    pub identities: Identities,
    /// One-time prekeys.
    pub prekeys: PreKeys,
    /// Signed prekey.
    pub signed: SignedPreKeys,
    /// Sessions.
    pub sessions: Sessions,
    /// Sender keys.
    pub sender_keys: SenderKeys,
    signed_public: (Vec<u8>, Vec<u8>),
    next_prekey: u32,
}

impl Stores {
    /// A new phone's keys.
    pub(crate) fn generate() -> Result<Self> {
        let own = IdentityKeyPair::generate(&mut rng());
        let signed = KeyPair::generate(&mut rng());
        let signature = own
            .private_key()
            .calculate_signature(&signed.public_key.serialize(), &mut rng())?
            .to_vec();
        let time = Timestamp::from_epoch_millis(0);
        let record = SignedPreKeyRecord::new(SIGNED_ID.into(), time, &signed, &signature);
        let registration = 1 + below(16_380);
        Ok(Self {
            identities: Identities { own, registration, known: BTreeMap::new() },
            prekeys: PreKeys::default(),
            signed: SignedPreKeys(record),
            sessions: Sessions::default(),
            sender_keys: SenderKeys::default(),
            signed_public: (signed.public_key.public_key_bytes().to_vec(), signature),
            next_prekey: 1,
        })
    }

    /// What the server hands out for this phone.
    pub(crate) fn bundle(&mut self, one_time: bool) -> Result<Bundle> {
        let one_time = if one_time {
            let id = self.next_prekey;
            self.next_prekey += 1;
            let pair = KeyPair::generate(&mut rng());
            self.prekeys.0.insert(id, PreKeyRecord::new(id.into(), &pair));
            Some((id, pair.public_key.public_key_bytes().to_vec()))
        } else {
            None
        };
        let identity = self.identities.own.public_key().public_key_bytes();
        Ok(Bundle {
            registration: self.identities.registration,
            identity: identity.try_into().ok().context("identity")?,
            signed: (SIGNED_ID, self.signed_public.0.clone(), self.signed_public.1.clone()),
            one_time,
            device_identity: None,
        })
    }
}

#[async_trait]
impl IdentityKeyStore for Identities {
    async fn get_identity_key_pair(&self) -> SignalResult<IdentityKeyPair> {
        Ok(self.own.clone())
    }

    async fn get_local_registration_id(&self) -> SignalResult<u32> {
        Ok(self.registration)
    }

    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> SignalResult<IdentityChange> {
        let old = self.known.insert(address.to_string(), *identity);
        Ok(IdentityChange::from_changed(old.is_some_and(|old| old != *identity)))
    }

    async fn is_trusted_identity(
        &self,
        _address: &ProtocolAddress,
        _identity: &IdentityKey,
        _direction: Direction,
    ) -> SignalResult<bool> {
        Ok(true)
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> SignalResult<Option<IdentityKey>> {
        Ok(self.known.get(&address.to_string()).copied())
    }
}

#[async_trait]
impl PreKeyStore for PreKeys {
    async fn get_pre_key(&self, id: PreKeyId) -> SignalResult<PreKeyRecord> {
        self.0.get(&id.into()).cloned().ok_or(SignalProtocolError::InvalidPreKeyId)
    }

    async fn save_pre_key(&mut self, id: PreKeyId, record: &PreKeyRecord) -> SignalResult<()> {
        self.0.insert(id.into(), record.clone());
        Ok(())
    }

    async fn remove_pre_key(&mut self, id: PreKeyId) -> SignalResult<()> {
        self.0.remove(&id.into());
        Ok(())
    }
}

#[async_trait]
impl SignedPreKeyStore for SignedPreKeys {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> SignalResult<SignedPreKeyRecord> {
        if u32::from(id) == SIGNED_ID {
            Ok(self.0.clone())
        } else {
            Err(SignalProtocolError::InvalidSignedPreKeyId)
        }
    }

    async fn save_signed_pre_key(
        &mut self,
        _id: SignedPreKeyId,
        record: &SignedPreKeyRecord,
    ) -> SignalResult<()> {
        self.0 = record.clone();
        Ok(())
    }
}

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> SignalResult<Option<SessionRecord>> {
        Ok(self.0.get(&address.to_string()).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> SignalResult<bool> {
        Ok(self.0.contains_key(&address.to_string()))
    }

    async fn store_session(
        &mut self,
        address: &ProtocolAddress,
        record: SessionRecord,
    ) -> SignalResult<()> {
        self.0.insert(address.to_string(), record);
        Ok(())
    }
}

#[async_trait]
impl SenderKeyStore for SenderKeys {
    async fn store_sender_key(
        &mut self,
        name: &SenderKeyName,
        record: SenderKeyRecord,
    ) -> SignalResult<()> {
        self.0.insert(name.cache_key().to_owned(), record);
        Ok(())
    }

    async fn load_sender_key(&self, name: &SenderKeyName) -> SignalResult<Option<SenderKeyRecord>> {
        Ok(self.0.get(name.cache_key()).cloned())
    }
}
