//! Nobody else on the machine reads or plants anything in the store, whatever the umask and whatever lay there before.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::Moonwa;

/// Files and folders below a directory, and itself, with their modes.
fn modes(directory: &Path) -> Vec<(PathBuf, u32)> {
    let (mut found, mut left) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(path) = left.pop() {
        // A running gateway removes files meanwhile.
        let Ok(at) = fs::symlink_metadata(&path) else { continue };
        if at.is_dir() {
            let Ok(inside) = fs::read_dir(&path) else { continue };
            left.extend(inside.filter_map(|entry| Some(entry.ok()?.path())));
        }
        found.push((path, at.mode() & 0o777));
    }
    found
}

fn assert_private(directory: &Path) {
    let found = modes(directory);
    assert!(found.len() > 20, "where is the store? {found:?}");
    let open: Vec<_> = found.iter().filter(|(_, mode)| mode & 0o077 != 0).collect();
    assert!(open.is_empty(), "others may use {open:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_for_its_owner_alone_and_an_open_one_is_closed_at_the_start() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555600101", "Ann").await, sim.phone("628555600102", "Bob").await);
    // The harness starts it under umask 000.
    let mut moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    moonwa.send_text("toko", bob.number(), "halo").await?;
    let store = moonwa.dir().join("data");
    assert_private(&store);
    assert!(!moonwa.log().contains("Other users of this machine"), "nothing was open");

    // As an older moonwa left it.
    moonwa.kill().await?;
    for (path, mode) in modes(&store) {
        let open = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode | open))?;
    }
    let (_exit, said) = moonwa.command(&["doctor"]).await?;
    assert!(said.contains("LOOK store: ") && said.contains("can be used by other users"), "{said}");
    moonwa.relaunch().await?;
    assert_private(&store);
    assert!(
        moonwa.log().contains("Other users of this machine could use files"),
        "{}",
        moonwa.log()
    );
    moonwa.wait_state("toko", "connected").await;
    let (_exit, said) = moonwa.command(&["doctor"]).await?;
    assert!(said.contains("ok   store: 0 of its files can be used by other users"), "{said}");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_somebody_else_is_refused() -> Result<()> {
    let builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"));
    // Root may give a directory away; others find one that is not theirs at the top.
    let theirs = tempfile::tempdir()?;
    let given = std::os::unix::fs::chown(theirs.path(), Some(12345), None).is_ok();
    let path = if given { theirs.path() } else { Path::new("/") };
    let owner = fs::metadata(path)?.uid();
    symlink(path, builder.dir().join("data"))?;
    let (status, said) = builder.device("toko", &[]).start_refused().await?;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("belongs to user {owner}")), "{said}");
    assert!(fs::read_dir(theirs.path())?.next().is_none(), "nothing is written there");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_links_are_not_followed() -> Result<()> {
    let mut moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).start().await?;
    moonwa.kill().await?;
    let store = moonwa.dir().join("data");
    let victim = moonwa.dir().join("victim");
    fs::write(&victim, "untouched")?;
    let drafts = [
        ".last-good.draft",
        ".control.json.draft",
        ".doctor",
        "ballast",
        "state/closed",
        "outbox/closed",
        "state/format.new",
    ];
    for draft in drafts {
        let draft = store.join(draft);
        if fs::symlink_metadata(&draft).is_ok() {
            fs::remove_file(&draft)?;
        }
        symlink(&victim, &draft).with_context(|| draft.display().to_string())?;
    }
    let (_exit, said) = moonwa.command(&["doctor"]).await?;
    assert!(said.contains("a write to the disk takes"), "{said}");
    // A missing format file is written anew, by way of its draft.
    fs::remove_file(store.join("state/format"))?;
    moonwa.relaunch().await?;
    let dir = moonwa.stop().await?;
    assert_eq!(fs::read_to_string(dir.path().join("victim"))?, "untouched");
    assert!(!dir.path().join("data/control.json").is_symlink());
    assert!(!dir.path().join("data/last-good.json").is_symlink());
    Ok(())
}
