//! What only our store promises, and no other backend of the engine.

use bytes::Bytes;
use wa_rs::wacore::appstate::hash::HashState;
use wa_rs::wacore::appstate::processor::AppStateMutationMAC;
use wa_rs::wacore::store::traits::{
    AppSyncStore, Backend, DeviceStore, LidPnMappingEntry, ProtocolStore, SignalStore,
};

use super::conformance::{sessions, the_device};
use super::fixture::Ours;
use crate::model::DeviceName;
use crate::whatsapp::session::Holders;

#[tokio::test]
async fn a_session_survives_and_is_erased_whole() {
    let ours = Ours::new().await;
    the_device(&ours.session("a")).await;
    sessions(&ours.session("a")).await;
    sessions(&ours.session("b")).await;
    assert!(ours.session("a").is_linked().await.unwrap());
    let ours = ours.reopen().await;
    let session = ours.session("a");
    assert!(session.is_linked().await.unwrap());
    ours.store.space(&DeviceName::parse("a").unwrap()).erase().await.unwrap();
    assert!(!session.is_linked().await.unwrap());
    assert!(!ours.store.space(&DeviceName::parse("a").unwrap()).has("").await.unwrap());
    assert!(ours.store.space(&DeviceName::parse("b").unwrap()).has("").await.unwrap());
}

#[tokio::test]
async fn the_store_of_a_client_that_is_down_writes_nothing_beside_the_next() {
    let ours = Ours::new().await;
    let (old, next) = (ours.session("toko"), ours.session("toko"));
    old.put_session("bob", b"old").await.unwrap();
    old.halt().await.unwrap();
    next.put_session("bob", b"new").await.unwrap();
    assert!(old.put_session("bob", b"older than new").await.is_err());
    assert_eq!(next.get_session("bob").await.unwrap().as_deref(), Some(&b"new"[..]));
}

#[tokio::test]
async fn who_got_a_groups_key_is_on_the_disk_only_after_the_message_that_brought_it() {
    let ours = Ours::new().await;
    let (client, next, queue) = (ours.session("toko"), ours.session("toko"), ours.session("toko"));
    let (client, next) = (client.sharing(Holders::default()), next.sharing(Holders::default()));
    let queue = queue.sharing(client.holders.clone());
    let on_disk = async || next.get_sender_key_devices("g").await.unwrap();
    let pair = |device: &str, has| (device.to_owned(), has);

    client.set_sender_key_status("g", &[("x", true), ("y", true), ("z", false)]).await.unwrap();
    client.set_sender_key_status("other", &[("x", true)]).await.unwrap();
    let known = client.get_sender_key_devices("g").await.unwrap();
    assert_eq!(known, [pair("x", true), pair("y", true), pair("z", false)]);
    assert_eq!(on_disk().await, [pair("z", false)]);
    // It asked for the key meanwhile.
    client.set_sender_key_status("g", &[("y", false), ("z", true)]).await.unwrap();
    queue.keep_holders("g").await.unwrap();
    assert_eq!(on_disk().await, [pair("x", true), pair("y", false), pair("z", true)]);

    // What the next client does not know, it gives again.
    client.halt().await.unwrap();
    assert!(client.set_sender_key_status("other", &[("y", true)]).await.is_err());
    assert_eq!(queue.get_sender_key_devices("other").await.unwrap(), []);
}

#[tokio::test]
async fn the_collection_with_the_accounts_name_comes_anew_until_the_name_is_there() {
    let ours = Ours::new().await;
    let session = ours.session("toko");
    let known = HashState { version: 1, ..HashState::default() };
    let mac = [AppStateMutationMAC { index_mac: vec![1; 32], value_mac: vec![2; 32] }];
    let versions = async || {
        let mut versions = Vec::new();
        for name in ["critical_block", "regular"] {
            versions.push(session.get_version(name).await.unwrap().version);
            versions.extend(session.get_mutation_mac(name, &[1; 32]).await.unwrap().map(|_| 0));
        }
        versions
    };
    the_device(&session).await;
    let mut device = session.load().await.unwrap().unwrap();
    for name in ["critical_block", "regular"] {
        session.set_version(name, known.clone()).await.unwrap();
        session.put_mutation_macs(name, 1, &mac).await.unwrap();
    }
    session.forget_unnamed().await.unwrap();
    assert_eq!(versions().await, [1, 0, 1, 0], "its name is known");
    device.push_name.clear();
    session.save(&device).await.unwrap();
    session.forget_unnamed().await.unwrap();
    assert_eq!(versions().await, [0, 1, 0]);
}

#[tokio::test]
async fn an_identity_moves_without_its_sessions() {
    let ours = Ours::new().await;
    let (old, new) = (ours.session("old"), ours.session("new"));
    assert!(old.identity().await.unwrap().is_none(), "nothing is linked yet");
    the_device(&old).await;
    old.store_prekey(7, b"seven", true).await.unwrap();
    old.put_session("628@s", b"a session").await.unwrap();
    let identity = old.identity().await.unwrap().unwrap();

    let mut strange = identity.clone();
    strange.push((b"s628@s".to_vec(), Bytes::from_static(b"a session")));
    assert!(new.become_again(strange).await.is_err(), "a session came along");
    assert!(new.become_again(identity[1..].to_vec()).await.is_err(), "nobody in particular");
    assert!(!new.exists().await.unwrap(), "a refusal changes nothing");

    new.put_session("999@s", b"of another life").await.unwrap();
    new.become_again(identity.clone()).await.unwrap();
    assert_eq!(new.identity().await.unwrap().unwrap(), identity);
    assert_eq!(new.load_prekey(7).await.unwrap().as_deref(), Some(b"seven".as_slice()));
    for address in ["628@s", "999@s"] {
        assert_eq!(new.get_session(address).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_remapped_lid_leaves_the_newer_one_alone() {
    let ours = Ours::new().await;
    let session = ours.session("a");
    let backend: &dyn Backend = &session;
    let entry = |lid: &str, phone: &str| LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: phone.to_owned(),
        created_at: 1,
        updated_at: 2,
        learning_source: String::new(),
    };
    for (lid, phone) in [("L1", "100"), ("L2", "100"), ("L1", "200")] {
        backend.put_lid_mapping(&entry(lid, phone)).await.unwrap();
    }
    assert_eq!(backend.get_pn_mapping("100").await.unwrap().unwrap().lid, "L2");
}
