//! A device's proxy, through which it reaches WhatsApp.

use percent_encoding::percent_decode_str;

use super::mask::is_masked_url;
use crate::model::Secret;

/// `socks5://user:password@host:port`, or `http://…` for one that takes CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub protocol: ProxyProtocol,
    /// A name or an address, as in a URL: IPv6 in brackets.
    pub host: String,
    pub port: u16,
    /// User and password.
    pub login: Option<(Secret, Secret)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    Socks5,
    Http,
}

impl Proxy {
    /// Reads a URL; or says what is wrong with it and what to write. Neither has anything of the URL, which is a secret.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, String)> {
        let bad = |message: &str, hint: &str| Err((message.to_owned(), hint.to_owned()));
        let form =
            "write \"socks5://user:password@host:port\", or http:// for a proxy that takes CONNECT";
        if is_masked_url(text) {
            return bad(
                "user and password of the proxy are not written out",
                "write them instead of ***",
            );
        }
        let (protocol, rest) = match text.split_once("://") {
            Some(("socks5" | "socks5h", rest)) => (ProxyProtocol::Socks5, rest),
            Some(("http", rest)) => (ProxyProtocol::Http, rest),
            _ => return bad("this is not a proxy's URL", form),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) =
            rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
        let Some((host, port)) = place.rsplit_once(':') else {
            return bad("the proxy has no port", form);
        };
        let Some(port) = port.parse().ok().filter(|port| *port > 0) else {
            return bad("the proxy's port is not one", form);
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                !host.is_empty() && host.len() <= 253 && host.bytes().all(plain)
            }
        };
        if !is_host {
            return bad("the proxy's host is not one", form);
        }
        let login = match user.map(|user| user.split_once(':')) {
            None => None,
            Some(Some((user, password))) => match (decoded(user), decoded(password)) {
                (Some(user), Some(password)) => Some((user, password)),
                _ => return bad("the proxy's user or password is not UTF-8", "write %XX in UTF-8"),
            },
            Some(None) => return bad("the proxy has a user and no password", form),
        };
        // The limits of SOCKS5.
        let fits = |(user, password): &(Secret, Secret)| {
            let within = |secret: &Secret| (1..=255).contains(&secret.expose().len());
            within(user) && within(password)
        };
        if !login.as_ref().is_none_or(fits) {
            return bad(
                "the proxy's user or password is empty or too long",
                "255 bytes each are allowed",
            );
        }
        Ok(Self { protocol, host: host.to_owned(), port, login })
    }

    /// The URL for people: whether there are user and password, but not which.
    pub(super) fn shown(&self) -> String {
        let scheme = match self.protocol {
            ProxyProtocol::Socks5 => "socks5",
            ProxyProtocol::Http => "http",
        };
        let login = if self.login.is_some() { "***@" } else { "" };
        format!("{scheme}://{login}{}:{}", self.host, self.port)
    }
}

/// A user or a password may have any character, as `%XX`.
fn decoded(text: &str) -> Option<Secret> {
    percent_decode_str(text).decode_utf8().ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_and_shown_without_its_secrets() {
        let socks = Proxy::parse("socks5://ann:p%40ss:1@proxy.example:1080/").unwrap();
        assert_eq!((socks.protocol, socks.port), (ProxyProtocol::Socks5, 1080));
        assert_eq!(socks.host, "proxy.example");
        let (user, password) = socks.login.as_ref().unwrap();
        assert_eq!((user.expose(), password.expose()), ("ann", "p@ss:1"));
        assert_eq!(socks.shown(), "socks5://***@proxy.example:1080");
        assert!(!format!("{socks:?}").contains("ann"), "{socks:?}");
        let http = Proxy::parse("http://[::1]:3128").unwrap();
        assert_eq!((http.protocol, http.host.as_str()), (ProxyProtocol::Http, "[::1]"));
        assert_eq!((http.login.as_ref(), http.shown().as_str()), (None, "http://[::1]:3128"));
    }

    #[test]
    fn a_bad_proxy_is_refused_without_a_word_of_it() {
        let long = format!("http://ann:{}@h:1", "p".repeat(256));
        for bad in [
            "",
            "hunter2",
            "https://hunter2:p@h:1",
            "socks4://h:1",
            "socks5://h",
            "socks5://h:0",
            "socks5://h:hunter2",
            "socks5://:1080",
            "socks5://hunter2@h:1080",
            "socks5://hunter2:@h:1080",
            "socks5://a b:1080",
            "socks5://h/hunter2:1080",
            "socks5://::1:1080",
            "socks5://[hunter2]:1080",
            "socks5://***@h:1080",
            "socks5://hunter2:%ff@h:1080",
            &long,
        ] {
            let (message, hint) = Proxy::parse(bad).unwrap_err();
            assert!(!format!("{message}{hint}").contains("hunter2"), "{bad}");
        }
    }
}
