//! A small REST client: one request, one answer, nothing clever.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Talks to one HTTP server with one bearer token (or none).
#[derive(Clone, Debug)]
pub struct Rest {
    address: String,
    token: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The reply itself when its status is `status`.
    ///
    /// # Panics
    /// On any other status, with the whole reply.
    #[track_caller]
    #[expect(
        clippy::return_self_not_must_use,
        reason = "often the status is all that a story asks"
    )]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "unexpected answer: {}", self.text());
        self
    }
}

impl Rest {
    /// A client for `host:port`.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), token: None }
    }

    /// The same client with that bearer token.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { address: self.address.clone(), token: Some(token.into()) }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(self.request(Method::GET, path).body(Full::default())?).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Reply> {
        self.send(self.request(Method::DELETE, path).body(Full::default())?).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.post_bytes(path, "application/json", body.to_string().into_bytes()).await
    }

    /// PUT with a JSON body, only if the file still has that revision when one is given.
    pub async fn put(&self, path: &str, revision: Option<&Value>, body: &Value) -> Result<Reply> {
        let mut request = self.request(Method::PUT, path).header(CONTENT_TYPE, "application/json");
        if let Some(revision) = revision.and_then(Value::as_str) {
            request = request.header(IF_MATCH, format!("\"{revision}\""));
        }
        self.send(request.body(Full::new(body.to_string().into()))?).await
    }

    /// POST with any body.
    pub async fn post_bytes(&self, path: &str, kind: &str, body: Vec<u8>) -> Result<Reply> {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, kind);
        self.send(request.body(Full::new(body.into()))?).await
    }

    /// POST with a form that has a file, as a browser sends it.
    pub async fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        filename: &str,
        file: &[u8],
    ) -> Result<Reply> {
        let head = "--XX\r\ncontent-disposition: form-data; name=";
        let field = |(name, value): &(&str, &str)| format!("{head}\"{name}\"\r\n\r\n{value}\r\n");
        let fields: String = fields.iter().map(field).collect();
        let named = format!("{head}\"file\"; filename=\"{filename}\"\r\n\r\n");
        let form = [fields.as_bytes(), named.as_bytes(), file, b"\r\n--XX--\r\n"].concat();
        self.post_bytes(path, "multipart/form-data; boundary=XX", form).await
    }

    /// Asks something of a device, by the path below its own; the body is JSON, and null is none.
    pub async fn ask(
        &self,
        device: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Reply> {
        let request = self.request(method, &format!("/v1/devices/{device}/{path}"));
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(body))?;
        self.send(request).await
    }

    /// The beginning of a request, for stories that need more than the verbs above.
    pub fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        let builder = Request::builder().method(method).uri(path).header(HOST, &self.address);
        match &self.token {
            Some(token) => builder.header(AUTHORIZATION, format!("Bearer {token}")),
            None => builder,
        }
    }

    /// Sends a request on a connection of its own and reads the whole answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply> {
        let stream = TcpStream::connect(&self.address).await.context("connecting to the server")?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        driver.abort();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }
}
