//! A message that was decrypted, and that a kill met before it was kept, cannot be decrypted when WhatsApp sends it again:
//! its sender is asked for it, and it comes.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Result, ensure};
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use moonwa_simulator::{Phone, Simulator};

/// What `abort` at a fail-point ends with.
const ABORTED: i32 = 6;
/// Milliseconds between decrypting and keeping: enough for two first messages on a machine that does other things.
const SLOW: &str = "4000";

struct Shop {
    sim: Simulator,
    ann: Phone,
    bob: Phone,
    /// To whom the gateway writes meanwhile: before that, the engine gives every session to the disk.
    others: [Phone; 2],
    hook: WebhookReceiver,
    moonwa: Moonwa,
}

impl Shop {
    async fn open() -> Result<Self> {
        let sim = Simulator::start().await?;
        let ann = sim.phone("628111000181", "Ann").await;
        let bob = sim.phone("628111000182", "Bob").await;
        let others =
            [sim.phone("628111000183", "Carol").await, sim.phone("628111000184", "Dave").await];
        let hook = WebhookReceiver::start().await?;
        let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
            .whatsapp(&sim)
            .device("toko", &[hook.url()])
            .start()
            .await?;
        moonwa.link("toko", &ann).await?;
        Ok(Self { sim, ann, bob, others, hook, moonwa })
    }

    /// Bob writes to a chat, and the gateway dies when it has decrypted that and not kept it. Whether Bob was asked for it.
    async fn dies_at(&mut self, chat: &str, text: &str) -> Result<bool> {
        self.moonwa.set_env("MOONWA_SLOW_KEEP", Some(SLOW));
        self.moonwa.set_env("MOONWA_FAILPOINT", Some("keep.before"));
        self.moonwa.restart().await?;
        self.moonwa.wait_state("toko", "connected").await;
        let id = self.bob.send_text(chat, text).await?;
        for other in &self.others {
            self.moonwa.send_text("toko", other.number(), text).await?;
            other.expect_text(text).await?;
        }
        let end = self.moonwa.wait_exit().await?;
        ensure!(end.signal() == Some(ABORTED), "{end}\n{}", self.moonwa.log());
        for name in ["MOONWA_SLOW_KEEP", "MOONWA_FAILPOINT"] {
            self.moonwa.set_env(name, None);
        }
        self.moonwa.relaunch().await?;
        self.hook.expect_text(text).await;
        let journal = self.sim.journal();
        let mut receipts = journal.iter().filter(|entry| entry.is_in("receipt"));
        Ok(receipts.any(|entry| {
            entry.attr("type").as_deref() == Some("retry") && entry.ids().contains(&id)
        }))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_kill_met_before_it_was_kept_is_asked_for_again() -> Result<()> {
    let mut shop = Shop::open().await?;
    let group = shop.sim.group("Friends", &[&shop.ann, &shop.bob]).await?;
    let ann = shop.ann.number().to_owned();

    ensure!(shop.dies_at(&ann, "the first of all").await?, "its session was not on the disk");
    ensure!(
        shop.dies_at(group.as_ref(), "the first in the group").await?,
        "its key was not on the disk"
    );
    let text = "an answer";
    shop.moonwa.send_text("toko", shop.bob.number(), text).await?;
    shop.bob.expect_text(text).await?;
    ensure!(shop.dies_at(&ann, "after an answer").await?, "its ratchet was not on the disk");

    // What is known comes again without being asked for.
    shop.bob.send_text(&ann, "the last").await?;
    shop.hook.expect_text("the last").await;
    let texts = shop.hook.taken_texts();
    ensure!(texts.len() == 4, "{texts:?}");
    shop.moonwa.stop().await?;
    shop.sim.assert_no_violations();
    Ok(())
}
