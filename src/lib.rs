//! moonwa links WhatsApp numbers to programs: one binary reads `moonwa.toml`, keeps every device named there connected,
//! hands each incoming message to its webhooks, sends through a small REST API and serves an admin page.
//!
//! # Tenets, earlier wins
//! Lose no message · never take an account down by accident · understandable at 3 a.m. · small · fast.
//!
//! # Floors: a module imports only from lower ones (tests/it/architecture)
//! ```text
//! F5  main, cli                            argv, exit codes
//! F4  app                                  wiring and lifecycle
//! F3  api | reload                         HTTP in: /api, /v1, server-sent events, the page | a change of the file
//! F2  whatsapp | hooks | control | telemetry   siblings that meet in the store, never each other
//! F1  config | store                       moonwa.toml | everything durable
//! F0  model | task | console | net | knobs | systemd   words, and what everybody needs: no floor below
//! ```
//!
//! # Glossary
//! - **device**: a linked WhatsApp companion device, named in `moonwa.toml`; **fleet**: all of them.
//! - **JID**, **LID**: a WhatsApp address; the privacy-preserving one.
//! - **event**: something that happened; its id is a function of the WhatsApp key, so it survives replays and crashes.
//! - **log**: the durable, ordered events of a device. **endpoint**: one webhook URL. **cursor**: how far an endpoint
//!   has got. **attempt**: one POST. **dead letter**: an event an endpoint refused for good.
//! - **receipt**: server ack, delivered, read, played. **nudge**: "look in the store"; it carries nothing and may be lost.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod console;
pub mod control;
pub mod hooks;
mod knobs;
pub mod model;
mod net;
pub mod reload;
pub mod store;
pub mod systemd;
pub mod task;
pub mod telemetry;
pub mod whatsapp;
