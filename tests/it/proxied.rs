//! A device that reaches WhatsApp through a proxy: everything goes through it, what the proxy refuses is said, and another
//! proxy is taken while the gateway runs.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{
    Answer, Moonwa, MoonwaBuilder, Proxy, Speaks, WebhookReceiver, eventually,
};
use serde_json::{Value, json};

const LOGIN: Option<(&str, &str)> = Some(("ann", "sesame-7"));

/// A gateway whose device "toko" has that proxy.
fn gateway(sim: &Simulator, webhooks: &[String], proxy: &str) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(sim)
        .config("\n[media]\nallow_nets = [\"127.0.0.0/8\"]\n")
        .device("toko", webhooks)
        .config(&format!("proxy = {proxy:?}\n"))
}

/// Fails when somebody came to WhatsApp past the proxies.
fn nobody_came_directly(sim: &Simulator, proxies: &[&Proxy]) {
    let sources: BTreeSet<SocketAddr> = proxies.iter().flat_map(|proxy| proxy.sources()).collect();
    let visitors = sim.visitors();
    assert!(!visitors.is_empty());
    for visitor in visitors {
        assert!(sources.contains(&visitor), "{visitor} came directly");
    }
}

/// Waits until the linking of the device has that trouble.
async fn trouble(moonwa: &Moonwa, detail: &str) -> Value {
    let good = |device: &Value| {
        device["reason"] == "unreachable_blocked"
            && device["detail"].as_str().is_some_and(|told| told.contains(detail))
    };
    moonwa.wait_device("toko", detail, good).await
}

async fn everything_goes_through(speaks: Speaks, numbers: [&str; 2]) -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) = (sim.phone(numbers[0], "Ann").await, sim.phone(numbers[1], "Bob").await);
    let (hook, files) = (WebhookReceiver::start().await?, WebhookReceiver::start().await?);
    let proxy = Proxy::start(speaks, LOGIN).await?;
    let moonwa = gateway(&sim, &[hook.url()], &proxy.url()).start().await?;
    moonwa.link("toko", &ann).await?;

    bob.send_text(&ann, "selamat pagi").await?;
    hook.expect_text("selamat pagi").await;
    let id = moonwa.send_text("toko", bob.number(), "pagi juga").await?;
    moonwa.wait_status("toko", &id, "delivered").await;
    let tunnels = proxy.targets().len();

    let picture = b"\xff\xd8\xff\xe0 a picture".to_vec();
    bob.send_image(&ann, &picture, Some("katalog")).await?;
    let data = hook.expect_text("katalog").await.json()["data"].clone();
    let url = data["media"]["url"].as_str().unwrap_or_default();
    assert_eq!(moonwa.key_of("toko").get(url).await?.expect(200).body, picture);
    files.otherwise(Some(Answer::body("nota")));
    let body = json!({"to": bob.number(), "document": {"url": format!("http://{}/nota.txt", files.address())}});
    let sent = moonwa.key_of("toko").post("/v1/devices/toko/messages", &body).await?.expect(202);
    let id = sent.json()["id"].as_str().unwrap_or_default().to_owned();
    moonwa.wait_status("toko", &id, "delivered").await;

    let targets = proxy.targets();
    assert!(targets.len() > tunnels, "files have tunnels of their own: {targets:?}");
    for other in [hook.address(), files.address()] {
        assert!(!targets.contains(&other.to_string()), "{targets:?}");
    }
    nobody_came_directly(&sim, &[&proxy]);

    // An edit of something else leaves it as it is in the file, although the editor has not seen all of it.
    let edit = json!({"label": "Toko Budi"});
    moonwa.admin().put("/v1/devices/toko", None, &edit).await?.expect(200);
    assert!(std::fs::read_to_string(moonwa.dir().join("moonwa.toml"))?.contains(&proxy.url()));
    let shown = moonwa.admin().get("/v1/config").await?.expect(200).json();
    let toko = &shown["config"]["devices"]["toko"];
    assert!(toko["proxy"].as_str().is_some_and(|url| url.contains("://***@")), "{toko}");
    let (shown, log) = (shown.to_string(), moonwa.log());
    for secret in ["sesame-7", "ann:"] {
        assert!(!shown.contains(secret) && !log.contains(secret), "{secret}");
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn everything_goes_through_a_socks_proxy() -> Result<()> {
    everything_goes_through(Speaks::Socks5, ["628222000301", "628222000302"]).await
}

#[tokio::test]
async fn everything_goes_through_an_http_proxy() -> Result<()> {
    everything_goes_through(Speaks::Http, ["628222000303", "628222000304"]).await
}

#[tokio::test]
async fn what_a_proxy_refuses_is_said() -> Result<()> {
    for speaks in [Speaks::Socks5, Speaks::Http] {
        let sim = Simulator::start().await?;
        let proxy = Proxy::start(speaks, LOGIN).await?;
        let wrong = proxy.url_with("ann:hunter-2@");
        let moonwa = gateway(&sim, &[], &wrong).start().await?;
        moonwa.admin().post("/v1/devices/toko/start", &Value::Null).await?.expect(202);
        trouble(&moonwa, "the proxy refused: wrong user or password").await;

        moonwa.edit_config(|text| text.replace(&wrong, &proxy.url_with("")))?;
        trouble(&moonwa, "it wants a user and a password").await;
        assert!(moonwa.log().contains("wrong user or password"));

        let (url, address) = (proxy.url(), proxy.url_with(""));
        let place = address.rsplit(':').next().unwrap_or_default().to_owned();
        drop(proxy);
        moonwa.edit_config(|text| text.replace(&address, &url))?;
        let told = trouble(&moonwa, "cannot be connected to").await.to_string();
        assert!(told.contains("the proxy ") && told.contains(&place), "{told}");
        for secret in ["hunter-2", "sesame-7"] {
            assert!(!moonwa.log().contains(secret) && !told.contains(secret), "{secret}");
        }
        assert!(sim.visitors().is_empty(), "nobody went around it");
        moonwa.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_proxy_is_taken_while_it_runs() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000305", "Ann").await, sim.phone("628222000306", "Bob").await);
    let (cat, hook) = (sim.phone("628222000307", "Cat").await, WebhookReceiver::start().await?);
    let (one, other) =
        (Proxy::start(Speaks::Socks5, LOGIN).await?, Proxy::start(Speaks::Http, None).await?);
    let moonwa = gateway(&sim, &[hook.url()], &one.url())
        .device("gudang", &[])
        .config(&format!("proxy = {:?}\n", one.url_with("ann:sesame%2D7@")))
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    moonwa.link("gudang", &cat).await?;
    let since = moonwa.device("gudang").await?["since"].clone();

    moonwa.edit_config(|text| text.replacen(&one.url(), &other.url(), 1))?;
    eventually("a tunnel", || async { other.targets() }, |targets| !targets.is_empty()).await;
    moonwa.wait_state("toko", "connected").await;
    bob.send_text(&ann, "lewat jalan lain").await?;
    hook.expect_text("lewat jalan lain").await;
    let gudang = moonwa.device("gudang").await?;
    assert_eq!((&gudang["state"], &gudang["since"]), (&json!("connected"), &since));

    // The old one is not needed any more by the device that left it.
    let logins = other.targets().len();
    drop(one);
    moonwa.wait_device("gudang", "the loss", |device| device["state"] == "reconnecting").await;
    assert_eq!(moonwa.device("toko").await?["state"], "connected");
    assert_eq!(other.targets().len(), logins);
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_proxy_is_set_and_removed_through_the_api() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628222000308", "Ann").await, sim.phone("628222000309", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let proxy = Proxy::start(Speaks::Socks5, LOGIN).await?;
    let builder = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim);
    let moonwa = builder.device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    let put = async |proxy: &str| {
        moonwa.admin().put("/v1/devices/toko", None, &json!({ "proxy": proxy })).await
    };
    let file = || std::fs::read_to_string(moonwa.dir().join("moonwa.toml"));

    // What cannot be one is refused without a word of it, and so is the form in which it is shown.
    let before = file()?;
    for bad in ["socks5://ann:hunter-2@nowhere", "socks5://***@nowhere:1080"] {
        let refused = put(bad).await?.expect(422).text();
        assert!(refused.contains("proxy") && !refused.contains("hunter-2"), "{refused}");
    }
    assert_eq!(file()?, before);

    let said = put(&proxy.url()).await?.expect(200).text();
    assert!(file()?.contains(&proxy.url()));
    eventually("a tunnel", || async { proxy.targets() }, |targets| !targets.is_empty()).await;
    moonwa.wait_state("toko", "connected").await;
    bob.send_text(&ann, "lewat proxy").await?;
    hook.expect_text("lewat proxy").await;
    let shown = moonwa.admin().get("/v1/config").await?.expect(200).text();
    assert!(shown.contains("socks5://***@"), "{shown}");

    let tunnels = proxy.targets().len();
    let visitors = sim.visitors().len();
    put("").await?.expect(200);
    assert!(!file()?.contains("proxy"));
    let look = || async { sim.visitors().len() };
    eventually("a connection past it", look, |now| *now > visitors).await;
    moonwa.wait_state("toko", "connected").await;
    bob.send_text(&ann, "langsung").await?;
    hook.expect_text("langsung").await;
    assert_eq!(proxy.targets().len(), tunnels);
    for secret in ["hunter-2", "sesame-7", "ann:"] {
        let told = [&said, &shown, &moonwa.log()].iter().any(|text| text.contains(secret));
        assert!(!told, "{secret}");
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    Ok(())
}
