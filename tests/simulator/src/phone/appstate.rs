//! Synchronised settings: the phone's key, the push name as a real patch, and the patches which
//! companions upload.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use buffa::{Message as _, MessageField};
use wacore_appstate::hash::{HashState, generate_patch_mac};
use wacore_appstate::{decode_record, encode_record, expand_app_state_keys};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId,
    AppStateSyncKeyShare, ProtocolMessage, protocol_message,
};

use crate::Phone;
use crate::util::{bytes, children, empty, iq_error, iq_result, leaf, now, random, server, text};
use crate::world::{Address, World};

const NAMES: [&str; 5] =
    ["critical_block", "critical_unblock_low", "regular_low", "regular_high", "regular"];

/// An account's settings.
pub(crate) struct AppState {
    key_id: [u8; 6],
    key: [u8; 32],
    collections: BTreeMap<String, Vec<Vec<u8>>>,
}

/// The authentication code of each index' value.
type Values = BTreeMap<Vec<u8>, Vec<u8>>;

impl AppState {
    /// Settings with a push name and nothing else.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let mut state = Self { key_id: random(), key: random(), collections: BTreeMap::new() };
        let patch = state.push_name(name)?;
        state.collections.insert("critical_block".to_owned(), vec![patch]);
        Ok(state)
    }

    fn push_name(&self, name: &str) -> Result<Vec<u8>> {
        let setting = wa::sync_action_value::PushNameSetting { name: Some(name.to_owned()) };
        let value = wa::SyncActionValue {
            push_name_setting: MessageField::some(setting),
            ..Default::default()
        };
        let index = br#"["setting_pushName"]"#.to_vec();
        self.next_patch("critical_block", 1, vec![(index, value)])
    }

    /// Puts people into the address book of an account that has none: number and name.
    fn address_book(&mut self, people: &[(String, String)]) -> Result<()> {
        let entry = |(number, name): &(String, String)| {
            let contact = wa::sync_action_value::ContactAction {
                full_name: Some(name.clone()),
                ..Default::default()
            };
            let value = wa::SyncActionValue {
                contact_action: MessageField::some(contact),
                ..Default::default()
            };
            (format!("[\"contact\",\"{number}@s.whatsapp.net\"]").into_bytes(), value)
        };
        let patch =
            self.next_patch("critical_unblock_low", 2, people.iter().map(entry).collect())?;
        self.collections.insert("critical_unblock_low".to_owned(), vec![patch]);
        Ok(())
    }

    /// What a collection's patches come to: the hash over them, and the value that each index has.
    fn state_of(&self, name: &str) -> Result<(HashState, Values)> {
        let (mut hash, mut values) = (HashState::default(), Values::new());
        for patch in self.collections.get(name).into_iter().flatten() {
            let patch = wa::SyncdPatch::decode_from_slice(patch)?;
            hash.version += 1;
            hash.update_hash(&patch.mutations, |index, _| Ok(values.get(index).cloned())).1?;
            for record in patch.mutations.iter().filter_map(|one| one.record.as_option()) {
                let (index, value) = (record.index.blob.clone(), record.value.blob.clone());
                let value = value.unwrap_or_default();
                let mac = value.get(value.len().saturating_sub(32)..).unwrap_or_default().to_vec();
                values.insert(index.unwrap_or_default(), mac);
            }
        }
        Ok((hash, values))
    }

    /// The next patch of a collection, as the phone makes it.
    fn add(
        &mut self,
        name: &str,
        version: i32,
        index: &[&str],
        value: wa::SyncActionValue,
    ) -> Result<()> {
        let index = serde_json::to_vec(index)?;
        let patch = self.next_patch(name, version, vec![(index, value)])?;
        self.collections.entry(name.to_owned()).or_default().push(patch);
        Ok(())
    }

    fn next_patch(
        &self,
        name: &str,
        version: i32,
        values: Vec<(Vec<u8>, wa::SyncActionValue)>,
    ) -> Result<Vec<u8>> {
        let keys = expand_app_state_keys(&self.key);
        let at = Some(i64::try_from(now())? * 1000);
        let set = wa::syncd_mutation::SyncdOperation::SET;
        let mutations: Vec<_> = values
            .into_iter()
            .map(|(index, value)| {
                let value = wa::SyncActionValue { timestamp: at, ..value };
                encode_record(set, &index, &value, &keys, &self.key_id, &random(), version).0
            })
            .collect();
        let (mut hash, before) = self.state_of(name)?;
        hash.version += 1;
        hash.update_hash(&mutations, |index, _| Ok(before.get(index).cloned())).1?;
        let mut patch = wa::SyncdPatch {
            version: MessageField::some(wa::SyncdVersion { version: Some(hash.version) }),
            mutations,
            snapshot_mac: Some(hash.generate_snapshot_mac(name, &keys.snapshot_mac)),
            key_id: MessageField::some(wa::KeyId { id: Some(self.key_id.to_vec()) }),
            ..Default::default()
        };
        let mac = generate_patch_mac(&patch, name, &keys.patch_mac, hash.version);
        patch.patch_mac = Some(mac);
        Ok(patch.encode_to_vec())
    }

    /// What companions have set, in order of their uploads within each collection: the index, and the value.
    fn uploaded(&self) -> Result<Vec<(Vec<String>, wa::SyncActionValue)>> {
        let keys = expand_app_state_keys(&self.key);
        let mut found = Vec::new();
        for patch in self.collections.values().flatten() {
            let patch = wa::SyncdPatch::decode_from_slice(patch)?;
            for mutation in &patch.mutations {
                let operation = mutation.operation.and_then(|operation| operation.as_known());
                let operation = operation.context("an unknown operation")?;
                let record = mutation.record.as_option().context("a mutation without a record")?;
                let (mutation, _) = decode_record(operation, record, &keys, &self.key_id, true)?;
                found.extend(mutation.action_value.map(|value| (mutation.index, value)));
            }
        }
        Ok(found)
    }

    fn share(&self) -> wa::Message {
        let key = AppStateSyncKey {
            key_id: MessageField::some(AppStateSyncKeyId { key_id: Some(self.key_id.to_vec()) }),
            key_data: MessageField::some(AppStateSyncKeyData {
                key_data: Some(self.key.to_vec()),
                fingerprint: MessageField::some(AppStateSyncKeyFingerprint {
                    raw_id: Some(1),
                    current_index: Some(0),
                    device_indexes: vec![0, 1],
                }),
                timestamp: i64::try_from(now()).ok(),
            }),
        };
        wa::Message {
            protocol_message: MessageField::some(ProtocolMessage {
                r#type: Some(protocol_message::Type::APP_STATE_SYNC_KEY_SHARE),
                app_state_sync_key_share: MessageField::some(AppStateSyncKeyShare {
                    keys: vec![key],
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }
}

impl World {
    /// Gives a companion the key for the settings, once.
    pub(crate) fn share_app_state_key(&mut self, to: &Address) {
        let Some(account) = self.accounts.get(&to.pn) else { return };
        if !account.phone.online || to.device == 0 {
            return;
        }
        let message = account.app_state.share();
        let Some(device) = self.device(to) else { return };
        if std::mem::replace(&mut device.has_app_state_key, true) {
            return;
        }
        if let Err(error) = self.send_peer(to, &message) {
            self.violation(Some(to), "app state key", format!("{error:#}"));
        }
    }

    /// `w:sync:app:state`: patches asked for and uploaded.
    pub(crate) fn app_state_iq(&mut self, who: &Address, node: &Node) -> Node {
        let Some(sync) = node.get_optional_child("sync") else {
            return iq_error(node, 400, "bad-request");
        };
        let mut collections = Vec::new();
        for asked in children(sync) {
            match self.collection(who, asked) {
                Ok(collection) => collections.push(collection),
                Err(error) => {
                    self.violation(Some(who), "app state", format!("{error:#}"));
                    return iq_error(node, 400, "bad-request");
                }
            }
        }
        iq_result(node, vec![NodeBuilder::new("sync").children(collections).build()])
    }

    fn collection(&mut self, who: &Address, asked: &Node) -> Result<Node> {
        let name = text(asked, "name");
        let version: usize = text(asked, "version").parse().unwrap_or(0);
        if !NAMES.contains(&name.as_str()) {
            anyhow::bail!("an unknown collection {name}");
        }
        let account = self.accounts.get_mut(&who.pn).context("no such account")?;
        let patches = account.app_state.collections.entry(name.clone()).or_default();
        let mut builder = NodeBuilder::new("collection").attr("name", name.as_str());
        if let Some(patch) = asked.get_optional_child("patch") {
            if version != patches.len() {
                let text = format!("{name}: version {version}, but there are {}", patches.len());
                self.violation(Some(who), "app state version", text);
                let error = NodeBuilder::new("error").attr("code", "409").attr("text", "conflict");
                return Ok(builder.attr("type", "error").children([error.build()]).build());
            }
            // An upload carries no version; the server numbers the patches.
            let mut stored = wa::SyncdPatch::decode_from_slice(&bytes(patch))?;
            let next = patches.len() as u64 + 1;
            stored.version = MessageField::some(wa::SyncdVersion { version: Some(next) });
            patches.push(stored.encode_to_vec());
            let collection = builder.attr("version", patches.len()).attr("type", "result").build();
            self.notify_app_state(who, &name);
            return Ok(collection);
        }
        builder = builder.attr("version", patches.len()).attr("type", "result");
        let newer: Vec<Node> =
            patches.iter().skip(version).map(|p| leaf("patch", p.as_slice())).collect();
        if newer.is_empty() {
            return Ok(builder.children([empty("patches")]).build());
        }
        Ok(builder.children([NodeBuilder::new("patches").children(newer).build()]).build())
    }

    fn notify_app_state(&mut self, who: &Address, name: &str) {
        for device in self.device_ids(&who.pn) {
            if device == 0 || device == who.device {
                continue;
            }
            let id = self.id();
            let version = self
                .accounts
                .get(&who.pn)
                .and_then(|a| a.app_state.collections.get(name))
                .map_or(0, Vec::len);
            let node = NodeBuilder::new("notification")
                .attr("from", server())
                .attr("type", "server_sync")
                .attr("id", id)
                .attr("t", now())
                .children([NodeBuilder::new("collection")
                    .attr("name", name.to_owned())
                    .attr("version", version)
                    .build()])
                .build();
            self.deliver(&Address::new(&who.pn, device), node);
        }
    }
}

impl Phone {
    /// Writes people into its address book: number and name. Once, and before a companion is linked.
    pub fn know(&self, people: &[(&str, &str)]) -> Result<()> {
        let people: Vec<_> = people
            .iter()
            .map(|(number, name)| ((*number).to_owned(), (*name).to_owned()))
            .collect();
        let mut world = self.sim.world();
        let account = world.accounts.get_mut(self.number()).context("no such account")?;
        account.app_state.address_book(&people)
    }

    /// Makes or renames a label of the account.
    pub fn label(&self, id: &str, name: &str, color: i32) -> Result<()> {
        let label = wa::sync_action_value::LabelEditAction {
            name: Some(name.to_owned()),
            color: Some(color),
            deleted: Some(false),
            ..Default::default()
        };
        let value = wa::SyncActionValue {
            label_edit_action: MessageField::some(label),
            ..Default::default()
        };
        self.set(&["label_edit", id], value)
    }

    /// Puts a label on a chat, or takes it off.
    pub fn label_chat(&self, id: &str, chat: &str, on: bool) -> Result<()> {
        let action = wa::sync_action_value::LabelAssociationAction {
            labeled: Some(on),
            ..Default::default()
        };
        let value = wa::SyncActionValue {
            label_association_action: MessageField::some(action),
            ..Default::default()
        };
        self.set(&["label_jid", id, chat], value)
    }

    /// Changes one of the settings in the collection of most of them; the companions are told.
    fn set(&self, index: &[&str], value: wa::SyncActionValue) -> Result<()> {
        self.set_in(("regular", 3), index, value)
    }

    /// Changes a setting in a collection, in the version that such settings have there; the companions are told.
    pub(super) fn set_in(
        &self,
        (collection, version): (&str, i32),
        index: &[&str],
        value: wa::SyncActionValue,
    ) -> Result<()> {
        let mut world = self.sim.world();
        let account = world.accounts.get_mut(self.number()).context("no such account")?;
        account.app_state.add(collection, version, index, value)?;
        world.notify_app_state(&Address::new(self.number(), 0), collection);
        world.touch();
        Ok(())
    }

    /// The account's settings as its phone reads them, among them what companions uploaded: index and value.
    pub fn settings(&self) -> Result<Vec<(Vec<String>, wa::SyncActionValue)>> {
        let world = self.sim.world();
        let account = world.accounts.get(self.number()).context("no such account")?;
        account.app_state.uploaded()
    }

    /// What the account's settings say last under an index.
    pub fn setting(&self, index: &[&str]) -> Result<wa::SyncActionValue> {
        let settings = self.settings()?;
        let seen: Vec<_> = settings.iter().map(|(index, _)| index.clone()).collect();
        let found = settings.into_iter().rev().find(|(there, _)| there == index);
        Ok(found.with_context(|| format!("no {index:?} among {seen:?}"))?.1)
    }
}
