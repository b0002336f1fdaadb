//! An HTTP receiver on a free port: it notes every request and answers as its script says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, Version};
use hyper_util::rt::TokioIo;
use moonwa::facade::task::Tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) path: String,
    pub(crate) version: Version,
    /// Over which connection it came, from 1.
    pub(crate) connection: usize,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Hit {
    pub(crate) fn id(&self) -> &str {
        self.headers["webhook-id"].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What a script answers.
pub(crate) enum Answer {
    Status(u16),
    Header(u16, &'static str, String),
    Body(String),
    /// 200, but not before then.
    When(CancellationToken),
    /// No answer at all, the connection stays open.
    Hang,
    /// No answer, the connection is closed.
    HangUp,
}

pub(crate) const OK: Answer = Answer::Status(200);

/// Fails the first requests so, then answers 200.
pub(crate) fn at_first(
    mut failures: usize,
    answer: impl Fn() -> Answer,
) -> impl FnMut(&Hit) -> Answer {
    move |_| {
        let fails = failures > 0;
        failures = failures.saturating_sub(1);
        if fails { answer() } else { OK }
    }
}

type Script = Box<dyn FnMut(&Hit) -> Answer + Send>;

pub(crate) struct Receiver {
    pub(crate) url: String,
    hits: watch::Receiver<Vec<Hit>>,
    script: Arc<Mutex<Script>>,
}

impl Receiver {
    pub(crate) async fn start(
        tasks: &Tasks,
        script: impl FnMut(&Hit) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let (noted, hits) = watch::channel(Vec::new());
        let (tasks, shared, noted) = (tasks.clone(), script.clone(), Arc::new(noted));
        tasks.clone().spawn("receiver", async move {
            let stop = tasks.stop().clone();
            let mut connection = 0;
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                connection += 1;
                let serving = serve(stream, connection, shared.clone(), noted.clone());
                let stop = stop.clone();
                tasks.spawn("connection", async move {
                    stop.run_until_cancelled(serving).await;
                });
            }
        });
        Self { url, hits, script }
    }

    /// Answers differently from now on.
    pub(crate) fn script(&self, script: impl FnMut(&Hit) -> Answer + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.hits.borrow().clone()
    }

    /// Waits until `enough`, and gives what arrived by then.
    pub(crate) async fn until(&self, enough: impl Fn(&[Hit]) -> bool) -> Vec<Hit> {
        let mut hits = self.hits.clone();
        let found = tokio::time::timeout(DEADLINE, hits.wait_for(|hits| enough(hits))).await;
        match found {
            Ok(found) => found.unwrap().clone(),
            Err(_) => panic!("not in time; {} requests came", self.hits.borrow().len()),
        }
    }
}

async fn serve(
    stream: TcpStream,
    connection: usize,
    script: Arc<Mutex<Script>>,
    noted: Arc<watch::Sender<Vec<Hit>>>,
) {
    let answer = service_fn(|request: Request<Incoming>| {
        let (script, noted) = (script.clone(), noted.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let (path, version) = (parts.uri.to_string(), parts.version);
            let hit = Hit { path, version, connection, headers: parts.headers, body };
            let answer = (script.lock().unwrap())(&hit);
            noted.send_modify(|hits| hits.push(hit));
            let response = Response::builder();
            let response = match answer {
                Answer::Status(status) => response.status(status).body(Full::default()),
                Answer::Header(status, name, value) => {
                    response.status(status).header(name, value).body(Full::default())
                }
                Answer::Body(text) => response.body(Full::new(Bytes::from(text))),
                Answer::When(then) => {
                    then.cancelled().await;
                    response.body(Full::default())
                }
                Answer::Hang => std::future::pending().await,
                Answer::HangUp => return Err("hang up"),
            };
            Ok(response.unwrap())
        }
    });
    // An error is a client that went away, or a script that hangs up.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
}
