//! A client built as releases are, with the certificate check compiled in, refuses the simulated WhatsApp. This test
//! must run alone (`cargo test -p moonwa-simulator`): built together with moonwa's own tests, Cargo would unify the
//! feature that switches the check off into it.

use std::sync::Arc;

use anyhow::Result;
use moonwa_simulator::Simulator;
use whatsapp_rust::bot::Bot;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust::wacore::store::InMemoryBackend;

#[tokio::test]
async fn the_certificate_of_the_simulator_is_refused() -> Result<()> {
    let sim = Simulator::start().await?;
    let bot = Bot::builder()
        .with_backend_arc(Arc::new(InMemoryBackend::new()))
        .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(sim.ws_url()))
        .with_version((2, 3000, 1_047_769_893))
        .build()
        .await?;
    let error = bot
        .client()
        .connect()
        .await
        .expect_err("the certificate chain is signed by nobody we know");
    let chain = format!("{error:?}");
    assert!(chain.contains("XEdDSA"), "refused for another reason: {chain}");
    Ok(())
}
