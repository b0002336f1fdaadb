//! Values that are JSON.

use super::pack::{pack, unpack};
use crate::store::StoreError;

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::json(&error))
}

/// The same as it is written.
pub(super) fn to_row(value: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
    Ok(pack(&to_json(value)?).into_owned())
}

/// Reads a row, packed or not.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(row: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(&unpack(row)?).map_err(|error| StoreError::json(&error))
}
