//! A login to the admin page outlives a restart, and nothing else that should end it.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use http_body_util::Full;
use hyper::{Method, StatusCode};
use moonwa::facade::model::KeyHash;
use moonwa_simulator::harness::{Moonwa, Reply, api_key};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DEVICE: &str = "toko";
const PATIENCE: Duration = Duration::from_secs(30);

async fn gateway(token: &str) -> Result<Moonwa> {
    let admin = format!("\n[admin]\ntoken = \"{}\"\n", KeyHash::of(token));
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).config(&admin).device(DEVICE, &[]).start().await
}

fn cookie(reply: &Reply) -> Result<String> {
    let set = reply.headers.get("set-cookie").context("no cookie")?.to_str()?;
    Ok(set.split(';').next().unwrap_or_default().to_owned())
}

async fn log_in(moonwa: &Moonwa, token: &str) -> Result<String> {
    cookie(&moonwa.anyone().post("/login", &json!({ "token": token })).await?.expect(200))
}

/// What a browser with that cookie gets.
async fn ask(moonwa: &Moonwa, cookie: &str, method: Method, path: &str) -> Result<Reply> {
    let anyone = moonwa.anyone();
    let request = anyone.request(method, path).header("cookie", cookie);
    anyone.send(request.body(Full::default())?).await
}

async fn status(moonwa: &Moonwa, cookie: &str) -> Result<StatusCode> {
    Ok(ask(moonwa, cookie, Method::GET, "/v1/config").await?.status)
}

/// An event stream that has begun.
struct Stream(TcpStream);

impl Stream {
    async fn open(moonwa: &Moonwa, path: &str, header: &str, begun: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(moonwa.address()).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nConnection: close\r\n{header}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut said = String::new();
        let mut buffer = [0; 4096];
        while !said.contains(begun) {
            let read = timeout(PATIENCE, stream.read(&mut buffer)).await??;
            anyhow::ensure!(read > 0, "it ended: {said}");
            said.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        Ok(Self(stream))
    }

    async fn ended(mut self) -> Result<()> {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.context("the stream goes on")??;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_survives_a_restart_and_ends_with_its_token() -> Result<()> {
    let mut moonwa = gateway("the-first-token").await?;
    let login = log_in(&moonwa, "the-first-token").await?;
    let other = log_in(&moonwa, "the-first-token").await?;
    moonwa.restart().await?;
    assert_eq!(status(&moonwa, &login).await?, 200, "still signed in");
    ask(&moonwa, &other, Method::POST, "/logout").await?.expect(204);
    moonwa.kill().await?;
    moonwa.relaunch().await?;
    assert_eq!(status(&moonwa, &login).await?, 200);
    assert_eq!(status(&moonwa, &other).await?, 401, "who signed out stays out");

    // A login that came from the token makes links, and holds streams open; so do the token and a device's key.
    let link = ask(&moonwa, &login, Method::POST, "/v1/login-links").await?.expect(201).json();
    let made = moonwa.anyone().with_token("the-first-token");
    let link_of_token = made.post("/v1/login-links", &Value::Null).await?.expect(201).json();
    let header = format!("Cookie: {login}");
    let page = Stream::open(&moonwa, "/v1/events", &header, "event: snapshot").await?;
    let header = "Authorization: Bearer the-first-token";
    let program = Stream::open(&moonwa, "/v1/events", header, "event: snapshot").await?;
    let of_key = format!("Authorization: Bearer {}", api_key(DEVICE));
    let key = Stream::open(&moonwa, "/v1/events", &of_key, "event: snapshot").await?;
    let path = format!("/v1/devices/{DEVICE}/events");
    let log = Stream::open(&moonwa, &path, &of_key, "text/event-stream").await?;

    moonwa.edit_config(|text| {
        let (old, new) = (KeyHash::of("the-first-token"), KeyHash::of("the-second-token"));
        text.replace(&old.to_string(), &new.to_string())
            .replace(&api_key(DEVICE), "another-key-0123456789abcdef")
    })?;
    for stream in [page, program, key, log] {
        stream.ended().await?;
    }
    assert_eq!(status(&moonwa, &login).await?, 401);
    for link in [link, link_of_token] {
        let path = link["path"].as_str().context("a path")?.to_owned();
        let opened = moonwa.anyone().get(&path).await?.expect(303);
        assert_eq!(opened.headers["location"], "./?login=expired");
    }
    log_in(&moonwa, "the-second-token").await?;
    moonwa.restart().await?;
    assert_eq!(status(&moonwa, &login).await?, 401);
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_makes_a_link_and_signs_out_everywhere() -> Result<()> {
    let mut moonwa = gateway("a-token-of-the-admin").await?;
    let link = async |moonwa: &Moonwa| -> Result<String> {
        let (exit, said) = moonwa.command(&["login"]).await?;
        assert_eq!(exit, 0, "{said}");
        let start = format!("http://{}", moonwa.address());
        let link = said.lines().find_map(|line| line.strip_prefix(&start)).context("a link")?;
        Ok(link.to_owned())
    };
    let path = link(&moonwa).await?;
    let by_link = cookie(&moonwa.anyone().get(&path).await?.expect(303))?;
    let by_token = log_in(&moonwa, "a-token-of-the-admin").await?;
    let unused = link(&moonwa).await?;
    for cookie in [&by_link, &by_token] {
        assert_eq!(status(&moonwa, cookie).await?, 200);
    }
    let header = format!("Cookie: {by_link}");
    let stream = Stream::open(&moonwa, "/v1/events", &header, "event: snapshot").await?;
    let (exit, said) = moonwa.command(&["login", "--revoke-all"]).await?;
    assert_eq!((exit, said.contains("2 logins")), (0, true), "{said}");
    stream.ended().await?;
    for _start in 0..2 {
        for cookie in [&by_link, &by_token] {
            assert_eq!(status(&moonwa, cookie).await?, 401);
        }
        let opened = moonwa.anyone().get(&unused).await?.expect(303);
        assert_eq!(opened.headers["location"], "./?login=expired");
        moonwa.restart().await?;
    }

    // A device's key may not.
    let key = moonwa.key_of(DEVICE);
    key.delete("/v1/logins").await?.expect(403);
    let login = log_in(&moonwa, "a-token-of-the-admin").await?;
    let ended = ask(&moonwa, &login, Method::DELETE, "/v1/logins").await?.expect(200).json();
    assert_eq!(ended, json!({ "ended": 1 }));
    assert_eq!(status(&moonwa, &login).await?, 401);
    moonwa.stop().await?;
    Ok(())
}

/// Answers of one address behind the proxy, which is this machine.
async fn from(moonwa: &Moonwa, address: &str, token: &str, path: &str) -> Result<u16> {
    let client = moonwa.anyone().with_token(token);
    let request = client.request(Method::GET, path).header("x-forwarded-for", address);
    Ok(client.send(request.body(Full::default())?).await?.status.as_u16())
}

async fn log_in_from(moonwa: &Moonwa, address: &str, token: &str) -> Result<u16> {
    let anyone = moonwa.anyone();
    let request = anyone.request(Method::POST, "/login").header("x-forwarded-for", address);
    let body = json!({ "token": token }).to_string();
    Ok(anyone.send(request.body(Full::new(body.into()))?).await?.status.as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_logs_in_while_others_behind_the_same_proxy_guess() -> Result<()> {
    const MADE: &str = "mw_abcdefgh_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const WRONG: &str = "mw_abcdefgh_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";
    const CHOSEN: &str = "a-token-that-a-person-chose";
    const PROXY: &str = "192.0.2.1";
    let moonwa = gateway(CHOSEN).await?;
    moonwa.edit_config(|text| {
        text.replace("[store]", "trusted_proxies = [\"127.0.0.1\"]\n\n[store]")
    })?;
    moonwa.admin().post("/v1/config/reload", &Value::Null).await?.expect(200);

    // A stale cron job, and somebody who guesses keys.
    let wrong = (0..60).map(|_| from(&moonwa, PROXY, "the-key-of-last-year", "/v1/devices"));
    assert!(try_join_all(wrong).await?.contains(&429));
    assert_eq!(from(&moonwa, PROXY, &api_key(DEVICE), "/v1/devices").await?, 200, "a right key");
    let guesses = (0..60).map(|_| from(&moonwa, PROXY, WRONG, "/v1/devices"));
    for status in try_join_all(guesses).await? {
        assert_eq!(status, 401, "nobody guesses 256 bits");
    }
    let link = moonwa.admin().post("/v1/login-links", &Value::Null).await?.expect(201).json();
    let link = link["path"].as_str().context("a path")?.to_owned();
    assert_eq!(log_in_from(&moonwa, PROXY, CHOSEN).await?, 200);

    // From there nobody is locked out any more; from elsewhere guessing ends.
    let guesses = (0..15).map(|_| log_in_from(&moonwa, PROXY, "a-guess-at-the-token"));
    assert_eq!(try_join_all(guesses).await?, [401; 15]);
    assert_eq!(log_in_from(&moonwa, PROXY, CHOSEN).await?, 200);
    assert_eq!(from(&moonwa, PROXY, CHOSEN, "/v1/config").await?, 200);
    let guesses = (0..15).map(|_| log_in_from(&moonwa, "192.0.2.2", "a-guess-at-the-token"));
    assert!(try_join_all(guesses).await?.contains(&429));
    // What cannot be guessed is taken from everywhere.
    let anyone = moonwa.anyone();
    let request = anyone.request(Method::GET, &link).header("x-forwarded-for", "192.0.2.2");
    let opened = anyone.send(request.body(Full::default())?).await?.expect(303);
    assert_eq!(opened.headers["location"], "./");
    moonwa.edit_config(|text| {
        text.replace(&KeyHash::of(CHOSEN).to_string(), &KeyHash::of(MADE).to_string())
    })?;
    moonwa.admin().post("/v1/config/reload", &Value::Null).await?.expect(200);
    let guesses = (0..15).map(|_| log_in_from(&moonwa, "192.0.2.3", "a-guess-at-the-token"));
    assert!(try_join_all(guesses).await?.contains(&429));
    assert_eq!(log_in_from(&moonwa, "192.0.2.3", MADE).await?, 200);
    moonwa.stop().await?;
    Ok(())
}
