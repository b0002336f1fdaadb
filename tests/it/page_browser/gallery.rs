//! Every view of the page in every width, scheme and language: pictures to look at below `target/screenshots/`, and
//! what axe-core has to say about each.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use moonwa_simulator::harness::{Answer, Moonwa, WebhookReceiver, eventually};
use moonwa_simulator::{ChatSetting, Fault, File, Phone, Simulator};
use serde_json::{Value, json};

use super::browser::Browser;
use super::{QR_SHOWN, gateway};

const WIDTHS: [(u32, u32); 3] = [(360, 740), (768, 1024), (1280, 800)];

const PICTURE: &[u8] = include_bytes!("shirt.png");

/// A view: its name, its address, what is on it when it is complete, and what opens the rest of it.
const VIEWS: [(&str, &str, &str, Option<&str>); 19] = [
    ("devices", "#/devices", "return document.querySelectorAll('tbody tr').length === 5", None),
    (
        "linked",
        "#/devices/admin-toko",
        "return document.querySelectorAll('.facts').length === 2",
        None,
    ),
    ("pending", "#/devices/gudang", "return document.querySelector('.steps') !== null", None),
    ("linking", "#/devices/kasir", QR_SHOWN, None),
    ("unlinked", "#/devices/cabang", "return document.querySelector('.note.bad') !== null", None),
    ("send", "#/send/admin-toko", "return document.querySelector('.bubble') !== null", None),
    (
        "webhooks",
        "#/webhooks/admin-toko",
        "return document.querySelectorAll('.hook').length === 2",
        None,
    ),
    (
        "messages",
        "#/messages/admin-toko",
        "return document.querySelectorAll('.contact').length === 3",
        None,
    ),
    (
        "talk",
        "#/messages/admin-toko/628987654321@s.whatsapp.net",
        "return document.querySelector('.bubble img')?.naturalWidth > 0",
        None,
    ),
    (
        "reaction",
        "#/messages/admin-toko/628987654321@s.whatsapp.net",
        "return document.querySelector('.bubble img')?.naturalWidth > 0",
        None,
    ),
    (
        "narrowed",
        "#/messages/admin-toko/unread",
        "return document.querySelector('.filters [aria-pressed=true]') !== null",
        None,
    ),
    (
        "groups",
        "#/devices/admin-toko/groups",
        "return document.querySelector('.lines a') !== null",
        None,
    ),
    (
        "group",
        "#/devices/admin-toko/groups",
        "return document.querySelector('.lines a') !== null",
        None,
    ),
    ("config", "#/config", "return document.querySelector('.facts') !== null", None),
    (
        "settings",
        "#/devices/admin-toko",
        "return document.querySelector('.facts') !== null",
        Some(".acts button"),
    ),
    (
        "more",
        "#/devices/admin-toko",
        "return document.querySelector('.facts') !== null",
        Some(".acts button"),
    ),
    (
        "delete",
        "#/devices/admin-toko",
        "return document.querySelector('.facts') !== null",
        Some(".acts button:last-child"),
    ),
    (
        "add",
        "#/devices",
        "return document.querySelector('tbody tr') !== null",
        Some(".head .primary"),
    ),
    ("api", "#/api", "return document.querySelector('.ops') !== null", None),
];

/// Language, scheme and width of the pictures: each width in both languages and schemes. `MOONWA_ALBUM=all` takes every
/// combination.
const ALBUM: [(&str, &str, u32); 6] = [
    ("en", "light", 360),
    ("en", "dark", 768),
    ("en", "light", 1280),
    ("id", "dark", 360),
    ("id", "light", 768),
    ("id", "dark", 1280),
];

/// A shop with devices in every state, a healthy webhook and one that fails.
pub(super) struct Shop {
    sim: Simulator,
    pub(super) moonwa: Moonwa,
    _receivers: [WebhookReceiver; 2],
}

impl Shop {
    pub(super) async fn open() -> Result<Self> {
        let sim = Simulator::start().await?;
        let (good, bad) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
        bad.otherwise(Some(Answer::status(503)));
        let label = |name: &str, label: &str, hooks: &[&str]| {
            format!("\n[device.{name}]\nlabel = \"{label}\"\nwebhooks = {hooks:?}\n")
        };
        let moonwa = gateway(&sim)
            .config("\n[history]\nkeep = \"30d\"\n")
            .config(&label("admin-toko", "Admin Toko", &[&good.url(), &bad.url()]))
            .config(&label("cabang", "Cabang Bandung", &[&good.url()]))
            .config(&label("gudang", "Gudang", &[]))
            .config(&label("kasir", "Kasir", &[]))
            .config(&label("layanan", "Layanan Pelanggan Toko Maju Jaya Sentosa", &[&good.url()]))
            .start()
            .await?;
        let shop = Self { sim, moonwa, _receivers: [good, bad] };
        let ann = shop.linked("admin-toko", "628123456789").await?;
        shop.linked("cabang", "628223334444").await?.unlink(1).await?;
        shop.moonwa.wait_state("cabang", "logged_out").await;
        shop.linked("layanan", "628334445555").await?;
        shop.moonwa.admin().post("/v1/devices/layanan/stop", &Value::Null).await?.expect(202);
        shop.moonwa.wait_state("layanan", "stopped").await;
        let budi = shop.sim.phone("628987654321", "Budi").await;
        budi.send_text(&ann, "Halo, apakah stoknya masih ada?").await?;
        budi.send_text(&ann, "Saya mau pesan dua.").await?;
        shop.wait_newest("/text", "Saya mau pesan dua.").await?;
        let body = json!({"to": budi.number(), "text": "Masih, kak. Kami siapkan."});
        let answer = shop.moonwa.admin().post("/v1/devices/admin-toko/messages", &body).await?;
        let id = answer.expect(202).json()["id"].as_str().context("no id")?.to_owned();
        budi.expect_text("Masih, kak. Kami siapkan.").await?;
        budi.read(&id).await?;
        shop.moonwa.wait_status("admin-toko", &id, "read").await;
        shop.chat_on(&ann, &budi).await?;
        let failing = |device: &Value| device["webhooks"][1]["failing_since"].is_string();
        shop.moonwa.wait_device("admin-toko", "a failing webhook", failing).await;
        Ok(shop)
    }

    /// What makes conversations look like a day in a shop.
    async fn chat_on(&self, ann: &Phone, budi: &Phone) -> Result<()> {
        let file = File::Image(Some("Yang ini, ukuran M".to_owned()));
        let picture = budi.send_file(ann, PICTURE, "image/png", file).await?;
        self.wait_newest("/kind", "image").await?;
        ann.react(budi, &picture, "\u{1f44d}").await?;
        let invoice = File::Document("Bukti transfer.pdf".to_owned());
        budi.send_file(ann, "%".repeat(48_000).as_bytes(), "application/pdf", invoice).await?;
        let sari = self.sim.phone("628777888999", "Sari Dewi").await;
        sari.send_text(ann, "Kak, pesanan saya sampai mana ya? Sudah tiga hari.").await?;
        let group = self.sim.group("Reseller Bandung", &[&sari, ann, budi]).await?;
        group.promote(&sari, &[ann]).await?;
        sari.send_poll(&group, "Ambil barang hari apa?", &["Senin", "Selasa"]).await?;
        budi.send_text(&group, "Saya ikut Selasa.").await?;
        ann.set_chat(&sari.lid(), ChatSetting::Archived(true))?;
        self.sim.fault(ann, Fault::Nack(479));
        let body = json!({"to": budi.number(), "text": "Resinya menyusul sore ini, kak."});
        let refused = self.moonwa.admin().post("/v1/devices/admin-toko/messages", &body).await?;
        let id = refused.expect(202).json()["id"].as_str().context("no id")?.to_owned();
        self.moonwa.wait_status("admin-toko", &id, "failed").await;
        Ok(())
    }

    /// Waits until the newest message says that.
    async fn wait_newest(&self, field: &str, said: &str) -> Result<()> {
        let newest = || async {
            let chats = self.moonwa.admin().get("/v1/devices/admin-toko/chats").await?.json();
            let newest = &chats["chats"][0]["newest"];
            anyhow::Ok(newest.pointer(field).cloned().unwrap_or_default())
        };
        let found = |found: &Result<Value>| found.as_ref().is_ok_and(|found| found == said);
        eventually(said, newest, found).await.map(drop)
    }

    async fn linked(&self, device: &str, number: &str) -> Result<Phone> {
        let phone = self.sim.phone(number, "Toko Maju").await;
        self.moonwa.link(device, &phone).await?;
        Ok(phone)
    }

    /// Opens a view. A code that ran out meanwhile is asked for again.
    pub(super) async fn show(&self, browser: &Browser, view: usize) -> Result<&'static str> {
        let (name, address, complete, opens) = VIEWS[view];
        if name == "linking" && self.moonwa.device("kasir").await?["state"] != "linking" {
            self.moonwa.admin().post("/v1/devices/kasir/start", &Value::Null).await?.expect(202);
        }
        let script = "document.querySelector('dialog')?.close(); location.hash = '#/'; location.hash = arguments[0]";
        browser.run(script, vec![json!(address)]).await;
        browser
            .until(
                name,
                &format!("if (!location.hash.endsWith('{address}')) return false; {complete}"),
            )
            .await;
        if name == "webhooks" {
            browser
                .run("document.querySelectorAll('.hook details')[0].open = true", Vec::new())
                .await;
        }
        if name == "group" {
            browser.click_first(".lines a").await;
            browser.until(name, QR_SHOWN).await;
        }
        if name == "reaction" {
            let last = "[...document.querySelectorAll('.opener')].pop().click()";
            browser.run(last, Vec::new()).await;
            let open = "return document.querySelector('.choice') !== null";
            browser.until(name, open).await;
        }
        if let Some(button) = opens {
            browser.run("document.querySelector(arguments[0]).click()", vec![json!(button)]).await;
            browser.until(name, "return document.querySelector('dialog[open]') !== null").await;
        }
        if ["more", "send"].contains(&name) {
            let script =
                "document.querySelectorAll('form details').forEach((part) => { part.open = true })";
            browser.run(script, Vec::new()).await;
        }
        Ok(name)
    }
}

pub(super) const COUNT: usize = VIEWS.len();

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn every_view_fits_in_every_width_scheme_and_language() -> Result<()> {
    let album = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    std::fs::create_dir_all(&album)?;
    let shop = Shop::open().await?;
    let browser = Browser::start().await?;
    let mut taken = 0;
    for language in ["en", "id"] {
        browser.open(&format!("http://{}/", shop.moonwa.address())).await?;
        browser.run("localStorage.setItem('lang', arguments[0])", vec![json!(language)]).await;
        browser.log_in(&shop.moonwa).await?;
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await?;
            for (width, height) in WIDTHS {
                browser.resize(width, height).await?;
                let wanted = ALBUM.contains(&(language, scheme, width));
                if !wanted && std::env::var("MOONWA_ALBUM").is_err() {
                    continue;
                }
                for view in 0..COUNT {
                    let name = shop.show(&browser, view).await?;
                    browser.fits().await;
                    let picture = browser.picture(width, height).await?;
                    let file = format!("{name}-{language}-{scheme}-{width}.png");
                    std::fs::write(album.join(file), picture)?;
                    taken += 1;
                }
            }
        }
    }
    assert!(taken >= COUNT * ALBUM.len(), "{taken} pictures");
    browser.close(&[]).await?;
    shop.moonwa.stop().await?;
    Ok(())
}

/// axe-core as `.ci/run` fetched it.
pub(super) fn axe() -> Result<String> {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe-core/package/axe.min.js");
    let hint =
        "run: npm pack axe-core@4 --pack-destination target, and unpack it to target/axe-core";
    std::fs::read_to_string(&path).with_context(|| format!("{} ({hint})", path.display()))
}

#[tokio::test]
#[ignore = "needs Chromium, ChromeDriver and axe-core; .ci/run installs them and runs this"]
async fn axe_finds_nothing_to_mend() -> Result<()> {
    let axe = axe()?;
    let shop = Shop::open().await?;
    let browser = Browser::start().await?;
    let mut found = Vec::new();
    browser.open(&format!("http://{}/", shop.moonwa.address())).await?;
    browser.sees("Welcome to moonwa").await;
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await?;
        found.extend(violations(&browser, &axe, &format!("login, {scheme}")).await?);
    }
    browser.log_in(&shop.moonwa).await?;
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await?;
        for view in 0..COUNT {
            let name = shop.show(&browser, view).await?;
            found.extend(violations(&browser, &axe, &format!("{name}, {scheme}")).await?);
        }
    }
    assert!(found.is_empty(), "axe-core found {}:\n{}", found.len(), found.join("\n"));
    browser.close(&[]).await?;
    shop.moonwa.stop().await?;
    Ok(())
}

pub(super) async fn violations(browser: &Browser, axe: &str, place: &str) -> Result<Vec<String>> {
    let script = format!(
        "const done = arguments[arguments.length - 1]; if (!window.axe) {{ {axe} }} \
         axe.run(document, {{ resultTypes: ['violations'] }}).then(({{ violations, passes }}) => done({{ passes: passes.length, violations: \
         violations.flatMap(({{ id, help, nodes }}) => nodes.map((node) => `${{id}}: ${{help}} in ${{node.html.slice(0, 160)}} ${{node.failureSummary.slice(0, 200)}}`)) }}), \
         (error) => done({{ violations: [String(error)] }}))"
    );
    let answer = browser.run_async(&script).await?;
    assert!(
        answer["passes"].as_u64() > Some(10),
        "axe-core looked at nothing on {place}: {answer}"
    );
    let list = answer["violations"].as_array().cloned().unwrap_or_default();
    Ok(list.iter().map(|one| format!("{place}: {}", one.as_str().unwrap_or_default())).collect())
}
