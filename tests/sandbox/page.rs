//! The sandbox's own small page: the shop's phone, a customer's phone, and what arrived at the webhook.

use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, ORIGIN};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use moonwa_simulator::harness::{WebhookReceiver, api_key};
use moonwa_simulator::{ItemKind, Phone};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Ends;
use super::shop::{DEVICE, NUMBER, Shop};

/// The number of the customer.
const CUSTOMER: &str = "628987654321";
const LARGEST_BODY: usize = 64 << 10;
/// How long a request may take to come.
const SLOWEST: Duration = Duration::from_secs(10);
/// More wait for one to end: the sandbox must not run out of files.
const MOST_CONNECTIONS: usize = 256;

/// Everything the page shows and does.
struct Sandbox {
    shop: Shop,
    customer: Phone,
    hook: WebhookReceiver,
    written: Mutex<Vec<Written>>,
}

/// What the customer wrote: a phone's inbox holds only what came.
#[derive(Clone)]
struct Written {
    id: String,
    text: String,
    /// The last inbox item before it.
    after: u64,
}

impl Sandbox {
    async fn start() -> Result<Self> {
        let hook = WebhookReceiver::start().await?;
        let device = toml::Table::from_iter([("webhooks".to_owned(), vec![hook.url()].into())]);
        let shop = Shop::open((Ipv4Addr::LOCALHOST, 0).into(), device).await?;
        let customer = shop.sim.phone(CUSTOMER, "Budi").await;
        Ok(Self { shop, customer, hook, written: Mutex::default() })
    }

    /// The customer writes to the shop.
    async fn write(&self, text: &str) -> Result<()> {
        let after = self.customer.inbox().last().map_or(0, |item| item.seq);
        let id = self.customer.send_text(&self.shop.phone, text).await?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.push(Written { id, text: text.to_owned(), after });
        Ok(())
    }

    /// Everything the customer wrote.
    fn written(&self) -> Vec<Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The call a program would make to answer the customer.
    fn curl(&self) -> String {
        format!(
            "curl -s http://{}/api/send-message -H 'content-type: application/json' \\\n  -d '{{\"api_key\": \"{}\", \"receiver\": \"{CUSTOMER}\", \"data\": {{\"message\": \"Halo dari moonwa\"}}}}'",
            self.shop.moonwa.address(),
            api_key(DEVICE),
        )
    }
}

/// Serves the page until it is told to end.
pub(super) async fn run(port: u16, mut ends: Ends) -> Result<ExitCode> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("port {port}"))?;
    let page = listener.local_addr()?;
    let sandbox = Arc::new(Sandbox::start().await?);
    println!("\n  The sandbox runs: a simulated WhatsApp, moonwa, and a webhook receiver.\n");
    println!("  1. Open the virtual phones    http://{page}/");
    let link = sandbox.shop.login_link().await?;
    println!("  2. Open moonwa's admin page   {link}   (logs in once)");
    println!("     press START SESSION on the admin page, then Scan on the phone,");
    println!("  3. and send a message as a program would:\n\n{}\n", sandbox.curl());
    println!("  Ctrl-C ends it.\n");
    let mut connections = JoinSet::new();
    tokio::select! {
        () = serve(&listener, page, &sandbox, &mut connections) => {}
        () = ends.told() => {}
    }
    connections.shutdown().await;
    let sandbox = Arc::into_inner(sandbox).context("a request outlived its connection")?;
    sandbox.shop.close(&mut ends).await?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    listener: &TcpListener,
    page: SocketAddr,
    sandbox: &Arc<Sandbox>,
    connections: &mut JoinSet<()>,
) {
    loop {
        let room = connections.len() < MOST_CONNECTIONS;
        tokio::select! {
            accepted = listener.accept(), if room => {
                // A connection that was gone before it was taken is no failure.
                let Ok((stream, _)) = accepted else { continue };
                let sandbox = sandbox.clone();
                let service = service_fn(move |request| answer(request, page, sandbox.clone()));
                connections.spawn(async move {
                    // A browser that hangs up is none either.
                    let _ended = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(SLOWEST)
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    page: SocketAddr,
    sandbox: Arc<Sandbox>,
) -> hyper::Result<Response<Full<Bytes>>> {
    // The simulator ends loudly what a test does not expect; the page goes on.
    let served = AssertUnwindSafe(act(request, page, &sandbox)).catch_unwind().await;
    let served = served.unwrap_or_else(|_| {
        Err(Refused(StatusCode::INTERNAL_SERVER_ERROR, anyhow!("the sandbox failed at that")))
    });
    let (status, kind, body) = match served {
        Ok(Served::File(kind, text)) => (StatusCode::OK, kind, Bytes::from_static(text.as_bytes())),
        Ok(Served::Json(value)) => (StatusCode::OK, "application/json", value.to_string().into()),
        Err(Refused(status, why)) => {
            let body = json!({"error": format!("{why:#}")}).to_string();
            (status, "application/json", body.into())
        }
    };
    let built = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header("cache-control", "no-store")
        .body(Full::new(body));
    Ok(built.unwrap_or_default())
}

enum Served {
    File(&'static str, &'static str),
    Json(Value),
}

/// With which status, and why.
struct Refused(StatusCode, anyhow::Error);

impl From<anyhow::Error> for Refused {
    fn from(why: anyhow::Error) -> Self {
        Self(StatusCode::BAD_REQUEST, why)
    }
}

/// Another site in the same browser must not drive the sandbox: not under a name of its own, and not by a form.
fn is_own(request: &Request<Incoming>, page: SocketAddr) -> bool {
    let header = |name| request.headers().get(name).map(hyper::http::HeaderValue::as_bytes);
    let hosts = [page.to_string(), format!("localhost:{}", page.port())];
    hosts.iter().any(|host| {
        header(HOST) == Some(host.as_bytes())
            && header(ORIGIN).is_none_or(|origin| origin == format!("http://{host}").as_bytes())
    })
}

async fn act(
    request: Request<Incoming>,
    page: SocketAddr,
    sandbox: &Sandbox,
) -> Result<Served, Refused> {
    if !is_own(&request, page) {
        return Err(Refused(StatusCode::FORBIDDEN, anyhow!("open it as http://{page}/")));
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let body = Limited::new(request.into_body(), LARGEST_BODY).collect();
    let body = timeout(SLOWEST, body).await.context("too slow")?;
    let body = body.map_err(|_| anyhow!("at most {LARGEST_BODY} bytes"))?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let text = || body["text"].as_str().filter(|text| !text.trim().is_empty());
    let file = |kind, text| Ok(Served::File(kind, text));
    let done = Ok(Served::Json(json!({"done": true})));
    match (method, path.as_str()) {
        (Method::GET, "/") => file("text/html; charset=utf-8", include_str!("page.html")),
        (Method::GET, "/page.js") => {
            file("text/javascript; charset=utf-8", include_str!("page.js"))
        }
        (Method::GET, "/page.css") => file("text/css; charset=utf-8", include_str!("page.css")),
        // The looks are the product's.
        (Method::GET, "/style.css") => {
            file("text/css; charset=utf-8", include_str!("../../web/style.css"))
        }
        (Method::GET, "/talk.css") => {
            file("text/css; charset=utf-8", include_str!("../../web/talk.css"))
        }
        (Method::GET, "/icon.svg") => file("image/svg+xml", include_str!("../../web/icon.svg")),
        (Method::GET, "/state") => Ok(Served::Json(state(sandbox).await?)),
        (Method::POST, "/scan") => {
            sandbox.shop.scan().await?;
            done
        }
        (Method::POST, "/unlink") => {
            for device in sandbox.shop.phone.devices() {
                sandbox.shop.phone.unlink(device.id).await?;
            }
            done
        }
        (Method::POST, "/write") => {
            sandbox.write(text().context("write something")?).await?;
            done
        }
        (Method::POST, "/read") => {
            let id = body["id"].as_str().context("which message?")?;
            sandbox.customer.read(id).await?;
            done
        }
        (Method::POST, "/reply") => {
            sandbox.shop.send_text(CUSTOMER, text().context("write something")?).await?;
            done
        }
        (Method::POST, "/login") => {
            Ok(Served::Json(json!({"url": sandbox.shop.login_link().await?})))
        }
        _ => Err(Refused(StatusCode::NOT_FOUND, anyhow!("nothing is at {path}"))),
    }
}

async fn state(sandbox: &Sandbox) -> Result<Value> {
    let posts: Vec<Value> = sandbox
        .hook
        .deliveries()
        .iter()
        .rev()
        .take(20)
        .map(|post| json!({"id": post.id(), "answered": post.answered, "body": post.json()}))
        .collect();
    Ok(json!({
        "device": sandbox.shop.moonwa.device(DEVICE).await?,
        "has_qr": sandbox.shop.qr().await.is_some(),
        "linked": sandbox.shop.phone.devices().len(),
        "shop": NUMBER,
        "customer": CUSTOMER,
        "chat": chat(sandbox),
        "posts": posts,
        "curl": sandbox.curl(),
    }))
}

/// The chat as the customer sees it, in order: what came, and what they wrote with its tick.
fn chat(sandbox: &Sandbox) -> Vec<Value> {
    let inbox = sandbox.customer.inbox();
    let tick = |id: &str, wanted: &str| {
        inbox.iter().any(|item| match &item.kind {
            ItemKind::Receipt { ids, receipt, .. } => {
                receipt == wanted && ids.iter().any(|known| known == id)
            }
            _ => false,
        })
    };
    let mut lines: Vec<((u64, usize), Value)> = Vec::new();
    for item in &inbox {
        if let Some(message) = item.message() {
            let line = json!({"id": message.id, "text": message.text, "mine": false});
            lines.push(((item.seq, 0), line));
        }
    }
    for (n, written) in sandbox.written().into_iter().enumerate() {
        let status = ["read", "delivered"].into_iter().find(|wanted| tick(&written.id, wanted));
        let line = json!({"id": written.id, "text": written.text, "mine": true, "status": status.unwrap_or("sent")});
        lines.push(((written.after, n + 1), line));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line).collect()
}
