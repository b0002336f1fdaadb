//! One suite over the engine's own in-memory backend and ours: what holds for one must hold for the other. Known
//! differences, none of which the engine relies on: the in-memory one drops the newer LID of a phone number when an
//! older LID moves away from it, keeps at most 4,096 sent messages, each of them until it is taken or older than the engine
//! says, and counts devices up in `create`.

use std::sync::Arc;

use bytes::Bytes;
use wa_rs::wacore::appstate::hash::HashState;
use wa_rs::wacore::appstate::processor::AppStateMutationMAC;
use wa_rs::wacore::store::traits::{
    AppStateSyncKey, Backend, DeviceInfo, DeviceListRecord, LidPnMappingEntry, MsgSecretEntry,
    PendingInboundKey, PendingInboundRow, TcTokenEntry,
};
use wa_rs::wacore::store::{Device, InMemoryBackend};

use super::fixture::{Ours, now};

/// Addresses with everything that could end a key early.
const ODD: [&str; 4] = ["a", "a\0b", "a@lid", "a:1@lid"];

macro_rules! conforms {
    ($($check:ident)*) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $check() {
                super::$check(&super::InMemoryBackend::new()).await;
            })*
        }
        mod ours {
            $(#[tokio::test]
            async fn $check() {
                let ours = super::Ours::new().await;
                // A neighbour with the same rows must not be in the way.
                super::$check(&ours.session("neighbour")).await;
                super::$check(&ours.session("n")).await;
            })*
        }
    };
}

conforms! {
    identities sessions signal_state_of_a_user pre_keys signed_pre_keys sender_keys app_state_keys
    versions mutation_macs sender_key_devices lid_mappings base_keys device_lists group_metadata
    tc_tokens tc_tokens_merge tc_tokens_expire sent_messages pending_inbound message_secrets the_device
}

fn shared(text: &str) -> Arc<str> {
    Arc::from(text)
}

async fn identities(backend: &dyn Backend) {
    for (n, address) in (0..).zip(ODD) {
        backend.put_identity(address, [n; 32]).await.unwrap();
    }
    for (n, address) in (0..).zip(ODD) {
        assert_eq!(backend.load_identity(address).await.unwrap(), Some([n; 32]));
    }
    backend.put_identities_batch(&[(shared("a"), [9; 32]), (shared("z"), [8; 32])]).await.unwrap();
    assert_eq!(backend.load_identity("a").await.unwrap(), Some([9; 32]));
    assert_eq!(backend.load_identity("z").await.unwrap(), Some([8; 32]));
    backend.delete_identity("a").await.unwrap();
    backend.delete_identity("never").await.unwrap();
    assert_eq!(backend.load_identity("a").await.unwrap(), None);
    assert_eq!(backend.load_identity("a@lid").await.unwrap(), Some([2; 32]));
}

pub(crate) async fn sessions(backend: &dyn Backend) {
    let rows: Vec<_> =
        ODD.iter().map(|a| (shared(a), Bytes::from(a.as_bytes().repeat(3)))).collect();
    backend.put_sessions_batch(&rows).await.unwrap();
    for (address, session) in &rows {
        assert_eq!(backend.get_session(address).await.unwrap().as_ref(), Some(session));
        assert!(backend.has_session(address).await.unwrap());
    }
    backend.put_session("a", b"new").await.unwrap();
    assert_eq!(backend.get_session("a").await.unwrap(), Some(Bytes::from("new")));
    backend.put_session("a", b"").await.unwrap();
    assert_eq!(backend.get_session("a").await.unwrap(), Some(Bytes::new()));
    backend.delete_session("a").await.unwrap();
    assert!(!backend.has_session("a").await.unwrap());
    assert!(backend.has_session("a\0b").await.unwrap());
}

async fn signal_state_of_a_user(backend: &dyn Backend) {
    backend.put_session("15:2@s.whatsapp.net", b"s").await.unwrap();
    backend.put_identity("16@s.whatsapp.net", [1; 32]).await.unwrap();
    for (user, known) in [("15", true), ("16", true), ("1", false), ("155", false), ("", false)] {
        assert_eq!(backend.has_signal_state_for_user(user).await.unwrap(), known, "{user:?}");
    }
}

async fn pre_keys(backend: &dyn Backend) {
    assert_eq!(backend.get_max_prekey_id().await.unwrap(), 0);
    backend.store_prekey(7, b"seven", false).await.unwrap();
    let batch = [(300, Bytes::from("300")), (65_536, Bytes::from("big"))];
    backend.store_prekeys_batch(&batch, false).await.unwrap();
    assert_eq!(backend.get_max_prekey_id().await.unwrap(), 65_536);
    backend.remove_prekey(7).await.unwrap();
    backend.mark_prekeys_uploaded(&[7, 300]).await.unwrap();
    assert_eq!(backend.load_prekey(7).await.unwrap(), None, "an upload mark raised the dead");
    assert_eq!(backend.load_prekey(300).await.unwrap(), Some(Bytes::from("300")));
    let mut found = backend.load_prekeys_batch(&[65_536, 7, 300]).await.unwrap();
    found.sort();
    assert_eq!(found, batch);
}

async fn signed_pre_keys(backend: &dyn Backend) {
    backend.store_signed_prekey(1, b"one").await.unwrap();
    backend.store_signed_prekey(256, b"two").await.unwrap();
    assert_eq!(backend.load_signed_prekey(1).await.unwrap(), Some(b"one".to_vec()));
    let mut all = backend.load_all_signed_prekeys().await.unwrap();
    all.sort();
    assert_eq!(all, [(1, b"one".to_vec()), (256, b"two".to_vec())]);
    backend.remove_signed_prekey(1).await.unwrap();
    assert_eq!(backend.load_signed_prekey(1).await.unwrap(), None);
}

async fn sender_keys(backend: &dyn Backend) {
    let rows: Vec<_> =
        ODD.iter().map(|a| (shared(a), Bytes::from(a.as_bytes().to_vec()))).collect();
    backend.put_sender_keys_batch(&rows).await.unwrap();
    backend.put_sender_key("a", b"new").await.unwrap();
    assert_eq!(backend.get_sender_key("a").await.unwrap(), Some(b"new".to_vec()));
    assert_eq!(backend.get_sender_key("a\0b").await.unwrap(), Some(b"a\0b".to_vec()));
    backend.delete_sender_key("a").await.unwrap();
    assert_eq!(backend.get_sender_key("a").await.unwrap(), None);
}

async fn app_state_keys(backend: &dyn Backend) {
    assert_eq!(backend.get_latest_sync_key_id().await.unwrap(), None);
    let sync_key = |n: u8| AppStateSyncKey {
        key_data: vec![n],
        fingerprint: vec![n, n],
        timestamp: i64::from(n),
    };
    for id in [[9, 0], [1, 0], [5, 0]] {
        backend.set_sync_key(&id, sync_key(id[0])).await.unwrap();
    }
    assert_eq!(backend.get_latest_sync_key_id().await.unwrap(), Some(vec![5, 0]));
    backend.set_sync_key(&[9, 0], sync_key(8)).await.unwrap();
    assert_eq!(backend.get_latest_sync_key_id().await.unwrap(), Some(vec![9, 0]));
    let found = backend.get_sync_key(&[9, 0]).await.unwrap().unwrap();
    assert_eq!((found.key_data, found.fingerprint, found.timestamp), (vec![8], vec![8, 8], 8));
    assert!(backend.get_sync_key(&[9]).await.unwrap().is_none());
}

async fn versions(backend: &dyn Backend) {
    assert_eq!(backend.get_version("regular").await.unwrap().version, 0);
    let mut state = HashState { version: 42, mac_mismatch_fatal: true, ..HashState::default() };
    state.hash[127] = 7;
    state.index_value_map.insert("x".to_owned(), vec![1, 2]);
    backend.set_version("regular", state).await.unwrap();
    let found = backend.get_version("regular").await.unwrap();
    assert_eq!((found.version, found.hash[127], found.mac_mismatch_fatal), (42, 7, true));
    assert_eq!(found.index_value_map["x"], [1, 2]);
    assert_eq!(backend.get_version("regular_low").await.unwrap().version, 0);
}

async fn mutation_macs(backend: &dyn Backend) {
    let mac = |n: u8| AppStateMutationMAC { index_mac: vec![n; 32], value_mac: vec![n, 1] };
    backend.put_mutation_macs("a", 1, &[mac(1), mac(2), mac(3)]).await.unwrap();
    backend.put_mutation_macs("ab", 1, &[mac(1)]).await.unwrap();
    assert_eq!(backend.get_mutation_mac("a", &[2; 32]).await.unwrap(), Some(vec![2, 1]));
    let found = backend.get_mutation_macs("a", &[[1; 32], [9; 32], [3; 32]]).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((&found[&[1; 32]], &found[&[3; 32]]), (&vec![1, 1], &vec![3, 1]));
    backend.delete_mutation_macs("a", &[vec![1; 32], vec![9; 32]]).await.unwrap();
    assert_eq!(backend.get_mutation_mac("a", &[1; 32]).await.unwrap(), None);
    backend.clear_mutation_macs("a").await.unwrap();
    assert_eq!(backend.get_mutation_mac("a", &[3; 32]).await.unwrap(), None);
    assert_eq!(backend.get_mutation_mac("ab", &[1; 32]).await.unwrap(), Some(vec![1, 1]));
}

async fn devices_of(backend: &dyn Backend, group: &str) -> Vec<(String, bool)> {
    let mut devices = backend.get_sender_key_devices(group).await.unwrap();
    devices.sort();
    devices
}

async fn sender_key_devices(backend: &dyn Backend) {
    let pair = |device: &str, has| (device.to_owned(), has);
    for group in ["g1", "g2", "g"] {
        backend.set_sender_key_status(group, &[("x", true), ("y", false)]).await.unwrap();
    }
    backend.set_sender_key_status("g1", &[("x", false)]).await.unwrap();
    assert_eq!(devices_of(backend, "g1").await, [pair("x", false), pair("y", false)]);
    backend.delete_sender_key_device_rows(&["x", "never"]).await.unwrap();
    backend.delete_sender_key_device_rows(&[]).await.unwrap();
    for group in ["g1", "g2", "g"] {
        assert_eq!(devices_of(backend, group).await, [pair("y", false)]);
    }
    backend.clear_sender_key_devices("g").await.unwrap();
    assert_eq!(devices_of(backend, "g").await, []);
    assert_eq!(devices_of(backend, "g1").await, [pair("y", false)]);
    // A device that was cleared and comes back is found by device again.
    backend.set_sender_key_status("g", &[("y", true)]).await.unwrap();
    backend.delete_sender_key_device_rows(&["y"]).await.unwrap();
    assert_eq!(devices_of(backend, "g").await, []);
    backend.set_sender_key_status("g", &[("y", true)]).await.unwrap();
    backend.clear_all_sender_key_devices().await.unwrap();
    assert_eq!(devices_of(backend, "g").await, []);
    assert_eq!(devices_of(backend, "g1").await, []);
}

async fn lid_mappings(backend: &dyn Backend) {
    let entry = |lid: &str, phone: &str| LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: phone.to_owned(),
        created_at: 1,
        updated_at: 2,
        learning_source: "usync".to_owned(),
    };
    let lid_of = async |phone: &str| backend.get_pn_mapping(phone).await.unwrap().map(|e| e.lid);
    backend.put_lid_mapping(&entry("L1", "100")).await.unwrap();
    backend.put_lid_mappings(&[entry("L2", "200"), entry("L3", "100")]).await.unwrap();
    assert_eq!(lid_of("100").await.as_deref(), Some("L3"));
    assert_eq!(backend.get_lid_mapping("L1").await.unwrap().unwrap().phone_number, "100");
    backend.put_lid_mapping(&entry("L2", "300")).await.unwrap();
    assert_eq!(lid_of("200").await, None);
    assert_eq!(lid_of("300").await.as_deref(), Some("L2"));
    let mut all = backend.get_all_lid_mappings().await.unwrap();
    all.sort_by(|a, b| a.lid.cmp(&b.lid));
    assert_eq!(all.iter().map(|e| e.lid.as_str()).collect::<Vec<_>>(), ["L1", "L2", "L3"]);
    assert_eq!(all[1].learning_source, "usync");
}

async fn base_keys(backend: &dyn Backend) {
    backend.save_base_key("ad", "dr", b"one").await.unwrap();
    assert!(backend.has_same_base_key("ad", "dr", b"one").await.unwrap());
    assert!(!backend.has_same_base_key("ad", "dr", b"two").await.unwrap());
    assert!(!backend.has_same_base_key("add", "r", b"one").await.unwrap());
    backend.delete_base_key("ad", "dr").await.unwrap();
    assert!(!backend.has_same_base_key("ad", "dr", b"one").await.unwrap());
}

async fn device_lists(backend: &dyn Backend) {
    let record = |user: &str, phash: &str| DeviceListRecord {
        user: user.to_owned(),
        devices: vec![DeviceInfo::new(0, None), DeviceInfo::new(3, Some(4)).with_hosting(true)],
        timestamp: 5,
        phash: Some(phash.to_owned()),
        raw_id: Some(6),
    };
    backend.update_device_lists(vec![record("u1", "x"), record("u2", "y")]).await.unwrap();
    backend.update_device_list(record("u1", "z")).await.unwrap();
    let found = backend.get_devices("u1").await.unwrap().unwrap();
    assert_eq!((found.phash.as_deref(), found.raw_id, found.timestamp), (Some("z"), Some(6), 5));
    assert_eq!((found.devices[1].key_index, found.devices[1].is_hosted), (Some(4), true));
    backend.delete_devices("u1").await.unwrap();
    assert!(backend.get_devices("u1").await.unwrap().is_none());
    assert!(backend.get_devices("u2").await.unwrap().is_some());
}

async fn group_metadata(backend: &dyn Backend) {
    assert_eq!(backend.get_group_metadata("g").await.unwrap(), None);
    backend.put_group_metadata("g", b"1").await.unwrap();
    backend.put_group_metadata("g", b"2").await.unwrap();
    assert_eq!(backend.get_group_metadata("g").await.unwrap(), Some(b"2".to_vec()));
    backend.delete_group_metadata("g").await.unwrap();
    assert_eq!(backend.get_group_metadata("g").await.unwrap(), None);
}

type Token = (Vec<u8>, i64, Option<i64>);

async fn token_of(backend: &dyn Backend, jid: &str) -> Option<Token> {
    let entry = backend.get_tc_token(jid).await.unwrap()?;
    Some((entry.token, entry.token_timestamp, entry.sender_timestamp))
}

async fn tc_tokens(backend: &dyn Backend) {
    let entry = TcTokenEntry { token: vec![1], token_timestamp: 2, sender_timestamp: Some(3) };
    backend.put_tc_token("a@lid", &entry).await.unwrap();
    backend.put_tc_token("b@lid", &entry).await.unwrap();
    assert_eq!(token_of(backend, "a@lid").await, Some((vec![1], 2, Some(3))));
    let mut jids = backend.get_all_tc_token_jids().await.unwrap();
    jids.sort();
    assert_eq!(jids, ["a@lid", "b@lid"]);
    backend.delete_tc_token("a@lid").await.unwrap();
    assert_eq!(token_of(backend, "a@lid").await, None);
}

async fn tc_tokens_merge(backend: &dyn Backend) {
    backend.touch_tc_token_sender_timestamp("a", 50).await.unwrap();
    assert_eq!(token_of(backend, "a").await, Some((vec![], 50, Some(50))));
    // A placeholder is never in the way, however new it looks.
    backend.store_received_tc_token("a", b"real", 10).await.unwrap();
    assert_eq!(token_of(backend, "a").await, Some((b"real".to_vec(), 10, Some(50))));
    backend.store_received_tc_token("a", b"stale", 9).await.unwrap();
    backend.touch_tc_token_sender_timestamp("a", 40).await.unwrap();
    assert_eq!(token_of(backend, "a").await, Some((b"real".to_vec(), 10, Some(50))));
    backend.store_received_tc_token("a", b"equal", 10).await.unwrap();
    backend.touch_tc_token_sender_timestamp("a", 60).await.unwrap();
    assert_eq!(token_of(backend, "a").await, Some((b"equal".to_vec(), 10, Some(60))));
    backend.store_received_tc_token("b", b"first", 1).await.unwrap();
    assert_eq!(token_of(backend, "b").await, Some((b"first".to_vec(), 1, None)));
    // Both writers at once: neither may lose the other's half.
    for n in 100..120 {
        let token = backend.store_received_tc_token("b", b"t", n);
        let sender = backend.touch_tc_token_sender_timestamp("b", n);
        let both = futures_util::future::join(token, sender).await;
        assert!(both.0.is_ok() && both.1.is_ok());
        assert_eq!(token_of(backend, "b").await, Some((b"t".to_vec(), n, Some(n))));
    }
}

async fn tc_tokens_expire(backend: &dyn Backend) {
    let put = async |jid: &str, token: &[u8], at, sender| {
        let entry =
            TcTokenEntry { token: token.to_vec(), token_timestamp: at, sender_timestamp: sender };
        backend.put_tc_token(jid, &entry).await.unwrap();
    };
    put("live token", b"t", 100, None).await;
    put("live sender", b"t", 1, Some(200)).await;
    put("placeholder", b"", 100, None).await;
    put("dead", b"t", 99, Some(199)).await;
    assert_eq!(backend.delete_expired_tc_tokens(100, 200).await.unwrap(), 2);
    assert_eq!(backend.delete_expired_tc_tokens(100, 200).await.unwrap(), 0);
    let mut left = backend.get_all_tc_token_jids().await.unwrap();
    left.sort();
    assert_eq!(left, ["live sender", "live token"]);
}

async fn sent_messages(backend: &dyn Backend) {
    backend.store_sent_message("c", "1", b"one").await.unwrap();
    backend.store_sent_message("c", "2", b"two").await.unwrap();
    assert_eq!(backend.delete_expired_sent_messages(now() - 100).await.unwrap(), 0);
    assert_eq!(backend.take_sent_message("c", "1").await.unwrap(), Some(b"one".to_vec()));
    assert_eq!(backend.take_sent_message("c", "never").await.unwrap(), None);
    backend.store_sent_message("c", "1", b"one again").await.unwrap();
    assert_eq!(backend.take_sent_message("c", "1").await.unwrap(), Some(b"one again".to_vec()));
    assert_eq!(backend.take_sent_message("d", "2").await.unwrap(), None, "of another chat");
}

async fn pending_inbound(backend: &dyn Backend) {
    backend.store_pending_inbound("c", "s", "1", b"one").await.unwrap();
    let row = |id, message| PendingInboundRow { chat: "c", sender: "s", id, message };
    backend.store_pending_inbound_batch(&[row("2", b"two"), row("3", b"three")]).await.unwrap();
    backend.store_pending_inbound("cs", "", "1", b"other").await.unwrap();
    let get = async |id: &str| backend.get_pending_inbound("c", "s", id).await.unwrap();
    assert_eq!(get("1").await, Some(b"one".to_vec()));
    assert_eq!(get("1").await, Some(b"one".to_vec()), "reading consumed it");
    assert_eq!(get("3").await, Some(b"three".to_vec()));
    backend.delete_pending_inbound("c", "s", "1").await.unwrap();
    let gone = |id| PendingInboundKey { chat: "c", sender: "s", id };
    backend.delete_pending_inbound_batch(&[gone("2"), gone("9")]).await.unwrap();
    assert_eq!((get("1").await, get("2").await), (None, None));
    assert_eq!(backend.delete_expired_pending_inbound(now() - 100).await.unwrap(), 0);
    assert_eq!(backend.delete_expired_pending_inbound(now() + 100).await.unwrap(), 2);
    assert_eq!(get("3").await, None);
}

async fn message_secrets(backend: &dyn Backend) {
    let entry = |id: &str, secret: u8, expires_at, message_ts| MsgSecretEntry {
        chat: shared("c"),
        sender: shared("s"),
        msg_id: shared(id),
        secret: [secret; 32],
        expires_at,
        message_ts,
    };
    let entries = vec![entry("1", 1, 50, 7), entry("2", 2, 100, 0), entry("2", 3, 60, 9)];
    assert_eq!(backend.put_msg_secrets(entries).await.unwrap(), 3);
    backend.put_msg_secret("c", "s", "3", &[4; 32]).await.unwrap();
    backend.put_msg_secrets(vec![entry("3", 5, 10, 0), entry("1", 1, 40, 0)]).await.unwrap();
    let get = async |id: &str| backend.get_msg_secret_with_ts("c", "s", id).await.unwrap();
    assert_eq!(get("1").await, Some((vec![1; 32], 7)));
    assert_eq!(get("2").await, Some((vec![3; 32], 9)));
    assert_eq!(backend.get_msg_secret("c", "s", "3").await.unwrap(), Some(vec![5; 32]));
    assert_eq!(get("9").await, None);
    assert_eq!(backend.delete_expired_msg_secrets(49).await.unwrap(), 0);
    assert_eq!(backend.delete_expired_msg_secrets(50).await.unwrap(), 1);
    assert_eq!(backend.delete_expired_msg_secrets(i64::MAX).await.unwrap(), 1);
    assert_eq!(get("3").await, Some((vec![5; 32], 0)), "never means never");
}

pub(crate) async fn the_device(backend: &dyn Backend) {
    assert!(!backend.exists().await.unwrap());
    assert!(backend.load().await.unwrap().is_none());
    backend.create().await.unwrap();
    assert!(backend.exists().await.unwrap());
    let mut device = Device::new();
    device.push_name = "Toko".to_owned();
    device.pn = Some("628123456789:5@s.whatsapp.net".parse().unwrap());
    device.next_pre_key_id = 31;
    device.nct_salt = Some(vec![1, 2]);
    backend.save(&device).await.unwrap();
    backend.create().await.unwrap();
    let found = backend.load().await.unwrap().unwrap();
    assert_eq!((found.push_name.as_str(), found.next_pre_key_id), ("Toko", 31));
    assert_eq!((&found.pn, found.registration_id), (&device.pn, device.registration_id));
    assert_eq!(found.identity_key.public_key, device.identity_key.public_key);
    assert_eq!(found.noise_key.private_key.serialize(), device.noise_key.private_key.serialize());
    assert_eq!(found.nct_salt, Some(vec![1, 2]));
}
