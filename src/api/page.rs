//! The files of the admin page, which are part of the binary. Only the names of those files are served, so no path of a
//! request ever reaches the file system.

use std::borrow::Cow;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::api::access::origin;
use crate::api::http::coding::{self, Coding};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};
use crate::config::Config;

/// What build.rs makes of web/. The folder is absolute, because a debug binary reads it when it runs, wherever it was
/// started.
#[derive(rust_embed::RustEmbed)]
#[folder = "$OUT_DIR/web"]
struct Files;

const HTML: &str = "text/html; charset=utf-8";
const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// What a browser shows as a document, in which something could be executed.
const DOCUMENTS: [&str; 2] = [HTML, SVG];

const TYPES: &[(&str, &str)] =
    &[("html", HTML), ("js", SCRIPT), ("css", STYLE), ("svg", SVG), ("json", "application/json")];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// In both languages, because nobody has chosen one yet.
const REFUSAL: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>moonwa does not answer to this address</title>
<h1>moonwa does not answer to this address</h1>
<p>It was asked for as <strong>{host}</strong>. If that is what you typed, write in moonwa.toml, below [server]:</p>
<pre>hosts = ["{host}"]</pre>
<p>If you typed another address, the proxy before moonwa hides it. nginx passes it on with:</p>
<pre>proxy_set_header Host $http_host;</pre>
<section lang="id">
<h2>moonwa tidak melayani alamat ini</h2>
<p>Yang diminta darinya: <strong>{host}</strong>. Kalau itu yang Anda ketik, tulis di moonwa.toml, di bawah [server]:</p>
<pre>hosts = ["{host}"]</pre>
<p>Kalau Anda mengetik alamat lain, proxy di depan moonwa menyembunyikannya. nginx meneruskannya dengan:</p>
<pre>proxy_set_header Host $http_host;</pre>
</section>
</html>
"#;

pub(crate) fn serve(head: &Parts, config: &Config, path: &str) -> Result<Response, Problem> {
    let name = match path.strip_prefix('/') {
        Some("") => "index.html",
        Some(name) => name,
        None => return Err(Code::NotFound.into()),
    };
    let (content_type, file) = find(name).ok_or(Code::NotFound)?;
    origin::host_allowed(head, config)?;
    let mut response = match head.method {
        Method::GET | Method::HEAD => {
            let hash = file.metadata.sha256_hash();
            let (short, _) = hash.split_at(9);
            let coding = Coding::of(head);
            // Each form is another file to a cache, so it has a tag of its own. A part of a hash is enough for it.
            let form = coding.name().unwrap_or("plain");
            let tag = format!("\"{}-{form}\"", BASE64URL_NOPAD.encode(short));
            let mut response = if matches(head, &tag) {
                response::empty(StatusCode::NOT_MODIFIED)
            } else {
                let bytes = match coding {
                    Coding::Brotli => whole(Files::get(&brotli(name)).ok_or(Code::Internal)?.data),
                    Coding::Gzip => whole(file.data),
                    Coding::Plain => coding::plain(&file.data).ok_or(Code::Internal)?.into(),
                };
                let mut response = response::bytes_of(StatusCode::OK, content_type, bytes);
                if let Some(name) = coding.name() {
                    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(name));
                }
                response
            };
            response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
            if let Ok(tag) = HeaderValue::from_str(&tag) {
                response.headers_mut().insert(ETAG, tag);
            }
            response
        }
        Method::OPTIONS => {
            let mut response = response::empty(StatusCode::NO_CONTENT);
            let allow = HeaderValue::from_static("GET, HEAD, OPTIONS");
            response.headers_mut().insert(ALLOW, allow);
            response
        }
        _ => {
            let allow = Some("GET, HEAD, OPTIONS".to_owned());
            return Err(Problem { allow, ..Code::MethodNotAllowed.into() });
        }
    };
    let headers = response.headers_mut();
    // A file keeps its name when it changes, so a browser has to ask every time, and mostly gets a 304.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // What can be a document has the policy; a script or a style sheet obeys that of the document it is part of.
    if DOCUMENTS.contains(&content_type) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        let opener = HeaderName::from_static("cross-origin-opener-policy");
        headers.insert(opener, HeaderValue::from_static("same-origin"));
    }
    Ok(response)
}

/// Whether a browser may show it as a document, from which further requests go out.
pub(crate) fn is_document(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.starts_with(b"text/html") || kind.starts_with(SVG.as_bytes())
}

/// What a browser shows whose address moonwa refuses: its page cannot say it, because it is not served.
pub(crate) fn refusal(head: &Parts, code: Code) -> Option<Response> {
    let accept = head.headers.get(ACCEPT)?.to_str().ok()?;
    let host = origin::host(head)?;
    // What has other characters is no name that somebody typed, and would have to be escaped.
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if code != Code::HostNotAllowed || !accept.contains("text/html") || !host.chars().all(is_name) {
        return None;
    }
    let html = REFUSAL.replace("{host}", host);
    let mut response = response::bytes_of(StatusCode::MISDIRECTED_REQUEST, HTML, html);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Some(response)
}

fn whole(file: Cow<'static, [u8]>) -> Bytes {
    match file {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
}

/// Where build.rs puts a file's other form. Nothing has a type by this name, so nothing is served by it.
fn brotli(name: &str) -> String {
    format!("{name}.br")
}

fn find(name: &str) -> Option<(&'static str, rust_embed::EmbeddedFile)> {
    let extension = name.rsplit_once('.')?.1;
    let (_, content_type) = TYPES.iter().find(|(known, _)| *known == extension)?;
    // A debug build reads the folder: a name must be on the list before it is used.
    let listed = Files::iter().any(|file| file == name);
    listed.then(|| Files::get(name)).flatten().map(|file| (*content_type, file))
}

fn matches(head: &Parts, tag: &str) -> bool {
    let values = head.headers.get_all(IF_NONE_MATCH).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|one| one.trim() == "*" || one.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::access::auth::tests::config;

    fn ask(path: &str, headers: &[(&str, &str)]) -> Result<Response, Problem> {
        let mut request = hyper::Request::get(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        serve(&request.body(()).unwrap().into_parts().0, &config(), path)
    }

    #[test]
    fn a_file_is_served_once_and_then_confirmed() {
        let response = ask("/openapi.json", &[]).unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        let tag = response.headers()["etag"].to_str().unwrap().to_owned();
        let again = ask("/openapi.json", &[("if-none-match", &format!("W/{tag}, \"x\""))]).unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let changed = ask("/openapi.json", &[("if-none-match", "\"x\"")]).unwrap();
        assert_eq!(changed.status(), StatusCode::OK);
    }

    #[test]
    fn each_form_of_a_file_has_a_tag_of_its_own() {
        let asked = ["identity", "gzip", "gzip, br"];
        let forms =
            asked.map(|codings| ask("/openapi.json", &[("accept-encoding", codings)]).unwrap());
        let header = |response: &Response, name: &str| response.headers().get(name).cloned();
        let codings = forms.each_ref().map(|form| header(form, "content-encoding"));
        assert_eq!(
            codings,
            [None, Some("gzip"), Some("br")].map(|name| name.map(HeaderValue::from_static))
        );
        for (form, codings) in forms.iter().zip(asked) {
            assert_eq!(form.headers()["content-type"], "application/json");
            assert_eq!(form.headers()["vary"], "accept-encoding");
            let tag = form.headers()["etag"].to_str().unwrap();
            for (other, as_codings) in forms.iter().zip(asked) {
                let known = [("if-none-match", tag), ("accept-encoding", as_codings)];
                let again = ask("/openapi.json", &known).unwrap();
                let same = other.headers()["etag"] == tag;
                assert_eq!(same, codings == as_codings);
                assert_eq!(
                    again.status() == StatusCode::NOT_MODIFIED,
                    same,
                    "{codings} and {as_codings}"
                );
                assert_eq!(again.headers()["vary"], "accept-encoding");
            }
        }
    }

    #[test]
    fn only_listed_names_exist() {
        for path in [
            "/../Cargo.toml",
            "/nothing.js",
            "//etc/passwd",
            "/openapi.json/",
            "/./openapi.json",
            "/openapi.json.br",
            "/%6fpenapi.json",
        ] {
            assert_eq!(
                ask(path, &[]).map(|r| r.status()).unwrap_err().code,
                Code::NotFound,
                "{path}"
            );
        }
    }

    #[test]
    fn every_embedded_file_has_a_type_and_both_forms() {
        for name in Files::iter().filter(|name| !name.ends_with(".br")) {
            assert!(find(&name).is_some(), "{name} is embedded but not served");
            assert!(Files::get(&brotli(&name)).is_some(), "{name} is there as gzip alone");
        }
    }
}
