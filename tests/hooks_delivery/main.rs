//! Webhook delivery in process: the real store, the real delivery threads, real HTTP receivers whose answers are
//! scripted. Nothing here sleeps; everything waits for a condition with a deadline.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "what a test does not expect shall end it loudly"
)]

mod control;
mod failures;
mod fixture;
mod order;
mod receiver;
mod replies;
mod table;
mod verifiers;
