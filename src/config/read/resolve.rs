//! What the keys of `moonwa.toml` mean: defaults, limits, and the checks that need more than one value. It notes a
//! problem and goes on, so that all are reported at once; the caller throws the result away when there was any.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::raw::{Node, Section};
use super::secret::Secrets;
use super::{call, endpoint, pace, rule, value};
use crate::config::proxy::Proxy;
use crate::config::settings::{
    AdminConfig, Calls, Config, DeviceConfig, HistoryConfig, KeyConfig, LogConfig, MediaConfig,
    OutboxConfig, Presence, Scope, ServerConfig, ShownAs, StoreConfig,
};
use crate::model::{DeviceName, KeyHash};

/// Shorter API keys and tokens can be guessed.
const SHORTEST_KEY: usize = 16;

/// With fewer connections a few open pages would leave none for messages.
const FEWEST_CONNECTIONS: usize = 64;
const MOST_CONNECTIONS: usize = 4096;

/// The whole file, with the files that it includes.
pub(crate) fn config(
    mut root: Section<'_>,
    included: Vec<Section<'_>>,
    secrets: &Secrets<'_>,
) -> Config {
    let default = Config::default();
    let reader = Reader { secrets, hashes: BTreeMap::new() };
    let server = root.or("server", default.server, |node| node.table().map(server));
    let (admin, mut reader) = match root.get("admin").and_then(|node| node.table()) {
        Some(table) => reader.admin(table),
        None => (default.admin, reader),
    };
    let store = store(root.get("store").and_then(|node| node.table()), secrets);
    let mut devices = default.devices;
    let mut homes = BTreeMap::new();
    if let Some(table) = root.get("device").and_then(|node| node.table()) {
        reader.devices(&table, &mut devices, &mut homes);
    }
    for mut file in included {
        if let Some(table) = file.get("device").and_then(|node| node.table()) {
            reader.devices(&table, &mut devices, &mut homes);
        }
        // Only devices may be in an included file: what concerns the whole gateway has its place in the main file.
        file.finish();
    }
    let config = Config {
        server,
        admin,
        store,
        log: root.or("log", default.log, |node| node.table().map(log)),
        outbox: root.or("outbox", default.outbox, |node| node.table().map(outbox)),
        history: root.or("history", None, |node| node.table().map(history)),
        media: root.or("media", default.media, |node| node.table().map(media)),
        whatsapp_version: root
            .or("whatsapp_version", None, |node| node.parse(value::whatsapp_version).map(Some)),
        devices,
    };
    root.finish();
    config
}

fn server(mut table: Section<'_>) -> ServerConfig {
    let default = ServerConfig::default();
    let config = ServerConfig {
        listen: table.or("listen", default.listen, |node| node.parse(value::listen)),
        hosts: table.or("hosts", default.hosts, |node| node.each(|node| node.parse(value::host))),
        trusted_proxies: table.or("trusted_proxies", default.trusted_proxies, |node| {
            node.each(|node| node.parse(value::network))
        }),
        base_path: table.or("base_path", default.base_path, |node| node.parse(value::base_path)),
        public_url: table.or("public_url", None, |node| node.parse(value::public_url).map(Some)),
        max_connections: table.or("max_connections", default.max_connections, |node| {
            node.number(FEWEST_CONNECTIONS..=MOST_CONNECTIONS)
        }),
        faces: table.or("faces", default.faces, |node| node.each(|node| node.word(&value::FACES))),
    };
    table.finish();
    config
}

fn store(table: Option<Section<'_>>, secrets: &Secrets<'_>) -> StoreConfig {
    let default = StoreConfig::default();
    let dir = &secrets.context.dir;
    let path = secrets.context.default_store();
    let Some(mut table) = table else { return StoreConfig { path, ..default } };
    let config = StoreConfig {
        path: table.or("path", path, |node| {
            let path = node.text()?;
            if path.is_empty() {
                node.problem("the path is empty", "write a directory, such as \"data\"");
            }
            Some(dir.join(path))
        }),
        durability: table
            .or("durability", default.durability, |node| node.word(&value::DURABILITIES)),
        repair: table.or("repair", default.repair, |node| node.word(&value::REPAIRS)),
    };
    table.finish();
    config
}

fn log(mut table: Section<'_>) -> LogConfig {
    let default = LogConfig::default();
    let config = LogConfig {
        level: table.or("level", default.level, |node| node.word(&value::LEVELS)),
        full_jids: table.or("full_jids", default.full_jids, Node::flag),
        unsafe_dependencies: table.or(
            "unsafe_dependencies",
            default.unsafe_dependencies,
            Node::flag,
        ),
    };
    table.finish();
    config
}

fn outbox(mut table: Section<'_>) -> OutboxConfig {
    let default = OutboxConfig::default();
    let (second, year) = (Duration::from_secs(1), Duration::from_hours(24 * 365));
    let config = OutboxConfig {
        keep: table.or("keep", default.keep, |node| {
            node.parse(|text| value::duration(text, second, year))
        }),
        max_size: table.or("max_size", default.max_size, |node| {
            node.parse(|text| value::size(text, 1 << 20, 1 << 40))
        }),
    };
    table.finish();
    config
}

/// A table without a key keeps nothing: it is the manual's.
fn history(mut table: Section<'_>) -> Option<HistoryConfig> {
    let default = HistoryConfig::default();
    let (hour, years) = (Duration::from_hours(1), Duration::from_hours(24 * 3660));
    let keep = table
        .or("keep", None, |node| node.parse(|text| value::duration(text, hour, years)).map(Some));
    let max_size = table.or("max_size", None, |node| {
        node.parse(|text| value::size(text, 1 << 20, 1 << 40)).map(Some)
    });
    table.finish();
    (keep.is_some() || max_size.is_some()).then(|| HistoryConfig {
        keep: keep.unwrap_or(default.keep),
        max_size: max_size.unwrap_or(default.max_size),
    })
}

fn media(mut table: Section<'_>) -> MediaConfig {
    let default = MediaConfig::default();
    // WhatsApp takes no file larger than 2 GiB.
    let max_size = table.or("max_size", default.max_size, |node| {
        node.parse(|text| value::size(text, 1 << 10, 2 << 30))
    });
    // One message needs a file, its encrypted copy, and as much again for what is fetched beside it.
    let least = 4 * max_size;
    let device_spool = table.or("device_spool", default.device_spool.max(least), |node| {
        let size = node.parse(|text| value::size(text, 1 << 20, 1 << 40))?;
        if size < least {
            let help = format!("at least four times media.max_size: {}", value::shown_size(least));
            node.problem("no file of media.max_size could be sent", help);
        }
        Some(size)
    });
    let spool = table.or("spool", default.spool.max(device_spool), |node| {
        let size = node.parse(|text| value::size(text, 1 << 20, 1 << 40))?;
        if size < device_spool {
            let help = format!("at least {}", value::shown_size(device_spool));
            node.problem("all devices together have less than one (media.device_spool)", help);
        }
        Some(size)
    });
    let config = MediaConfig {
        max_size,
        spool,
        device_spool,
        allow_nets: table.or("allow_nets", default.allow_nets, |node| {
            node.each(|node| node.parse(value::network))
        }),
    };
    table.finish();
    config
}

/// Reads the tables that hold API keys, and remembers where each key is, so that no two are the same.
struct Reader<'s, 'c> {
    secrets: &'s Secrets<'c>,
    hashes: BTreeMap<String, String>,
}

impl Reader<'_, '_> {
    fn admin(mut self, mut table: Section<'_>) -> (AdminConfig, Self) {
        let default = AdminConfig::default();
        let config = AdminConfig {
            token: table.or("token", None, |node| Some(self.key(node))),
            editable: table.or("editable", default.editable, Node::flag),
        };
        table.finish();
        (config, self)
    }

    /// Reads a `[device]` table into `devices`; `homes` remembers which file has each device.
    fn devices<'a>(
        &mut self,
        table: &Section<'a>,
        devices: &mut BTreeMap<DeviceName, DeviceConfig>,
        homes: &mut BTreeMap<DeviceName, &'a str>,
    ) {
        for (key, place, node) in table.entries() {
            let name = match DeviceName::parse(key) {
                Ok(name) => name,
                Err(error) => {
                    place.problem(error.to_string(), suggested_name(key));
                    // Go on under any name, to find out what else is wrong with the device.
                    let Ok(name) = DeviceName::parse("unnamed") else { continue };
                    name
                }
            };
            if let Some(home) = homes.insert(name.clone(), place.file())
                && home != place.file()
            {
                place.problem(format!("the device stands in {home} too"), "keep one of them");
            }
            if let Some(table) = node.table() {
                devices.insert(name.clone(), self.device(&name, table));
            }
        }
    }

    fn device(&mut self, name: &DeviceName, mut table: Section<'_>) -> DeviceConfig {
        let label = table.or("label", name.to_string(), |node| node.parse(value::label));
        let enabled = table.or("enabled", true, Node::flag);
        let mut keys = Vec::new();
        if let Some(node) = table.get("api_key") {
            let scopes = KeyConfig::program_scopes();
            let hash = self.key(&node);
            keys.extend(hash.map(|hash| KeyConfig {
                id: KeyConfig::DEFAULT.to_owned(),
                hash,
                scopes,
            }));
        }
        for node in table.get("keys").and_then(|node| node.list()).unwrap_or_default() {
            let Some(key) = node.table().and_then(|table| self.further_key(table)) else {
                continue;
            };
            if keys.iter().any(|known| known.id == key.id) {
                node.problem(format!("a second key called \"{}\"", key.id), "give it another id");
            }
            keys.push(key);
        }
        let country_code =
            table.or("country_code", None, |node| node.parse(value::country_code).map(Some));
        let list = table.get("webhooks");
        let webhooks =
            table.or("webhooks", Vec::new(), |node| endpoint::webhooks(self.secrets, node));
        // One that is written badly has its place all the same.
        let places = list.as_ref().and_then(Node::as_list).unwrap_or_default().len();
        let rules = table
            .or("rules", Vec::new(), |node| rule::rules(node, country_code.as_deref(), places));
        if let Some(list) = &list {
            endpoint::unheard(list, &webhooks, &rules);
        }
        let config = DeviceConfig {
            label,
            enabled,
            keys,
            pace: table.or("pace", None, |node| pace::pace(node).map(Some)),
            calls: table.or("calls", Calls::default(), call::calls),
            presence: table
                .or("presence", Presence::default(), |node| node.word(&value::PRESENCES)),
            shown_as: table.or("shown_as", ShownAs::default(), |node| node.word(&value::SHOWN_AS)),
            proxy: table.or("proxy", None, |node| self.proxy(node).map(Some)),
            webhooks,
            rules,
            country_code,
        };
        table.finish();
        config
    }

    fn further_key(&mut self, mut table: Section<'_>) -> Option<KeyConfig> {
        let id = table.need("id", "write a name for the log, such as id = \"crm\"");
        let id = id.and_then(|node| {
            node.parse(|text| match DeviceName::parse(text) {
                Ok(id) => Ok(id.to_string()),
                Err(_) => Err((
                    format!("\"{}\" is not a key's id", text.escape_debug()),
                    "write 1 to 64 of a-z, 0-9, _ and -, starting with a letter or a digit".into(),
                )),
            })
        });
        let hash = table.need("hash", "\"moonwa key new\" prints one");
        let hash = hash.and_then(|node| self.key(&node));
        let scopes = table.or("scopes", KeyConfig::program_scopes(), |node| {
            let scopes: BTreeSet<Scope> =
                node.each(|node| node.word(&value::SCOPES))?.into_iter().collect();
            if node.list().is_some_and(|list| list.is_empty()) {
                node.problem("a key without scopes can do nothing", "write \"send\" or \"read\"");
            }
            Some(scopes)
        });
        table.finish();
        Some(KeyConfig { id: id?, hash: hash?, scopes })
    }

    /// A proxy's URL, which is a secret when it has a password.
    fn proxy(&self, node: &Node<'_>) -> Option<Proxy> {
        let found = self.secrets.find(node)?;
        match Proxy::parse(&found.text) {
            Ok(proxy) => {
                if found.plain && proxy.login.is_some() && node.world_readable() {
                    let hint = "chmod 600 the file, or write { file = \"…\" }";
                    node.warning(
                        "a secret in clear, in a file that everybody on this machine can read",
                        hint,
                    );
                }
                Some(proxy)
            }
            Err((message, hint)) => {
                node.problem(message, hint);
                None
            }
        }
    }

    /// An API key or the admin token: hashed, or in clear.
    fn key(&mut self, node: &Node<'_>) -> Option<KeyHash> {
        let whose = if node.path().starts_with("device.") { "DEVICE" } else { "admin" };
        let make = format!("\"moonwa key new {whose}\" makes one and prints what to write here");
        let found = self.secrets.find(node)?;
        let hash = if found.text.starts_with("sha256:") {
            let hash = KeyHash::parse(&found.text);
            if hash.is_none() {
                node.problem("this hash is not sha256: with 64 hexadecimal digits", &make);
            }
            hash?
        } else if found.text.len() < SHORTEST_KEY {
            let short = format!("{} bytes are too few for a key", found.text.len());
            node.problem(short, format!("at least {SHORTEST_KEY}; {make}"));
            return None;
        } else if found.plain && node.world_readable() {
            let hint = format!("write its hash (chmod 600 also helps); {make}");
            node.problem("a key in clear, in a file that everybody on this machine can read", hint);
            return None;
        } else {
            if found.plain {
                node.warning("a key in clear", format!("its hash is enough; {make}"));
            }
            KeyHash::of(&found.text)
        };
        if let Some(other) = self.hashes.insert(hash.to_string(), node.path().to_owned()) {
            node.problem(format!("{other} has the same key"), "give each one its own");
        }
        Some(hash)
    }
}

/// A hint with a valid device name, made from the refused one where possible.
pub(super) fn suggested_name(key: &str) -> String {
    let letters = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let slug: String = letters.collect::<String>().to_ascii_lowercase();
    let slug = slug.trim_matches('-');
    DeviceName::parse(slug).map_or_else(
        |_| "write a name such as [device.admin-toko]".to_owned(),
        |name| format!("write [device.{name}] and label = \"{}\"", key.escape_debug()),
    )
}
