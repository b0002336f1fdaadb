use std::time::Instant;

use data_encoding::HEXLOWER;

use super::*;
use crate::model::{ChatKind, Person};
use crate::store::history::{Message, Place};

const LIMITS: HistoryLimits =
    HistoryLimits { keep: Duration::from_hours(30 * 24), max_size: 1 << 30 };

fn learned(chat: &str, n: u64, at: UnixMillis, text: &str) -> Learned {
    let kept = Kept {
        id: format!("3EB0{n:016X}"),
        from: Some(Person {
            jid: chat.to_owned(),
            phone: Some(chat.split('@').next().unwrap().to_owned()),
            lid: None,
            name: Some("Budi Santoso".to_owned()),
        }),
        kind: "text".to_owned(),
        text: Some(text.to_owned()),
        source: Source::History,
        ..Kept::default()
    };
    let (addresses, reactions) = (vec![chat.to_owned()], Vec::new());
    Learned { addresses, kind: ChatKind::Person, at, kept, reactions }
}

fn ago(hours: u64) -> UnixMillis {
    UnixMillis::from_secs(UnixMillis::now().before(Duration::from_hours(hours)).secs())
}

async fn all(store: &Store, chat: &str, page: usize) -> Vec<Message> {
    let toko = device("toko");
    let row = store.history().chat(&toko, chat).await.unwrap().unwrap_or_default();
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let leaf = store.history().messages(&toko, row.clone(), before, page).await.unwrap();
        let leaf = leaf.unwrap();
        found.extend(leaf.items);
        before = leaf.next;
        if before.is_none() {
            return found;
        }
    }
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.kept.text.as_deref().unwrap_or_default()).collect()
}

/// The keyspaces of the history on the disk.
fn parts(opened: &Opened) -> usize {
    let outbox = opened.dir.path().join("outbox");
    let mut names = 0;
    for entry in std::fs::read_dir(outbox.join("keyspaces")).unwrap() {
        names += usize::from(entry.unwrap().path().is_dir());
    }
    names
}

#[tokio::test]
async fn pages_go_through_parts_of_all_times_and_miss_nothing() {
    let opened = open().await;
    let store = &opened.store;
    // Small parts, so that several are of the same time.
    let limits = HistoryLimits { max_size: 64 << 10, ..LIMITS };
    store.history().turn(Some(limits)).await.unwrap();
    let (toko, chat) = (device("toko"), "628111@s.whatsapp.net");
    let mut told: Vec<u64> = (0..60).collect();
    // In no order, as the phone tells of it.
    told.sort_by_key(|n| n * 37 % 60);
    for n in told {
        let one = learned(chat, n, ago(700 - n * 10), &format!("kata {n}"));
        store.history().learn(&toko, vec![one.clone()]).await.unwrap();
        store.history().learn(&toko, vec![one]).await.unwrap();
    }
    let wanted: Vec<String> = (0..60).rev().map(|n| format!("kata {n}")).collect();
    for page in [1, 7, 200] {
        let found = all(store, chat, page).await;
        assert_eq!(texts(&found), wanted, "{page} at once");
        assert!(found.is_sorted_by(|a, b| a.place > b.place));
    }
    let search =
        |before: Option<Place>| store.history().search(&toko, "KATA ".to_owned(), None, before, 7);
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let leaf = search(before).await.unwrap().unwrap();
        found.extend(leaf.items.into_iter().map(|(message, _)| message));
        before = leaf.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(texts(&found), wanted);
    let opened = opened.reopen().await;
    opened.store.history().turn(Some(limits)).await.unwrap();
    assert_eq!(texts(&all(&opened.store, chat, 9).await), wanted, "it survives");
}

#[tokio::test]
async fn two_chats_that_are_one_person_become_one() {
    let opened = open().await;
    let store = &opened.store;
    store.history().turn(Some(LIMITS)).await.unwrap();
    let (toko, phone, lid) = (device("toko"), "628111@s.whatsapp.net", "1555@lid");
    let one = learned(phone, 1, ago(3), "dengan nomor");
    let two = learned(lid, 2, ago(2), "dengan lid");
    store.history().learn(&toko, vec![one, two]).await.unwrap();
    let chats = async || store.history().chats(&toko, None, 9, false).await.unwrap().unwrap().items;
    assert_eq!(chats().await.len(), 2);
    let both = vec![phone.to_owned(), lid.to_owned()];
    let three = Learned { addresses: both, ..learned(phone, 3, ago(1), "dengan keduanya") };
    store.history().learn(&toko, vec![three]).await.unwrap();
    let list = chats().await;
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].row.address(), list[0].row.lid().as_deref()), (phone, Some("1555")));
    let wanted = ["dengan keduanya", "dengan lid", "dengan nomor"];
    for address in [phone, lid] {
        for page in [1, 9] {
            assert_eq!(texts(&all(store, address, page).await), wanted);
        }
    }
    let found = store.history().search(&toko, "lid".to_owned(), None, None, 9).await.unwrap();
    assert_eq!(found.unwrap().items[0].1.address(), phone, "the chat that it is in now");
}

#[tokio::test]
async fn what_is_too_old_or_too_much_leaves_the_disk_and_off_leaves_nothing() {
    let opened = open().await;
    let before = parts(&opened);
    let store = &opened.store;
    store.history().turn(Some(LIMITS)).await.unwrap();
    let (toko, chat) = (device("toko"), "628111@s.whatsapp.net");
    // What does not get smaller by packing.
    let filler = || HEXLOWER.encode(&rand::random::<[u8; 1000]>());
    let many = (0..200).map(|n| learned(chat, n, ago(700 - n * 3), &format!("{n} {}", filler())));
    store.history().learn(&toko, many.collect()).await.unwrap();
    assert_eq!(all(store, chat, 50).await.len(), 200);
    let whole = store.history().bytes().await.unwrap();
    assert!(whole > 200 * 2000, "{whole}");

    let less = HistoryLimits { max_size: whole / 2, ..LIMITS };
    store.history().turn(Some(less)).await.unwrap();
    let kept = store.history().bytes().await.unwrap();
    assert!(kept <= whole / 2 && kept > whole / 8, "{kept} of {whole}");
    let found = all(store, chat, 50).await;
    assert_eq!(
        found.first().map(|message| message.kept.id.clone()),
        Some(format!("3EB0{:016X}", 199))
    );
    assert!(found.len() < 120 && found.len() > 20, "{}", found.len());

    let shorter = HistoryLimits { keep: Duration::from_hours(1), ..LIMITS };
    store.history().turn(Some(shorter)).await.unwrap();
    assert_eq!(all(store, chat, 50).await.len(), 0);
    let chats = store.history().chats(&toko, None, 9, false).await.unwrap().unwrap();
    assert!(chats.items.is_empty());

    let opened = opened.reopen().await;
    opened.store.history().turn(Some(LIMITS)).await.unwrap();
    let again = learned(chat, 500, ago(1), "lagi");
    opened.store.history().learn(&toko, vec![again]).await.unwrap();
    opened.store.history().turn(None).await.unwrap();
    assert!(opened.store.history().chats(&toko, None, 9, false).await.unwrap().is_none());
    // A log that goes on, and another start: no keyspace takes the number of one that went.
    let opened = opened.reopen().await;
    opened.store.history().turn(None).await.unwrap();
    let opened = opened.reopen().await;
    assert!(parts(&opened) <= before + 1, "{} and {before}", parts(&opened));
    opened.store.history().turn(Some(LIMITS)).await.unwrap();
    assert_eq!(all(&opened.store, chat, 50).await.len(), 0, "it is another history");
}

/// `MOONWA_HISTORY_MESSAGES=1000000 cargo test --profile measured --lib history_of -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement; run by hand in an optimised build"]
#[expect(clippy::print_stdout, reason = "figures for people")]
async fn history_of_a_million_messages() {
    const WORDS: [&str; 16] = [
        "berapa", "harga", "kopi", "gayo", "toraja", "sekilo", "besok", "kirim", "alamat", "jalan",
        "terima", "kasih", "pesan", "nomor", "ongkir", "stok",
    ];
    let most = std::env::var("MOONWA_HISTORY_MESSAGES").ok().and_then(|text| text.parse().ok());
    let most: u64 = most.unwrap_or(100_000);
    let opened = open().await;
    let store = &opened.store;
    let limits = HistoryLimits { max_size: 1 << 40, ..LIMITS };
    store.history().turn(Some(limits)).await.unwrap();
    let toko = device("toko");
    let chat = |n: u64| format!("62811{:07}@s.whatsapp.net", n % 1000);
    let began = Instant::now();
    let start = ago(29 * 24);
    for batch in 0..most / 1000 {
        let messages = (batch * 1000..(batch + 1) * 1000).map(|n| {
            let at = start.after(Duration::from_millis(n * (28 * 86_400_000 / most)));
            let words = (0..8_u64).map(|k| {
                let pick = usize::try_from((n * 31 + k * k * 7 + n / 13) % 16).unwrap();
                WORDS[pick]
            });
            let text = format!("{} {n}", words.collect::<Vec<_>>().join(" "));
            learned(&chat(n * 7), n, at, &text)
        });
        store.history().learn(&toko, messages.collect()).await.unwrap();
    }
    println!("{most} messages taken in {} s", began.elapsed().as_secs());
    let counted = store.history().bytes().await.unwrap();
    let opened = opened.reopen().await;
    let store = &opened.store;
    store.history().turn(Some(limits)).await.unwrap();
    let (disk, _) = store.sizes().await.unwrap();
    println!("counted {} bytes, on the disk {} bytes a message", counted / most, disk / most);
    let figures = |what: &str, mut times: Vec<Duration>| {
        times.sort();
        let at = |part: usize| times[times.len() * part / 100].as_micros();
        println!("{what}: median {} µs, p99 {} µs", at(50), at(99));
    };
    let (mut list, mut chats, mut search) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..300 {
        let row = store.history().chat(&toko, &chat(n * 13)).await.unwrap().unwrap();
        let began = Instant::now();
        let leaf = store.history().messages(&toko, row, None, 50).await.unwrap().unwrap();
        list.push(began.elapsed());
        assert_eq!(leaf.items.len(), usize::try_from((most / 1000).min(50)).unwrap());
    }
    for _ in 0..100 {
        let began = Instant::now();
        store.history().chats(&toko, None, 50, false).await.unwrap();
        chats.push(began.elapsed());
        let began = Instant::now();
        let query = "kopi gayo har".to_owned();
        store.history().search(&toko, query, None, None, 50).await.unwrap();
        search.push(began.elapsed());
    }
    figures("50 messages of a chat", list);
    figures("50 chats", chats);
    figures("a search for three words", search);
}
