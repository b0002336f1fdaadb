//! What tests, benchmarks and the sandbox use of the program beyond its command line, and nothing more. It is no
//! interface for others and promises nothing.

pub mod api {
    pub use crate::api::{Api, LoginLink};
}

pub mod config {
    pub use crate::config::{
        AdminConfig, Browser, Calls, ChatFilter, Compat, Config, Context, DeviceConfig, DeviceEdit,
        Durability, Edit, EditError, EndpointConfig, EndpointEdit, EventFilter, FaceName, Format,
        Gap, HistoryConfig, Hours, Inbox, KeyConfig, Loaded, LogConfig, MediaConfig, Notice,
        Others, OutboxConfig, Pace, Presence, Proxy, ProxyProtocol, Quiet, Rejected, ReloadHandle,
        ReloadMailbox, ReloadOutcome, ReloadReport, Repair, Revision, RuleConfig, RuleReply,
        SAMPLE, Scope, ServerConfig, ShownAs, Start, StoreConfig, System, Template, TextPattern,
        Trigger, Watcher, When, keep_last_good, last_good,
    };
}

pub mod hooks {
    pub use crate::hooks::{EndpointReport, HookError, ReplayFrom, Webhooks};
}

pub mod model {
    pub use crate::model::{
        Body, ChatKind, ChatPattern, ContactCard, Content, Degradation, DeviceName, DeviceState,
        Disconnect, Event, EventData, EventId, EventPlace, EventType, Hurdle, IdempotencyKey, Jid,
        KeyHash, Linking, LoggedOut, MediaKind, MediaSource, MessageData, MessageId, MessageKind,
        MessageStatus, Obstacle, Pending, Person, PhoneNumber, Recipient, Secret, SendRequest,
        SentMessage, Stop, Thumbnail, Trouble, UnixMillis,
    };
}

pub mod reload {
    pub use crate::reload::Reloader;
}

pub mod store {
    pub use crate::store::{
        Counted, EndpointId, EndpointState, Enqueued, History, HistoryLimits, NewEvent, Seq, Store,
        StoreOptions,
    };
}

pub mod task {
    pub use crate::task::Tasks;
}

pub mod telemetry {
    pub use crate::telemetry::Log;
}

pub mod whatsapp {
    pub use crate::whatsapp::{DeviceHandle, Fleet, FleetOptions, WhatsAppError};
}
