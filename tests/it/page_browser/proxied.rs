//! The page through a reverse proxy: below a path, at an address that moonwa does not know, on a slow line.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::Moonwa;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::browser::Browser;
use super::gateway;

/// A reverse proxy before moonwa. It hands each request's head to a function, which changes it, or refuses it.
struct Proxy {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn start<F, T>(moonwa: &Moonwa, change: F) -> Result<Self>
    where
        F: Fn(String) -> T + Clone + Send + 'static,
        T: Future<Output = Option<String>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, to) = (listener.local_addr()?, moonwa.address());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let change = change.clone();
                // The browser may close a connection whenever it likes.
                open.spawn(async move { pass(stream, to, change).await.ok() });
            }
        });
        Ok(Self { address, _tasks: tasks })
    }
}

async fn pass<T>(mut browser: TcpStream, to: SocketAddr, change: impl Fn(String) -> T) -> Result<()>
where
    T: Future<Output = Option<String>>,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(browser.read_u8().await?);
    }
    let Some(head) = change(String::from_utf8(head)?).await else {
        let refusal = "HTTP/1.1 418 Outside\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return Ok(browser.write_all(refusal.as_bytes()).await?);
    };
    let mut moonwa = TcpStream::connect(to).await?;
    // One request for each connection, so that each is looked at.
    let head = head.replacen("Connection: keep-alive", "Connection: close", 1);
    moonwa.write_all(head.as_bytes()).await?;
    copy_bidirectional(&mut browser, &mut moonwa).await?;
    Ok(())
}

/// The head with another `Host`, as a proxy sends it that was not told to keep the browser's.
fn asked_for(head: &str, host: &str) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((name, _)) if name.eq_ignore_ascii_case("host") => format!("Host: {host}"),
        _ => line.to_owned(),
    };
    head.split("\r\n").map(line).collect::<Vec<_>>().join("\r\n")
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn the_page_works_below_a_path_behind_a_proxy() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.edit_config(|text| text.replace("[store]", "base_path = \"/wa/\"\n\n[store]"))?;
    moonwa.admin().post("/v1/config/reload", &Value::Null).await?.expect(200);
    let link = moonwa.admin().post("/v1/login-links", &Value::Null).await?.expect(201).json();
    let path = link["path"].as_str().unwrap_or_default();
    assert!(path.starts_with("/wa/"), "{path}");
    let browser = Browser::start().await?;
    let below = async |head: String| {
        let path = head.split(' ').nth(1);
        path.is_some_and(|path| path.starts_with("/wa/")).then_some(head)
    };
    let proxy = Proxy::start(&moonwa, below).await?;
    browser.open(&format!("http://{}{path}", proxy.address)).await?;
    browser.sees("PENDING").await;
    browser.click("Device toko").await;
    browser.click("START SESSION").await;
    browser.until("a QR code", super::QR_SHOWN).await;
    for view in ["Single Send", "Webhook", "Messages", "Config", "API reference"] {
        browser.click(view).await;
        let script = format!("return document.querySelector('h1').textContent === '{view}'");
        browser.until(view, &script).await;
    }
    browser.sees("/api/send-message").await;
    browser.click("Sign out of this page").await;
    browser.sees("Welcome to moonwa").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}

/// `proxy_pass http://moonwa` without a line about `Host`.
#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn an_address_that_moonwa_does_not_know_is_explained() -> Result<()> {
    let moonwa = gateway(&Simulator::start().await?).start().await?;
    let hidden = async |head: String| Some(asked_for(&head, "moonwa"));
    let proxy = Proxy::start(&moonwa, hidden).await?;
    let browser = Browser::start().await?;
    browser.open(&format!("http://{}/", proxy.address)).await?;
    browser.sees("moonwa does not answer to this address").await;
    browser.sees("moonwa tidak melayani alamat ini").await;
    browser.sees("hosts = [\"moonwa\"]").await;
    browser.sees("proxy_set_header Host $http_host;").await;
    assert!(moonwa.log().contains("proxy_set_header Host $http_host;"), "{}", moonwa.log());
    browser.open(&format!("http://{}/login?t=x", proxy.address)).await?;
    browser.sees("hosts = [\"moonwa\"]").await;
    assert_eq!(
        moonwa.log().matches("by a name that it does not answer to").count(),
        1,
        "once a minute"
    );
    browser.close(&["421", "favicon.ico"]).await?;
    moonwa.stop().await?;
    Ok(())
}

/// `proxy_pass http://10.0.0.7:8080` without a line about `Host`: the page comes, but the login seems to be another
/// site's. A browser says `Sec-Fetch-Site` to https and to its own machine alone.
#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_login_that_seems_to_come_from_another_site_is_explained() -> Result<()> {
    let gateway = gateway(&Simulator::start().await?);
    let moonwa = gateway
        .config("\n[admin]\ntoken = \"the-admin-token-of-this-story-0123456789\"\n")
        .start()
        .await?;
    let hidden = async |head: String| {
        let head = asked_for(&head, "10.0.0.7:8080");
        let kept = |line: &&str| !line.to_ascii_lowercase().starts_with("sec-fetch-site");
        Some(head.split("\r\n").filter(kept).collect::<Vec<_>>().join("\r\n"))
    };
    let proxy = Proxy::start(&moonwa, hidden).await?;
    for (language, words) in
        [("en", "is another one than moonwa sees"), ("id", "berbeda dari yang dilihat moonwa")]
    {
        let browser = Browser::reading(language).await?;
        browser.open(&format!("http://{}/", proxy.address)).await?;
        browser.write("Admin token or API key", "the-admin-token-of-this-story-0123456789").await?;
        browser.click("Sign in").await;
        browser.sees(words).await;
        browser.sees("proxy_set_header Host $http_host;").await;
        browser.close(&["403"]).await?;
    }
    let log = moonwa.log();
    let line = log.lines().find(|line| line.contains("seems to come from another site"));
    assert!(line.is_some_and(|line| line.contains("proxy_set_header Host $http_host;")), "{log}");
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Chromium and ChromeDriver; .ci/run installs them and runs this"]
async fn a_slow_line_shows_that_a_view_is_on_its_way() -> Result<()> {
    let hook = ["http://127.0.0.1:9/hook".to_owned()];
    let moonwa = gateway(&Simulator::start().await?).device("toko", &hook).start().await?;
    let [line, answers] = [(); 2].map(|()| Arc::new(Semaphore::new(0)));
    let held = [("/view/config.js", Arc::clone(&line)), ("/webhooks ", Arc::clone(&answers))];
    let slow = move |head: String| {
        let held = held.clone();
        async move {
            for (place, free) in held {
                if head.contains(place) {
                    drop(free.acquire().await);
                }
            }
            Some(head)
        }
    };
    let proxy = Proxy::start(&moonwa, slow).await?;
    let link = moonwa.admin().post("/v1/login-links", &Value::Null).await?.expect(201).json();
    let browser = Browser::start().await?;
    browser
        .open(&format!("http://{}{}", proxy.address, link["path"].as_str().unwrap_or_default()))
        .await?;
    browser.sees("PENDING").await;
    let bar = "return getComputedStyle(document.documentElement, '::before').content !== 'none'";
    let no_bar = &bar.replace("!==", "===");
    browser.until("no bar", no_bar).await;
    browser.click("Config").await;
    browser.until("a moving bar", bar).await;
    browser.sees("PENDING").await;
    line.add_permits(1);
    browser.sees("What would change?").await;
    browser.until("no bar any more", no_bar).await;
    // What is not known yet is not said to be nothing.
    browser.click("Webhook").await;
    browser.click("Last attempts").await;
    browser.sees("Loading").await;
    answers.add_permits(1);
    browser.misses("Loading").await;
    browser.close(&[]).await?;
    moonwa.stop().await?;
    Ok(())
}
