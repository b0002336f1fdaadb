//! A bare WhatsApp client for these tests: the engine without the gateway, with its events in a
//! list, so that every wait is a look at what happened since a cursor.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use moonwa_simulator::Simulator;
use tokio::sync::watch;
use wa_rs::bot::{Bot, BotHandle};
use wa_rs::http::{HttpClient, HttpRequest, HttpResponse, UreqHttpClient};
use wa_rs::pair_code::PairCodeOptions;
use wa_rs::transport::TokioWebSocketTransportFactory;
use wa_rs::wacore::net::{StreamingHttpResponse, UploadBody};
use wa_rs::wacore::proto_helpers::MessageExt as _;
use wa_rs::wacore::store::traits::Backend;
use wa_rs::wacore::store::{DevicePropsOverride, InMemoryBackend};
use wa_rs::wacore::types::events::Event;
use wa_rs::waproto::whatsapp::device_props::PlatformType;
use wa_rs::{Client, TokioRuntime};

const PATIENCE: Duration = Duration::from_secs(30);

/// The media host speaks plain HTTP here; the engine always builds `https` addresses.
struct Plain(UreqHttpClient);

fn plain(mut request: HttpRequest) -> HttpRequest {
    if let Some(rest) = request.url.strip_prefix("https://127.0.0.1:") {
        request.url = format!("http://127.0.0.1:{rest}");
    }
    request
}

#[async_trait]
impl HttpClient for Plain {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        self.0.execute(plain(request)).await
    }

    fn supports_streaming(&self) -> bool {
        self.0.supports_streaming()
    }

    fn execute_streaming(&self, request: HttpRequest) -> anyhow::Result<StreamingHttpResponse> {
        self.0.execute_streaming(plain(request))
    }

    fn supports_upload_streaming(&self) -> bool {
        self.0.supports_upload_streaming()
    }

    fn execute_upload(
        &self,
        request: HttpRequest,
        body: UploadBody,
        length: u64,
    ) -> anyhow::Result<HttpResponse> {
        self.0.execute_upload(plain(request), body, length)
    }
}

/// A running client.
pub(crate) struct TestClient {
    pub client: Arc<Client>,
    pub backend: Arc<dyn Backend>,
    events: Arc<Mutex<Vec<Arc<Event>>>>,
    changed: watch::Receiver<usize>,
    handle: Option<BotHandle>,
}

impl TestClient {
    /// Starts a client with an empty store.
    pub(crate) async fn start(sim: &Simulator) -> Self {
        Self::start_on(sim, Arc::new(InMemoryBackend::new()), None).await
    }

    /// Starts a client which asks for a pairing code.
    pub(crate) async fn start_with_code(sim: &Simulator, number: &str) -> Self {
        Self::start_on(sim, Arc::new(InMemoryBackend::new()), Some(number)).await
    }

    /// Starts a client on a store that may already be paired.
    pub(crate) async fn start_on(
        sim: &Simulator,
        backend: Arc<dyn Backend>,
        code: Option<&str>,
    ) -> Self {
        let events: Arc<Mutex<Vec<Arc<Event>>>> = Arc::default();
        let (tell, changed) = watch::channel(0);
        let list = events.clone();
        let mut builder = Bot::builder()
            .with_backend_arc(backend.clone())
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(sim.ws_url()))
            .with_http_client(Plain(UreqHttpClient::new()))
            .with_runtime(TokioRuntime)
            .with_version((2, 3000, 1_047_769_893))
            .with_device_props(
                DevicePropsOverride::new()
                    .with_os("Linux")
                    .with_platform_type(PlatformType::CHROME),
            )
            .on_event(move |event, _| {
                list.lock().unwrap().push(event);
                tell.send_modify(|n| *n += 1);
                std::future::ready(())
            });
        if let Some(number) = code {
            builder = builder.with_pair_code(PairCodeOptions {
                phone_number: number.to_owned(),
                ..Default::default()
            });
        }
        let handle = builder.build().await.unwrap().spawn();
        Self { client: handle.client(), backend, events, changed, handle: Some(handle) }
    }

    /// How many events there were so far.
    pub(crate) fn cursor(&self) -> usize {
        self.events.lock().unwrap().len()
    }

    /// Waits for an event after a cursor.
    pub(crate) async fn wait<T>(
        &self,
        after: usize,
        what: &str,
        look: impl Fn(&Event) -> Option<T>,
    ) -> T {
        let mut changed = self.changed.clone();
        let waiting = async {
            loop {
                changed.borrow_and_update();
                let found = self.events.lock().unwrap().iter().skip(after).find_map(|e| look(e));
                if let Some(found) = found {
                    return found;
                }
                changed.changed().await.expect("the client is gone");
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => {
                let seen: Vec<_> =
                    self.events.lock().unwrap().iter().map(|e| format!("{e:?}")).collect();
                panic!("no {what} after {after} of {seen:?}");
            }
        }
    }

    /// Waits for a QR code.
    pub(crate) async fn qr(&self) -> String {
        self.wait(0, "QR code", |e| match e {
            Event::PairingQrCode(qr) => Some(qr.code.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until the client is connected.
    pub(crate) async fn connected(&self, after: usize) {
        self.wait(after, "Connected", |e| matches!(e, Event::Connected(_)).then_some(())).await;
    }

    /// Waits for a message with this text; answers its id and whether it is one's own.
    pub(crate) async fn text(&self, text: &str) -> (String, bool) {
        self.wait(0, text, |e| {
            e.messages().find_map(|m| {
                (m.message.text_content() == Some(text))
                    .then(|| (m.info.id.clone(), m.info.source.is_from_me))
            })
        })
        .await
    }

    /// How often a message with this text arrived.
    pub(crate) fn times(&self, text: &str) -> usize {
        let events = self.events.lock().unwrap();
        let all = events.iter().flat_map(|e| e.messages());
        all.filter(|m| m.message.text_content() == Some(text)).count()
    }

    /// Waits for the server's word on a message: its error code, if it was refused.
    pub(crate) async fn acked(&self, id: &str) -> Option<String> {
        self.wait(0, "ServerAck", |e| match e {
            Event::ServerAck(ack) if ack.id == id => Some(ack.error.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for a receipt for a message; answers its kind.
    pub(crate) async fn receipt(&self, id: &str, kind: &str) {
        self.wait(0, kind, |e| match e {
            Event::Receipt(r)
                if r.message_ids.iter().any(|i| i == id) && format!("{:?}", r.r#type) == kind =>
            {
                Some(())
            }
            _ => None,
        })
        .await;
    }

    /// Stops the client and keeps its store.
    pub(crate) async fn stop(mut self) -> Arc<dyn Backend> {
        if let Some(handle) = self.handle.take() {
            handle.shutdown().await;
        }
        self.backend.clone()
    }
}
