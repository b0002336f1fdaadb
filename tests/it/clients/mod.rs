//! Clients that nobody here wrote, against the simulator: in the place of the gateway, to see whether the simulator is
//! true, and as the contact of a real gateway. What they found is in tests/simulator/README.md.

pub(crate) mod adopt;
mod baileys;
mod faces;
mod foreign;
mod mcp;
mod whatsmeow;
