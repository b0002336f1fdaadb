//! The sandbox as a newcomer meets it: what it prints is all they know.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use moonwa_simulator::harness::{PATIENCE, eventually};
use rustix::process::Pid;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::QR_SHOWN;
use super::browser::{Browser, Processes};

/// Starts it; the process and everything it printed up to the last line.
async fn start() -> Result<(Processes, String)> {
    let mut child = Command::new(crate::sandbox::binary()?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let processes = Processes(pid.context("the sandbox has ended")?);
    let mut output = BufReader::new(child.stdout.take().context("no output")?);
    let mut printed = Vec::new();
    timeout(PATIENCE, async {
        while !String::from_utf8_lossy(&printed).contains("Ctrl-C ends it.") {
            ensure!(output.read_buf(&mut printed).await? > 0, "the sandbox has ended");
        }
        Ok(())
    })
    .await??;
    Ok((processes, String::from_utf8(printed)?))
}

/// The address on the line with those words.
fn address<'a>(printed: &'a str, words: &str) -> Result<&'a str> {
    let line = printed.lines().find(|line| line.contains(words)).context("no such line")?;
    line.split_whitespace().find(|word| word.starts_with("http://")).context("no address")
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn the_sandbox_takes_a_newcomer_by_the_hand() -> Result<()> {
    let (_sandbox, printed) = start().await?;
    let (phones, admin) = (Browser::start().await?, Browser::start().await?);
    phones.open(address(&printed, "virtual phones")?).await?;
    phones.sees("moonwa says: PENDING").await;
    admin.open(address(&printed, "admin page")?).await?;
    admin.click("Toko Maju").await;
    admin.click("START SESSION").await;
    admin.until("a QR code", QR_SHOWN).await;
    phones.sees("A QR code is on the admin page.").await;
    phones.click("Scan the QR code").await;
    admin.sees("CONNECTED").await;
    admin.sees("+62 812-3456-789").await;
    phones.sees("moonwa says: CONNECTED").await;

    phones.write("Write to the shop", "halo, ada stok?").await?;
    phones.click("Send").await;
    phones.sees("message.received").await;
    phones.sees("\"text\": \"halo, ada stok?\"").await;

    let curl = printed.split_once("curl -s").and_then(|(_, rest)| rest.split_once("\n\n"));
    let (curl, _) = curl.context("no curl")?;
    let output = Command::new("sh").arg("-c").arg(format!("curl -s{curl}")).output().await?;
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(answer.contains("Message sent."), "{answer} {output:?}");
    phones.sees("Halo dari moonwa").await;
    phones.write("Or from here, through the same API", "sampai jumpa").await?;
    phones.press(thirtyfour::Key::Enter).await?;
    let chat = "const own = (el) => el.classList.contains('mine'); const said = [...document.querySelectorAll('#chat li')]; \
        return JSON.stringify(said.map((el) => [own(el), el.querySelector('.said').textContent]))";
    let expected =
        r#"[[true,"halo, ada stok?"],[false,"Halo dari moonwa"],[false,"sampai jumpa"]]"#;
    eventually("the chat", || phones.run(chat, Vec::new()), |said| said == expected).await;

    admin.click("Messages").await;
    admin.click_first(".contact").await;
    admin.sees("Read").await;
    phones.click("Unlink the device").await;
    phones.sees("moonwa says: DISCONNECTED").await;
    phones.resize(360, 740).await?;
    phones.fits().await;
    phones.close(&[]).await?;
    admin.close(&[]).await?;
    Ok(())
}
