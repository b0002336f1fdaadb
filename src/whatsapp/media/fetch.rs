//! Fetches a file that an API caller named by URL. The caller may have no more than a device key, so every address is
//! checked before it is connected to, also on redirects: nothing on this machine or its network can be reached unless
//! `media.allow_nets` opens it. What the bytes are is decided elsewhere.

use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::gzip::Unpacked;
use crate::knobs::knobs;
use crate::model::{UrlError, given_name, web_url};
use crate::net::{Network, is_own};

/// How long one fetch may take, redirects and body included.
const PATIENCE: Duration = Duration::from_mins(1);
/// A server that is silent for so long, or slower than `LEAST_SPEED` in that time, is given up: it would hold a place that
/// others wait for.
const SPAN: Duration = Duration::from_secs(20);
/// In bytes a second.
const LEAST_SPEED: u64 = 16 << 10;

/// What a server says of its file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) mime: Option<String>,
    pub(crate) name: Option<String>,
}

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the URL cannot be fetched: {0}")]
    Url(#[from] UrlError),
    #[error("the URL points into a network that is not open to callers (media.allow_nets)")]
    Denied,
    #[error("the server of the URL answered {0}")]
    Status(u16),
    #[error("the file is larger than media.max_size")]
    TooLarge,
    /// Not tried again: a server this slow would be as slow the next time.
    #[error("the server of the URL is too slow")]
    TooSlow,
    #[error("the server of the URL compresses the file with {0}, which was not asked for")]
    Coding(String),
    /// The server could not be reached, or broke off.
    #[error("the URL could not be fetched: {0}")]
    Network(String),
    /// The answer is not HTTP, or its redirects lead nowhere.
    #[error("the URL cannot be fetched: {0}")]
    Broken(String),
    #[error("the file could not be written: {0}")]
    Disk(#[from] std::io::Error),
}

impl FetchError {
    /// Whether another try may help.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Status(429 | 500..=599) | Self::Network(_) | Self::Disk(_))
    }
}

/// An HTTP client that connects only where callers' URLs may lead.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    agent: ureq::Agent,
    patience: Duration,
    max: u64,
}

impl Fetcher {
    /// A fetcher for files up to `max` bytes.
    pub(crate) fn new(max: u64, allow: Vec<IpNet>) -> Self {
        Self::within(PATIENCE.mul_f64(knobs().retry_scale), max, allow)
    }

    fn within(patience: Duration, max: u64, allow: Vec<IpNet>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_resolve(Some(Duration::from_secs(5)))
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_per_read(Some(SPAN))
            .max_redirects(3)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("moonwa/", env!("CARGO_PKG_VERSION")))
            // The same host is rarely asked twice.
            .max_idle_connections(0)
            .build();
        let resolver = Policy { allow, inner: DefaultResolver::default() };
        let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), resolver);
        Self { agent, patience, max }
    }

    /// Fetches `url` into `sink`. Blocks.
    pub(crate) fn fetch(&self, url: &str, sink: &mut impl Write) -> Result<Claimed, FetchError> {
        self.fetch_within(self.patience, url, sink)
    }

    /// The same with less patience.
    pub(crate) fn fetch_within(
        &self,
        patience: Duration,
        url: &str,
        sink: &mut impl Write,
    ) -> Result<Claimed, FetchError> {
        let url = web_url(url)?;
        let request = self
            .agent
            .get(url)
            .header("accept-encoding", "identity")
            .config()
            .timeout_global(Some(patience))
            .build();
        let response = request.call().map_err(network)?;
        let status = response.status();
        if !status.is_success() {
            return Err(FetchError::Status(status.as_u16()));
        }
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
        };
        let mime = header("content-type")
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_lowercase())
            .filter(|mime| !mime.is_empty());
        let name = header("content-disposition").and_then(|value| given_name(&value));
        let coding = header("content-encoding").unwrap_or_default().to_lowercase();
        let body = response.into_body();
        if body.content_length().is_some_and(|length| length > self.max) {
            return Err(FetchError::TooLarge);
        }
        let reader = body.into_reader();
        let reader: Box<dyn Read> = match coding.as_str() {
            "" | "identity" => Box::new(reader),
            "gzip" | "x-gzip" | "deflate" => Box::new(Unpacked::new(reader)),
            _ => return Err(FetchError::Coding(coding)),
        };
        // One byte more than allowed tells "just fits" from "cut off".
        let mut reader = reader.take(self.max.saturating_add(1));
        if copy(&mut reader, sink, SPAN, Instant::now)? > self.max {
            return Err(FetchError::TooLarge);
        }
        Ok(Claimed { mime, name })
    }
}

/// `std::io::copy`, except that an error tells whether the source or the sink failed, and that the source must keep up
/// a speed in each span of time.
fn copy(
    source: &mut impl Read,
    sink: &mut impl Write,
    span: Duration,
    mut clock: impl FnMut() -> Instant,
) -> Result<u64, FetchError> {
    let mut buffer = [0; 16 << 10];
    let mut total = 0;
    let (mut began, mut before) = (clock(), 0);
    loop {
        let now = clock();
        if now - began >= span {
            if u128::from(total - before) * 1000 < u128::from(LEAST_SPEED) * span.as_millis() {
                return Err(FetchError::TooSlow);
            }
            (began, before) = (now, total);
        }
        let count = match source.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => count,
            // What is not what its header says it is will be no better the next time.
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(FetchError::Broken(error.to_string()));
            }
            Err(error) => return Err(network(error.into())),
        };
        sink.write_all(buffer.get(..count).unwrap_or_default())?;
        total += count as u64;
    }
}

fn network(error: ureq::Error) -> FetchError {
    match error {
        ureq::Error::Io(error) if error.kind() == ErrorKind::PermissionDenied => FetchError::Denied,
        error @ (ureq::Error::BadUri(_)
        | ureq::Error::TooManyRedirects
        | ureq::Error::RedirectFailed
        | ureq::Error::Http(_)
        | ureq::Error::LargeResponseHeader(..)
        | ureq::Error::Protocol(_)) => FetchError::Broken(error.to_string()),
        ureq::Error::Timeout(ureq::Timeout::Global | ureq::Timeout::PerRead) => FetchError::TooSlow,
        error => FetchError::Network(error.to_string()),
    }
}

/// Resolves names as the system does, and keeps the addresses that may be connected to.
#[derive(Debug)]
struct Policy {
    allow: Vec<IpNet>,
    inner: DefaultResolver,
}

impl Resolver for Policy {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let mut kept = self.empty();
        for address in found.iter().filter(|address| may_fetch(address.ip(), &self.allow, is_own)) {
            kept.push(*address);
        }
        if kept.is_empty() {
            return Err(std::io::Error::from(ErrorKind::PermissionDenied).into());
        }
        Ok(kept)
    }
}

/// The rule, where a public address of this machine is one of this machine: what listens there may be for itself only.
fn may_fetch(ip: IpAddr, allow: &[IpNet], is_own: impl Fn(IpAddr) -> bool) -> bool {
    may_connect(ip, allow)
        && (Network::of(ip) != Network::Public || is_named(ip, allow) || !is_own(ip))
}

fn is_named(ip: IpAddr, allow: &[IpNet]) -> bool {
    allow.iter().any(|net| net.contains(&ip.to_canonical()))
}

/// Whether a caller's URL may be fetched from there: this machine and the networks around it only where the file opens
/// them.
pub(crate) fn may_connect(ip: IpAddr, allow: &[IpNet]) -> bool {
    match Network::of(ip) {
        Network::Public => true,
        Network::Private => is_named(ip, allow),
        Network::Reserved => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn may(ip: &str, allow: &[&str]) -> bool {
        let allow: Vec<IpNet> = allow.iter().map(|net| net.parse().unwrap()).collect();
        may_connect(ip.parse().unwrap(), &allow)
    }

    #[test]
    fn the_public_internet_is_open() {
        for ip in ["1.1.1.1", "8.8.8.8", "157.240.1.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(may(ip, &[]), "{ip}");
        }
    }

    #[test]
    fn this_machines_public_address_opens_only_when_named() {
        let nets =
            |nets: &[&str]| -> Vec<IpNet> { nets.iter().map(|net| net.parse().unwrap()).collect() };
        for (own, net) in [("1.1.1.1", "1.1.1.1/32"), ("2606:4700::1111", "2606:4700::/32")] {
            let is_own = |ip: IpAddr| ip == own.parse::<IpAddr>().unwrap();
            let own = own.parse().unwrap();
            assert!(!may_fetch(own, &[], is_own), "{own}");
            assert!(may_fetch(own, &nets(&[net]), is_own), "{own}");
            assert!(may_fetch("8.8.8.8".parse().unwrap(), &[], is_own));
            assert!(!may_fetch("169.254.169.254".parse().unwrap(), &nets(&["0.0.0.0/0"]), is_own));
        }
    }

    #[test]
    fn private_ranges_open_only_when_named() {
        for ip in
            ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1"]
        {
            assert!(!may(ip, &[]), "{ip}");
        }
        assert!(may("10.1.2.3", &["10.0.0.0/8"]));
        assert!(may("::ffff:10.1.2.3", &["10.0.0.0/8"]));
        assert!(!may("10.1.2.3", &["10.9.0.0/16"]));
        assert!(may("fd12::1", &["fd12::/16"]));
    }

    #[test]
    fn metadata_and_disguises_never_open() {
        let all = ["0.0.0.0/0", "::/0"];
        for ip in [
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fe80::1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::a9fe:a9fe",
            "::ffff:0:a9fe:a9fe",
            "4000::1",
            "5f00::1",
            "fec0::1",
            "::",
        ] {
            assert!(!may(ip, &all), "{ip}");
        }
    }

    #[test]
    fn a_url_on_this_machine_is_denied_before_anything_is_sent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/x.jpg", listener.local_addr().unwrap());
        let outcome = Fetcher::new(10, Vec::new()).fetch(&url, &mut Vec::new());
        assert!(matches!(outcome, Err(FetchError::Denied)), "{outcome:?}");
        assert!(listener.accept().is_err(), "nothing may have connected");
        let file = Fetcher::new(10, Vec::new()).fetch("file:///etc/passwd", &mut Vec::new());
        assert!(matches!(file, Err(FetchError::Url(UrlError::Scheme))));
    }

    /// Every way to write an IPv4 address that some parser somewhere takes, and the IPv6 addresses that carry it.
    fn disguises(ip: Ipv4Addr) -> Vec<String> {
        let [a, b, c, d] = ip.octets();
        let whole = u32::from(ip);
        let (high, low) = (whole >> 16, whole & 0xffff);
        let tail = whole & 0x00ff_ffff;
        let mut hosts = vec![
            ip.to_string(),
            whole.to_string(),
            format!("{whole:#o}").replace("0o", "0"),
            format!("{whole:#x}"),
            format!("{whole:#X}"),
            format!("0x{whole:08x}"),
            format!("{a}.{tail}"),
            format!("{a}.{b}.{low}"),
            format!("0x{a:x}.{tail}"),
            format!("0{a:o}.{tail}"),
            format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
            format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
            format!("000{a:o}.00{b:o}.0{c:o}.{d}"),
            format!("{a}.0x{b:x}.0{c:o}.{d}"),
            format!("0x{a:x}.{b}.{low}"),
            format!("{a}.{b}.{c}.0{d:o}"),
        ];
        let groups = format!("{high:x}:{low:x}");
        for prefix in ["::ffff:", "0:0:0:0:0:ffff:", "::ffff:0:", "::", "64:ff9b::", "64:ff9b:1::"]
        {
            hosts.extend([format!("[{prefix}{groups}]"), format!("[{prefix}{ip}]")]);
        }
        hosts.extend([
            format!("[2002:{groups}::]"),
            format!("[2002:{groups}::1]"),
            format!("[2001::{groups}]"),
        ]);
        let users = [
            format!("example.com@{ip}"),
            format!("example.com:80@{whole}"),
            format!("a%40b:c@[::ffff:{ip}]"),
        ];
        hosts.extend(users);
        hosts
    }

    /// reliability.md H5: whoever writes the URL reaches nothing here, however it is written.
    #[test]
    fn no_disguise_of_a_forbidden_address_is_connected_to() {
        let sentinel = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        sentinel.set_nonblocking(true).unwrap();
        let port = sentinel.local_addr().unwrap().port();
        let fetcher = Fetcher::new(10, Vec::new());
        let mut forms = 0;
        for ip in [
            [127, 0, 0, 1],
            [127, 8, 8, 8],
            [10, 1, 2, 3],
            [172, 16, 0, 1],
            [192, 168, 1, 1],
            [169, 254, 169, 254],
            [100, 100, 100, 200],
            [0, 0, 0, 0],
            [224, 0, 0, 1],
        ] {
            for host in disguises(ip.into()) {
                for url in [
                    format!("http://{host}:{port}/x"),
                    format!("HTTP://{host}:{port}/x").replace("HTTP", "https"),
                ] {
                    let outcome = fetcher.fetch(&url, &mut Vec::new());
                    assert!(
                        matches!(
                            outcome,
                            Err(FetchError::Denied
                                | FetchError::Network(_)
                                | FetchError::Broken(_))
                        ),
                        "{url}: {outcome:?}"
                    );
                    forms += 1;
                }
            }
        }
        for host in
            ["localhost", "LOCALHOST", "[::1]", "[0:0:0:0:0:0:0:1]", "[fd00:ec2::254]", "[fe80::1]"]
        {
            let outcome = fetcher.fetch(&format!("http://{host}:{port}/x"), &mut Vec::new());
            assert!(outcome.is_err(), "{host}");
            forms += 1;
        }
        assert!(forms >= 300, "{forms}");
        assert!(sentinel.accept().is_err(), "something was connected to");
    }

    fn serve(answer: &'static str) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x.jpg", listener.local_addr().unwrap());
        std::thread::Builder::new()
            .spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    asked.extend(byte);
                }
                stream.write_all(answer.as_bytes()).unwrap();
            })
            .unwrap();
        url
    }

    #[test]
    fn the_cap_holds_with_and_without_a_length() {
        let local = || vec!["127.0.0.0/8".parse().unwrap()];
        let mut sink = Vec::new();
        let url = serve(
            "HTTP/1.1 200 OK\r\nContent-Type: image/png; x=y\r\nConnection: close\r\n\r\n0123456789",
        );
        let claimed = Fetcher::new(10, local()).fetch(&url, &mut sink).unwrap();
        assert_eq!(
            (claimed.mime.as_deref(), sink.as_slice()),
            (Some("image/png"), b"0123456789".as_slice())
        );

        let long = serve("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n01234567890");
        let outcome = Fetcher::new(10, local()).fetch(&long, &mut Vec::new());
        assert!(matches!(outcome, Err(FetchError::TooLarge)), "{outcome:?}");
        let said = serve("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890");
        let outcome = Fetcher::new(10, local()).fetch(&said, &mut Vec::new());
        assert!(matches!(outcome, Err(FetchError::TooLarge)), "{outcome:?}");
    }

    #[test]
    fn a_file_that_never_ends_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x.jpg", listener.local_addr().unwrap());
        let held = std::thread::Builder::new().spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbegun").unwrap();
            // Open until the other side goes.
            stream.read_to_end(&mut Vec::new())
        });
        let local = vec!["127.0.0.0/8".parse().unwrap()];
        let fetcher = Fetcher::within(Duration::from_millis(300), 1000, local);
        let outcome = fetcher.fetch(&url, &mut Vec::new());
        assert!(matches!(outcome, Err(FetchError::TooSlow)), "{outcome:?}");
        drop(held);
    }

    #[test]
    fn a_server_that_trickles_is_given_up_before_its_time_is_over() {
        let clock = || {
            let mut now = Instant::now();
            move || {
                now += Duration::from_millis(5);
                now
            }
        };
        let span = Duration::from_millis(50);
        let outcome = copy(&mut Trickle, &mut std::io::sink(), span, clock());
        assert!(matches!(outcome, Err(FetchError::TooSlow)), "{outcome:?}");
        let mut fast = std::io::repeat(7).take(64 << 20);
        let copied = copy(&mut fast, &mut std::io::sink(), span, clock());
        assert_eq!(copied.unwrap(), 64 << 20);
    }

    /// One byte at a time, for ever.
    struct Trickle;

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            Ok(buffer.iter_mut().take(1).map(|byte| *byte = 7).count())
        }
    }

    #[test]
    fn a_redirect_into_a_closed_network_is_denied() {
        let url = serve(
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n",
        );
        let fetcher = Fetcher::new(10, vec!["127.0.0.0/8".parse().unwrap()]);
        let outcome = fetcher.fetch(&url, &mut Vec::new());
        assert!(matches!(outcome, Err(FetchError::Denied)), "{outcome:?}");
    }
}
