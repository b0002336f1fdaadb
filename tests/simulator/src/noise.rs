//! The responder's side of the Noise handshakes XX, IK and XXfallback, and the two counters of an
//! established connection. Works on bytes; reads and writes no socket.

use anyhow::{Context as _, Result, bail};
use buffa::{Message as _, MessageField};
use bytes::BytesMut;
use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK};
use wacore_libsignal::protocol::KeyPair;
use wacore_noise::{NoiseCipher, NoiseHandshake};
use waproto::whatsapp::HandshakeMessage;
use waproto::whatsapp::handshake_message::ServerHello;

use crate::chain::{Identity, raw};
use crate::util::rng;

/// An established channel, seen from the server.
pub(crate) struct Channel {
    read: NoiseCipher,
    write: NoiseCipher,
    received: u32,
    sent: u32,
}

impl Channel {
    /// Decrypts the next frame of the client.
    pub(crate) fn open(&mut self, mut frame: BytesMut) -> Result<BytesMut> {
        self.read
            .decrypt_in_place_with_counter(self.received, &mut frame)
            .context("a frame does not decrypt")?;
        self.received += 1;
        Ok(frame)
    }

    /// Encrypts the next frame for the client.
    pub(crate) fn seal(&mut self, payload: &[u8]) -> Result<Vec<u8>> {
        let sealed = self.write.encrypt_with_counter(self.sent, payload)?;
        self.sent += 1;
        Ok(sealed)
    }
}

/// What the client proved and said in a finished handshake.
pub(crate) struct Finished {
    /// The encrypted channel.
    pub channel: Channel,
    /// The client's static key: the identity of the connection.
    pub client: [u8; 32],
    /// The encoded `ClientPayload`.
    pub payload: Vec<u8>,
    /// `IK`, `XX` or `XXfallback`.
    pub pattern: &'static str,
}

/// The answer to a ClientHello.
pub(crate) enum Hello {
    /// IK: nothing more to come.
    Done(Vec<u8>, Box<Finished>),
    /// XX: the ClientFinish is still to come.
    Wait(Vec<u8>, Box<Pending>),
}

/// A half-done XX handshake.
pub(crate) struct Pending {
    noise: NoiseHandshake,
    ephemeral: KeyPair,
    pattern: &'static str,
}

/// Answers a ClientHello. `refuse_ik` answers an IK hello as if the server's key had changed.
pub(crate) fn hello(
    server: &Identity,
    frame: &[u8],
    prologue: &[u8],
    refuse_ik: bool,
) -> Result<Hello> {
    let message = HandshakeMessage::decode_from_slice(frame)?;
    let hello = message.client_hello.into_option().context("no ClientHello")?;
    let ephemeral = key(hello.ephemeral)?;
    match (hello.r#static, hello.payload) {
        (Some(sealed), Some(payload)) if !refuse_ik => {
            // A client with a stale server key sends what does not decrypt: fall back, as the real
            // service does.
            match serve_ik(server, ephemeral, &sealed, &payload, prologue) {
                Ok(done) => Ok(done),
                Err(_) => serve_xx(server, ephemeral, prologue, true),
            }
        }
        (Some(_), _) => serve_xx(server, ephemeral, prologue, true),
        (None, _) => serve_xx(server, ephemeral, prologue, false),
    }
}

fn serve_xx(server: &Identity, client: [u8; 32], prologue: &[u8], fallback: bool) -> Result<Hello> {
    let pattern = if fallback { NOISE_PATTERN_XXFALLBACK } else { NOISE_PATTERN_XX };
    let mut noise = NoiseHandshake::new(pattern, prologue)?;
    noise.authenticate(&client);
    let ephemeral = KeyPair::generate(&mut rng());
    let public = raw(&ephemeral);
    noise.authenticate(&public);
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client)?;
    let sealed_static = noise.encrypt(&raw(&server.static_key))?;
    noise.mix_shared_secret(server.static_key.private_key.serialize(), &client)?;
    let chain = noise.encrypt(&server.chain)?;
    let reply = server_hello(public, Some(sealed_static), chain);
    let pattern = if fallback { "XXfallback" } else { "XX" };
    Ok(Hello::Wait(reply, Box::new(Pending { noise, ephemeral, pattern })))
}

fn serve_ik(
    server: &Identity,
    ephemeral: [u8; 32],
    sealed_static: &[u8],
    sealed_payload: &[u8],
    prologue: &[u8],
) -> Result<Hello> {
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, prologue)?;
    let own = server.static_key.private_key.serialize();
    noise.authenticate(&raw(&server.static_key));
    noise.authenticate(&ephemeral);
    noise.mix_shared_secret(own, &ephemeral)?;
    let client = key(Some(noise.decrypt(sealed_static)?))?;
    noise.mix_shared_secret(own, &client)?;
    let payload = noise.decrypt(sealed_payload)?;
    let answer = KeyPair::generate(&mut rng());
    let public = raw(&answer);
    noise.authenticate(&public);
    noise.mix_shared_secret(answer.private_key.serialize(), &ephemeral)?;
    noise.mix_shared_secret(answer.private_key.serialize(), &client)?;
    let chain = noise.encrypt(&server.chain)?;
    let reply = server_hello(public, None, chain);
    let channel = channel(noise)?;
    Ok(Hello::Done(reply, Box::new(Finished { channel, client, payload, pattern: "IK" })))
}

impl Pending {
    /// Reads the ClientFinish.
    pub(crate) fn finish(mut self, frame: &[u8]) -> Result<Finished> {
        let message = HandshakeMessage::decode_from_slice(frame)?;
        let finish = message.client_finish.into_option().context("no ClientFinish")?;
        let sealed = finish.r#static.context("ClientFinish without static")?;
        let client = key(Some(self.noise.decrypt(&sealed)?))?;
        self.noise.mix_shared_secret(self.ephemeral.private_key.serialize(), &client)?;
        let payload = self.noise.decrypt(&finish.payload.context("no payload")?)?;
        let pattern = self.pattern;
        Ok(Finished { channel: channel(self.noise)?, client, payload, pattern })
    }
}

fn channel(noise: NoiseHandshake) -> Result<Channel> {
    let (read, write) = noise.finish()?;
    Ok(Channel { read, write, received: 0, sent: 0 })
}

fn server_hello(ephemeral: [u8; 32], sealed: Option<Vec<u8>>, payload: Vec<u8>) -> Vec<u8> {
    HandshakeMessage {
        server_hello: MessageField::some(ServerHello {
            ephemeral: Some(ephemeral.to_vec()),
            r#static: sealed,
            payload: Some(payload),
            ..Default::default()
        }),
        ..Default::default()
    }
    .encode_to_vec()
}

fn key(bytes: Option<Vec<u8>>) -> Result<[u8; 32]> {
    match bytes.context("a key is missing")?.try_into() {
        Ok(key) => Ok(key),
        Err(_) => bail!("a key has not 32 bytes"),
    }
}
