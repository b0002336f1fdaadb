//! Reads the texts that people write for a duration, a size, a rate, an address, a URL or a header. Each reader gives
//! the value, or what is wrong and what to write instead.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use ipnet::IpNet;
use tracing::Level;

use crate::config::endpoint::{Compat, Format, Start};
use crate::config::mask::is_masked_url;
use crate::config::pace::Gap;
use crate::config::settings::{
    Browser, Durability, FaceName, Presence, Repair, Scope, ShownAs, System,
};
use crate::model::{ChatKind, ChatPattern, encoded_url};
use crate::net::Network;

/// The value, or what is wrong and what to write instead.
pub(crate) type Reading<T> = Result<T, (String, String)>;

pub(crate) const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];
pub(crate) const DURABILITIES: [(&str, Durability); 2] =
    [("power", Durability::Power), ("crash", Durability::Crash)];
pub(crate) const REPAIRS: [(&str, Repair); 2] =
    [("manual", Repair::Manual), ("auto", Repair::Auto)];
pub(crate) const SCOPES: [(&str, Scope); 6] = [
    ("send", Scope::Send),
    ("read", Scope::Read),
    ("history", Scope::History),
    ("groups", Scope::Groups),
    ("admin", Scope::Admin),
    ("metrics", Scope::Metrics),
];
pub(crate) const PRESENCES: [(&str, Presence); 2] =
    [("unavailable", Presence::Unavailable), ("available", Presence::Available)];
/// Pairs that there are: WhatsApp lets the others in too, but a person who looks at the list of devices would wonder.
pub(crate) const SHOWN_AS: [(&str, ShownAs); 9] = [
    ("Chrome (Linux)", shown(Browser::Chrome, System::Linux)),
    ("Chrome (Windows)", shown(Browser::Chrome, System::Windows)),
    ("Chrome (Mac OS)", shown(Browser::Chrome, System::MacOs)),
    ("Edge (Windows)", shown(Browser::Edge, System::Windows)),
    ("Edge (Mac OS)", shown(Browser::Edge, System::MacOs)),
    ("Firefox (Linux)", shown(Browser::Firefox, System::Linux)),
    ("Firefox (Windows)", shown(Browser::Firefox, System::Windows)),
    ("Firefox (Mac OS)", shown(Browser::Firefox, System::MacOs)),
    ("Safari (Mac OS)", shown(Browser::Safari, System::MacOs)),
];
pub(crate) const FORMATS: [(&str, Format); 8] = [
    ("standard", Format::Standard),
    ("moonwa", Format::Moonwa),
    ("waha", Format::Waha),
    ("gowa", Format::Gowa),
    ("evolution", Format::Evolution),
    ("wuzapi", Format::Wuzapi),
    ("wuzapi-json", Format::WuzapiJson),
    ("chatwoot", Format::Chatwoot),
];
pub(crate) const FACES: [(&str, FaceName); 4] = [
    ("waha", FaceName::Waha),
    ("gowa", FaceName::Gowa),
    ("evolution", FaceName::Evolution),
    ("wuzapi", FaceName::Wuzapi),
];
pub(crate) const CHATS: [(&str, ChatKind); 2] =
    [("people", ChatKind::Person), ("groups", ChatKind::Group)];
/// In the place of an event: no other than what a rule hands over.
pub(crate) const BY_RULES: &str = "rules";
pub(crate) const COMPATS: [(&str, Compat); 3] =
    [("waha", Compat::Waha), ("gowa", Compat::Gowa), ("wuzapi", Compat::Wuzapi)];
pub(crate) const STARTS: [(&str, Start); 2] =
    [("tail", Start::Tail), ("earliest", Start::Earliest)];

/// Headers that moonwa writes itself, or that would break the request's framing.
const OWN_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

fn bad<T>(message: impl Into<String>, hint: impl Into<String>) -> Reading<T> {
    Err((message.into(), hint.into()))
}

/// A number and its unit: `"72h"` is (72, `h`).
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

/// How long a unit of time is.
fn time_unit(unit: &str) -> Option<Duration> {
    Some(match unit {
        "ms" => Duration::from_millis(1),
        "s" | "sec" | "second" => Duration::from_secs(1),
        "m" | "min" | "minute" => Duration::from_mins(1),
        "h" | "hour" => Duration::from_hours(1),
        "d" | "day" => Duration::from_hours(24),
        _ => return None,
    })
}

/// A duration such as `"72h"`, `"15s"` or `"500ms"`, within limits.
pub(crate) fn duration(text: &str, least: Duration, most: Duration) -> Reading<Duration> {
    let read = split(text)
        .and_then(|(count, unit)| time_unit(unit)?.checked_mul(u32::try_from(count).ok()?));
    match read {
        None => bad(
            format!("\"{text}\" is not a duration"),
            "write a number with ms, s, m, h or d, such as \"15s\" or \"72h\"",
        ),
        Some(length) if length < least => {
            bad(format!("{text} is too short"), format!("at least {}s", least.as_secs()))
        }
        Some(length) if length > most => {
            bad(format!("{text} is too long"), format!("at most {}s", most.as_secs()))
        }
        Some(length) => Ok(length),
    }
}

/// A size such as `"256 MiB"` or `"64MB"`, in bytes, within limits.
pub(crate) fn size(text: &str, least: u64, most: u64) -> Reading<u64> {
    let read = split(text).and_then(|(count, unit)| {
        count.checked_mul(match unit.to_ascii_lowercase().as_str() {
            "b" => 1,
            "kb" => 1_000,
            "kib" => 1 << 10,
            "mb" => 1_000_000,
            "mib" => 1 << 20,
            "gb" => 1_000_000_000,
            "gib" => 1 << 30,
            _ => return None,
        })
    });
    match read {
        None => bad(
            format!("\"{text}\" is not a size"),
            "write a number with kB, KiB, MB, MiB, GB or GiB, such as \"256 MiB\"",
        ),
        Some(bytes) if bytes < least => {
            bad(format!("{text} is too small"), format!("at least {}", shown_size(least)))
        }
        Some(bytes) if bytes > most => {
            bad(format!("{text} is too large"), format!("at most {}", shown_size(most)))
        }
        Some(bytes) => Ok(bytes),
    }
}

/// A limit in the largest unit that divides it.
pub(crate) fn shown_size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = units.into_iter().find(|(shift, _)| bytes.trailing_zeros() >= *shift && bytes > 0);
    fits.map_or_else(|| format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

/// A version of WhatsApp's web client, such as `"2.3000.1047769893"`.
pub(crate) fn whatsapp_version(text: &str) -> Reading<(u32, u32, u32)> {
    let parts: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        Some([2, second, third]) => Ok((2, *second, *third)),
        _ => bad(
            format!("\"{}\" is not a version of WhatsApp's web client", text.escape_debug()),
            "write three numbers, such as \"2.3000.1047769893\"",
        ),
    }
}

const fn shown(browser: Browser, system: System) -> ShownAs {
    ShownAs { browser, system }
}

/// A pace such as `"20/min"`.
pub(crate) fn rate(text: &str) -> Reading<Gap> {
    let read = text.split_once('/').and_then(|(count, unit)| {
        let count = count.trim().parse().ok().filter(|count| *count > 0)?;
        Some(Gap::Even { count, per: time_unit(unit.trim()).filter(|per| per.as_secs() > 0)? })
    });
    let hint = "write how many in a second, minute, hour or day, such as \"20/min\", or a table: { gap = \"8s..15s\" }";
    read.map_or_else(|| bad(format!("\"{}\" is not a pace", text.escape_debug()), hint), Ok)
}

/// An address to listen on.
pub(crate) fn listen(text: &str) -> Reading<SocketAddr> {
    text.parse().or_else(|_| {
        let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
        let port = port.unwrap_or("8080");
        bad(
            format!("\"{text}\" is not an address with a port"),
            format!("write \"127.0.0.1:{port}\" for this machine only, \"0.0.0.0:{port}\" for all"),
        )
    })
}

/// A network such as `10.0.0.0/8`, or one address.
pub(crate) fn network(text: &str) -> Reading<IpNet> {
    let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.or_else(|_| {
        bad(
            format!("\"{text}\" is not a network"),
            "write one such as \"10.0.0.0/8\", or an IP address",
        )
    })
}

/// A name in a `Host` header, without a port.
pub(crate) fn host(text: &str) -> Reading<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !text.is_empty() && text.bytes().all(plain) {
        return Ok(text.to_ascii_lowercase());
    }
    let hint = "write the name alone, such as \"wa.example.com\", without scheme, port and path";
    bad(format!("\"{text}\" is not a host name"), hint)
}

/// A path with `/` at both ends.
pub(crate) fn base_path(text: &str) -> Reading<String> {
    let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let segment =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    if text == "/" || inner.is_some_and(|inner| inner.split('/').all(segment)) {
        return Ok(text.to_owned());
    }
    let hint = "write \"/\", or a path that starts and ends with /, such as \"/wa/\"";
    bad(format!("\"{text}\" is not a base path"), hint)
}

/// The address of moonwa itself, to which paths are added.
pub(crate) fn public_url(text: &str) -> Reading<String> {
    let plain = url(text)?;
    let place = plain.split_once("://").map_or("", |(_, place)| place);
    if place.contains(['@', '?', '#']) {
        let hint = "write scheme, host and path only, such as \"https://wa.example.com/wa\"";
        return bad("the URL has user info, a query or a fragment", hint);
    }
    Ok(plain.trim_end_matches('/').to_owned())
}

/// A country's calling code.
pub(crate) fn country_code(text: &str) -> Reading<String> {
    let good = (1..=3).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0');
    let hint = "write one to three digits without + and leading 0, such as \"62\"";
    if good { Ok(text.to_owned()) } else { bad(format!("\"{text}\" is not a country code"), hint) }
}

/// A name shown to people.
pub(crate) fn label(text: &str) -> Reading<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return bad("this is not a label", "write 1 to 100 characters on one line");
    }
    Ok(text.to_owned())
}

/// Which chats a webhook is told of.
pub(crate) fn chat_pattern(text: &str) -> Reading<ChatPattern> {
    ChatPattern::parse(text).or_else(|error| {
        bad(format!("\"{}\" means no chat", text.escape_debug()), error.to_string())
    })
}

/// A webhook's URL. It may hold credentials, so it never appears in the message.
pub(crate) fn url(text: &str) -> Reading<String> {
    let hint = "write http:// or https://, a host and a path, such as \"https://crm.example/wa\"";
    if text.is_empty() {
        return bad("the URL is empty", "write the URL, or remove the entry");
    }
    let text = encoded_url(text);
    if !text.is_ascii() {
        let hint = "write it in its xn--… form";
        return bad("the URL's host name has characters that are not ASCII", hint);
    }
    // The client that posts to webhooks uses the same parser, so what is accepted here can be posted to.
    let Ok(uri) = text.parse::<Uri>() else { return bad("this is not a URL", hint) };
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(other) => return bad(format!("{other}:// is not a webhook's scheme"), hint),
        None => return bad("the URL has no scheme", hint),
    }
    if uri.host().unwrap_or_default().is_empty() {
        return bad("the URL has no host", hint);
    }
    if is_masked_url(&text) {
        return bad(
            "user info or query of the URL are not written out",
            "write them instead of ***",
        );
    }
    let place = uri.authority().map_or("", |all| all.as_str());
    let place = place.rsplit('@').next().unwrap_or_default();
    let port = place.rsplit(']').next().and_then(|rest| rest.split_once(':'));
    if port.is_some_and(|(_, port)| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return bad("the URL's port is not one", "write a port from 1 to 65535, or none");
    }
    Ok(text)
}

/// The host of a webhook's URL, where it is an address to which nothing is ever posted.
pub(crate) fn unreachable_host(url: &str) -> Option<IpAddr> {
    let uri = url.parse::<Uri>().ok()?;
    let ip = uri.host()?.trim_matches(['[', ']']).parse().ok()?;
    (Network::of(ip) == Network::Reserved).then_some(ip)
}

/// The name of a header that may be added to a webhook's requests, in lower case.
pub(crate) fn header_name(text: &str) -> Reading<String> {
    let Ok(name) = text.parse::<HeaderName>() else {
        return bad(
            format!("\"{}\" is not a header's name", text.escape_debug()),
            "write letters, digits and -, such as x-team",
        );
    };
    if OWN_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("webhook-") {
        return bad(format!("moonwa writes the header \"{name}\" itself"), "remove it");
    }
    Ok(name.as_str().to_owned())
}

/// The value of a header.
pub(crate) fn header_value(text: &str) -> Reading<String> {
    match HeaderValue::from_str(text) {
        Ok(value) if value.to_str().is_ok() => Ok(text.to_owned()),
        _ => bad("this cannot be a header's value", "write printable ASCII on one line"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn durations() {
        let read = |text| duration(text, Duration::ZERO, DAY * 30).ok();
        assert_eq!(read("72h"), Some(DAY * 3));
        assert_eq!(read("15s"), Some(Duration::from_secs(15)));
        assert_eq!(read("10m"), Some(Duration::from_mins(10)));
        assert_eq!(read("10 min"), Some(Duration::from_mins(10)));
        assert_eq!(read("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(read("2d"), Some(DAY * 2));
        for bad in
            ["", "72", "h", "-1h", "1.5h", "72 hours!", "99999999999999999999h", "4294967295d"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(duration("1s", Duration::from_secs(2), DAY).is_err());
        assert!(duration("3d", Duration::ZERO, DAY).is_err());
    }

    #[test]
    fn sizes() {
        let read = |text| size(text, 0, u64::MAX).ok();
        assert_eq!(read("256 MiB"), Some(256 << 20));
        assert_eq!(read("64MB"), Some(64_000_000));
        assert_eq!(read("1 gib"), Some(1 << 30));
        assert_eq!(read("12 B"), Some(12));
        for bad in ["", "256", "MiB", "1.5 GB", "-1 MB", "1 TB", "18446744073709551615 GiB"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(size("1 KiB", 2048, 4096).is_err());
        assert!(size("8 KiB", 2048, 4096).is_err());
    }

    #[test]
    fn rates() {
        let per = |count, per| Some(Gap::Even { count, per });
        assert_eq!(rate("20/min").ok(), per(20, Duration::from_mins(1)));
        assert_eq!(rate("1 / s").ok(), per(1, Duration::from_secs(1)));
        assert_eq!(rate("500/day").ok(), per(500, DAY));
        for bad in ["20", "0/min", "-1/min", "20/", "/min", "20/week", "20/ms"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn urls() {
        for good in [
            "http://127.0.0.1:5678/webhook/wa",
            "https://crm.example",
            "https://user:pass@crm.example:8443/a?b=c",
            "http://[::1]:9000/x",
        ] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "crm.example/wa",
            "/wa",
            "ftp://crm.example",
            "https://",
            "http://crm.example:99999/",
            "http://crm.example:0/",
            "http://crm.example:/",
            "https://crm example/",
            "https://bücher.example/",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_is_encoded_and_one_that_is_valid_stays_as_it_is() {
        assert_eq!(url("https://crm.example/wa").as_deref(), Ok("https://crm.example/wa"));
        assert_eq!(url("HTTP://crm.example/{a}").as_deref(), Ok("HTTP://crm.example/{a}"));
        assert_eq!(
            url(" https://crm.example/ä b ").as_deref(),
            Ok("https://crm.example/%C3%A4%20b")
        );
    }

    #[test]
    fn other_words() {
        for (text, good) in [
            ("/", true),
            ("/wa/", true),
            ("/a/b/", true),
            ("", false),
            ("/wa", false),
            ("wa/", false),
            ("//", false),
            ("/../", false),
            ("/a b/", false),
        ] {
            assert_eq!(base_path(text).is_ok(), good, "{text}");
        }
        for (text, read) in [
            ("https://wa.example.com/wa/", Some("https://wa.example.com/wa")),
            ("http://192.168.1.4:8080", Some("http://192.168.1.4:8080")),
            ("wa.example.com", None),
            ("https://me@wa.example.com", None),
            ("https://wa.example.com/?a", None),
        ] {
            assert_eq!(public_url(text).ok().as_deref(), read, "{text}");
        }
        for (text, good) in [("62", true), ("1", true), ("+62", false), ("062", false), ("", false)]
        {
            assert_eq!(country_code(text).is_ok(), good, "{text}");
        }
        assert_eq!(header_name("X-Team"), Ok("x-team".to_owned()));
        assert!(header_name("x team").is_err() && header_name("Webhook-Id").is_err());
        assert!(header_value("cs").is_ok() && header_value("a\nb").is_err());
        assert!(network("10.0.0.0/8").is_ok() && network("10.0.0.1").is_ok());
        assert!(network("10.0.0.0/64").is_err());
        assert_eq!(host("WA.example.com"), Ok("wa.example.com".to_owned()));
        assert!(host("https://wa.example.com").is_err() && host("wa:80").is_err());
        assert!(listen("127.0.0.1:0").is_ok() && listen(":8080").is_err());
    }
}
