//! Turns `moonwa.toml` and the files it names into a complete, immutable `Config`, or into the list of everything
//! that is wrong with it. It also edits the file and notices changes of it; applying a change to a running gateway is
//! `reload`'s work.

mod diff;
mod edit;
mod endpoint;
mod find;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod key;
mod last_good;
mod mailbox;
mod mask;
mod pace;
mod problem;
mod proxy;
mod read;
mod rule;
mod settings;
mod view;
mod watch;

pub(crate) use diff::ConfigDiff;
pub(crate) use edit::is_writable;
pub use edit::{DeviceEdit, Edit, EditError, EndpointEdit};
pub use endpoint::{ChatFilter, Compat, EndpointConfig, EventFilter, Format, Start};
pub(crate) use find::{SERVICE_STORE, find};
pub(crate) use key::{is_random_key, new_key};
pub use last_good::{keep_last_good, last_good};
pub(crate) use mailbox::{Ask, EditRequest, ReloadPlan, ReloadRequest};
pub use mailbox::{ReloadHandle, ReloadMailbox, ReloadOutcome, ReloadReport, Trigger};
pub(crate) use mask::shown_url;
pub use pace::{Gap, Pace, Quiet};
pub(crate) use problem::{Problem, nearest};
pub use proxy::{Proxy, ProxyProtocol};
pub use read::{Context, Loaded, Others, Rejected, Revision};
pub(crate) use rule::Placeholder;
pub use rule::{Hours, RuleConfig, RuleReply, Template, TextPattern, When};
pub use settings::{
    AdminConfig, Browser, Calls, Config, DeviceConfig, Durability, FaceName, HistoryConfig,
    KeyConfig, LogConfig, MediaConfig, OutboxConfig, Presence, Repair, Scope, ServerConfig,
    ShownAs, StoreConfig, System,
};
pub use watch::{Notice, Watcher};

/// The commented sample, which is also the manual. `moonwa init` writes it.
pub const SAMPLE: &str = include_str!("../../moonwa.toml");
