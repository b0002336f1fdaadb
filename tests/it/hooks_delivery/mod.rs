//! Webhook delivery in process: the real store, the real HTTP client, real HTTP receivers whose answers are
//! scripted. Nothing here sleeps; everything waits for a condition with a deadline.

mod control;
mod failures;
mod fixture;
mod independence;
mod order;
mod receiver;
mod replies;
mod table;
mod verifiers;
mod wire;
