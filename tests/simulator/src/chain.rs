//! The server's Noise identity: a root, an intermediate and a leaf certificate, all really signed,
//! so that a client which knows the root verifies the whole chain. Holds no connection state.

use anyhow::Result;
use buffa::{Message as _, MessageField};
use wacore_libsignal::protocol::{KeyPair, PrivateKey};
use waproto::whatsapp::cert_chain::{NoiseCertificate, noise_certificate::Details};
use waproto::whatsapp::{self as wa};

use crate::util::{now, rng};

const ROOT_SERIAL: u32 = 0;
const INTERMEDIATE_SERIAL: u32 = 1;
const LEAF_SERIAL: u32 = 2;
const YEAR: u64 = 365 * 24 * 3600;

/// The keys and the encoded certificate chain of one simulated server.
pub(crate) struct Identity {
    /// The static key of the Noise handshake; the leaf certificate names it.
    pub static_key: KeyPair,
    /// The encoded `CertChain`.
    pub chain: Vec<u8>,
    /// The public half of the signing root.
    pub root: [u8; 32],
}

impl Identity {
    /// Makes fresh keys and signs the chain, valid from an hour ago for a year.
    pub(crate) fn generate() -> Result<Self> {
        let root = KeyPair::generate(&mut rng());
        let intermediate = KeyPair::generate(&mut rng());
        let static_key = KeyPair::generate(&mut rng());
        let chain = wa::CertChain {
            intermediate: MessageField::some(sign(
                &root.private_key,
                INTERMEDIATE_SERIAL,
                ROOT_SERIAL,
                &intermediate,
            )?),
            leaf: MessageField::some(sign(
                &intermediate.private_key,
                LEAF_SERIAL,
                INTERMEDIATE_SERIAL,
                &static_key,
            )?),
        }
        .encode_to_vec();
        let root = raw(&root);
        Ok(Self { static_key, chain, root })
    }
}

/// The 32 raw bytes of a public key.
pub(crate) fn raw(pair: &KeyPair) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(pair.public_key.public_key_bytes());
    bytes
}

fn sign(
    issuer: &PrivateKey,
    serial: u32,
    issuer_serial: u32,
    subject: &KeyPair,
) -> Result<NoiseCertificate> {
    let details = Details {
        serial: Some(serial),
        issuer_serial: Some(issuer_serial),
        key: Some(raw(subject).to_vec()),
        not_before: Some(now() - 3600),
        not_after: Some(now() + YEAR),
    }
    .encode_to_vec();
    let signature = issuer.calculate_signature(&details, &mut rng())?.to_vec();
    Ok(NoiseCertificate { details: Some(details), signature: Some(signature) })
}
