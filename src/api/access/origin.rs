//! Where a request comes from: the client behind trusted proxies, the `Host` it used, and whether a browser sent it
//! from another site. Pure functions of the head and the configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::Method;
use hyper::header::{HOST, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use crate::api::http::problem::{Code, Problem};
use crate::config::Config;

fn header<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a peer's `X-Forwarded-*` headers are believed.
pub(crate) fn is_trusted(peer: IpAddr, config: &Config) -> bool {
    config.server.trusted_proxies.iter().any(|net| net.contains(&peer.to_canonical()))
}

/// Whether an address stands for many clients: a trusted proxy, or this machine with all its programs, of which one may
/// be a proxy that nobody named.
pub(crate) fn is_many(peer: IpAddr, config: &Config) -> bool {
    peer.to_canonical().is_loopback() || is_trusted(peer, config)
}

/// The client's address: the peer, or, behind trusted proxies, the last address in `X-Forwarded-For` that is not a
/// proxy.
pub(crate) fn client(head: &Parts, peer: IpAddr, config: &Config) -> IpAddr {
    let mut client = peer.to_canonical();
    let hops = head.headers.get_all("x-forwarded-for").into_iter();
    let hops: Vec<&str> =
        hops.filter_map(|v| v.to_str().ok()).flat_map(|line| line.split(',')).collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(client, config) {
            break;
        }
        let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
        client = hop.to_canonical();
    }
    client
}

/// Whether the browser speaks https, by a trusted proxy's word. Of several proxies the first one spoke to the browser.
pub(crate) fn is_https(head: &Parts, peer: IpAddr, config: &Config) -> bool {
    let first = header(head, "x-forwarded-proto").and_then(|protocols| protocols.split(',').next());
    is_trusted(peer, config) && first.is_some_and(|one| one.trim().eq_ignore_ascii_case("https"))
}

/// The host the client asked for, without a port.
pub(crate) fn host(head: &Parts) -> Option<&str> {
    let authority = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => header(head, HOST.as_str())?,
    };
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(end)?;
    let is_port = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit());
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(host)
}

/// Refuses two `Host` headers: a proxy may have looked at the other one.
pub(crate) fn one_host(head: &Parts) -> Result<(), Problem> {
    if head.headers.get_all(HOST).iter().count() > 1 {
        return Err(Problem::new(Code::InvalidRequest, "send one Host header"));
    }
    Ok(())
}

/// Refuses host names that are not the admin page's own. A site that points its own name at this machine (DNS
/// rebinding) would otherwise count as the same site as the page. Addresses cannot be redirected like that, so all
/// are allowed.
pub(crate) fn host_allowed(head: &Parts, config: &Config) -> Result<(), Problem> {
    let host = host(head).unwrap_or_default();
    let in_brackets = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let literal = match in_brackets {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    };
    let named = || config.server.hosts.iter().any(|name| name.eq_ignore_ascii_case(host));
    if literal || host.eq_ignore_ascii_case("localhost") || named() {
        return Ok(());
    }
    let detail = format!("add {host:?} to server.hosts in moonwa.toml");
    Err(Problem::new(Code::HostNotAllowed, detail))
}

/// Refuses what a browser sends on behalf of another site. This is needed wherever the browser adds the cookie by
/// itself; it is not needed with bearer keys, which a browser never adds.
pub(crate) fn same_site(head: &Parts) -> Result<(), Problem> {
    if matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let fine = match (header(head, "sec-fetch-site"), header(head, ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let own = head.uri.authority().map(Authority::as_str).or(header(head, HOST.as_str()));
            origin.split_once("://").is_some_and(|(_, host)| Some(host) == own)
        }
        // A browser would have sent one of the two.
        (None, None) => true,
    };
    if fine { Ok(()) } else { Err(Code::CrossSite.into()) }
}

#[cfg(test)]
mod tests {
    use super::super::auth::tests::config;
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = hyper::Request::post("/login");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_trusted_proxies_name_the_client() {
        let mut config = config();
        config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let head =
            head(&[("x-forwarded-for", "1.1.1.1, 203.0.113.9"), ("x-forwarded-for", "10.0.0.2")]);
        let from = |peer: &str| client(&head, peer.parse().unwrap(), &config).to_string();
        assert_eq!(from("10.0.0.1"), "203.0.113.9", "the right-most untrusted hop");
        assert_eq!(from("::ffff:10.0.0.1"), "203.0.113.9");
        assert_eq!(from("192.0.2.7"), "192.0.2.7", "a stranger's header is not believed");
    }

    #[test]
    fn https_is_known_however_the_proxies_write_it() {
        let mut config = config();
        config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        for (value, secure) in [
            ("https", true),
            ("HTTPS", true),
            ("https, http", true),
            (" Https ,http", true),
            ("http", false),
            ("http, https", false),
            ("httpsx", false),
            ("", false),
        ] {
            let head = head(&[("x-forwarded-proto", value)]);
            assert_eq!(is_https(&head, "10.0.0.1".parse().unwrap(), &config), secure, "{value}");
            assert!(!is_https(&head, "192.0.2.1".parse().unwrap(), &config), "a stranger's word");
        }
    }

    #[test]
    fn the_page_answers_to_its_own_names_only() {
        let mut config = config();
        config.server.hosts = vec!["wa.example.com".into()];
        for good in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "192.168.1.5",
            "wa.Example.com:443",
        ] {
            assert_eq!(host_allowed(&head(&[("host", good)]), &config), Ok(()), "{good}");
        }
        for bad in [
            "evil.example",
            "127.0.0.1.evil.example",
            "wa.example.com.evil.example",
            "",
            "localhost.evil",
            "[::1].evil.example",
            "[::1]evil.example:80",
            "evil.example[::1]",
            "[::1]:80.evil.example",
            "[127.0.0.1]",
            "::1",
            "[::1",
            "127.0.0.1:x",
            "localhost@evil.example",
            "localhost:80@evil.example",
        ] {
            assert!(host_allowed(&head(&[("host", bad)]), &config).is_err(), "{bad}");
        }
        assert!(host_allowed(&head(&[]), &config).is_err());
        assert!(one_host(&head(&[("host", "localhost")])).is_ok());
        let two = head(&[("host", "localhost"), ("host", "evil.example")]);
        assert_eq!(one_host(&two).unwrap_err().code, Code::InvalidRequest);
    }

    #[test]
    fn another_site_cannot_make_a_browser_act() {
        let host = ("host", "127.0.0.1:8080");
        assert!(same_site(&head(&[host, ("sec-fetch-site", "same-origin")])).is_ok());
        assert!(same_site(&head(&[host, ("sec-fetch-site", "none")])).is_ok());
        assert!(same_site(&head(&[host, ("sec-fetch-site", "same-site")])).is_err());
        assert!(same_site(&head(&[host, ("sec-fetch-site", "cross-site")])).is_err());
        assert!(same_site(&head(&[host, ("origin", "http://127.0.0.1:8080")])).is_ok());
        assert!(same_site(&head(&[host, ("origin", "http://evil.example")])).is_err());
        assert!(same_site(&head(&[host, ("origin", "null")])).is_err());
        assert!(same_site(&head(&[host])).is_ok());
    }
}
