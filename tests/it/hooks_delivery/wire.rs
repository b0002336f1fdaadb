//! The requests as they go over the wire, and answers that a receiver should not give.

use std::time::Duration;

use hyper::Version;
use moonwa::facade::config::EndpointConfig;
use moonwa::facade::task::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::fixture::{FAST, Gate, REAL, device, endpoint, refs, texts};
use super::receiver::{Answer, OK, Receiver};

/// A receiver that answers every connection's first request with those bytes and then says no more. Returns its URL.
async fn blunt(tasks: &Tasks, answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (stop, tasks) = (tasks.stop().clone(), tasks.clone());
    tasks.clone().spawn("blunt receiver", async move {
        while let Some(Ok((mut stream, _))) = stop.run_until_cancelled(listener.accept()).await {
            let stop = stop.clone();
            tasks.spawn("connection", async move {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                assert!(read > 0);
                stream.write_all(answer).await.unwrap();
                stop.cancelled().await;
            });
        }
    });
    url
}

#[tokio::test]
async fn an_endpoint_keeps_its_connection() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    gate.say(&refs(&texts(50))).await;
    let hits = receiver.until(|hits| hits.len() == 50).await;
    assert!(hits.iter().all(|hit| hit.connection == 1 && hit.version == Version::HTTP_11));
}

#[tokio::test]
async fn user_and_password_of_the_url_authorize() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    gate.configure(&[endpoint(&receiver.url.replace("http://", "http://ann:secret@"))]).await;
    gate.say(&["a"]).await;
    let hits = receiver.until(|hits| hits.len() == 1).await;
    assert_eq!(hits[0].headers["authorization"], "Basic YW5uOnNlY3JldA==");
    assert_eq!(format!("http://{}/hook", hits[0].headers["host"].to_str().unwrap()), receiver.url);
}

#[tokio::test]
async fn of_a_long_answer_only_the_beginning_is_read() {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| Answer::Body("x".repeat(8 << 20))).await;
    gate.configure(&[endpoint(&receiver.url)]).await;
    gate.say(&refs(&texts(3))).await;
    gate.report(|report| report.delivered == 3).await;
    assert_eq!(gate.hooks.attempts(&device(), 1).unwrap()[0].answer, "x".repeat(256));
    // The rest of it would be in the way of the next answer.
    let connections: Vec<usize> = receiver.hits().iter().map(|hit| hit.connection).collect();
    assert_eq!(connections, [1, 2, 3]);
}

#[tokio::test]
async fn the_status_decides_although_the_body_stays_away() {
    let gate = Gate::open(FAST).await;
    let url = blunt(&gate.tasks, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nso far").await;
    let timeout = Duration::from_millis(300);
    gate.configure(&[EndpointConfig { timeout, ..endpoint(&url) }]).await;
    gate.say(&["a", "b"]).await;
    gate.report(|report| report.delivered == 2 && report.last_error.is_none()).await;
    let attempts = gate.hooks.attempts(&device(), 1).unwrap();
    let taken: Vec<_> = attempts.iter().filter(|attempt| attempt.class == "delivered").collect();
    assert_eq!(taken.len(), 2, "{attempts:?}");
    assert!(taken.iter().all(|attempt| attempt.answer == "so far"), "{attempts:?}");
}

#[tokio::test]
async fn what_is_no_http_is_a_fault_of_the_endpoint() {
    let gate = Gate::open(REAL).await;
    let head = Box::leak(
        format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "x".repeat(32 << 10)).into_boxed_str(),
    );
    let answers: [&'static [u8]; 4] = [
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        head.as_bytes(),
    ];
    let mut hooks = Vec::new();
    for answer in answers {
        hooks.push(endpoint(&blunt(&gate.tasks, answer).await));
    }
    gate.configure(&hooks).await;
    gate.say(&["a"]).await;
    for n in 1..=answers.len() {
        let report = gate.report_of(n, |report| report.last_code.is_some()).await;
        assert_eq!(report.last_code.as_deref(), Some("protocol"), "{report:?}");
        assert_eq!((report.cursor, report.parked), (0, 0));
    }
}
