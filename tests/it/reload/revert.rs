//! A mistake that is taken back byte for byte leaves nothing behind: whichever files were broken and put right, in
//! whichever order, an edit of any of them is noticed afterwards as it was before.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use futures_util::future::try_join_all;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::Moonwa;
use serde_json::Value;

use super::{gateway, reloaded};

/// What a configuration is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Main,
    Included,
    Secret,
    Directory,
}

const PARTS: [Part; 4] = [Part::Main, Part::Included, Part::Secret, Part::Directory];

/// A gateway with a device in an included file, whose key stands in a file of its own.
struct Gateway {
    moonwa: Moonwa,
    edits: usize,
}

impl Gateway {
    async fn start(sim: &Simulator) -> Result<Self> {
        let moonwa = gateway(sim).device("main", &[]).start().await?;
        for directory in ["devices.d", "keys"] {
            fs::create_dir(moonwa.dir().join(directory))?;
        }
        let started = Self { moonwa, edits: 0 };
        fs::write(started.path("keys/shop"), "the first key of the shop\n")?;
        let shop = "[device.shop]\nlabel = \"Shop\"\napi_key = { file = \"../keys/shop\" }\n";
        fs::write(started.path("devices.d/shop.toml"), shop)?;
        started.moonwa.edit_config(|text| format!("include = [\"devices.d/*.toml\"]\n{text}"))?;
        started.moonwa.wait_state("shop", "pending").await;
        Ok(started)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.moonwa.dir().join(name)
    }

    /// The included file, wherever its directory is.
    fn included(&self) -> PathBuf {
        let here = self.path("devices.d");
        if here.exists() { here } else { self.path("devices.away") }.join("shop.toml")
    }

    fn file(&self, part: Part) -> PathBuf {
        match part {
            Part::Main => self.path("moonwa.toml"),
            Part::Included => self.included(),
            Part::Secret => self.path("keys/shop"),
            Part::Directory => self.path("devices.d"),
        }
    }

    /// Breaks a part, and returns what puts it right again.
    fn broken(&self, part: Part) -> Result<Vec<u8>> {
        let file = self.file(part);
        if part == Part::Directory {
            fs::rename(file, self.path("devices.away"))?;
            return Ok(Vec::new());
        }
        let was = fs::read(&file)?;
        match part {
            Part::Secret => fs::remove_file(file)?,
            _ => fs::write(file, "[device.shop\n")?,
        }
        Ok(was)
    }

    fn restore(&self, part: Part, was: &[u8]) -> Result<()> {
        match part {
            Part::Directory => fs::rename(self.path("devices.away"), self.path("devices.d"))?,
            _ => fs::write(self.file(part), was)?,
        }
        Ok(())
    }

    /// Has the file read now, and returns what came of it.
    async fn reload(&self) -> Result<Value> {
        let reply = self.moonwa.admin().post("/v1/config/reload", &Value::Null).await?;
        Ok(reply.expect(200).json()["outcome"].clone())
    }

    /// An edit of each part is noticed.
    async fn hears(&mut self) -> Result<()> {
        self.edits += 1;
        let n = self.edits;
        let edit = |label: &str| {
            let text = fs::read_to_string(self.included())?;
            let (head, tail) = text.split_once("label = \"").unwrap();
            let tail = tail.split_once('"').unwrap().1;
            fs::write(self.included(), format!("{head}label = \"{label}\"{tail}"))
        };
        let label = format!("Shop {n}");
        edit(&label)?;
        self.moonwa.wait_device("shop", "its label", |device| device["label"] == label).await;

        let key = format!("key {n} of the shop, long enough");
        fs::write(self.path("keys/shop"), &key)?;
        let rotated = |report: &Value| report["changed"].to_string().contains("device shop: keys");
        reloaded(&self.moonwa, "applied", rotated).await;
        self.moonwa.anyone().with_token(&key).get("/v1/devices/shop").await?.expect(200);

        let name = format!("more-{n}");
        fs::write(self.path(&format!("devices.d/{name}.toml")), format!("[device.{name}]\n"))?;
        self.moonwa.wait_state(&name, "pending").await;

        let label = format!("Main {n}");
        let line = format!("[device.main]\nlabel = \"{label}\" # ");
        self.moonwa.edit_config(|text| text.replace("[device.main]\nlabel = ", &line))?;
        self.moonwa.wait_device("main", "its label", |device| device["label"] == label).await;
        Ok(())
    }
}

#[tokio::test]
async fn what_is_broken_and_put_right_is_watched_as_before() -> Result<()> {
    let sim = Simulator::start().await?;
    let alone = PARTS.map(async |part| {
        let mut gateway = Gateway::start(&sim).await?;
        let was = gateway.broken(part)?;
        reloaded(&gateway.moonwa, "rejected", |_| true).await;
        gateway.restore(part, &was)?;
        reloaded(&gateway.moonwa, "unchanged", |_| true).await;
        gateway.hears().await?;
        gateway.moonwa.stop().await
    });
    try_join_all(alone).await?;
    Ok(())
}

#[tokio::test]
async fn two_broken_parts_are_put_right_in_either_order() -> Result<()> {
    let sim = Simulator::start().await?;
    let pairs = PARTS.map(async |first| {
        let mut gateway = Gateway::start(&sim).await?;
        for second in PARTS.into_iter().filter(|second| *second != first) {
            for first_goes_first in [true, false] {
                let case = format!("{first:?}, {second:?}, {first_goes_first}");
                let one = (first, gateway.broken(first)?);
                assert_eq!(gateway.reload().await?, "rejected", "{case}");
                let two = (second, gateway.broken(second)?);
                assert_eq!(gateway.reload().await?, "rejected", "{case}");
                let order = if first_goes_first { [one, two] } else { [two, one] };
                for ((part, was), outcome) in order.iter().zip(["rejected", "unchanged"]) {
                    gateway.restore(*part, was)?;
                    assert_eq!(gateway.reload().await?, outcome, "{case}");
                }
                gateway.hears().await?;
            }
        }
        gateway.moonwa.stop().await
    });
    try_join_all(pairs).await?;
    Ok(())
}
