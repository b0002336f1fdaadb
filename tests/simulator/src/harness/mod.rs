//! What the end-to-end stories stand on: the real gateway binary as a child process, webhook receivers, a small REST
//! client, and waiting on conditions. It knows nothing of WhatsApp; that is the rest of this crate.

#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "what a story does not expect shall end it loudly"
)]

use rand::distr::Alphanumeric;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

mod moonwa;
mod proxy;
mod receiver;
mod rest;
mod wait;

pub use moonwa::{Moonwa, MoonwaBuilder, api_key};
pub use proxy::{Proxy, Speaks};
pub use receiver::{Answer, Delivery, WebhookReceiver};
pub use rest::{Reply, Rest};
pub use wait::{PATIENCE, eventually, eventually_within};

/// Text that no compression makes much shorter; the same for the same seed.
pub fn noise(seed: u64, length: usize) -> String {
    let mut chance = StdRng::seed_from_u64(seed);
    (0..length).map(|_| char::from(chance.sample(Alphanumeric))).collect()
}
