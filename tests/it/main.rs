//! Every story in one binary: it is linked once. Each module tells one, and is run alone by its name:
//! `cargo test --test it fleet::`.
//!
//! The tests share one process and run side by side. What concerns a whole process (memory, signals, the log, the
//! environment, the working directory) is tested on a child: the real binary, which `Moonwa` starts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "what a test does not expect shall end it loudly"
)]

mod adopt;
mod api;
mod architecture;
mod backlog;
mod bad_day;
mod bad_input;
mod calls;
mod channels;
mod chats;
mod chatwoot;
mod clients;
mod clock;
mod closed;
mod config;
mod config_edit;
mod contacts;
mod crash;
mod durability;
mod engine;
mod faces;
mod fleet;
mod fuzz;
mod groups;
mod history;
mod hooks_delivery;
mod idle;
mod kinds;
mod labels;
mod later;
mod linking;
mod linking_trouble;
mod many;
mod marks;
mod mcp;
mod measure;
mod media_urls;
mod messages;
mod metrics;
mod missed;
mod new_device;
mod outbound;
mod pace;
mod page_browser;
mod page_static;
mod presence;
mod proxied;
mod proxy;
mod reload;
mod reload_watch;
mod restricted;
mod retries;
mod rules;
mod sandbox;
mod service;
mod soak;
mod statuses;
mod storage_faults;
mod terminal;
mod wire;
