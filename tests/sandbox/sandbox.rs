//! The sandbox: a simulated WhatsApp, a real gateway linked to it, a webhook receiver, and a page on which a virtual
//! phone scans the QR code and chats. No phone, no network, no risk to an account. `play` plays a scenario to a bot instead.
//!
//! `cargo run --example sandbox` and open what it prints. It ends with Ctrl-C and leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a test does not expect shall end it loudly"
)]

#[path = "page.rs"]
mod page;
#[path = "play.rs"]
mod play;
#[path = "scenario.rs"]
mod scenario;
#[path = "shop.rs"]
mod shop;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::signal::unix::{Signal as Told, SignalKind, signal};

/// The exit codes beside 0. A command line that is wrong has moonwa's.
const NOT_MET: u8 = 1;
const BAD_SCENARIO: u8 = 2;
const FAILED: u8 = 3;
const USAGE: u8 = 64;

/// Set for the gateway, which the sandbox is too: the folder that the two share.
const FOLDER: &str = "MOONWA_SANDBOX_FOLDER";

/// A simulated WhatsApp with virtual phones, a real moonwa linked to it, and a page to try both: no phone, no network, no
/// risk to an account.
#[derive(Parser)]
#[command(name = "moonwa-sandbox", version)]
struct Arguments {
    /// The page's port on 127.0.0.1, so that a bookmark stays good; any free one without it
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Plays a scenario to a bot: writes to it as customers, and looks at what it answers
    #[command(after_help = play::HELP)]
    Play {
        /// The scenario, a TOML file
        file: PathBuf,
    },
}

/// The signals that end the sandbox in order. After any other one the gateway ends itself, and clears away.
pub(crate) struct Ends([Told; 4]);

impl Ends {
    fn new() -> Result<Self> {
        let kinds = [
            SignalKind::hangup(),
            SignalKind::interrupt(),
            SignalKind::quit(),
            SignalKind::terminate(),
        ];
        let [hangup, interrupt, quit, terminate] = kinds.map(signal);
        Ok(Self([hangup?, interrupt?, quit?, terminate?]))
    }

    /// Waits for the next of them.
    pub(crate) async fn told(&mut self) {
        let next = self.0.iter_mut().map(|told| Box::pin(told.recv()));
        futures_util::future::select_all(next).await;
    }
}

/// The gateway, as a process of its own. It ends with the sandbox, however that ends, and then removes their folder.
fn gateway(folder: &Path) -> Result<ExitCode> {
    let sandbox = getppid();
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let ended = moonwa::main();
    if getppid() != sandbox {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(ended)
}

fn main() -> Result<ExitCode> {
    // The sandbox starts itself again as the gateway, so that one file is all there is to have.
    if let Some(folder) = std::env::var_os(FOLDER) {
        return gateway(Path::new(&folder));
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            error.print()?;
            return Ok(if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS });
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // The gateway ends with the thread that started it: this one, which is there to the end.
    let done = runtime.block_on(async {
        let ends = Ends::new()?;
        match arguments.command {
            Some(Command::Play { file }) => play::play(&file, ends).await,
            None => page::run(arguments.port, ends).await,
        }
    });
    Ok(done.unwrap_or_else(|error| {
        eprintln!("moonwa-sandbox: {error:#}");
        FAILED.into()
    }))
}
