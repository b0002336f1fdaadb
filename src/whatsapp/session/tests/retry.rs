//! How long sent messages are kept for those who ask again.

use std::time::Duration;

use wa_rs::wacore::store::traits::ProtocolStore;

use super::fixture::{Ours, now};
use crate::model::UnixMillis;
use crate::whatsapp::session::SessionStore;
use crate::whatsapp::session::retry::{drop_older, keep, name};
use crate::whatsapp::session::store::key;

const PLENTY: u64 = 1 << 20;

async fn kept(session: &SessionStore, id: &str) -> bool {
    session.take_sent_message("chat", id).await.unwrap().is_some()
}

/// Keeps a message at that time; says how many others that drops.
async fn keep_at(session: &SessionStore, id: &str, at: UnixMillis, most: u64) -> u64 {
    let name = name("chat", id);
    session.update(move |txn| keep(txn, &name, b"a message", at, most)).await.unwrap()
}

async fn drop_before(session: &SessionStore, before: UnixMillis) -> u32 {
    session.update(move |txn| drop_older(txn, before)).await.unwrap()
}

#[tokio::test]
async fn a_sent_message_is_there_for_every_device_that_asks_whatever_the_wall_clock_says() {
    let ours = Ours::new().await;
    let session = ours.session("toko");
    session.store_sent_message("chat", "1", b"one").await.unwrap();
    for _device in 0..2 {
        assert_eq!(session.take_sent_message("chat", "1").await.unwrap(), Some(b"one".to_vec()));
        // What the engine asks for when the clock is a year ahead.
        assert_eq!(session.delete_expired_sent_messages(now() + 31_536_000).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn the_oldest_go_first_and_putting_one_back_makes_it_no_younger() {
    let ours = Ours::new().await;
    let session = ours.session("toko");
    let now = session.space.now();
    let at = |hours: u64| now.before(Duration::from_hours(10 - hours));
    for (id, hours) in [("1", 1), ("2", 2), ("3", 3)] {
        assert_eq!(keep_at(&session, id, at(hours), PLENTY).await, 0);
    }
    session.store_sent_message("chat", "1", b"put back with another text").await.unwrap();
    assert_eq!(drop_before(&session, at(2)).await, 1);
    assert!(!kept(&session, "1").await && kept(&session, "2").await && kept(&session, "3").await);
}

#[tokio::test]
async fn what_is_too_old_is_neither_given_nor_kept() {
    let ours = Ours::new().await;
    let session = ours.session("toko");
    let days = |days: u64| session.space.now().before(Duration::from_hours(24 * days));
    keep_at(&session, "young", days(13), PLENTY).await;
    assert!(kept(&session, "young").await);
    for n in 0..1200 {
        keep_at(&session, &format!("older {n}"), days(15), PLENTY).await;
    }
    assert!(!kept(&session, "older 7").await);
    assert!(session.delete_expired_sent_messages(0).await.unwrap() >= 1200);
    assert!(kept(&session, "young").await);
}

#[tokio::test]
async fn more_bytes_than_are_allowed_drop_the_oldest() {
    let ours = Ours::new().await;
    let session = ours.session("toko");
    let now = session.space.now();
    let ids: Vec<String> = (10..30).map(|n| n.to_string()).collect();
    // Each has 9 bytes of text, 8 of time and 10 of name.
    for (n, id) in (0..).zip(&ids) {
        let dropped = keep_at(&session, id, now.after(Duration::from_secs(n)), 270).await;
        assert_eq!(dropped, u64::from(n >= 10), "at {id}");
    }
    // What is put back, dropped by age or revoked is not counted twice. Of what is revoked 18 bytes stay.
    keep_at(&session, "29", now, 270).await;
    session.forget_sent("25").await.unwrap();
    assert_eq!(drop_before(&session, now.after(Duration::from_secs(11))).await, 1);
    for id in ["new", "own"] {
        assert_eq!(
            keep_at(&session, id, now.after(Duration::from_hours(1)), 289).await,
            u64::from(id == "own")
        );
    }
    for id in &ids {
        let gone = id.as_str() < "22" || id == "25";
        assert_eq!(kept(&session, id).await, !gone, "{id}");
    }
}

#[tokio::test]
async fn a_revoked_message_is_forgotten_in_every_chat() {
    let ours = Ours::new().await;
    let session = ours.session("toko");
    for chat in ["1@lid", "628@s.whatsapp.net"] {
        session.store_sent_message(chat, "1", b"one").await.unwrap();
        session.store_sent_message(chat, "11", b"eleven").await.unwrap();
    }
    session.forget_sent("1").await.unwrap();
    session.forget_sent("never").await.unwrap();
    // The engine had taken it to send it again.
    session.store_sent_message("1@lid", "1", b"one").await.unwrap();
    for chat in ["1@lid", "628@s.whatsapp.net"] {
        assert_eq!(session.take_sent_message(chat, "1").await.unwrap(), None);
        assert!(session.take_sent_message(chat, "11").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_sum_that_was_lost_is_made_again() {
    let ours = Ours::new().await;
    let session = ours.session("toko");
    let now = session.space.now();
    for id in ["10", "11", "12"] {
        keep_at(&session, id, now, PLENTY).await;
    }
    session
        .update(|txn| {
            txn.remove(b"B");
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(keep_at(&session, "13", now.after(Duration::from_secs(1)), 81).await, 1);
    assert!(!kept(&session, "10").await && kept(&session, "11").await);
}

#[tokio::test]
async fn what_an_older_build_has_left_goes() {
    let ours = Ours::new().await;
    let session = ours.session("toko");
    session.store_sent_message("chat", "1", b"one").await.unwrap();
    for n in 0..1200 {
        session.put(key(b'S', format!("chat {n}")), b"of an older build".as_slice()).await.unwrap();
    }
    session.drop_unindexed_sent().await.unwrap();
    assert!(session.space.scan(vec![b'S']).await.unwrap().is_empty());
    assert!(kept(&session, "1").await);
}
