//! The URLs that people and programs write. They paste what their browser's address bar takes, so it is encoded here as a
//! browser does (WHATWG's URL standard). What is a URL already is never touched: a webhook's is its identity.

use hyper::Uri;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// WHATWG's sets; what is not ASCII is always encoded.
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\'');
const PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'^').add(b'`').add(b'{').add(b'}');
/// What one step of a path has to hide beside.
const STEP: &AsciiSet = &PATH.add(b'/').add(b'?').add(b'#').add(b'%').add(b'\\');
const USER: &AsciiSet = &PATH.add(b'@').add(b'[').add(b']').add(b'|');

/// One step of a URL's path.
pub(crate) fn path_step(text: &str) -> String {
    utf8_percent_encode(text, STEP).to_string()
}

/// Why a URL cannot be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("must begin with http:// or https://")]
    Scheme,
    #[error("has no host, or one that is none")]
    Host,
    /// The table of all letters of the world, which a browser needs for this, would be a large part of the binary.
    #[error("a host's name with other letters than a to z must be written in its xn-- form")]
    Letters,
}

/// A URL that can be fetched, encoded. Whether moonwa may fetch it is decided where it is fetched.
pub(crate) fn web_url(text: &str) -> Result<String, UrlError> {
    let url = encoded_url(text);
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        return Err(UrlError::Scheme);
    }
    if !url.is_ascii() {
        return Err(UrlError::Letters);
    }
    let uri: Uri = url.parse().map_err(|_| UrlError::Host)?;
    if uri.host().is_none_or(str::is_empty) { Err(UrlError::Host) } else { Ok(url) }
}

/// What a browser would make of it, but for the host's name. It need not be a URL then.
pub(crate) fn encoded_url(text: &str) -> String {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if text.is_ascii() && text.parse::<Uri>().is_ok() {
        return text.to_owned();
    }
    let text = text.replace(['\t', '\n', '\r'], "");
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    // The part after # is for browsers alone.
    let rest = rest.split('#').next().unwrap_or_default();
    let (place, query) = rest.split_once('?').map_or((rest, None), |(p, q)| (p, Some(q)));
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let (user, host) = host.rsplit_once('@').map_or((None, host), |(user, h)| (Some(user), h));
    let user =
        user.map_or_else(String::new, |user| format!("{}@", utf8_percent_encode(user, USER)));
    let path = utf8_percent_encode(path, PATH);
    let query = query.map_or_else(String::new, |q| format!("?{}", utf8_percent_encode(q, QUERY)));
    format!("{scheme}://{user}{host}{path}{query}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_encoded_as_a_browser_does() {
        for (text, url) in [
            (" https://x.example/a.pdf\r\n", "https://x.example/a.pdf"),
            ("\u{a0}https://x.example/a.pdf\u{3000}", "https://x.example/a.pdf"),
            ("https://x.example/Harga Baru.pdf", "https://x.example/Harga%20Baru.pdf"),
            ("https://x.example/Harga%20Baru 2.pdf", "https://x.example/Harga%20Baru%202.pdf"),
            ("https://x.example/a\n/b.pdf", "https://x.example/a/b.pdf"),
            ("https://x.example/kafé/👋.png", "https://x.example/kaf%C3%A9/%F0%9F%91%8B.png"),
            ("https://x.example/100%/ä", "https://x.example/100%/%C3%A4"),
            ("https://x.example/a b?c=d e&f=ü'#g h", "https://x.example/a%20b?c=d%20e&f=%C3%BC%27"),
            ("https://x.example?q=a b/c", "https://x.example?q=a%20b/c"),
            ("https://x.example/<a>`^{}|", "https://x.example/%3Ca%3E%60%5E%7B%7D|"),
            ("http://ann:päss w@x.example:8080/", "http://ann:p%C3%A4ss%20w@x.example:8080/"),
            ("HTTP://X.example/a", "HTTP://X.example/a"),
            ("Https://x.example/a b", "Https://x.example/a%20b"),
        ] {
            assert_eq!(web_url(text).as_deref(), Ok(url), "{text}");
        }
    }

    #[test]
    fn a_step_of_a_path_stays_one() {
        assert_eq!(path_step("3EB0.a-b_c:1"), "3EB0.a-b_c:1");
        assert_eq!(path_step("../a?b#c%d\\e f"), "..%2Fa%3Fb%23c%25d%5Ce%20f");
    }

    #[test]
    fn what_cannot_be_fetched_says_why() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("x.example/a.pdf", UrlError::Scheme),
            ("//x.example/a.pdf", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("data:image/png;base64,AAAA", UrlError::Scheme),
            ("https://", UrlError::Host),
            ("https:///a.pdf", UrlError::Host),
            ("https://x example/a.pdf", UrlError::Host),
            ("https://bücher.example/a", UrlError::Letters),
        ] {
            assert_eq!(web_url(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_a_url_stays_as_it_is(
            place in "[a-zA-Z]{1,6}://[ -~]{1,20}", path in "(/[!-~]{0,30})?",
        ) {
            let url = format!("{place}{path}");
            if url.parse::<Uri>().is_ok() && url.trim() == url {
                prop_assert_eq!(encoded_url(&url), url);
            }
        }

        #[test]
        fn what_was_encoded_stays_so(scheme in "https?", text: String) {
            let url = format!("{scheme}://x.example/{text}");
            let once = encoded_url(&url);
            prop_assert_eq!(web_url(&url), Ok(once.clone()));
            prop_assert_eq!(encoded_url(&once), once);
        }
    }
}
