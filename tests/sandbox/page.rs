//! The sandbox's own small page: the shop's phone, a customer's phone, and what arrived at the webhook.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use moonwa_simulator::ItemKind;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{DEVICE, Sandbox};

const LARGEST_BODY: usize = 64 << 10;

/// Serves the page until the listener fails.
pub(super) async fn serve(listener: TcpListener, sandbox: Arc<Sandbox>) -> Result<()> {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let sandbox = sandbox.clone();
        let service = service_fn(move |request| answer(request, sandbox.clone()));
        connections.spawn(async move {
            // A browser that hangs up is no failure.
            let _ended = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    sandbox: Arc<Sandbox>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let reply = |status: StatusCode, kind: &str, body: Bytes| {
        let built = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, kind)
            .header("cache-control", "no-store");
        built.body(Full::new(body)).unwrap_or_default()
    };
    Ok(match act(request, &sandbox).await {
        Ok(Served::File(kind, text)) => {
            reply(StatusCode::OK, kind, Bytes::from_static(text.as_bytes()))
        }
        Ok(Served::Json(value)) => {
            reply(StatusCode::OK, "application/json", value.to_string().into())
        }
        Err(error) => {
            let body = json!({"error": format!("{error:#}")}).to_string();
            reply(StatusCode::BAD_REQUEST, "application/json", body.into())
        }
    })
}

enum Served {
    File(&'static str, &'static str),
    Json(Value),
}

async fn act(request: Request<Incoming>, sandbox: &Sandbox) -> Result<Served> {
    // Another site in the same browser must not drive the sandbox.
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if host != sandbox.page.to_string() {
        bail!("open it as http://{}/", sandbox.page);
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let body = Limited::new(request.into_body(), LARGEST_BODY).collect().await;
    let body = body.map_err(|_| anyhow::anyhow!("too large"))?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let done = Ok(Served::Json(json!({"done": true})));
    match (method, path.as_str()) {
        (Method::GET, "/") => {
            Ok(Served::File("text/html; charset=utf-8", include_str!("page.html")))
        }
        (Method::GET, "/page.js") => {
            Ok(Served::File("text/javascript; charset=utf-8", include_str!("page.js")))
        }
        (Method::GET, "/page.css") => {
            Ok(Served::File("text/css; charset=utf-8", include_str!("page.css")))
        }
        (Method::GET, "/icon.svg") => {
            Ok(Served::File("image/svg+xml", include_str!("../../web/icon.svg")))
        }
        (Method::GET, "/state") => Ok(Served::Json(state(sandbox).await?)),
        (Method::POST, "/scan") => {
            sandbox.scan().await?;
            done
        }
        (Method::POST, "/unlink") => {
            for device in sandbox.shop.devices() {
                sandbox.shop.unlink(device.id).await?;
            }
            done
        }
        (Method::POST, "/write") => {
            let text = body["text"]
                .as_str()
                .filter(|text| !text.trim().is_empty())
                .context("write something")?;
            sandbox.write(text).await?;
            done
        }
        (Method::POST, "/read") => {
            sandbox.customer.read(body["id"].as_str().context("which message?")?).await?;
            done
        }
        (Method::POST, "/reply") => {
            let text = body["text"]
                .as_str()
                .filter(|text| !text.trim().is_empty())
                .context("write something")?;
            sandbox.moonwa.send_text(DEVICE, sandbox.customer.number(), text).await?;
            done
        }
        (Method::POST, "/login") => Ok(Served::Json(json!({"url": sandbox.login_link().await?}))),
        _ => bail!("nothing is at {path}"),
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
        "device": sandbox.moonwa.device(DEVICE).await?,
        "has_qr": sandbox.has_qr().await,
        "linked": sandbox.shop.devices().len(),
        "shop": sandbox.shop.number(),
        "customer": sandbox.customer.number(),
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
