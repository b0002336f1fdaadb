//! What a device says of itself when it is linked. The engine does not store it with the device, so all of it is said
//! again at every load, and it is what WhatsApp Web says in that browser: it asks for the history that a browser gets, not
//! for the whole one, and its version is that of the system.

use wa_rs::wacore::store::DevicePropsOverride;
use wa_rs::wacore::store::device::default_history_sync_config;
use wa_rs::waproto::whatsapp::device_props::{AppVersion, PlatformType};

use crate::config::{Browser, ShownAs, System};

pub(crate) fn companion(shown_as: ShownAs) -> DevicePropsOverride {
    let ShownAs { browser, system } = shown_as;
    let platform = match browser {
        Browser::Chrome => PlatformType::CHROME,
        Browser::Edge => PlatformType::EDGE,
        Browser::Firefox => PlatformType::FIREFOX,
        Browser::Safari => PlatformType::SAFARI,
    };
    // As far as a browser tells pages: always these two, and of Linux none.
    let (os, [primary, secondary, tertiary]) = match system {
        System::Linux => ("Linux", [0, 0, 0]),
        System::MacOs => ("Mac OS", [10, 15, 7]),
        System::Windows => ("Windows", [10, 0, 0]),
    };
    let version = AppVersion {
        primary: Some(primary),
        secondary: Some(secondary),
        tertiary: Some(tertiary),
        ..AppVersion::default()
    };
    DevicePropsOverride::new()
        .with_os(os)
        .with_version(version)
        .with_platform_type(platform)
        .with_require_full_sync(false)
        .with_history_sync_config(default_history_sync_config())
}
