//! `link_code_companion_reg`: pairing by an eight-character code.

use anyhow::{Context as _, Result, ensure};
use wacore::crypto::hkdf_sha256_into;
use wacore::libsignal::crypto::aes_256_gcm_decrypt;
use wacore::pair_code::PairCodeUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use wacore_libsignal::protocol::{KeyPair, PublicKey};

use crate::chain::raw;
use crate::login::child_text;
use crate::pairing::LinkCode;
use crate::util::{child_bytes, iq_error, iq_result, jid, leaf, now, random, rng, server, text};
use crate::world::{Address, World};

/// The part of the phone that takes PBKDF2's time, so that it runs outside the world's lock.
pub(crate) struct EnteredCode {
    wrapped: Vec<u8>,
    ephemeral: KeyPair,
    companion: [u8; 32],
}

impl EnteredCode {
    /// Unwraps the companion's key with the code and wraps the phone's. Slow on purpose.
    pub(crate) fn derive(code: &str, wrapped: &[u8]) -> Result<Self> {
        let code = code.replace('-', "").to_uppercase();
        let companion = PairCodeUtils::decrypt_primary_ephemeral_pub(wrapped, &code)?;
        let ephemeral = KeyPair::generate(&mut rng());
        let wrapped = PairCodeUtils::encrypt_ephemeral_pub(&raw(&ephemeral), &code).to_vec();
        Ok(Self { wrapped, ephemeral, companion })
    }
}

impl World {
    pub(super) fn link_code(&mut self, conn: u64, who: Option<&Address>, node: &Node) {
        let Some(reg) = node.get_optional_child("link_code_companion_reg") else { return };
        let stage = text(reg, "stage");
        let answer = match stage.as_str() {
            "companion_hello" => self.companion_hello(conn, who, reg, node),
            "companion_finish" => match self.companion_finish(conn, reg) {
                Ok((pn, secret)) => {
                    self.send(conn, iq_result(node, Vec::new()));
                    if let Err(error) = self.pair(conn, &pn, &secret) {
                        self.violation(who, "pair by code", format!("{error:#}"));
                    }
                    return;
                }
                Err(error) => {
                    self.journal.note(conn, None, "pairing refused", format!("{error:#}"));
                    iq_error(node, 400, "bad-request")
                }
            },
            other => {
                self.violation(who, "unknown iq", format!("link code stage {other}"));
                iq_error(node, 400, "bad-request")
            }
        };
        self.send(conn, answer);
    }

    fn companion_hello(
        &mut self,
        conn: u64,
        who: Option<&Address>,
        reg: &Node,
        node: &Node,
    ) -> Node {
        let display = child_text(reg, "companion_platform_display");
        if !(display.contains(" (") && display.ends_with(')')) {
            self.violation(who, "pair code display", display);
            return iq_error(node, 400, "bad-request");
        }
        if child_bytes(reg, "link_code_pairing_nonce").as_deref() != Some(&[0]) {
            self.violation(who, "pair code nonce", "not one zero byte".to_owned());
        }
        let Some(pn) = jid(reg, "jid").and_then(|jid| self.pn_of(&jid)) else {
            return iq_error(node, 404, "item-not-found");
        };
        let reference = random::<16>().to_vec();
        let Some(c) = self.conns.get_mut(&conn) else { return iq_error(node, 500, "gone") };
        c.link_code = Some(LinkCode {
            pn,
            reference: reference.clone(),
            wrapped: child_bytes(reg, "link_code_pairing_wrapped_companion_ephemeral_pub")
                .unwrap_or_default(),
            keys: None,
        });
        let reply = NodeBuilder::new("link_code_companion_reg")
            .attr("stage", "companion_hello")
            .children([leaf("link_code_pairing_ref", reference)])
            .build();
        iq_result(node, vec![reply])
    }

    /// The wrapped keys of the companions which wait for a code of this account.
    pub(crate) fn waiting_for_code(&self, pn: &str) -> Option<(u64, Vec<u8>)> {
        self.conns
            .iter()
            .rev()
            .find_map(|(id, c)| Some((*id, c.link_code.as_ref().filter(|l| l.pn == pn)?)))
            .map(|(id, code)| (id, code.wrapped.clone()))
    }

    /// The person typed a code on the phone.
    pub(crate) fn code_entered(&mut self, conn: u64, entered: EnteredCode) -> Result<()> {
        let id = self.id();
        let c = self.conns.get_mut(&conn).context("the companion is gone")?;
        let code = c.link_code.as_mut().context("no pairing by code there")?;
        let account = self.accounts.get(&code.pn).context("no such account")?;
        let reg = NodeBuilder::new("link_code_companion_reg")
            .attr("stage", "primary_hello")
            .children([
                leaf("link_code_pairing_wrapped_primary_ephemeral_pub", entered.wrapped),
                leaf("primary_identity_pub", account.phone.identity_key()),
                leaf("link_code_pairing_ref", code.reference.clone()),
            ])
            .build();
        code.keys = Some((entered.ephemeral, entered.companion));
        self.tell_of_code(conn, id, reg);
        Ok(())
    }

    fn tell_of_code(&mut self, conn: u64, id: String, reg: Node) {
        let node = NodeBuilder::new("notification")
            .attr("from", server())
            .attr("type", "link_code_companion_reg")
            .attr("id", id)
            .attr("t", now())
            .children([reg])
            .build();
        self.send(conn, node);
    }

    /// The companions that wait for a code have to show another one.
    pub(crate) fn refresh_code(&mut self, conn: u64, by_hand: bool) {
        let id = self.id();
        let Some(code) = self.conns.get_mut(&conn).and_then(|c| c.link_code.take()) else { return };
        let mut reg = NodeBuilder::new("link_code_companion_reg").attr("stage", "refresh_code");
        if by_hand {
            reg = reg.attr("force_manual_refresh", "true");
        }
        let reg = reg.children([leaf("link_code_pairing_ref", code.reference)]).build();
        self.tell_of_code(conn, id, reg);
    }

    fn companion_finish(&mut self, conn: u64, reg: &Node) -> Result<(String, [u8; 32])> {
        let c = self.conns.get_mut(&conn).context("the connection is gone")?;
        let code = c.link_code.take().context("no pairing by code")?;
        let registered = c.registration.as_ref().context("not a new device")?.identity;
        let (ephemeral, companion) = code.keys.context("no code was entered")?;
        let reference = child_bytes(reg, "link_code_pairing_ref").context("no reference")?;
        ensure!(reference == code.reference, "another reference");
        let bundle = child_bytes(reg, "link_code_pairing_wrapped_key_bundle").context("no keys")?;
        let identity = child_bytes(reg, "companion_identity_public").context("no identity")?;
        ensure!(identity == registered, "another identity than the registered one");
        let (Some(salt), Some(iv), Some(sealed)) =
            (bundle.get(..32), bundle.get(32..44), bundle.get(44..))
        else {
            anyhow::bail!("a key bundle of {} bytes", bundle.len());
        };
        let companion = PublicKey::from_djb_public_key_bytes(&companion)?;
        let shared = ephemeral.calculate_agreement(&companion)?;
        let mut key = [0; 32];
        let info = b"link_code_pairing_key_bundle_encryption_key";
        hkdf_sha256_into(&shared, Some(salt), info, &mut key).ok().context("hkdf")?;
        let mut plain = Vec::new();
        aes_256_gcm_decrypt(&key, iv.try_into()?, b"", sealed, &mut plain)
            .ok()
            .context("wrong code: the key bundle does not decrypt")?;
        let account = self.accounts.get(&code.pn).context("no such account")?;
        ensure!(plain.get(..32) == Some(&identity), "another identity in the bundle");
        let own = account.phone.identity_key();
        ensure!(plain.get(32..64) == Some(own), "another account's identity in the bundle");
        let identity = PublicKey::from_djb_public_key_bytes(&identity)?;
        let identities = account.phone.agree(&identity)?;
        let random = plain.get(64..96).context("no random part")?;
        let mut secret = [0; 32];
        let material = [shared.as_slice(), &identities, random].concat();
        hkdf_sha256_into(&material, None, b"adv_secret", &mut secret).ok().context("hkdf")?;
        Ok((code.pn, secret))
    }
}
