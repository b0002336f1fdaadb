//! A simulated WhatsApp.
pub mod harness;
