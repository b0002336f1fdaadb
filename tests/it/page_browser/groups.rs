//! A device's groups on the page: who is in one, its link as a QR code, a new link.

use anyhow::Result;
use moonwa_simulator::Simulator;
use qrcode::QrCode;

use super::browser::Browser;
use super::{QR_SHOWN, gateway, modules_shown};

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_group_is_shown_with_its_members_and_its_link() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000251", "Ann").await;
    let bob = sim.phone("628111000252", "Bob").await;
    let group = sim.group("Tim Toko", &[&ann, &bob]).await?;
    let theirs = sim.group("Arisan", &[&bob, &ann]).await?;
    theirs.switch(&bob, "announcement").await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    let browser = Browser::reading("id").await?;
    browser.resize(360, 740).await?;
    browser.log_in(&moonwa).await?;
    browser.click("Device toko").await;
    browser.click("Groups").await;
    browser.click("Tim Toko").await;
    browser.sees("+62 811-1000-252").await;
    browser.sees("Owner").await;
    browser.until("the QR code", QR_SHOWN).await;
    browser.fits().await;

    let link = |code: &str| format!("https://chat.whatsapp.com/{code}");
    let first = group.invite_code();
    browser.sees(&link(&first)).await;
    let code = QrCode::new(link(&first))?;
    let modules: String = code.to_colors().iter().map(|color| color.select('1', '0')).collect();
    assert_eq!(modules_shown(&browser, code.width()).await, modules, "a camera reads the link");

    browser.click("New link").await;
    browser.sees("Make a new link?").await;
    browser.click_first("dialog .solid").await;
    browser.misses(&link(&first)).await;
    assert_ne!(group.invite_code(), first);
    browser.sees(&link(&group.invite_code())).await;

    // Where somebody else is the admin, there is no link, and the page says why.
    browser.click("Groups").await;
    browser.click("Arisan").await;
    browser.sees("Only admins write").await;
    browser.sees("The invite link is for the group's admins.").await;
    // The browser notes the refusal of the link.
    browser.close(&["422"]).await?;
    moonwa.stop().await?;
    Ok(())
}
