//! Devices in files of their own: run, watched, edited and explained like those of `moonwa.toml`.

use std::fs;
use std::path::Path;

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use serde_json::{Value, json};

use super::{gateway, logins, reloaded};

/// Every file of the configuration, with its text.
fn files(moonwa: &Moonwa) -> Result<Vec<(String, String)>> {
    let included = fs::read_dir(moonwa.dir().join("devices.d"))?;
    let mut found = vec![("moonwa.toml".to_owned(), String::new())];
    for entry in included {
        found.push((format!("devices.d/{}", entry?.file_name().to_string_lossy()), String::new()));
    }
    found.sort();
    for (name, text) in &mut found {
        *text = fs::read_to_string(moonwa.dir().join(name))?;
    }
    Ok(found)
}

/// Which of them differ from `before`, and nothing but these.
fn changed(moonwa: &Moonwa, before: &[(String, String)]) -> Result<Vec<(String, String)>> {
    Ok(files(moonwa)?.into_iter().filter(|file| !before.contains(file)).collect())
}

fn save(dir: &Path, name: &str, text: &str) -> Result<()> {
    Ok(fs::write(dir.join("devices.d").join(name), text)?)
}

#[tokio::test]
async fn devices_of_included_files_are_run_and_edited_where_they_stand() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628777000131", "Ann").await, sim.phone("628777000132", "Bob").await);
    let receiver = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("main", &[]).start().await?;
    fs::create_dir(moonwa.dir().join("devices.d"))?;
    let toko = format!(
        "# the shop\n[device.toko] # since 2024\nlabel = 'Toko' # on the page\nwebhooks = [\"{}\"]\n",
        receiver.url()
    );
    save(moonwa.dir(), "a.toml", &toko)?;
    save(moonwa.dir(), "b.toml", "# the store\n[device.gudang]\n")?;
    moonwa.edit_config(|text| format!("include = [\"devices.d/*.toml\"]\n{text}"))?;
    moonwa.wait_state("gudang", "pending").await;
    moonwa.wait_state("toko", "pending").await;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "to an included device").await?;
    receiver.expect_text("to an included device").await;
    let (before, count) = (files(&moonwa)?, logins(&sim));

    // A save in one of them, and a new one.
    save(moonwa.dir(), "b.toml", "# the store\n[device.gudang]\nlabel = \"Gudang\"\n")?;
    moonwa.wait_device("gudang", "its label", |device| device["label"] == "Gudang").await;
    save(moonwa.dir(), "c.toml", "[device.cabang]\n")?;
    moonwa.wait_state("cabang", "pending").await;
    let names: Vec<String> = changed(&moonwa, &before)?.into_iter().map(|file| file.0).collect();
    assert_eq!(names, ["devices.d/b.toml", "devices.d/c.toml"]);

    // An edit goes to the file that has the device; a new device goes to the main one.
    let before = files(&moonwa)?;
    let edit = json!({"label": "Toko Baru"});
    moonwa.admin().put("/v1/devices/toko", None, &edit).await?.expect(200);
    let expected = toko.replace("'Toko'", "\"Toko Baru\"");
    assert_eq!(changed(&moonwa, &before)?, [("devices.d/a.toml".to_owned(), expected)]);
    let before = files(&moonwa)?;
    moonwa.admin().put("/v1/devices/new", None, &json!({"label": "New"})).await?.expect(201);
    let expected = format!("{}\n[device.new]\nlabel = \"New\"\n", before[3].1);
    assert_eq!(changed(&moonwa, &before)?, [("moonwa.toml".to_owned(), expected)]);
    let before = files(&moonwa)?;
    moonwa.admin().delete("/v1/devices/cabang").await?.expect(200);
    let expected = "# The device cabang was here.\n".to_owned();
    assert_eq!(changed(&moonwa, &before)?, [("devices.d/c.toml".to_owned(), expected)]);
    assert_eq!(logins(&sim), count, "no WhatsApp connection was closed");
    assert_eq!(moonwa.device("toko").await?["state"], "connected");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_mistake_in_an_included_file_is_placed_in_that_file() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).start().await?;
    fs::create_dir(moonwa.dir().join("devices.d"))?;
    save(moonwa.dir(), "a.toml", "[device.toko]\nlabel = \"Toko\"\n")?;
    moonwa.edit_config(|text| format!("include = [\"devices.d/*.toml\"]\n{text}"))?;
    moonwa.wait_state("toko", "pending").await;
    save(moonwa.dir(), "a.toml", "[device.toko]\n  lable = \"Toko\"\n")?;
    let report = reloaded(&moonwa, "rejected", |_| true).await;
    let problem = &report["problems"][0];
    assert_eq!(
        (&problem["file"], &problem["line"], &problem["column"]),
        (&json!("devices.d/a.toml"), &json!(2), &json!(3)),
        "{report}"
    );
    let (code, said) = moonwa.command(&["check"]).await?;
    assert!(code == 78 && said.contains("devices.d/a.toml:2:3: device.toko:"), "{said}");
    assert_eq!(moonwa.device("toko").await?["label"], "Toko");
    // A device in two files is one too many, wherever the other one is.
    save(moonwa.dir(), "a.toml", "[device.toko]\nlabel = \"Toko\"\n")?;
    reloaded(&moonwa, "unchanged", |_| true).await;
    save(moonwa.dir(), "b.toml", "\n[device.toko]\n")?;
    let report = reloaded(&moonwa, "rejected", |_| true).await;
    let place = |problem: &Value| problem["file"] == "devices.d/b.toml" && problem["line"] == 2;
    assert!(report["problems"].as_array().is_some_and(|all| all.iter().any(place)), "{report}");
    moonwa.stop().await?;
    Ok(())
}
