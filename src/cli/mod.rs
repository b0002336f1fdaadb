//! The command line: what each command does and how it exits. `run` hands over to `app`; the commands that concern a
//! running gateway ask it over HTTP, with the token it left beside its store.

mod adopt;
mod client;
mod heap;
mod key;
mod local;
mod mcp;
mod rule;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

use self::adopt::{OldUrl, Wish};
use self::rule::Trial;
use crate::app;
use crate::config::nearest;
use crate::console::{Exit, complain};
use crate::model::DeviceName;
use crate::private;
use crate::whatsapp::foreign::Source;

#[derive(Parser)]
#[command(name = "moonwa", version, about = "A WhatsApp gateway for people who self-host.")]
struct Arguments {
    /// The configuration file [default: ./moonwa.toml, then /etc/moonwa/moonwa.toml]
    #[arg(long, global = true, env = "MOONWA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Run {
        /// Start with the last configuration that worked when the file is broken
        #[arg(long)]
        fallback_last_good: bool,
    },
    /// Write the commented sample moonwa.toml; never over an existing file
    Init,
    /// Validate the configuration; exit 0, or 78 with every problem
    Check {
        /// The file, instead of --config
        file: Option<PathBuf>,
    },
    /// Show what a reload would change; exit 0 nothing, 2 changes, 78 invalid
    Plan {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Link a device: show its QR code, or a pair code for a phone number, until it is linked
    Link {
        /// The device's name in moonwa.toml
        #[arg(value_parser = DeviceName::parse)]
        device: DeviceName,
        /// Show a code to type on the phone of this number instead of a QR code
        #[arg(long, value_name = "NUMBER")]
        phone: Option<String>,
    },
    /// A line per device and per webhook
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask whether the gateway can do its work; exit 0, or 1 with the reason
    Healthcheck,
    /// Send one text message
    Send {
        /// The device's name in moonwa.toml
        #[arg(value_parser = DeviceName::parse)]
        device: DeviceName,
        /// A phone number with its country code, or a group id
        to: String,
        /// The text
        text: String,
    },
    /// A link that logs in to the admin page once; or the end of all logins
    Login {
        /// End every login to the admin page, and every link that nobody has opened
        #[arg(long)]
        revoke_all: bool,
    },
    /// Speak the Model Context Protocol with the program of a language model, for the gateway that runs here
    Mcp {
        /// Over standard input and output, as such programs start it
        #[arg(long, required = true)]
        stdio: bool,
        /// Only this device, by its name in moonwa.toml
        #[arg(long, value_parser = DeviceName::parse, value_name = "NAME")]
        device: Option<DeviceName>,
        /// Offer tools that send as well
        #[arg(long)]
        allow_send: bool,
    },
    /// API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// The rules of devices
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Unlink a device from its phone and forget its credentials
    Logout {
        /// The device's name in moonwa.toml
        #[arg(value_parser = DeviceName::parse)]
        device: DeviceName,
        /// Without asking
        #[arg(long)]
        yes: bool,
    },
    /// Delete the stored credentials of a device that is no longer in moonwa.toml
    Forget {
        /// The device's former name
        #[arg(value_parser = DeviceName::parse)]
        device: DeviceName,
    },
    /// Write the identities of all linked devices to a file, while moonwa runs or not
    Backup {
        /// The file; never over an existing one
        file: PathBuf,
    },
    /// Take the devices of a backup back, while moonwa is stopped; they need no new QR code
    Restore {
        /// A file that `moonwa backup` wrote
        file: PathBuf,
    },
    /// Take a session over that another gateway has linked, while both are stopped; it needs no new QR code
    Adopt {
        /// The device's name in moonwa.toml; it is added there if it is new
        #[arg(required_unless_present_any = ["list", "stop_hint"])]
        device: Option<String>,
        /// Where the other gateway keeps its sessions: a folder, a SQLite file or a postgres:// URL; it is only read
        #[arg(long, value_name = "SOURCE")]
        from: Source,
        /// Which session, by its name or number, when there are several
        #[arg(long, value_name = "NAME")]
        session: Option<String>,
        /// The other gateway's API, which is asked whether the number is stopped there; its key as http://:KEY@host:port
        #[arg(long, value_name = "URL", value_parser = OldUrl::parse)]
        old_url: Option<OldUrl>,
        /// What starts GOWA, with its settings in flags or variables: a .env or Compose file, a systemd unit, a script [default: what
        /// stands beside the source]
        #[arg(long, value_name = "FILE")]
        settings: Option<PathBuf>,
        /// Without asking
        #[arg(long)]
        yes: bool,
        /// Show the sessions that are there, and take none
        #[arg(long, conflicts_with_all = ["device", "session", "stop_hint"])]
        list: bool,
        /// Show what to type to stop the other gateway
        #[arg(long, conflicts_with_all = ["device", "session"])]
        stop_hint: bool,
    },
    /// Make a damaged store again, while moonwa is stopped; sets the damaged files aside and deletes nothing
    Repair,
    /// Check the store, the disk, the clock and the file modes, and say what to do
    Doctor,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make an API key: prints it once, with the line for moonwa.toml
    New {
        /// The device's name in moonwa.toml; "admin" makes a token for the admin page
        device: String,
        /// Put the key's hash into moonwa.toml, in place of the API key that is there
        #[arg(long)]
        write: bool,
    },
}

#[derive(Subcommand)]
enum RulesCommand {
    /// Say what each rule in moonwa.toml would do with a message, and why; sends nothing
    Test(Trial),
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let allowed = private::by_default();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(mut error) => {
            only_likely(&mut error);
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Clean };
            return if error.print().is_ok() { exit.into() } else { Exit::Failure.into() };
        }
    };
    let config = arguments.config.as_deref();
    let command = arguments.command.unwrap_or(Command::Run { fallback_last_good: false });
    let done = match command {
        Command::Run { fallback_last_good } => {
            heap::one_for_all_threads();
            Ok(app::run(config, fallback_last_good))
        }
        Command::Init => local::init(config, allowed),
        Command::Check { file } => Ok(local::check(file.as_deref().or(config))),
        Command::Key(KeyCommand::New { device, write }) => key::new(config, &device, write),
        Command::Rules(RulesCommand::Test(trial)) => rule::test(config, &trial),
        Command::Repair => local::repair(config),
        Command::Doctor => local::doctor(config),
        Command::Backup { file } => local::backup(config, &file),
        Command::Restore { file } => local::restore(config, &file),
        Command::Adopt { from, stop_hint: true, .. } => adopt::stop_hint(&from),
        Command::Adopt { device: Some(device), from, session, old_url, settings, yes, .. } => {
            adopt::adopt(config, &Wish { device, from, session, old_url, settings, sure: yes })
        }
        Command::Adopt { device: None, from, .. } => adopt::list(&from),
        Command::Plan { json } => client::plan(config, json),
        Command::Link { device, phone } => client::link(config, &device, phone.as_deref()),
        Command::Status { json } => client::status(config, json),
        Command::Healthcheck => client::healthcheck(config),
        Command::Mcp { stdio: _, device, allow_send } => {
            mcp::serve(config, device.as_ref(), allow_send)
        }
        Command::Send { device, to, text } => client::send(config, &device, &to, &text),
        Command::Login { revoke_all: false } => client::login(config),
        Command::Login { revoke_all: true } => client::end_logins(config),
        Command::Logout { device, yes } => client::logout(config, &device, yes),
        Command::Forget { device } => client::forget(config, &device),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            complain(&format!("moonwa: {error:#}"));
            Exit::Failure.into()
        }
    }
}

/// clap finds a neighbour for nearly every word. Only a likely one is named, and never the one that unlinks a device.
fn only_likely(error: &mut clap::Error) {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand).cloned()
    else {
        return;
    };
    let Some(ContextValue::Strings(found)) = error.remove(ContextKind::SuggestedSubcommand) else {
        return;
    };
    let likely = |name: &String| name != "logout" && nearest(&word, &[name.as_str()]).is_some();
    let found: Vec<String> = found.into_iter().filter(likely).collect();
    if !found.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(found));
    }
}
