//! A member of a group links a device of which WhatsApp tells nobody: it reads what is sent to the group all the same.

use anyhow::{Result, ensure};
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use moonwa_simulator::{Entry, Fault, Group, Phone, Simulator};

struct Cast {
    sim: Simulator,
    ann: Phone,
    bob: Phone,
    carl: Phone,
    group: Group,
    /// What Bob's new device reads.
    hook: WebhookReceiver,
    moonwa: Moonwa,
}

/// Ann's device has written to the group; then Bob links one.
async fn cast(refresh: &str) -> Result<Cast> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000181", "Ann").await;
    let bob = sim.phone("628111000182", "Bob").await;
    let carl = sim.phone("628111000183", "Carl").await;
    let group = sim.group("Garden", &[&ann, &bob, &carl]).await?;
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .env("MOONWA_GROUP_REFRESH", refresh)
        .device("toko", &[])
        .device("bobs", &[hook.url()])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    moonwa.send_text("toko", &group.jid(), "before").await?;
    carl.expect_text("before").await?;
    sim.fault(&bob, Fault::DeviceUntold);
    moonwa.link("bobs", &bob).await?;
    Ok(Cast { sim, ann, bob, carl, group, hook, moonwa })
}

impl Cast {
    /// Sends to the group; Bob's device must read it at once, and not only after it has asked for it again.
    async fn everybody_reads(&self, text: &str) -> Result<()> {
        let before = self.sim.cursor();
        self.moonwa.send_text("toko", &self.group.jid(), text).await?;
        self.carl.expect_text(text).await?;
        self.bob.expect_text(text).await?;
        self.hook.expect_text(text).await;
        let asked_again = |entry: &Entry| {
            entry.seq > before && entry.is_in("receipt") && entry.text.contains("type=\"retry\"")
        };
        ensure!(!self.sim.journal().iter().any(asked_again), "{text}: it was asked for again");
        Ok(())
    }

    /// Only what is sent to the group asks about Carl.
    fn device_questions(&self, after: u64) -> usize {
        let asked = |entry: &&Entry| entry.seq > after && self.carl.is_asked_about(entry);
        self.sim.journal().iter().filter(asked).count()
    }
}

#[tokio::test]
async fn the_first_message_after_a_reconnect_reaches_it() -> Result<()> {
    let c = cast("3600").await?;
    let before = c.sim.cursor();
    c.sim.drop_connections(c.ann.number());
    let again = |entry: &Entry| entry.tag == "handshake";
    c.sim.wait_journal(before, again).await?;
    c.moonwa.wait_state("toko", "connected").await;
    c.everybody_reads("after a reconnect").await?;
    let before = c.sim.cursor();
    c.everybody_reads("a moment later").await?;
    ensure!(c.device_questions(before) == 0, "asked with every message");
    c.sim.assert_no_violations();
    c.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_message_after_an_hour_reaches_it_and_a_refused_question_fails_none() -> Result<()> {
    let c = cast("0").await?;
    c.everybody_reads("an hour later").await?;
    for code in [403, 429, 503] {
        c.sim.fault(&c.ann, Fault::IqError("usync".to_owned(), code));
        let before = c.sim.cursor();
        c.everybody_reads(&format!("refused with {code}")).await?;
        ensure!(c.device_questions(before) > 0, "nothing was refused");
    }
    c.sim.assert_no_violations();
    c.moonwa.stop().await?;
    Ok(())
}
