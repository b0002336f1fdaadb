//! Values that are JSON.

use crate::store::StoreError;

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::json(&error))
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(row: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(row).map_err(|error| StoreError::json(&error))
}
