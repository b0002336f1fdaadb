//! The request that carries an event: where it goes, and its headers.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::{self, uri::Scheme};
use hyper::{Method, Request, Uri};

use super::error::PostError;
use super::resolver::bare;
use crate::config::EndpointConfig;
use crate::hooks::signature;
use crate::model::{EventId, Secret, UnixMillis};

const USER_AGENT: &str = concat!("moonwa/", env!("CARGO_PKG_VERSION"));

/// What is posted, and where to.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) endpoint: Arc<EndpointConfig>,
    pub(crate) event: EventId,
    /// The exact bytes.
    pub(crate) body: Bytes,
}

/// A request to the API of a receiver that has one.
pub(crate) struct Ask<'a> {
    pub(crate) endpoint: &'a EndpointConfig,
    pub(crate) method: Method,
    pub(crate) url: &'a str,
    /// The header in which its key goes, and the key.
    pub(crate) key: (&'static str, &'a Secret),
    /// The body, and its type.
    pub(crate) body: Option<(String, Bytes)>,
}

/// The parts of an endpoint's URL.
pub(super) struct Target {
    uri: Uri,
    host: String,
    https: bool,
}

impl Target {
    pub(super) fn of(url: &str) -> Result<Self, PostError> {
        let uri: Uri = url.parse().map_err(|_invalid| PostError::Url)?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(_) | None => return Err(PostError::Url),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(PostError::Url)?.to_owned();
        Ok(Self { uri, host, https })
    }

    pub(super) fn is_https(&self) -> bool {
        self.https
    }

    /// The host as in the URL, where an IPv6 address is in brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn bare_host(&self) -> &str {
        bare(&self.host)
    }

    pub(super) fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(self.default_port())
    }

    fn default_port(&self) -> u16 {
        if self.https { 443 } else { 80 }
    }

    fn host_header(&self) -> Result<HeaderValue, http::Error> {
        let port = self.port();
        let value = if port == self.default_port() {
            HeaderValue::try_from(&self.host)
        } else {
            HeaderValue::try_from(format!("{}:{port}", self.host))
        };
        Ok(value?)
    }

    fn path_and_query(&self) -> String {
        let path = self.uri.path();
        self.uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// What the user and password in the URL are for.
    fn authorization(&self) -> Option<Result<HeaderValue, http::Error>> {
        let (credentials, _) = self.uri.authority()?.as_str().rsplit_once('@')?;
        let with_colon = if credentials.contains(':') { "" } else { ":" };
        let encoded = STANDARD.encode(format!("{credentials}{with_colon}"));
        let value = HeaderValue::try_from(format!("Basic {encoded}")).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        Some(value.map_err(http::Error::from))
    }
}

/// The request for an event, signed with the time `at`.
pub(super) fn signed(
    post: &Post,
    target: &Target,
    at: UnixMillis,
) -> Result<Request<Full<Bytes>>, PostError> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(target.path_and_query())
        .body(Full::new(post.body.clone()))?;
    *request.headers_mut() = headers(post, target, at)?;
    Ok(request)
}

/// The request to an API.
pub(super) fn asking(ask: Ask<'_>, target: &Target) -> Result<Request<Full<Bytes>>, PostError> {
    let mut headers = common(ask.endpoint, target)?;
    let (name, key) = ask.key;
    let mut key = HeaderValue::try_from(key.expose()).map_err(http::Error::from)?;
    key.set_sensitive(true);
    headers.insert(HeaderName::from_static(name), key);
    let body = match ask.body {
        Some((kind, body)) => {
            let kind = HeaderValue::try_from(kind).map_err(http::Error::from)?;
            headers.insert(header::CONTENT_TYPE, kind);
            body
        }
        None => Bytes::new(),
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let mut request =
        Request::builder().method(ask.method).uri(target.path_and_query()).body(Full::new(body))?;
    *request.headers_mut() = headers;
    Ok(request)
}

fn headers(post: &Post, target: &Target, at: UnixMillis) -> Result<HeaderMap, http::Error> {
    let endpoint = &post.endpoint;
    let mut headers = common(endpoint, target)?;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(post.body.len()));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(endpoint.format.mime()));
    let products = endpoint.signed_for();
    signature::sign(&mut headers, &endpoint.secrets, &products, &post.event, at, &post.body);
    Ok(headers)
}

/// What every request to a receiver has.
fn common(endpoint: &EndpointConfig, target: &Target) -> Result<HeaderMap, http::Error> {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::HOST, target.host_header()?);
    if let Some(authorization) = target.authorization() {
        headers.insert(header::AUTHORIZATION, authorization?);
    }
    // What the file says wins over the above, but not over the framing and the signature.
    for (name, value) in &endpoint.headers {
        headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    // A body without its length arrives empty at PHP behind FPM.
    headers.remove(header::TRANSFER_ENCODING);
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(url: &str, extra: &[(&str, &str)]) -> Result<Request<Full<Bytes>>, PostError> {
        let mut endpoint = EndpointConfig::new(1, url.to_owned());
        for (name, value) in extra {
            endpoint.headers.insert((*name).to_owned(), (*value).to_owned());
        }
        let post = Post {
            endpoint: Arc::new(endpoint),
            event: EventId::derive(&["x"]),
            body: Bytes::from_static(b"{}"),
        };
        signed(&post, &Target::of(url)?, UnixMillis::from_secs(1_795_420_800))
    }

    #[test]
    fn a_url_becomes_the_request_line_and_the_host() {
        for (url, path, host) in [
            ("http://crm.example", "/", "crm.example"),
            ("http://crm.example:80/a?b=c", "/a?b=c", "crm.example"),
            ("https://crm.example:8443/a/", "/a/", "crm.example:8443"),
            ("https://crm.example:443?x", "/?x", "crm.example"),
            ("http://[::1]:8080/", "/", "[::1]:8080"),
        ] {
            let request = post(url, &[]).unwrap();
            assert_eq!(request.uri().to_string(), path, "{url}");
            assert_eq!(request.headers()["host"], host, "{url}");
            assert!(!request.headers().contains_key("authorization"));
        }
        for url in ["ftp://crm.example/", "crm.example/", "/x", "http://", "http:///x", ""] {
            assert!(matches!(post(url, &[]), Err(PostError::Url)), "{url}");
        }
    }

    #[test]
    fn user_and_password_authorize() {
        let plain = post("http://ann:s:cret@crm.example/", &[]).unwrap();
        assert_eq!(
            plain.headers()["authorization"],
            format!("Basic {}", STANDARD.encode("ann:s:cret"))
        );
        assert_eq!(plain.headers()["host"], "crm.example");
        let user = post("http://ann@crm.example/", &[]).unwrap();
        assert_eq!(user.headers()["authorization"], format!("Basic {}", STANDARD.encode("ann:")));
        let written = [("authorization", "Bearer x")];
        let written = post("http://ann:secret@crm.example/", &written).unwrap();
        assert_eq!(written.headers()["authorization"], "Bearer x");
    }

    #[test]
    fn the_file_decides_about_headers_but_not_about_the_framing() {
        let request = post(
            "http://crm.example/",
            &[
                ("user-agent", "mine"),
                ("accept", "text/plain"),
                ("host", "other.example"),
                ("content-length", "7"),
                ("transfer-encoding", "chunked"),
                ("content-type", "text/plain"),
                ("webhook-id", "forged"),
            ],
        )
        .unwrap();
        let headers = request.headers();
        assert_eq!(headers["user-agent"], "mine");
        assert_eq!(headers["accept"], "text/plain");
        assert_eq!(headers["host"], "other.example");
        assert_eq!(headers["content-length"], "2");
        assert_eq!(headers["content-type"], "application/json");
        assert!(!headers.contains_key("transfer-encoding"));
        assert_eq!(headers["webhook-id"], EventId::derive(&["x"]).as_str());
        let broken = post("http://crm.example/", &[("x-team", "line\nbreak")]);
        assert!(matches!(broken, Err(PostError::Header(_))), "{broken:?}");
    }
}
