//! The simulated WhatsApp as a program: starts it and prints where it listens.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use moonwa_simulator::{SimConfig, Simulator};

#[tokio::main]
async fn main() -> Result<()> {
    let mut config = SimConfig::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => {
                let port = arguments.next().context("--port needs a number")?.parse()?;
                config.whatsapp = SocketAddr::from(([127, 0, 0, 1], port));
            }
            "--http-port" => {
                let port = arguments.next().context("--http-port needs a number")?.parse()?;
                config.http = SocketAddr::from(([127, 0, 0, 1], port));
            }
            other => bail!("unknown argument {other}; known: --port N, --http-port N"),
        }
    }
    let sim = Simulator::start_with(config).await?;
    let mut out = std::io::stdout();
    writeln!(out, "whatsapp {}", sim.ws_url())?;
    writeln!(out, "control  {}", sim.http_url())?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
