//! The device itself: who it is, its long-term keys, its counters.

use wa_rs::async_trait;
use wa_rs::wacore::store::Device;
use wa_rs::wacore::store::error::Result;
use wa_rs::wacore::store::traits::DeviceStore;

use super::store::{SessionStore, to_json};
use super::tag::DEVICE;
use crate::store::Key;

#[async_trait]
impl DeviceStore for SessionStore {
    async fn save(&self, device: &Device) -> Result<()> {
        // As JSON, so that the credentials stay readable when a later engine adds a field.
        self.put(Key::new(DEVICE), to_json(device)?).await
    }

    /// `device_props` and `client_profile` are not stored: whoever loads sets them again.
    async fn load(&self) -> Result<Option<Device>> {
        self.get_json(Key::new(DEVICE)).await
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.get(Key::new(DEVICE)).await?.is_some())
    }

    /// One space holds one device, so its number says nothing.
    async fn create(&self) -> Result<i32> {
        if !self.exists().await? {
            self.save(&Device::new()).await?;
        }
        Ok(1)
    }
}
