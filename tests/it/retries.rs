//! A contact's phone that cannot read a message asks for it again, perhaps days later, and gets it.

use anyhow::{Context, Result, ensure};
use moonwa_simulator::harness::Moonwa;
use moonwa_simulator::{Fault, ItemKind, Phone, Simulator};

struct Pair {
    sim: Simulator,
    bob: Phone,
    moonwa: Moonwa,
}

async fn pair(knob: Option<(&str, &str)>) -> Result<Pair> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000171", "Ann").await;
    let bob = sim.phone("628111000172", "Bob").await;
    let mut builder =
        Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).device("toko", &[]);
    if let Some((name, value)) = knob {
        builder = builder.env(name, value);
    }
    let moonwa = builder.start().await?;
    moonwa.link("toko", &ann).await?;
    Ok(Pair { sim, bob, moonwa })
}

impl Pair {
    /// Sends Bob a text that his phone cannot read, and does not ask for again yet.
    async fn send_unread(&self, text: &str) -> Result<String> {
        self.sim.fault(&self.bob, Fault::LateRetry);
        self.sim.fault(&self.bob, Fault::Undecryptable);
        let id = self.moonwa.send_text("toko", self.bob.number(), text).await?;
        let unread =
            |kind: &ItemKind| matches!(kind, ItemKind::Undecryptable { id: of, .. } if *of == id);
        self.bob.wait_inbox(0, |item| unread(&item.kind)).await?;
        Ok(id)
    }

    /// Stops the gateway and starts it again when its store has been open for that much longer.
    async fn days_later(&mut self, days: u32) -> Result<()> {
        let seconds = u64::from(days) * 24 * 3600 - 3600;
        self.moonwa.set_env("MOONWA_STORE_AGE", Some(&seconds.to_string()));
        self.moonwa.restart().await?;
        self.moonwa.wait_state("toko", "connected").await;
        Ok(())
    }

    /// Asks for what must not come, and then for something that does.
    async fn asks_in_vain(&self, lost: &str, kept: &str, text: &str) -> Result<()> {
        let before = self.bob.inbox().len();
        self.bob.ask_again(lost).await?;
        self.bob.ask_again(kept).await?;
        self.bob.expect_text(text).await?;
        let came: Vec<_> = self.bob.inbox().into_iter().skip(before).collect();
        let lost = |id: &str| id == lost;
        let in_vain = !came.iter().any(|item| item.message().is_some_and(|of| lost(&of.id)));
        ensure!(in_vain, "it came: {came:?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_phone_that_asks_two_weeks_later_can_read_the_message() -> Result<()> {
    let mut p = pair(None).await?;
    let first = p.send_unread("asked for two weeks later").await?;
    let revoked = p.send_unread("taken back").await?;
    let path = format!("/v1/devices/toko/messages/{revoked}");
    let reply = p.moonwa.key_of("toko").delete(&path).await?.expect(202).json();
    p.moonwa.wait_status("toko", reply["id"].as_str().context("no id")?, "delivered").await;

    p.days_later(14).await?;
    p.asks_in_vain(&revoked, &first, "asked for two weeks later").await?;

    let (late, fresh) = (p.send_unread("asked for too late").await?, p.send_unread("fresh").await?);
    p.days_later(2).await?;
    p.bob.ask_again(&fresh).await?;
    p.bob.expect_text("fresh").await?;
    p.days_later(16).await?;
    let fresh = p.send_unread("sent just now").await?;
    p.asks_in_vain(&late, &fresh, "sent just now").await?;
    p.sim.assert_no_violations();
    p.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_was_taken_back_on_the_phone_is_not_sent_again() -> Result<()> {
    let mut p = pair(None).await?;
    let kept = p.send_unread("kept").await?;
    let revoked = p.send_unread("taken back").await?;
    let ann = p.sim.find_phone("628111000171").context("no Ann")?;
    ann.revoke(&p.bob, &revoked).await?;
    // It has been taken, so what is tested is that the restart does not forget it.
    ann.expect_confirmed().await?;
    p.moonwa.restart().await?;
    p.moonwa.wait_state("toko", "connected").await;
    p.asks_in_vain(&revoked, &kept, "kept").await?;
    p.moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_oldest_messages_go_when_they_are_too_many_bytes_and_that_is_said() -> Result<()> {
    let p = pair(Some(("MOONWA_SENT_BYTES", "5000"))).await?;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(p.send_unread(&format!("{n} {}", "long".repeat(500))).await?);
    }
    let last = format!("4 {}", "long".repeat(500));
    p.asks_in_vain(&ids[0], &ids[4], &last).await?;
    let metrics = p.moonwa.admin().get("/metrics").await?.expect(200).text();
    let dropped = "moonwa_sent_messages_dropped_total{device=\"toko\"} 3\n";
    ensure!(metrics.contains(dropped), "{metrics}");
    let said = p.moonwa.log().matches("moonwa_sent_messages_dropped_total").count();
    ensure!(said == 1, "said {said} times");
    p.moonwa.stop().await?;
    Ok(())
}
