//! The HTTP side: the media host and the control API on one loopback port.

use std::convert::Infallible;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Simulator;
use crate::control;
use crate::media::MediaAnswer;

/// Serves one connection.
pub(crate) async fn serve(sim: Simulator, stream: TcpStream) -> Result<()> {
    let service = service_fn(move |request| {
        let sim = sim.clone();
        async move { Ok::<_, Infallible>(respond(&sim, request).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

async fn respond(sim: &Simulator, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return answer(MediaAnswer::new(400, "the body broke off")),
    };
    let media = if path.starts_with("/mms/") && parts.method == Method::POST {
        sim.world().upload(&path, &query, body.to_vec())
    } else if path.starts_with("/v/") && parts.method == Method::GET {
        let range = parts.headers.get(header::RANGE).and_then(|r| r.to_str().ok());
        sim.world().download(&path, range)
    } else {
        let (status, value) = control::call(sim, &parts.method, &path, &query, &body).await;
        let mut answer = MediaAnswer::new(status, value.to_string());
        answer.headers.push(("content-type", "application/json".to_owned()));
        answer
    };
    if !media.wait.is_zero() {
        tokio::time::sleep(media.wait).await;
    }
    answer(media)
}

fn answer(from: MediaAnswer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(from.body)));
    *response.status_mut() =
        StatusCode::from_u16(from.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in from.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
