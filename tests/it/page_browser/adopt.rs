//! A number comes from another gateway, as a person moves it on the page.

use std::path::Path;

use anyhow::Result;
use moonwa_simulator::harness::Moonwa;

use super::browser::Browser;
use crate::adopt::Left;
use crate::adopt::layout::{WHATSMEOW, hex};

async fn gateway(left: &Left) -> Result<Moonwa> {
    super::gateway(&left.sim).start().await
}

async fn choose(browser: &Browser, files: &[&Path]) -> Result<()> {
    let paths: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
    Ok(browser.input("Files of the session").await?.send_keys(paths.join("\n")).await?)
}

/// Keeps a picture to look at.
async fn picture(browser: &Browser, name: &str) -> Result<()> {
    let album = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    std::fs::create_dir_all(&album)?;
    browser.fits().await;
    std::fs::write(album.join(format!("{name}.png")), browser.picture(360, 740).await?)?;
    Ok(())
}

async fn moves(language: &str) -> Result<()> {
    let left = Left::behind().await?;
    let database = left.path("whatsapp.db");
    let other = "INSERT INTO whatsmeow_device SELECT '628999000111:3@s.whatsapp.net', NULL, NULL, 1, x'00', x'', x'', 1, x'', \
                 x'', x'', x'', x'', x'', '', '', '', 0;";
    let sql = [WHATSMEOW, &left.identity.as_whatsmeow(hex), other].concat();
    crate::adopt::database(&database, &sql)?;
    let folder = left.path("auth_info");
    left.identity.as_baileys(&folder)?;
    let notes = left.path("notes.txt");
    std::fs::write(&notes, "buy milk")?;

    let moonwa = gateway(&left).await?;
    let browser = Browser::reading(language).await?;
    browser.resize(360, 740).await?;
    browser.log_in(&moonwa).await?;
    browser.click("Add Device").await;
    browser.click("Move from another gateway").await;
    browser.sees("Files of the session").await;
    picture(&browser, &format!("adopt-empty-{language}")).await?;
    choose(&browser, &[&notes]).await?;
    browser.sees("no session that moonwa knows").await;
    picture(&browser, &format!("adopt-wrong-{language}")).await?;

    // What starts GOWA is chosen with it.
    let start = left.path("gowa.env");
    std::fs::write(&start, "APP_BASIC_AUTH=ann:sesame\n")?;
    choose(&browser, &[&database, &start]).await?;
    browser.misses("no session that moonwa knows").await;
    browser.sees("+62 833-3000-201").await;
    browser.sees("its noise_key is missing or damaged").await;
    browser.click("How to stop it").await;
    browser.sees("docker stop CONTAINER").await;
    picture(&browser, &format!("adopt-found-{language}")).await?;
    browser.write("Session Name", "Toko Lama").await?;
    browser.click("Take over").await;
    browser.sees("What to know of it").await;
    browser.sees("APP_BASIC_AUTH has no counterpart").await;
    picture(&browser, &format!("adopt-notes-{language}")).await?;
    browser.click("To the device").await;
    browser.sees("CONNECTED").await;
    browser.sees("+62 833-3000-201").await;
    browser.sees("Toko Lama").await;
    assert_eq!(left.people[0].devices().len(), 1, "no other device was linked");
    let file = std::fs::read_to_string(moonwa.dir().join("moonwa.toml"))?;
    assert!(file.contains("# APP_BASIC_AUTH has no counterpart: with faces = [\"gowa\"] the password is the device's key, whatever the name.\n[device.toko-lama]\nlabel = \"Toko Lama\""), "{file}");

    // What is here already is told and cannot be taken a second time.
    browser.click("Device").await;
    browser.click("Add Device").await;
    browser.click("Move from another gateway").await;
    choose(&browser, &[&folder.join("creds.json")]).await?;
    browser.sees("+62 833-3000-201").await;
    browser.sees("here already, as toko-lama").await;
    browser.misses("Take over").await;
    // What was refused is in the console too.
    browser.close(&["v1/foreign"]).await?;
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_number_is_moved_from_another_gateway() -> Result<()> {
    moves("en").await
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_number_is_moved_in_indonesian() -> Result<()> {
    moves("id").await
}
