//! A fleet against the simulated WhatsApp, in one process: linking, messages both ways, states. The stories with the
//! real binary are elsewhere; these answer in seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::support::{Gateway, config, name, text_to};
use anyhow::Result;
use moonwa::facade::config::{DeviceConfig, Gap, Pace};
use moonwa::facade::model::{DeviceState, EventType, LoggedOut, MessageStatus, Pending, Stop};
use moonwa_simulator::harness::eventually;
use moonwa_simulator::{Entry, Simulator};

#[tokio::test]
async fn linked_by_qr_it_receives_and_sends() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000201", "Ann").await, sim.phone("628111000202", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    let toko = gateway.device();
    gateway.expect_state(|state| *state == DeviceState::Pending(Pending::NotStarted)).await;

    gateway.link(&ann).await?;
    let account = toko.status().account.expect("an account");
    assert_eq!(account.phone.map(String::from).as_deref(), Some(ann.number()));
    assert!(toko.status().proof_at.is_some(), "a green dot has its proof");

    let id = bob.send_text(&ann, "halo").await?;
    let event = gateway.expect_event(EventType::MessageReceived, |data| data["id"] == id).await;
    assert_eq!(event["data"]["text"], "halo");
    assert_eq!(event["data"]["kind"], "text");
    assert_eq!(event["data"]["from"]["phone"], bob.number());
    assert_eq!(event["data"]["from"]["lid"], bob.lid().split('@').next().unwrap_or_default());
    assert_eq!(event["data"]["from"]["name"], "Bob");
    assert_eq!(event["data"]["chat"], bob.jid());
    assert_eq!(event["data"]["from_me"], false);

    let row = gateway.send(text_to(bob.number(), "balas")).await?;
    let got = bob.expect_text("balas").await?;
    assert_eq!(got.id, row.id.as_str());
    bob.read(&got.id).await?;
    gateway.expect_status(&row.id, MessageStatus::Read).await;
    gateway
        .expect_event(EventType::MessageStatus, |data| {
            data["id"] == row.id.as_str() && data["status"] == "read"
        })
        .await;
    sim.assert_no_violations();
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_number_that_is_not_on_whatsapp_fails() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000203", "Ann").await;
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let row = gateway.send(text_to("628999999999", "nobody")).await?;
    let settled = gateway.expect_settled(&row.id).await;
    assert!(
        matches!(&settled, MessageStatus::Failed { code, .. } if code == "not_on_whatsapp"),
        "{settled:?}"
    );
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_linked_device_connects_by_itself_after_a_restart() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000204", "Ann").await, sim.phone("628111000205", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let gateway = gateway.restart(&sim).await?;
    gateway.expect_state(|state| matches!(state, DeviceState::Connected)).await;
    bob.send_text(&ann, "after the restart").await?;
    gateway
        .expect_event(EventType::MessageReceived, |data| data["text"] == "after the restart")
        .await;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_unreachable_whatsapp_shows_when_it_is_tried_again_and_never_a_qr() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000206", "Ann").await;
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    sim.refuse_connections(true);
    sim.drop_connections(ann.number());
    gateway
        .expect_state(
            |state| matches!(state, DeviceState::Reconnecting { attempt, .. } if *attempt >= 2),
        )
        .await;
    let gateway = gateway.restart(&sim).await?;
    gateway
        .expect_state(
            |state| matches!(state, DeviceState::Reconnecting { attempt, .. } if *attempt >= 1),
        )
        .await;
    sim.refuse_connections(false);
    gateway.expect_state(|state| matches!(state, DeviceState::Connected)).await;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn unlinked_on_the_phone_it_forgets_and_links_again() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000207", "Ann").await;
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    ann.unlink(1).await?;
    gateway.expect_state(|state| *state == DeviceState::LoggedOut(LoggedOut::ByPhone)).await;
    gateway.link(&ann).await?;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn logging_out_unlinks_on_both_sides() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000208", "Ann").await;
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    gateway.device().logout().await?;
    assert_eq!(gateway.device().status().state, DeviceState::LoggedOut(LoggedOut::ByUser));
    assert!(gateway.device().status().account.is_none());
    eventually("the phone forgets it", || async { ann.devices().len() }, |n| *n == 0).await;
    let gateway = gateway.restart(&sim).await?;
    gateway.expect_state(|state| *state == DeviceState::Pending(Pending::NotStarted)).await;
    gateway.link(&ann).await?;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn linked_by_a_pair_code() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000209", "Ann").await;
    let gateway = Gateway::start(&sim).await?;
    let phone = moonwa::facade::model::PhoneNumber::parse(ann.number(), None)?;
    gateway.device().pair_code(&phone).await?;
    let DeviceState::Linking(linking) = gateway.device().status().state else {
        panic!("not linking");
    };
    let code = linking.pair_code.expect("a pair code").code;
    ann.enter_code(code.expose()).await?;
    gateway.expect_state(|state| matches!(state, DeviceState::Connected)).await;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn stopping_and_starting() -> Result<()> {
    let sim = Simulator::start().await?;
    let ann = sim.phone("628111000210", "Ann").await;
    let gateway = Gateway::start(&sim).await?;
    gateway.device().start().await?;
    gateway.qr().await;
    gateway.device().stop().await?;
    assert_eq!(gateway.device().status().state, DeviceState::Pending(Pending::Cancelled));
    gateway.link(&ann).await?;
    gateway.device().stop().await?;
    assert_eq!(gateway.device().status().state, DeviceState::Stopped(Stop::ByUser));
    gateway.device().start().await?;
    gateway.expect_state(|state| matches!(state, DeviceState::Connected)).await;
    gateway.device().reconnect().await?;
    gateway.expect_state(|state| matches!(state, DeviceState::Reconnecting { .. })).await;
    gateway.expect_state(|state| matches!(state, DeviceState::Connected)).await;
    // Started again before it is down, it was stopped all the same.
    let device = gateway.device();
    let (stopped, started) = tokio::join!(device.stop(), device.start());
    stopped?;
    started?;
    gateway.expect_state(|state| matches!(state, DeviceState::Connected)).await;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_pace_holds_back_and_drops_nothing() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000231", "Ann").await, sim.phone("628111000232", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;
    let paced = async |pace| {
        let config = DeviceConfig { pace, ..config() };
        gateway.fleet.reconcile(&BTreeMap::from([(name(), config)])).await;
    };
    let pace = Gap::Even { count: 2, per: Duration::from_hours(1) };
    paced(Some(Pace::spread(pace))).await;
    let mut rows = Vec::new();
    for n in 0..4 {
        rows.push(gateway.send(text_to(bob.number(), &format!("pelan {n}"))).await?);
    }
    bob.expect_text("pelan 0").await?;
    gateway.expect_status(&rows[0].id, MessageStatus::Delivered).await;
    // The one of this half hour went out; nothing of the others was even looked up.
    for row in &rows[1..] {
        assert_eq!(gateway.message_status(&row.id).await, Some(MessageStatus::Queued));
    }
    paced(None).await;
    bob.expect_text("pelan 3").await?;
    let texts: Vec<String> =
        bob.inbox().iter().filter_map(|item| item.message()?.text.clone()).collect();
    assert_eq!(texts, ["pelan 0", "pelan 1", "pelan 2", "pelan 3"]);
    for row in &rows {
        let id = row.id.as_str();
        let out = |e: &&Entry| e.is_in("message") && e.attr("id").as_deref() == Some(id);
        assert_eq!(sim.journal().iter().filter(out).count(), 1, "sent once, not only seen once");
    }
    gateway.stop().await;
    Ok(())
}
