//! Whoever waited for a message and was told that it failed must not find later that it went out all the same.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use super::support::{Gateway, name, text_to, to};
use anyhow::{Context, Result};
use moonwa::facade::model::{Content, MediaKind, MediaSource, MessageStatus};
use moonwa_simulator::Simulator;

#[tokio::test]
async fn a_message_that_failed_while_its_file_was_fetched_is_not_sent() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628111000391", "Ann").await, sim.phone("628111000392", "Bob").await);
    let gateway = Gateway::start(&sim).await?;
    gateway.link(&ann).await?;

    // A host that tells when it is asked, and answers when it is told.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/slow.txt", listener.local_addr()?);
    let (asked, mut heard) = tokio::sync::mpsc::channel(1);
    let (release, held) = mpsc::channel::<()>();
    std::thread::Builder::new().spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
            request.extend(byte);
        }
        asked.blocking_send(())?;
        held.recv()?;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("{head}late").as_bytes())?;
        Ok(())
    })?;
    let late = Content::Media {
        media: MediaKind::Document,
        source: MediaSource::Url(url),
        mime: None,
        filename: None,
        caption: None,
        thumbnail: None,
        as_document: false,
    };
    let before = bob.cursor();
    let late = gateway.send(to(bob.number(), late)).await?;
    heard.recv().await.context("the host was not asked")?;
    let failed = MessageStatus::Failed { code: "timeout".into(), detail: "nobody waits".into() };
    gateway.store.queue().advance(&name(), &late.id, failed.clone()).await?;
    release.send(())?;

    // The same chat, one message at a time: when this one is there, the other one is done with.
    gateway.send(text_to(bob.number(), "in time")).await?;
    bob.wait_inbox(before, |item| item.is_text("in time")).await?;
    let inbox = bob.inbox();
    let messages: Vec<_> = inbox.iter().filter_map(|item| item.message()).collect();
    assert!(messages.iter().all(|message| message.id != late.id.as_str()), "{messages:?}");
    assert_eq!(gateway.message_status(&late.id).await, Some(failed));
    gateway.stop().await;
    Ok(())
}
