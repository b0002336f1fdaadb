//! Figures, not verdicts, but for one: memory and start-up of the real binary. Run by hand in a release build:
//! `cargo test --release --test it measure:: -- --ignored --nocapture --test-threads 1`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use moonwa_simulator::harness::{Moonwa, MoonwaBuilder, WebhookReceiver, eventually_within};
use moonwa_simulator::{File, Simulator};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn gateway(sim: &Simulator) -> MoonwaBuilder {
    Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(sim)
}

fn megabytes(moonwa: &Moonwa, figure: &str) -> Result<f64> {
    Ok(f64::from(moonwa.figure(figure)?) / 1024.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run by hand in a release build"]
async fn memory_and_start() -> Result<()> {
    let sim = Simulator::start().await?;
    let idle = gateway(&sim).device("toko", &[]).start().await?;
    println!("RSS idle, one unlinked device: {:.1} MB", megabytes(&idle, "VmRSS")?);
    idle.stop().await?;

    let mut builder = gateway(&sim);
    for n in 0..10 {
        builder = builder.device(&format!("d{n}"), &[]);
    }
    let mut moonwa = builder.start().await?;
    for n in 0..10 {
        let phone = sim.phone(&format!("62866600{n:04}"), "Phone").await;
        moonwa.link(&format!("d{n}"), &phone).await?;
    }
    println!("RSS, ten devices just linked: {:.1} MB", megabytes(&moonwa, "VmRSS")?);
    moonwa.restart().await?;
    for n in 0..10 {
        moonwa.wait_state(&format!("d{n}"), "connected").await;
    }
    println!("RSS, ten linked devices after a restart: {:.1} MB", megabytes(&moonwa, "VmRSS")?);
    println!("   of it anonymous: {:.1} MB", megabytes(&moonwa, "RssAnon")?);

    for round in 1..=3 {
        moonwa.kill().await?;
        let began = Instant::now();
        moonwa.relaunch().await?;
        println!(
            "start to READY with ten devices, round {round}: {} ms",
            began.elapsed().as_millis()
        );
    }
    moonwa.stop().await?;
    Ok(())
}

/// A hundred texts of a megabyte, then a page of them: both must cost little beyond the idle process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run by hand in a release build"]
async fn memory_under_texts_of_a_megabyte() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628666100001", "Ann").await, sim.phone("628666100002", "Bob").await);
    let moonwa = gateway(&sim).device("toko", &[]).start().await?;
    moonwa.link("toko", &ann).await?;
    println!("RSS idle: {:.1} MB", megabytes(&moonwa, "VmRSS")?);
    let text = "é".repeat(1 << 19);
    for n in 0..100 {
        bob.send_text(&ann, &format!("{n} {text}")).await?;
    }
    ann.expect_confirmed().await?;
    println!("peak RSS after 100 texts of 1 MB: {:.1} MB", megabytes(&moonwa, "VmHWM")?);
    let (mut after, mut pages, mut events) = (0, 0, 0);
    loop {
        let path = format!("/v1/devices/toko/events?after={after}");
        let page = moonwa.admin().get(&path).await?.expect(200).json();
        pages += 1;
        events += page["events"].as_array().map_or(0, Vec::len);
        let Some(next) = page["next"].as_u64() else { break };
        after = next;
    }
    println!("{events} events in {pages} pages; peak RSS: {:.1} MB", megabytes(&moonwa, "VmHWM")?);
    moonwa.stop().await?;
    Ok(())
}

/// So many answers of `/healthz`, over eight connections.
async fn ask_healthz(moonwa: &Moonwa, times: usize) -> Result<()> {
    const ASKERS: usize = 8;
    const AT_ONCE: usize = 50;
    let asker = async |address| {
        let mut stream = TcpStream::connect(address).await?;
        let questions = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(AT_ONCE);
        let mut buffer = vec![0; 64 * 1024];
        for _round in 0..times / ASKERS / AT_ONCE {
            stream.write_all(questions.as_bytes()).await?;
            let mut answered = Vec::new();
            // Every answer has one status line.
            while answered.windows(12).filter(|some| *some == b"HTTP/1.1 200").count() < AT_ONCE
                || !answered.ends_with(b"}")
            {
                let read = stream.read(&mut buffer).await?;
                anyhow::ensure!(read > 0, "the connection was closed");
                answered.extend(&buffer[..read]);
            }
        }
        anyhow::Ok(())
    };
    let address = moonwa.address();
    futures_util::future::try_join_all((0..ASKERS).map(|_| asker(address))).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a million requests; run by hand"]
async fn a_million_requests_that_nobody_scrapes_leave_the_memory_flat() -> Result<()> {
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).device("toko", &[]).start().await?;
    // Whatever is made once is made: code is read from the file, and the allocator has what five seconds of this need.
    ask_healthz(&moonwa, 200_000).await?;
    let start = calm(&moonwa)?;
    let began = Instant::now();
    for _part in 0..10 {
        ask_healthz(&moonwa, 100_000).await?;
        println!(
            "RSS {:.2} MB ({:.2} of it anonymous) after {:?}",
            megabytes(&moonwa, "VmRSS")?,
            megabytes(&moonwa, "RssAnon")?,
            began.elapsed()
        );
    }
    // What the last tick has not seen yet is no growth.
    let flat = || async { megabytes(&moonwa, "VmRSS").unwrap_or(f64::MAX) - start };
    let grown = eventually_within(Duration::from_secs(30), "flat memory", flat, |g| *g < 1.0).await;
    println!("RSS {start:.2} MB at the start, {grown:+.2} MB after 1,000,000 requests");
    moonwa.stop().await?;
    Ok(())
}

/// Forgets the highest RSS so far, and says what it is now.
fn calm(moonwa: &Moonwa) -> Result<f64> {
    std::fs::write(format!("/proc/{}/clear_refs", moonwa.pid()), "5")?;
    megabytes(moonwa, "VmRSS")
}

/// A figure of `/proc/PID/io`.
fn io(moonwa: &Moonwa, figure: &str) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/io", moonwa.pid()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(": "));
    Ok(line.with_context(|| format!("no {figure}"))?.parse()?)
}

/// What the store's files take on the disk, in bytes, without the file that only keeps room.
fn on_disk(folder: &std::path::Path) -> Result<u64> {
    let mut all = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            all += on_disk(&entry.path())?;
        } else if entry.file_name() != "ballast" {
            all += std::os::unix::fs::MetadataExt::blocks(&entry.metadata()?) * 512;
        }
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn bytes_written_and_stored_per_message() -> Result<()> {
    const MESSAGES: usize = 5_000;
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628666100005", "Ann").await, sim.phone("628666100006", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    let data = moonwa.dir().join("data");
    let figures =
        || anyhow::Ok((io(&moonwa, "wchar")?, io(&moonwa, "write_bytes")?, on_disk(&data)?));
    let before = figures()?;
    for n in 0..MESSAGES {
        bob.send_text(&ann, &format!("pesanan {n}")).await?;
    }
    let count = || async { hook.count() };
    eventually_within(Duration::from_mins(5), "all of them", count, |n| *n >= MESSAGES).await;
    let after = figures()?;
    let each = |before: u64, after: u64| (after - before.min(after)) / MESSAGES as u64;
    println!(
        "per message of {MESSAGES}: {} bytes given to write, {} bytes of pages written, {} bytes more on the disk",
        each(before.0, after.0),
        each(before.1, after.1),
        each(before.2, after.2)
    );
    moonwa.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_is_never_whole_in_memory() -> Result<()> {
    streams(20).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; a debug build takes half a minute"]
async fn a_large_film_is_never_whole_in_memory() -> Result<()> {
    streams(60).await
}

/// Sends and receives a film of so many MB; the gateway's memory may grow by a few.
async fn streams(size: u32) -> Result<()> {
    const MOST: f64 = 16.0;
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628668000111", "Ann").await, sim.phone("628668000112", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    let mut film = b"\0\0\0\x18ftypisom\0\0\x02\0isommp41".to_vec();
    film.extend((0..size << 20).map(|n| u8::try_from(n % 251).unwrap_or_default()));

    let key = moonwa.key_of("toko");
    let before = calm(&moonwa)?;
    let began = Instant::now();
    let path = "/v1/devices/toko/messages";
    let fields = [("to", bob.number()), ("kind", "video")];
    let sent = key.upload(path, &fields, "f.mp4", &film).await?.expect(202);
    let id = sent.json()["id"].as_str().context("an id")?.to_owned();
    let path = format!("{path}/{id}");
    let look = || async { key.get(&path).await.map(|reply| reply.json()["status"].clone()).ok() };
    let arrived = |status: &Option<serde_json::Value>| {
        status.as_ref().is_some_and(|status| status == "delivered")
    };
    eventually_within(Duration::from_secs(300), "the film's arrival", look, arrived).await;
    let out = megabytes(&moonwa, "VmHWM")? - before;
    println!("{size} MB out in {:?}: RSS {before:.1} MB, at most {out:+.1} MB", began.elapsed());
    let got = bob.wait_inbox(0, |item| item.message().is_some_and(|m| m.id == id)).await?;
    assert!(bob.media(&got.message().context("a message")?.message)? == film, "byte for byte");

    let id = bob.send_file(&ann, &film, "video/mp4", File::Video(Some("film".into()))).await?;
    hook.expect_text("film").await;
    let before = calm(&moonwa)?;
    let began = Instant::now();
    let got = key.get(&format!("/v1/devices/toko/media/{id}")).await?.expect(200);
    let back = megabytes(&moonwa, "VmHWM")? - before;
    println!(
        "{size} MB in within {:?}: RSS {before:.1} MB, at most {back:+.1} MB",
        began.elapsed()
    );
    assert!(got.body == film, "byte for byte");
    assert!(out <= MOST && back <= MOST, "{out:.1} and {back:.1} MB, at most {MOST}");
    moonwa.stop().await?;
    Ok(())
}

/// How often the threads of the gateway gave the processor up to wait for something.
fn waits(moonwa: &Moonwa) -> Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{}/task", moonwa.pid()))? {
        // A thread may end meanwhile.
        let Ok(text) = std::fs::read_to_string(task?.path().join("status")) else { continue };
        let row = text.lines().find_map(|row| row.strip_prefix("voluntary_ctxt_switches:"));
        sum += row.context("a row")?.trim().parse::<u64>()?;
    }
    Ok(sum)
}

/// What a message costs from WhatsApp to its POST: how often a thread waits, and with `MOONWA_STRACE=FILE` the system calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn what_a_message_in_costs() -> Result<()> {
    const MESSAGES: u32 = 1000;
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628666300001", "Ann").await, sim.phone("628666300002", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = gateway(&sim).device("toko", &[hook.url()]).start().await?;
    moonwa.link("toko", &ann).await?;
    bob.send_text(&ann, "first").await?;
    hook.expect_text("first").await;
    for burst in [false, true] {
        ann.expect_confirmed().await?;
        let mut tracer = None;
        if let Ok(file) = std::env::var("MOONWA_STRACE") {
            let mut strace = Command::new("strace")
                .args(["-f", "-c", "-U", "calls,name", "-o", &format!("{file}.{burst}")])
                .args(["-p", &moonwa.pid().to_string()])
                .stderr(Stdio::piped())
                .spawn()?;
            let said = strace.stderr.take().context("a pipe")?;
            // It says when it has attached.
            BufReader::new(said).lines().next().context("no word of strace")??;
            tracer = Some(strace);
        }
        let (before, taken) = (waits(&moonwa)?, hook.count());
        for n in 0..MESSAGES {
            bob.send_text(&ann, &format!("{burst} {n}")).await?;
            if !burst {
                hook.more_than(taken + n as usize).await;
            }
        }
        hook.more_than(taken + MESSAGES as usize - 1).await;
        ann.expect_confirmed().await?;
        let waits = f64::from(u32::try_from(waits(&moonwa)? - before)?);
        if let Some(mut strace) = tracer {
            let pid = Pid::from_child(&strace);
            rustix::process::kill_process(pid, Signal::INT)?;
            strace.wait()?;
        }
        let how = if burst { "in a burst" } else { "one by one" };
        println!("{MESSAGES} messages {how}: {:.1} waits each", waits / f64::from(MESSAGES));
    }
    moonwa.stop().await?;
    Ok(())
}
