mod alone;
mod conformance;
mod durability;
mod fixture;
mod retry;
