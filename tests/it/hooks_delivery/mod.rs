//! Webhook delivery in process: the real store, the real delivery threads, real HTTP receivers whose answers are
//! scripted. Nothing here sleeps; everything waits for a condition with a deadline.

mod control;
mod failures;
mod fixture;
mod order;
mod receiver;
mod replies;
mod table;
mod verifiers;
