//! The API of other products, as their programs use it: what they send arrives, what they ask is answered in their form,
//! and what they are told of looks as they know it. `clients` has programs that others wrote for those products.

mod evolution;
mod gowa;
mod groups;
mod presence;
mod sessions;
pub(crate) mod support;
mod table;
mod waha;
mod wuzapi;
