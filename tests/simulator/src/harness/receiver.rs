//! A webhook receiver on a free port: it records every request and answers as the story says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::wait::eventually;

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The request's path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The status it was answered with.
    pub answered: u16,
}

impl Delivery {
    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The `webhook-id`; empty without one.
    pub fn id(&self) -> String {
        self.header("webhook-id")
    }

    /// A header's text; empty without it.
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// The event's type; empty when the body has none.
    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }

    /// The message's text; empty when the body has none.
    pub fn text(&self) -> String {
        self.json()["data"]["text"].as_str().unwrap_or_default().to_owned()
    }
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status; 0 closes the connection without an answer, `Answer::NEVER` keeps it open without one.
    pub status: u16,
    /// Headers to add.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Chooses an answer for each request.
type Choose = Box<dyn FnMut() -> Answer + Send>;

impl Answer {
    /// The status of an answer that never comes.
    pub const NEVER: u16 = 1;

    /// An empty answer with that status.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// 200 with a body.
    pub fn body(body: impl Into<String>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
    }

    /// The same with a header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

#[derive(Default)]
struct Book {
    deliveries: Vec<Delivery>,
    script: VecDeque<Answer>,
    otherwise: Option<Answer>,
    choose: Option<Choose>,
    arrived: watch::Sender<usize>,
}

/// The receiver. Dropping it closes its port and its connections.
pub struct WebhookReceiver {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
    hanging: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl WebhookReceiver {
    /// Listens on a free port and answers 200.
    pub async fn start() -> Result<Self> {
        Self::start_at("127.0.0.1:0".parse()?).await
    }

    /// Listens there: a receiver that comes back after it was down.
    pub async fn start_at(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let book = Arc::new(Mutex::new(Book::default()));
        let (hanging, held) = watch::channel(false);
        let server = tokio::spawn(serve(listener, Arc::clone(&book), held));
        Ok(Self { address, book, hanging, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to put into `moonwa.toml`.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next requests are answered so, in order; then 200 again.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.lock().script.extend(answers);
    }

    /// Every request without a scripted answer is answered so from now on; `None` is 200.
    pub fn otherwise(&self, answer: Option<Answer>) {
        self.lock().otherwise = answer;
    }

    /// Every request without a scripted answer is answered as `choose` says: a flaky receiver.
    pub fn choosing(&self, choose: impl FnMut() -> Answer + Send + 'static) {
        self.lock().choose = Some(Box::new(choose));
    }

    /// While true, requests are read and not answered.
    pub fn hang(&self, hanging: bool) {
        self.hanging.send_replace(hanging);
    }

    /// Everything that arrived so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.clone()
    }

    /// Empties the list, which would fill the memory in a run of hours; answers what was in it.
    pub fn forget(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.lock().deliveries)
    }

    /// How many requests have arrived so far.
    pub fn count(&self) -> usize {
        self.lock().deliveries.len()
    }

    /// Waits until more than so many requests have arrived, without looking again and again: for measurements.
    pub async fn more_than(&self, count: usize) {
        let mut arrived = self.lock().arrived.subscribe();
        // The sender lives as long as the book.
        drop(arrived.wait_for(|arrived| *arrived > count).await);
    }

    /// The texts of the messages that were taken (2xx), in order of arrival.
    pub fn taken_texts(&self) -> Vec<String> {
        let taken = |delivery: &&Delivery| (200..300).contains(&delivery.answered);
        self.lock().deliveries.iter().filter(taken).map(Delivery::text).collect()
    }

    /// Waits until a request for which `good` holds has been answered, and returns it.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn expect(&self, what: &str, good: impl Fn(&Delivery) -> bool) -> Delivery {
        let found = eventually(
            what,
            || async { self.deliveries() },
            |all: &Vec<Delivery>| all.iter().any(&good),
        )
        .await;
        found
            .into_iter()
            .find(|delivery| good(delivery))
            .unwrap_or_else(|| unreachable!("it was just there"))
    }

    /// Waits for a taken message with that text.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn expect_text(&self, text: &str) -> Delivery {
        self.expect(text, |delivery| {
            (200..300).contains(&delivery.answered) && delivery.text() == text
        })
        .await
    }

    /// Waits until that many requests have been answered.
    ///
    /// # Panics
    /// When they do not come in time.
    pub async fn expect_count(&self, count: usize) -> Vec<Delivery> {
        eventually(
            "deliveries",
            || async { self.deliveries() },
            |all: &Vec<Delivery>| all.len() >= count,
        )
        .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The receiver closed the connection instead of answering.
#[derive(Debug)]
struct HungUp;

impl std::fmt::Display for HungUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up on purpose")
    }
}

impl std::error::Error for HungUp {}

async fn serve(listener: TcpListener, book: Arc<Mutex<Book>>, held: watch::Receiver<bool>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, Arc::clone(&book), held.clone()));
    }
}

async fn converse(stream: TcpStream, book: Arc<Mutex<Book>>, held: watch::Receiver<bool>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&book), held.clone()));
    // The sender may hang up at any time: that is part of the stories.
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    book: Arc<Mutex<Book>>,
    mut held: watch::Receiver<bool>,
) -> Result<Response<Full<Bytes>>, HungUp> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(Response::new(Full::default())) };
    // An abandoned receiver answers nobody.
    if held.wait_for(|hanging| !hanging).await.is_err() {
        std::future::pending::<()>().await;
    }
    let answer = {
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        let scripted = book.script.pop_front().or_else(|| book.otherwise.clone());
        let answer = scripted.or_else(|| book.choose.as_mut().map(|choose| choose()));
        let answer = answer.unwrap_or_else(|| Answer::status(200));
        let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        book.deliveries.push(Delivery {
            path,
            headers: parts.headers,
            body: body.to_bytes(),
            answered: answer.status,
        });
        book.arrived.send_replace(book.deliveries.len());
        answer
    };
    match answer.status {
        0 => return Err(HungUp),
        Answer::NEVER => std::future::pending::<()>().await,
        _ => {}
    }
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(answer.body.into())).unwrap_or_default())
}
