//! The engine's storage for one device, on a `store::Space`: five traits, every batch one atomic, durable write. What
//! the rows mean is the engine's business.
