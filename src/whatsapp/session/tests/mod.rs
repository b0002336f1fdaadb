mod conformance;
mod durability;
