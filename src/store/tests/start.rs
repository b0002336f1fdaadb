//! What a start reads, and what a store takes on the disk, in bytes.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

use super::*;
use crate::model::{EventId, EventType};
use crate::store::database::checkpoint;
use crate::store::repair::checked::{self, Checked};
use crate::store::tally::Counted;

/// A short message, as it comes from WhatsApp.
fn event(n: u64) -> NewEvent {
    let id = EventId::derive(&["a", &n.to_string()]);
    let at = UnixMillis::from_secs(1_795_420_800 + n);
    let body = format!(
        r#"{{"id":"{}","type":"message.received","device":"toko","timestamp":"{at}","data":{{"message_id":"3EB0{:018X}","chat":{{"id":"62811{:07}@s.whatsapp.net","type":"person","phone":"+62811{:07}"}},"sender":{{"id":"62811{:07}@s.whatsapp.net","phone":"+62811{:07}","name":"Budi {}"}},"from_me":false,"kind":"text","text":"Halo, apakah pesanan nomor {n} sudah dikirim?"}}}}"#,
        id.as_str(),
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        n % 40,
        n % 40,
        n % 40,
        n % 40,
        n % 40,
    );
    let counts = Counted::default();
    NewEvent {
        device: device("toko"),
        id,
        kind: EventType::MessageReceived,
        at,
        body: body.into(),
        counts,
    }
}

/// A closed store with so many events.
async fn with_events(count: u64) -> TempDir {
    const PART: u64 = 100;
    let Opened { store, dir } = open().await;
    for part in 0..count.div_ceil(PART) {
        let events = (part * PART..count.min((part + 1) * PART)).map(event).collect();
        store.log().append(events).await.unwrap();
    }
    store.close().await.unwrap();
    dir
}

/// The bytes that this thread has read so far.
fn read_here() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

/// The bytes that a start reads before the store is open.
async fn read_by_start(path: &Path) -> u64 {
    let options = options(path);
    let (store, read) = on_thread(path.to_owned(), move || {
        let before = read_here();
        let (store, _) = super::super::open(&options, None)?;
        Ok((store, read_here() - before))
    })
    .await
    .unwrap();
    store.close().await.unwrap();
    read
}

/// The bytes of all files of a kind.
fn size(path: &Path, is_kind: &dyn Fn(&Path) -> bool) -> u64 {
    let mut all = 0;
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += size(&path, is_kind);
        } else if is_kind(&path) {
            all += path.metadata().unwrap().len();
        }
    }
    all
}

fn is_table(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "tables")
}

#[tokio::test]
async fn a_start_reads_no_more_for_what_is_stored() {
    // What lies in a journal that was not worth emptying is read three times.
    const JOURNAL: u64 = 3 * checkpoint::WORTH;
    let few = read_by_start(with_events(100).await.path()).await;
    let many = with_events(10_000).await;
    let stored = size(&many.path().join("outbox"), &is_table);
    let read = read_by_start(many.path()).await;
    assert!(read <= few + JOURNAL, "{few} bytes read with 100 events, {read} with 10,000");
    assert!(read < stored, "{read} bytes read of {stored}");
    assert!(stored <= 700 * 10_000, "{stored} bytes for 10,000 short messages");
}

#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "a measurement")]
async fn what_a_start_reads_and_what_is_stored() {
    for count in [0, 100, 10_000, 50_000] {
        let dir = with_events(count).await;
        let stored = size(&dir.path().join("outbox"), &|_| true);
        let (started, read) = (std::time::Instant::now(), read_by_start(dir.path()).await);
        let took = started.elapsed();
        eprintln!(
            "{count} events: {stored} bytes stored, {read} read by a start, open and closed within {took:?}"
        );
    }
}

#[tokio::test]
async fn a_table_that_a_disk_damages_silently_is_found_later_and_then_at_the_start() {
    let dir = with_events(1_000).await;
    let outbox = dir.path().join("outbox");
    // Others were merged since.
    let there = |table: &&PathBuf| outbox.join(table).exists();
    let known: Vec<_> = Checked::load(&outbox).tables().filter(there).cloned().collect();
    let largest = known.iter().max_by_key(|table| outbox.join(table).metadata().unwrap().len());
    let (name, table) = (largest.unwrap(), outbox.join(largest.unwrap()));
    assert!(checked::is_whole(&outbox, name).unwrap());
    // A disk changes no times.
    let written = table.metadata().unwrap().modified().unwrap();
    let file: File = OpenOptions::new().read(true).write(true).open(&table).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 2_000).unwrap();
    file.write_all_at(&[!byte[0]], 2_000).unwrap();
    file.set_modified(written).unwrap();
    assert!(!checked::is_whole(&outbox, name).unwrap());

    let (failed, told) = std::sync::mpsc::channel();
    let limits = Limits { keep: Duration::from_hours(72), max_size: 256 << 20 };
    let opened = Outbox::open(&outbox, limits).unwrap();
    let disk = Arc::new(Disk::with(dir.path(), |_| Ok(u64::MAX)));
    let failed = move |error: &StoreError| failed.send(error.clone()).unwrap();
    let tables = Tables::start(disk).unwrap().of(opened.db.clone(), failed);
    tables.check(&outbox, name.clone());
    assert!(matches!(told.recv().unwrap(), StoreError::Broken { .. }));
    tables.close();
    drop(opened);
    let (store, repaired) = Store::open_repairing(options(dir.path()), |_| true).await.unwrap();
    assert_eq!(repaired.len(), 1, "the next start has not read it");
    store.close().await.unwrap();
}
