//! Who sent a request, and whether they may use a route. Device keys and the admin token are compared as hashes, in
//! constant time and with the same work for a key that nobody has.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;

use super::logins::{self, Opener};
use super::origin;
use super::throttle::Attempt;
use crate::api::http::problem::{Code, Problem};
use crate::api::state::State;
use crate::config::{Config, KeyConfig, Scope, is_random_key};
use crate::model::{DeviceName, KeyHash};

/// Who may use a route. With a `{device}` in the path, a device's key reaches that device only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody.
    Public,
    /// Anybody, but only under the host names of the admin page: another site's name that points here (DNS rebinding)
    /// must not reach what a browser logs in with.
    Page,
    /// Anybody as far as the table goes: the `/api` routes check the device key in the body or the headers themselves.
    BodyKey,
    /// Keys with the scope `read`.
    Read,
    /// Keys with the scope `read`, and anybody with a URL that moonwa signed for this file.
    File,
    /// Keys with the scope `history`.
    History,
    /// Keys with the scope `send`.
    Send,
    /// Keys with the scope `groups` or `admin`.
    Groups,
    /// Keys with the scope `admin`.
    Admin,
    /// Keys with the scope `metrics`: the numbers of all devices.
    Metrics,
    /// The admin of the gateway; no device key.
    Gateway,
    /// The admin by token; neither a device key nor a browser's login.
    Token,
}

impl Access {
    /// Whether a route is open to callers who do not say who they are.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Public | Self::Page | Self::BodyKey)
    }
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Somebody without key, token or login.
    Nobody,
    Admin {
        /// The browser's login; none with a token.
        login: Option<String>,
    },
    Key {
        device: DeviceName,
        id: String,
        scopes: BTreeSet<Scope>,
        /// The browser's login; none with the key itself.
        login: Option<String>,
    },
}

impl Principal {
    pub(crate) fn role(&self) -> &'static str {
        match self {
            Self::Nobody => "none",
            Self::Admin { .. } => "admin",
            Self::Key { .. } => "key",
        }
    }

    /// The name in the log: the id of a key, never the key.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Key { id, .. } => id,
            other => other.role(),
        }
    }

    /// Who is kept as the one who sent a message.
    pub(crate) fn author(&self) -> Option<String> {
        match self {
            Self::Nobody => None,
            Self::Admin { login: Some(_) } => Some("page".to_owned()),
            other => Some(other.name().to_owned()),
        }
    }

    /// The browser's login that it came with.
    pub(crate) fn login(&self) -> Option<&String> {
        match self {
            Self::Admin { login } | Self::Key { login, .. } => login.as_ref(),
            Self::Nobody => None,
        }
    }

    /// The only device within reach, if there is such a limit.
    pub(crate) fn device(&self) -> Option<&DeviceName> {
        match self {
            Self::Key { device, .. } => Some(device),
            Self::Nobody | Self::Admin { .. } => None,
        }
    }

    pub(crate) fn scopes(&self) -> Vec<&'static str> {
        let all =
            [Scope::Send, Scope::Read, Scope::History, Scope::Groups, Scope::Admin, Scope::Metrics];
        all.into_iter().filter(|scope| self.may(*scope)).map(scope_name).collect()
    }

    pub(crate) fn may(&self, scope: Scope) -> bool {
        match self {
            Self::Nobody => false,
            Self::Admin { .. } => true,
            Self::Key { scopes, .. } => scopes.contains(&scope),
        }
    }

    /// The holder of a key, as a browser's login has them.
    fn with_login(self, id: String) -> Self {
        match self {
            Self::Key { device, id: key, scopes, .. } => {
                Self::Key { device, id: key, scopes, login: Some(id) }
            }
            other => other,
        }
    }

    /// Whether a device is within reach at all.
    pub(crate) fn reaches(&self, name: &DeviceName) -> bool {
        match self {
            Self::Nobody => false,
            Self::Admin { .. } => true,
            Self::Key { device, .. } => device == name,
        }
    }
}

/// The scope as moonwa.toml and the API write it.
pub(crate) fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Send => "send",
        Scope::Read => "read",
        Scope::History => "history",
        Scope::Groups => "groups",
        Scope::Admin => "admin",
        Scope::Metrics => "metrics",
    }
}

/// The key or token in a request's headers.
pub(crate) fn presented(head: &Parts) -> Option<&str> {
    let bearer = head.headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| head.headers.get("x-api-key")?.to_str().ok())
}

/// The device a key belongs to. All keys are compared, even after a match, so that the time it takes tells nothing.
pub(crate) fn key_of<'a>(config: &'a Config, key: &str) -> Option<(&'a DeviceName, &'a KeyConfig)> {
    key_of_hash(config, KeyHash::of(key))
}

pub(super) fn key_with(config: &Config, hash: KeyHash) -> Option<Principal> {
    let (device, key) = key_of_hash(config, hash)?;
    let (id, scopes) = (key.id.clone(), key.scopes.clone());
    Some(Principal::Key { device: device.clone(), id, scopes, login: None })
}

fn key_of_hash(config: &Config, hash: KeyHash) -> Option<(&DeviceName, &KeyConfig)> {
    let all = config.devices.iter().flat_map(|(name, d)| d.keys.iter().map(move |k| (name, k)));
    all.fold(
        None,
        |found, candidate| if candidate.1.hash == hash { Some(candidate) } else { found },
    )
}

/// Finds out who sent a request. A key that is not valid is an error: only a request without any comes from nobody.
pub(crate) fn identify(
    state: &State,
    config: &Config,
    head: &Parts,
    client: IpAddr,
) -> Result<Principal, Problem> {
    if let Some(key) = presented(head) {
        return holder(state, config, key, client);
    }
    let Some(id) =
        logins::cookie(&head.headers).and_then(|c| state.logins.touch(c, config.admin.token))
    else {
        return Ok(Principal::Nobody);
    };
    origin::host_allowed(head, config)?;
    origin::same_site(head)?;
    Ok(logged_in(state, config, id).unwrap_or(Principal::Nobody))
}

/// Who is logged in: the admin, or the holder of a key, who may no more than the key. Nobody when the login just ended.
pub(super) fn logged_in(state: &State, config: &Config, id: String) -> Option<Principal> {
    match state.logins.opener(&id)? {
        Opener::Admin => Some(Principal::Admin { login: Some(id) }),
        Opener::Key(hash) => key_with(config, hash).map(|who| who.with_login(id)),
    }
}

/// Whose key or token it is.
pub(crate) fn holder(
    state: &State,
    config: &Config,
    key: &str,
    client: IpAddr,
) -> Result<Principal, Problem> {
    if let Some(known) = key_with(config, KeyHash::of(key)) {
        return Ok(known);
    }
    if state.api.operator.matches(key) || is_token(state, config, Attempt::Key, client, key)? {
        return Ok(Principal::Admin { login: None });
    }
    Err(Problem::new(Code::Unauthorized, "the key is not valid"))
}

/// Whether it is the admin token. A person may have chosen that, so guessing must be slow: after many failures it is not
/// even compared. What moonwa itself made is compared at any time, because it cannot be guessed.
pub(crate) fn is_token(
    state: &State,
    config: &Config,
    attempt: Attempt,
    client: IpAddr,
    given: &str,
) -> Result<bool, Problem> {
    let attempt = if is_random_key(given) { Attempt::Made } else { attempt };
    state.throttle.check(attempt, client)?;
    let right = config.admin.token.is_some_and(|hash| hash.matches(given));
    if !right {
        state.throttle.failed(attempt, client);
    }
    Ok(right)
}

/// Refuses those who may not use a route. `device` is the one named in the path.
pub(crate) fn check(who: &Principal, access: Access, device: Option<&str>) -> Result<(), Problem> {
    let scope = match access {
        Access::Public | Access::Page | Access::BodyKey => return Ok(()),
        _ if *who == Principal::Nobody => return Err(Code::Unauthorized.into()),
        Access::Gateway if matches!(who, Principal::Admin { .. }) => return Ok(()),
        Access::Gateway => {
            return Err(Problem::new(Code::Forbidden, "only the admin may do this, no device key"));
        }
        Access::Token if matches!(who, Principal::Admin { login: None }) => return Ok(()),
        Access::Token => {
            let detail = "only with the admin token, neither a device key nor a browser's login";
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Access::Read | Access::File => Scope::Read,
        Access::History => Scope::History,
        Access::Send => Scope::Send,
        // Who may stop and change the device may change its groups, too.
        Access::Groups if who.may(Scope::Admin) => Scope::Admin,
        Access::Groups => Scope::Groups,
        Access::Admin => Scope::Admin,
        Access::Metrics => Scope::Metrics,
    };
    if !who.may(scope) {
        let detail = format!("the key lacks the scope {:?}", scope_name(scope));
        return Err(Problem::new(Code::Forbidden, detail));
    }
    // The same answer whether or not the device exists: a key learns nothing about others.
    match (device, who.device()) {
        (Some(asked), Some(own)) if asked != own.as_str() => {
            Err(Problem::new(Code::Forbidden, "the key belongs to another device"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::config::{
        AdminConfig, DeviceConfig, LogConfig, MediaConfig, OutboxConfig, ServerConfig, StoreConfig,
    };

    /// A configuration with the devices `toko` (keys `full`, `send`) and `gudang` (key `other`).
    pub(crate) fn config() -> Config {
        let key = |id: &str, scopes: &[Scope]| KeyConfig {
            id: id.into(),
            hash: KeyHash::of(id),
            scopes: scopes.iter().copied().collect(),
        };
        let device = |label: &str, keys| DeviceConfig {
            keys,
            country_code: Some("62".into()),
            ..DeviceConfig::new(label)
        };
        let toko = device(
            "Toko",
            vec![key("full", &[Scope::Send, Scope::Read]), key("send", &[Scope::Send])],
        );
        let gudang =
            device("Gudang", vec![key("other", &[Scope::Send, Scope::Read, Scope::Admin])]);
        Config {
            server: ServerConfig {
                listen: "127.0.0.1:0".parse().unwrap(),
                ..ServerConfig::default()
            },
            admin: AdminConfig { token: Some(KeyHash::of("admin-token")), editable: true },
            log: LogConfig::default(),
            store: StoreConfig { path: "data".into(), ..StoreConfig::default() },
            outbox: OutboxConfig { keep: Duration::from_hours(72), max_size: 1 << 20 },
            history: None,
            media: MediaConfig { max_size: 1 << 20, ..MediaConfig::default() },
            whatsapp_version: None,
            devices: BTreeMap::from([
                (DeviceName::parse("toko").unwrap(), toko),
                (DeviceName::parse("gudang").unwrap(), gudang),
            ]),
        }
    }

    fn key(name: &str) -> Principal {
        let config = config();
        let (device, key) = key_of(&config, name).unwrap();
        Principal::Key {
            device: device.clone(),
            id: key.id.clone(),
            scopes: key.scopes.clone(),
            login: None,
        }
    }

    fn code(who: &Principal, access: Access, device: Option<&str>) -> Option<Code> {
        check(who, access, device).err().map(|problem| problem.code)
    }

    #[test]
    fn a_key_belongs_to_its_device() {
        assert_eq!(key("full").device().map(DeviceName::as_str), Some("toko"));
        assert_eq!(key("other").device().map(DeviceName::as_str), Some("gudang"));
        assert!(key_of(&config(), "admin-token").is_none());
        let hash = KeyHash::of("full").to_string();
        assert!(key_of(&config(), &hash).is_none(), "who reads moonwa.toml has no key yet");
        assert_eq!(key("full").scopes(), ["send", "read"]);
    }

    #[test]
    fn access_is_a_property_of_the_route() {
        let admin = Principal::Admin { login: None };
        for access in [Access::Public, Access::Page, Access::BodyKey] {
            assert_eq!(code(&Principal::Nobody, access, None), None, "{access:?}");
        }
        for access in [
            Access::Read,
            Access::Send,
            Access::Groups,
            Access::Admin,
            Access::Metrics,
            Access::Gateway,
            Access::Token,
        ] {
            assert_eq!(
                code(&Principal::Nobody, access, None),
                Some(Code::Unauthorized),
                "{access:?}"
            );
            assert_eq!(code(&admin, access, Some("toko")), None, "{access:?}");
        }
        assert_eq!(code(&key("send"), Access::Send, Some("toko")), None);
        assert_eq!(code(&key("send"), Access::Read, Some("toko")), Some(Code::Forbidden));
        assert_eq!(code(&key("full"), Access::Admin, Some("toko")), Some(Code::Forbidden));
        assert_eq!(code(&key("other"), Access::Admin, Some("gudang")), None);
        assert_eq!(code(&key("full"), Access::Groups, Some("toko")), Some(Code::Forbidden));
        assert_eq!(code(&key("other"), Access::Groups, Some("gudang")), None, "by its `admin`");
        let mut groups = key("send");
        if let Principal::Key { scopes, .. } = &mut groups {
            *scopes = BTreeSet::from([Scope::Groups]);
        }
        assert_eq!(code(&groups, Access::Groups, Some("toko")), None);
        assert_eq!(code(&groups, Access::Send, Some("toko")), Some(Code::Forbidden));
        assert_eq!(code(&key("other"), Access::Gateway, None), Some(Code::Forbidden));
        let browser = Principal::Admin { login: Some("1".to_owned()) };
        assert_eq!(code(&browser, Access::Gateway, None), None);
        for who in [browser, key("other")] {
            assert_eq!(code(&who, Access::Token, None), Some(Code::Forbidden), "{who:?}");
        }
        for name in ["send", "full", "other"] {
            assert_eq!(code(&key(name), Access::Metrics, None), Some(Code::Forbidden), "{name}");
        }
    }

    #[test]
    fn a_key_reaches_no_other_device() {
        assert_eq!(code(&key("full"), Access::Send, Some("toko")), None);
        assert_eq!(code(&key("full"), Access::Send, Some("gudang")), Some(Code::Forbidden));
    }

    #[test]
    fn keys_come_in_two_headers() {
        let head = |name: &str, value: &str| {
            hyper::Request::get("/").header(name, value).body(()).unwrap().into_parts().0
        };
        assert_eq!(presented(&head("authorization", "Bearer abc")), Some("abc"));
        assert_eq!(presented(&head("authorization", "bearer  abc ")), Some("abc"));
        assert_eq!(presented(&head("x-api-key", "abc")), Some("abc"));
        assert_eq!(presented(&head("authorization", "Basic abc")), None);
    }
}
