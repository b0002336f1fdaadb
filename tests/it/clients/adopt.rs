//! What is the same whichever gateway a session is adopted from.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver, api_key};
use moonwa_simulator::{Phone, Simulator};

/// A gateway that has no device and does not run.
pub(crate) async fn stopped_gateway(sim: &Simulator) -> Result<Moonwa> {
    let binary = env!("CARGO_BIN_EXE_moonwa");
    let mut moonwa = Moonwa::builder(binary).whatsapp(sim).start().await?;
    moonwa.kill().await?;
    Ok(moonwa)
}

/// As if nothing had been written to these files for a while.
pub(crate) fn let_rest(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        File::open(entry?.path())?.set_modified(SystemTime::UNIX_EPOCH)?;
    }
    Ok(())
}

/// `moonwa adopt`, which must be refused with these words.
pub(crate) async fn refused(moonwa: &Moonwa, arguments: &[&str], words: &str) -> Result<()> {
    let (code, text) = moonwa.command(&[&["adopt"], arguments].concat()).await?;
    assert_eq!((code, text.contains(words)), (1, true), "{words}: {text}");
    Ok(())
}

/// Adopts a session of Ann's that Bob has written with, as the device `toko`: it connects without a QR code, both
/// directions work, Bob's session is renewed, and Cid, who is new, is read at once.
pub(crate) async fn adopt(
    sim: &Simulator,
    moonwa: &mut Moonwa,
    arguments: &[&str],
    [ann, bob, cid]: [&Phone; 3],
) -> Result<()> {
    let (code, text) = moonwa.command(&[&["adopt", "toko"], arguments].concat()).await?;
    assert_eq!(code, 0, "{text}");
    for words in ["+ [device.toko]", ann.number(), "old gateway must stay stopped", "To go back"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    for name in ["toko", "lain"] {
        refused(moonwa, &[&[name], arguments].concat(), "is the device toko").await?;
    }
    let hook = WebhookReceiver::start().await?;
    let device =
        format!("[device.toko]\napi_key = {:?}\nwebhooks = [{:?}]", api_key("toko"), hook.url());
    moonwa.edit_config(|text| text.replace("[device.toko]", &device))?;
    moonwa.relaunch().await?;
    refused(moonwa, &[&["baru"], arguments].concat(), "in use by another moonwa").await?;
    moonwa.wait_state("toko", "connected").await;
    assert_eq!(ann.devices().len(), 1, "no other device was linked");

    let first = cid.send_text(ann, "kenalan").await?;
    hook.expect_text("kenalan").await;
    let known = bob.send_text(ann, "sesudah").await?;
    hook.expect_text("sesudah").await;
    bob.expect_receipt("retry", &known).await?;
    let again = cid.inbox().iter().any(|item| item.is_receipt("retry", &first));
    assert!(!again, "its pre-key was not adopted");
    bob.send_text(ann, "lagi").await?;
    hook.expect_text("lagi").await;
    for person in [bob, cid] {
        moonwa.send_text("toko", person.number(), "dari moonwa").await?;
        person.expect_text("dari moonwa").await?;
    }
    sim.assert_no_violations();
    Ok(())
}

/// The files of a folder.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?))
    };
    let mut files = fs::read_dir(folder)?.map(read).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}
