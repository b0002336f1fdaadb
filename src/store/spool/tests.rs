use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::store::disk::Room;

const MIB: u64 = 1 << 20;

fn device(name: &str) -> DeviceName {
    DeviceName::parse(name).unwrap()
}

/// A spool on a disk of that many bytes, and the fewest that were ever seen to be free.
struct Small {
    spool: Spool,
    disk: Arc<Disk>,
    least: Arc<AtomicU64>,
    dir: tempfile::TempDir,
}

impl Small {
    fn of(bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let least = Arc::new(AtomicU64::new(u64::MAX));
        let (store, seen) = (dir.path().to_owned(), Arc::clone(&least));
        let disk = Arc::new(Disk::with(dir.path(), move |_| {
            let free = bytes.saturating_sub(Spool::size(&store).unwrap_or_default());
            seen.fetch_min(free, Ordering::Relaxed);
            Ok(free)
        }));
        let spool = Spool::open(dir.path(), Arc::clone(&disk), UnixMillis::from_secs(0), || {
            Ok(BTreeSet::new())
        })
        .unwrap();
        Self { spool, disk, least, dir }
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("spool")).unwrap().count()
    }
}

async fn upload(spool: &Spool, tasks: &Tasks, owner: &str, size: u64) -> io::Result<Upload> {
    let mut upload = spool.upload(&device(owner), tasks).await?;
    for _ in 0..size / (64 << 10) {
        upload.write(&vec![7; 64 << 10]).await?;
    }
    upload.finish().await?;
    Ok(upload)
}

#[tokio::test]
async fn many_uploads_at_once_leave_the_disk_to_messages() {
    let small = Small::of(256 * MIB);
    let tasks = Tasks::new();
    // One is there before the rush: those in it may all be in each other's way.
    let first = upload(&small.spool, &tasks, "a", 8 * MIB).await;
    let all = (0..20).map(|_| upload(&small.spool, &tasks, "a", 8 * MIB));
    let all = futures_util::future::join_all(all).await.into_iter().chain([first]);
    let (taken, refused): (Vec<_>, Vec<_>) = all.partition(Result::is_ok);
    assert!(!taken.is_empty() && !refused.is_empty(), "{} were taken", taken.len());
    for error in refused.into_iter().filter_map(Result::err) {
        assert_eq!(SpoolFull::of(&error), Some(SpoolFull::Disk), "{error}");
    }
    assert!(small.disk.check(Room::Promise).is_ok(), "texts are taken");
    assert!(small.least.load(Ordering::Relaxed) >= 192 * MIB, "under the floor");
    assert_eq!(small.spool.refuses(), None, "what was refused made room again");
    drop(taken);
    assert_eq!(tasks.shutdown(Duration::from_secs(60)).await, 0);
    assert_eq!(small.files(), 0);
}

#[tokio::test]
async fn a_device_has_its_own_budget_and_all_have_one() {
    let small = Small::of(u64::MAX);
    let (spool, tasks) = (&small.spool, Tasks::new());
    spool.limit(SpoolLimits { device: 2 * MIB, all: 3 * MIB });
    let full = async |owner: &str, size| {
        upload(spool, &tasks, owner, size).await.err().and_then(|error| SpoolFull::of(&error))
    };
    let first = upload(spool, &tasks, "a", MIB).await.unwrap();
    assert_eq!(full("a", 2 * MIB).await, Some(SpoolFull::Device));
    // Files in work are counted apart: what waits must not keep itself from being sent.
    let mut scratch = spool.scratch(&device("a")).unwrap();
    io::Write::write_all(&mut scratch, &vec![7; 2 << 20]).unwrap();
    let error = io::Write::write_all(&mut scratch, &[7]).unwrap_err();
    assert_eq!(SpoolFull::of(&error), Some(SpoolFull::Device));
    drop(scratch);
    assert!(spool.scratch(&device("a")).is_ok());

    let name = first.name().clone();
    first.keep();
    assert_eq!(tasks.shutdown(Duration::from_secs(60)).await, 0);
    assert_eq!(small.files(), 1, "only what is kept");
    // Counted again when the store is opened, wherever it is then.
    let moved = tempfile::tempdir().unwrap();
    std::fs::rename(small.dir.path().join("spool"), moved.path().join("spool")).unwrap();
    let reopened =
        Spool::open(moved.path(), Arc::clone(&small.disk), UnixMillis::from_secs(0), || {
            Ok(BTreeSet::new())
        });
    let (spool, tasks) = (&reopened.unwrap(), Tasks::new());
    spool.limit(SpoolLimits { device: 2 * MIB, all: 3 * MIB });
    let full = async |owner: &str, size| {
        upload(spool, &tasks, owner, size).await.err().and_then(|error| SpoolFull::of(&error))
    };
    assert_eq!(spool.read(&name).unwrap().metadata().unwrap().len(), MIB);
    let held = upload(spool, &tasks, "b", 2 * MIB).await.unwrap();
    assert_eq!(full("c", MIB).await, Some(SpoolFull::All));
    assert_eq!(spool.refuses(), Some(SpoolFull::All));
    spool.remove(&name).await.unwrap();
    spool.remove(&name).await.unwrap();
    assert_eq!(full("c", MIB).await, None);
    spool.limit(SpoolLimits { device: MIB, all: 3 * MIB });
    assert_eq!(full("b", MIB).await, Some(SpoolFull::Device), "the limit is live");
    drop(held);
    assert_eq!(tasks.shutdown(Duration::from_secs(60)).await, 0);
}

#[tokio::test]
async fn an_upload_under_a_key_is_named_by_key_and_content() {
    let small = Small::of(u64::MAX);
    let tasks = Tasks::new();
    small.spool.limit(SpoolLimits { device: MIB, all: MIB });
    let name = async |key: &str, content: &[u8]| {
        let mut upload = small.spool.upload(&device("a"), &tasks).await.unwrap();
        upload.write(content).await.unwrap();
        upload.finish().await.unwrap();
        upload.settle(&IdempotencyKey::parse(key).unwrap()).await.unwrap();
        let name = upload.name().clone();
        upload.keep();
        name
    };
    let half = vec![1; 400 << 10];
    let first = name("a", &half).await;
    assert_eq!(first.device(), Some(device("a")));
    // Were the file that is replaced still counted, there would be no room for another.
    for _ in 0..5 {
        assert_eq!(name("a", &half).await, first);
    }
    assert_ne!(name("a", b"two").await, first);
    assert_ne!(name("b", b"two").await, first);
    let mut read = Vec::new();
    io::Read::read_to_end(&mut small.spool.read(&first).unwrap(), &mut read).unwrap();
    assert_eq!(read, half);
}
