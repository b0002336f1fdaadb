//! Uploads leave the disk to everybody's messages: one device cannot fill it, and its files wait within a budget.

use std::path::Path;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use moonwa_simulator::harness::{Moonwa, Rest, eventually};
use moonwa_simulator::{Phone, Simulator};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

async fn upload(key: &Rest, device: &str, to: &str, size: u64) -> Result<(u16, Value)> {
    let path = format!("/v1/devices/{device}/messages");
    let file = vec![0x5a; usize::try_from(size)?];
    let reply = key.upload(&path, &[("to", to), ("kind", "document")], "a.bin", &file).await?;
    Ok((reply.status.into(), reply.json()))
}

/// Bytes that the files in the spool have.
fn spooled(data: &Path) -> Result<u64> {
    let files = std::fs::read_dir(data.join("spool"))?;
    Ok(files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum())
}

struct Story {
    sim: Simulator,
    bob: Phone,
    moonwa: Moonwa,
}

/// Two devices that lost WhatsApp, so that what they are given waits.
async fn waiting(number: u32, config: &str, disk: Option<u64>) -> Result<Story> {
    let sim = Simulator::start().await?;
    let [ann, eve, bob] = [1, 2, 3].map(|n| format!("6285557{number:04}{n}"));
    let (ann, eve) = (sim.phone(&ann, "Ann").await, sim.phone(&eve, "Eve").await);
    let bob = sim.phone(&bob, "Bob").await;
    let mut builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .config(config)
        .device("toko", &[])
        .device("gudang", &[]);
    if let Some(bytes) = disk {
        builder = builder.env("MOONWA_DISK_BYTES", bytes.to_string());
    }
    let moonwa = builder.start().await?;
    moonwa.link("toko", &ann).await?;
    moonwa.link("gudang", &eve).await?;
    sim.refuse_connections(true);
    for phone in [&ann, &eve] {
        sim.drop_connections(phone.number());
    }
    for device in ["toko", "gudang"] {
        moonwa.wait_state(device, "reconnecting").await;
    }
    Ok(Story { sim, bob, moonwa })
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_uploads_at_once_leave_the_disk_to_the_texts_of_others() -> Result<()> {
    let Story { sim: _sim, bob, moonwa } = waiting(1, "", Some(320 * MIB)).await?;
    let key = moonwa.key_of("toko");
    let all = join_all((0..20).map(|_| upload(&key, "toko", bob.number(), 8 * MIB))).await;
    let mut taken = 0;
    for outcome in all {
        match outcome? {
            (202, _) => taken += 1,
            (507, problem) => assert_eq!(problem["code"], "disk_full", "{problem}"),
            other => anyhow::bail!("{other:?}"),
        }
    }
    assert!(taken < 20, "the disk is smaller than that");
    let data = moonwa.dir().join("data");
    eventually(
        "what was refused is gone",
        async || spooled(&data).ok(),
        |size| *size == Some(taken * 8 * MIB),
    )
    .await;
    let text = json!({ "to": bob.number(), "text": "halo" });
    let path = "/v1/devices/gudang/messages";
    moonwa.key_of("gudang").post(path, &text).await?.expect(202);
    let ready = moonwa.anyone().get("/readyz").await?.expect(200).json();
    assert!(["ok", "disk_full"].contains(&ready["files"].as_str().context("files")?), "{ready}");
    assert!(!moonwa.log().contains("panicked"), "{}", moonwa.log());
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_live_told_and_free_again_when_its_files_are_sent() -> Result<()> {
    let budget = "\n[media]\nmax_size = \"1 MiB\"\ndevice_spool = \"4 MiB\"\nspool = \"4 MiB\"\n";
    let Story { sim, bob, mut moonwa } = waiting(2, budget, None).await?;
    let send = async |moonwa: &Moonwa, device: &str| {
        upload(&moonwa.key_of(device), device, bob.number(), MIB).await
    };
    for _ in 0..4 {
        assert_eq!(send(&moonwa, "toko").await?.0, 202);
    }
    let (status, problem) = send(&moonwa, "toko").await?;
    assert_eq!((status, &problem["code"]), (429, &json!("queue_full")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|why| why.contains("media.device_spool")));
    let (status, problem) = send(&moonwa, "gudang").await?;
    assert_eq!(status, 429, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|why| why.contains("media.spool")), "{problem}");
    let ready = moonwa.anyone().get("/readyz").await?.expect(200).json();
    assert_eq!(ready, json!({ "status": "ok", "files": "spool_full" }));
    let (_exit, said) = moonwa.command(&["doctor"]).await?;
    assert!(said.contains("LOOK store: files that wait to be sent have 4 of 4 MiB"), "{said}");

    moonwa.edit_config(|text| text.replace("\nspool = \"4 MiB\"", "\nspool = \"8 MiB\""))?;
    let ready = async || moonwa.anyone().get("/readyz").await.ok().map(|reply| reply.json());
    eventually("the new budget", ready, |ready| {
        ready.as_ref().is_some_and(|ready| ready["files"] == "ok")
    })
    .await;
    assert_eq!(send(&moonwa, "gudang").await?.0, 202);

    // What waits is counted again after a restart, and sent.
    moonwa.restart().await?;
    assert_eq!(send(&moonwa, "toko").await?.0, 429);
    sim.refuse_connections(false);
    bob.wait_inbox(4, |item| item.message().is_some()).await?;
    let data = moonwa.dir().join("data");
    eventually("an empty spool", async || spooled(&data).ok(), |size| *size == Some(0)).await;
    assert_eq!(send(&moonwa, "toko").await?.0, 202);
    moonwa.stop().await?;
    Ok(())
}
