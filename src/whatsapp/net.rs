//! How the engine reaches the network: the WebSocket on a socket of our own, and one HTTP client with timeouts and a
//! size limit, which remembers the version of WhatsApp's web client. URLs of API callers are fetched elsewhere
//! (`media/fetch`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::http;
use hyper::http::header::{HeaderValue, ORIGIN};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_websockets::ClientBuilder;
use ureq::tls::TlsConfig;
use wa_rs::anyhow::{self, Context};
use wa_rs::http::UreqHttpClient;
use wa_rs::transport::{Connector, default_tls_connector, from_websocket};
use wa_rs::wacore::net::{
    HttpClient, HttpRequest, HttpResponse, StreamingHttpResponse, Transport, TransportEvent,
    TransportFactory, UploadBody, WHATSAPP_WEB_ORIGIN, WHATSAPP_WEB_WS_URL,
};
use wa_rs::wacore::stats::TransportResourceReport;

use super::WhatsAppError;
use super::recorder::Notes;
use super::tunnel;
use crate::config::{Proxy, ProxyProtocol};
use crate::dial::dial;
use crate::model::{Hurdle, Obstacle};
use crate::store::{Batch, Space};

/// The page that names the version of WhatsApp's web client.
const VERSION_PAGE: &str = "https://web.whatsapp.com/sw.js";
const VERSION_KEY: &[u8] = b"whatsapp/version";
/// Revisions have had ten digits since 2023, and grow by about fifty million a year.
const PLAUSIBLE: std::ops::RangeInclusive<u32> = 1_000_000_000..=1_999_999_999;
/// The version claimed to a simulated WhatsApp, which accepts any and has no version page.
const SIMULATED_VERSION: (u32, u32, u32) = (2, 3000, 1_047_769_893);
/// How long a connection is waited for before it is said at which step it waits: a firewall may answer nothing at all.
const HINT: Duration = Duration::from_secs(4);
/// History comes in blobs of up to this size, which a small `media.max_size` must not cut off.
const HISTORY_MAX: u64 = 64 << 20;

/// The way to WhatsApp, shared by all devices.
#[derive(Clone)]
pub(crate) struct Net {
    url: Option<String>,
    /// What the file says to claim.
    version: Option<(u32, u32, u32)>,
    /// The most that an answer over HTTP may have, in bytes.
    cap: u64,
    http: HttpGate,
}

impl Net {
    /// The way to WhatsApp, or to a simulated one at `url`.
    pub(crate) fn new(
        url: Option<String>,
        version: Option<(u32, u32, u32)>,
        max_media: u64,
        memory: Space,
    ) -> Result<Self, WhatsAppError> {
        if let Some(url) = &url {
            if !cfg!(feature = "simulator") {
                return Err(WhatsAppError::Refused(
                    "this build only talks to WhatsApp itself".to_owned(),
                ));
            }
            if !is_loopback(url) {
                return Err(WhatsAppError::Refused(
                    "a simulated WhatsApp must be on a loopback address".to_owned(),
                ));
            }
        }
        let cap = max_media.max(HISTORY_MAX).saturating_add(1 << 20);
        let inner = Arc::new(client(None, TlsConfig::default(), cap));
        let http = HttpGate { inner, simulated: url.is_some(), memory };
        Ok(Self { url, version, cap, http })
    }

    /// The way to WhatsApp for one device.
    pub(crate) fn transport(
        &self,
        notes: Notes,
        obstacles: Obstacles,
        proxy: Option<Proxy>,
    ) -> PatientTransportFactory {
        let url = self.url.clone().unwrap_or_else(|| WHATSAPP_WEB_WS_URL.to_owned());
        PatientTransportFactory { url, notes, obstacles, proxy }
    }

    /// The same for the version page and for media.
    pub(crate) fn http(&self, proxy: Option<&Proxy>) -> Result<HttpGate, ureq::Error> {
        let Some(proxy) = proxy else { return Ok(self.http.clone()) };
        let inner = Arc::new(client(Some(agent_proxy(proxy)?), TlsConfig::default(), self.cap));
        Ok(HttpGate { inner, ..self.http.clone() })
    }

    /// The version to claim, when it need not be fetched.
    pub(crate) fn version(&self) -> Option<(u32, u32, u32)> {
        self.version.or(self.url.is_some().then_some(SIMULATED_VERSION))
    }
}

/// Makes connections on which nothing is written while the disk does not have what WhatsApp told before (`recorder`).
pub(crate) struct PatientTransportFactory {
    url: String,
    notes: Notes,
    obstacles: Obstacles,
    proxy: Option<Proxy>,
}

/// Is told why WhatsApp cannot be reached.
pub(crate) type Obstacles = Arc<dyn Fn(Obstacle) + Send + Sync>;

#[async_trait]
impl TransportFactory for PatientTransportFactory {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>)> {
        let (proxy, tls) = (self.proxy.as_ref(), default_tls_connector());
        let (inner, events) = connect(&self.url, proxy, tls, &self.obstacles).await?;
        Ok((Arc::new(PatientTransport { inner, notes: self.notes.clone() }), events))
    }
}

/// Opens a WebSocket to WhatsApp. The engine's own way there tries one address of the name only, and leaves Nagle's
/// algorithm on. The engine ends it after 20 s.
async fn connect(
    url: &str,
    proxy: Option<&Proxy>,
    tls: Connector,
    obstacles: &Obstacles,
) -> anyhow::Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>)> {
    let uri: http::Uri = url.parse()?;
    let host = bare(uri.host().context("the URL has no host")?);
    let (connector, default) = match uri.scheme_str() {
        Some("wss") => (tls, 443),
        _ => (Connector::Plain, 80),
    };
    let port = uri.port_u16().unwrap_or(default);
    let steps = Steps { obstacles, hint: Instant::now() + HINT };
    let stream = match proxy {
        None => steps.reach("", host, port).await?,
        Some(proxy) => {
            let stream = steps.reach("the proxy ", bare(&proxy.host), proxy.port).await?;
            let what = format!(
                "no way to {host}, port {port}, through the proxy {}:{}",
                proxy.host, proxy.port
            );
            let through = tunnel::through(proxy, stream, host, port);
            steps.take(Hurdle::Connect, what, through).await?
        }
    };
    let what = format!("no TLS connection to {host}");
    let stream = steps.take(Hurdle::Tls, what, connector.wrap(host, stream)).await?;
    let origin = HeaderValue::from_static(WHATSAPP_WEB_ORIGIN);
    let builder = ClientBuilder::from_uri(uri.clone()).add_header(ORIGIN, origin)?;
    let upgrade = builder.connect_on(stream);
    let (socket, _) =
        steps.take(Hurdle::WebSocket, format!("no WebSocket at {host}"), upgrade).await?;
    Ok(from_websocket(socket))
}

/// The steps of a connection, of which each may be an obstacle.
struct Steps<'a> {
    obstacles: &'a Obstacles,
    /// When a step that goes on is told of.
    hint: Instant,
}

impl Steps<'_> {
    /// Opens a connection to a host, which `whose` names for people.
    async fn reach(&self, whose: &str, host: &str, port: u16) -> anyhow::Result<TcpStream> {
        let what = format!("the name {host} cannot be resolved");
        let looked_up = tokio::net::lookup_host((host, port));
        let found = self.take(Hurdle::Dns, what, looked_up).await?;
        let addresses = found.map(|address| address.ip()).collect();
        let what = format!("{whose}{host}, port {port}, cannot be connected to");
        self.take(Hurdle::Connect, what, dial(addresses, port)).await
    }

    /// Takes a step; `what` says how it fails.
    async fn take<T, E: Into<anyhow::Error>>(
        &self,
        hurdle: Hurdle,
        what: String,
        step: impl Future<Output = Result<T, E>>,
    ) -> anyhow::Result<T> {
        let mut step = std::pin::pin!(step);
        let outcome = match timeout_at(self.hint, &mut step).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                let detail = format!("{what}: no answer so far");
                (self.obstacles)(Obstacle { hurdle, detail });
                step.await
            }
        };
        let outcome = outcome.map_err(|error| error.into().context(what));
        if let Err(error) = &outcome {
            (self.obstacles)(Obstacle { hurdle, detail: format!("{error:#}") });
        }
        outcome
    }
}

struct PatientTransport {
    inner: Arc<dyn Transport>,
    notes: Notes,
}

#[async_trait]
impl Transport for PatientTransport {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        self.notes.settled().await;
        self.inner.send(data).await
    }

    async fn disconnect(&self) {
        self.inner.disconnect().await;
    }

    fn resource_report(&self) -> Option<TransportResourceReport> {
        self.inner.resource_report()
    }
}

/// A host of a URL without the brackets that IPv6 addresses have there, and nowhere else.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// It resolves the names of WhatsApp's hosts itself.
fn agent_proxy(proxy: &Proxy) -> Result<ureq::Proxy, ureq::Error> {
    let protocol = match proxy.protocol {
        ProxyProtocol::Socks5 => ureq::ProxyProtocol::Socks5h,
        ProxyProtocol::Http => ureq::ProxyProtocol::Http,
    };
    let mut builder = ureq::Proxy::builder(protocol).host(&proxy.host).port(proxy.port);
    if let Some((user, password)) = &proxy.login {
        builder = builder.username(user.expose()).password(password.expose());
    }
    builder.build()
}

fn client(proxy: Option<ureq::Proxy>, tls: TlsConfig, cap: u64) -> UreqHttpClient {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(Duration::from_secs(5)))
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_send_body(Some(Duration::from_mins(5)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_recv_body(Some(Duration::from_mins(5)))
        .max_redirects(3)
        .max_idle_connections(8)
        .max_idle_connections_per_host(2)
        .input_buffer_size(16 << 10)
        .output_buffer_size(16 << 10)
        .http_status_as_error(false)
        .proxy(proxy)
        .tls_config(tls)
        .build()
        .into();
    UreqHttpClient::with_agent(agent).with_max_body_bytes(cap)
}

/// Whether the host of a `ws://` URL is this machine.
fn is_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("ws://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The engine's HTTP client: remembers the last good version, so that a failing page does not keep devices offline.
#[derive(Clone)]
pub(crate) struct HttpGate {
    inner: Arc<UreqHttpClient>,
    simulated: bool,
    memory: Space,
}

impl HttpGate {
    /// A simulated media host on this machine has no certificate, so it is reached by plain HTTP.
    fn route(&self, mut request: HttpRequest) -> HttpRequest {
        if self.simulated
            && let Some(rest) = request.url.strip_prefix("https://")
            && is_loopback(&format!("ws://{rest}"))
        {
            request.url = format!("http://{rest}");
        }
        request
    }

    async fn version_page(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let fetched = self.inner.execute(request).await.and_then(|page| match revision(&page) {
            Some(revision) => Ok((revision, page)),
            None => Err(anyhow::anyhow!("the page names no plausible version")),
        });
        let error = match fetched {
            Ok((revision, page)) => {
                let mut batch = Batch::new();
                batch.put(VERSION_KEY, revision.to_string().into_bytes());
                if let Err(error) = self.memory.write(batch).await {
                    tracing::warn!(%error, "The version of WhatsApp's client could not be remembered.");
                }
                return Ok(page);
            }
            Err(error) => error,
        };
        let Some(known) = self.memory.get(VERSION_KEY).await? else { return Err(error) };
        tracing::warn!(%error, "WhatsApp's version page failed; using the last good version.");
        let revision = String::from_utf8_lossy(&known);
        let body = format!("\"client_revision\":{revision},").into_bytes();
        Ok(HttpResponse { status_code: 200, body })
    }
}

/// The revision that the version page names, if it can be one: a page that changed its form, or another page in its place,
/// must not make every device claim nonsense.
fn revision(page: &HttpResponse) -> Option<u32> {
    let text = std::str::from_utf8(&page.body).ok().filter(|_| page.status_code == 200)?;
    let (_, _, revision) = wa_rs::version::parse_sw_js(text)?;
    PLAUSIBLE.contains(&revision).then_some(revision)
}

#[async_trait]
impl HttpClient for HttpGate {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        if request.url == VERSION_PAGE {
            return self.version_page(request).await;
        }
        self.inner.execute(self.route(request)).await
    }

    fn supports_streaming(&self) -> bool {
        true
    }

    fn execute_streaming(&self, request: HttpRequest) -> anyhow::Result<StreamingHttpResponse> {
        self.inner.execute_streaming(self.route(request))
    }

    fn supports_upload_streaming(&self) -> bool {
        true
    }

    fn execute_upload(
        &self,
        request: HttpRequest,
        body: UploadBody,
        content_length: u64,
    ) -> anyhow::Result<HttpResponse> {
        self.inner.execute_upload(self.route(request), body, content_length)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

    use super::*;

    #[test]
    fn only_this_machine_can_pretend_to_be_whatsapp() {
        for good in [
            "ws://127.0.0.1:9/ws/chat",
            "ws://127.8.8.8",
            "ws://localhost:80/x",
            "ws://[::1]:9/ws/chat",
        ] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "wss://127.0.0.1/",
            "ws://example.com/",
            "ws://127.0.0.1@example.com/",
            "ws://127.0.0.1.example.com/",
            "ws://[::2]/",
            "ws://0.0.0.0/",
            "ws://localhost.example.com/",
            "",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    /// What stands in the way to `url`.
    async fn obstacle(url: &str, proxy: Option<&Proxy>, tls: Connector) -> Obstacle {
        let (told, mut obstacles) = tokio::sync::mpsc::unbounded_channel();
        let tell: Obstacles = Arc::new(move |obstacle| drop(told.send(obstacle)));
        assert!(connect(url, proxy, tls, &tell).await.is_err(), "{url}");
        obstacles.recv().await.unwrap()
    }

    #[tokio::test]
    async fn what_stands_in_the_way_is_told_with_its_step() {
        // No name has so long a label, so nobody is asked about it.
        let obstacle =
            |url: String| async move { obstacle(&url, None, default_tls_connector()).await };
        let nowhere = obstacle(format!("wss://{}.example/", "a".repeat(64))).await;
        assert_eq!(nowhere.hurdle, Hurdle::Dns, "{nowhere:?}");
        assert!(nowhere.detail.contains("cannot be resolved"), "{nowhere:?}");

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("wss://{}/", listener.local_addr().unwrap());
        let stranger = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let page = b"HTTP/1.1 200 OK\r\n\r\nlog in to this network";
            stream.write_all(page).await.unwrap();
            stream
        };
        let (told, _open) = tokio::join!(obstacle(url.clone()), stranger);
        assert_eq!(told.hurdle, Hurdle::Tls, "{told:?}");

        drop(listener);
        let refused = obstacle(url).await;
        assert_eq!(refused.hurdle, Hurdle::Connect, "{refused:?}");
        assert!(refused.detail.contains("cannot be connected to"), "{refused:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_goes_on_is_told_within_five_seconds() {
        let (told, mut obstacles) = tokio::sync::mpsc::unbounded_channel();
        let tell: Obstacles = Arc::new(move |obstacle| drop(told.send(obstacle)));
        let start = Instant::now();
        let steps = Steps { obstacles: &tell, hint: start + HINT };
        let forever = std::future::pending::<anyhow::Result<()>>();
        let step = steps.take(Hurdle::Connect, "no way".to_owned(), forever);
        let told = tokio::select! {
            _ = step => panic!("it has no end"),
            told = obstacles.recv() => told.unwrap(),
        };
        assert_eq!(told.detail, "no way: no answer so far");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    /// What a proxy is asked for when `go` goes through it.
    async fn asked<T>(scheme: &str, go: impl AsyncFnOnce(Proxy) -> T) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("{scheme}://{}", listener.local_addr().unwrap());
        let proxy = Proxy::parse(&proxy).unwrap();
        let listen = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let socks = proxy.protocol == ProxyProtocol::Socks5;
            if socks {
                stream.read_exact(&mut [0; 3]).await.unwrap();
                stream.write_all(&[5, 0]).await.unwrap();
            }
            // A head may come in pieces. SOCKS5's has a length: four bytes, then the name's own, the name and the port.
            let mut request = Vec::new();
            while match request.get(4) {
                Some(name) if socks => request.len() < 7 + usize::from(*name),
                _ => !request.ends_with(b"\r\n\r\n"),
            } {
                request.push(stream.read_u8().await.unwrap());
            }
            String::from_utf8_lossy(&request).into_owned()
        };
        tokio::join!(listen, go(proxy.clone())).0
    }

    #[tokio::test]
    async fn a_proxy_resolves_the_names_of_whatsapp() {
        for (scheme, start) in [
            ("socks5", "\u{5}\u{1}\0\u{3}\u{10}web.whatsapp.com"),
            ("http", "CONNECT web.whatsapp.com:443 "),
        ] {
            let page = asked(scheme, async |proxy| {
                let proxy = Some(agent_proxy(&proxy).unwrap());
                let client = client(proxy, TlsConfig::default(), 1 << 20);
                client.execute(HttpRequest::get(VERSION_PAGE)).await.is_err()
            });
            let page = page.await;
            assert!(page.starts_with(start), "{page:?}");
            let socket = asked(scheme, async |proxy| {
                let obstacles: Obstacles = Arc::new(|_| {});
                let tls = default_tls_connector();
                connect(WHATSAPP_WEB_WS_URL, Some(&proxy), tls, &obstacles).await.is_err()
            });
            let socket = socket.await;
            assert!(socket.starts_with(start), "{socket:?}");
        }
    }

    /// WhatsApp as `https` and `wss`, with a certificate for 127.0.0.1 of an authority of our own. Returns its port.
    async fn secured(tasks: &crate::task::Tasks) -> u16 {
        let chain =
            CertificateDer::from_slice(include_bytes!("../hooks/client/testdata/receiver.der"));
        let key = &include_bytes!("../hooks/client/testdata/receiver.key.der")[..];
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key.try_into().unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tasks.spawn("WhatsApp", async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not trust it goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nmedia";
                stream.write_all(answer).await.unwrap();
            }
        });
        port
    }

    #[tokio::test]
    async fn what_goes_through_a_proxy_is_encrypted_for_whatsapp() {
        use moonwa_simulator::harness::{Proxy as RealProxy, Speaks};
        let tasks = crate::task::Tasks::new();
        let port = secured(&tasks).await;
        let authority = include_bytes!("../hooks/client/testdata/authority.der");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_slice(authority)).unwrap();
        let ours = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let ours = || Connector::Rustls(Arc::new(ours.clone()).into());
        let root = ureq::tls::Certificate::from_der(authority).to_owned();
        let trusting = || TlsConfig::builder().root_certs([root.clone()].into()).build();
        for speaks in [Speaks::Socks5, Speaks::Http] {
            let real = RealProxy::start(speaks, Some(("ann", "sesame-7"))).await.unwrap();
            let proxy = Proxy::parse(&real.url()).unwrap();
            let fetch = |host: &str, tls| {
                let client = client(Some(agent_proxy(&proxy).unwrap()), tls, 1 << 20);
                let request = HttpRequest::get(format!("https://{host}:{port}/media"));
                async move { client.execute(request).await }
            };
            assert_eq!(fetch("127.0.0.1", trusting()).await.unwrap().body, b"media");
            // An authority that nobody knows, and a name that the certificate does not have.
            assert!(fetch("127.0.0.1", TlsConfig::default()).await.is_err());
            assert!(fetch("localhost", trusting()).await.is_err());

            let socket = async |host: &str, tls| {
                obstacle(&format!("wss://{host}:{port}/ws/chat"), Some(&proxy), tls).await.hurdle
            };
            assert_eq!(socket("127.0.0.1", ours()).await, Hurdle::WebSocket, "TLS is no obstacle");
            assert_eq!(socket("127.0.0.1", default_tls_connector()).await, Hurdle::Tls);
            assert_eq!(socket("localhost", ours()).await, Hurdle::Tls);
            let targets = [("127.0.0.1", 2), ("localhost", 1), ("127.0.0.1", 2), ("localhost", 1)];
            let targets = targets.map(|(host, times)| vec![format!("{host}:{port}"); times]);
            assert_eq!(real.targets(), targets.concat());
        }
    }

    #[test]
    fn only_a_plausible_revision_is_taken() {
        let page = |status_code, body: &str| HttpResponse { status_code, body: body.into() };
        let named = |number: &str| format!("\"client_revision\":{number},");
        assert_eq!(revision(&page(200, &named("1047769893"))), Some(1_047_769_893));
        for bad in ["0", "7", "2047769893", "104776989"] {
            assert_eq!(revision(&page(200, &named(bad))), None, "{bad}");
        }
        assert_eq!(revision(&page(503, &named("1047769893"))), None);
        assert_eq!(revision(&page(200, "<html>log in to this network</html>")), None);
    }

    #[test]
    fn a_version_from_memory_reads_like_the_page() {
        let page = "\"client_revision\":1047769893,";
        assert_eq!(wa_rs::version::parse_sw_js(page), Some((2, 3000, 1_047_769_893)));
    }
}
