//! moonwa links WhatsApp numbers to programs: one binary reads `moonwa.toml`, keeps every device named there connected,
//! hands each incoming message to its webhooks, sends through a small REST API and serves an admin page.
//!
//! # Tenets, earlier wins
//! Lose no message · never take an account down by accident · understandable at 3 a.m. · small · fast.
//!
//! # Floors: a module imports only from lower ones (tests/it/architecture)
//! ```text
//! F5  main | cli | fuzzing | facade        argv, exit codes | what tests/fuzz feeds | what tests use
//! F4  app                                  wiring and lifecycle
//! F3  api | reload                         HTTP in: /api, /v1, server-sent events, the page | a change of the file
//! F2  whatsapp | hooks | control | telemetry   side by side: they meet in the store, never each other
//! F1  config | store                       moonwa.toml | everything durable
//! F0  model | task | console | dial | net | private | knobs | systemd   words, and what everybody needs: no floor below
//! ```
//!
//! # Rooms
//! ```text
//! api       http: the wire · access: who may · compat: /api and the faces · v1: /v1 · route: the table of all routes
//! whatsapp  device: connecting · receive: in · send: out · media: files · history: earlier messages · session: the engine's keys
//! hooks     endpoint: one webhook and its cursor · client: the POST · rule: what a device answers by itself
//! config    read: text to Config · edit: the page's edits · watch, mailbox: changes of the file
//! store     log, message, cursor, space: what is kept · writer, reader, committer: the threads · salvage: after a crash
//! ```
//!
//! # Glossary
//! Devices. **device**: a linked WhatsApp companion device, named in `moonwa.toml`; **fleet**: all of them. **actor**: the one
//! task that decides whether a device is connected; a **command** tells it what a person wants, a **notice** what its
//! connection does, and it **reacts**; a **phase** is what it does now. **link**: one connection, from its start until it is down, and the act of making a
//! phone know the device, by **QR** or pair code. **handle**: what the rest may ask of a device. **probe**: whether a
//! connection is alive. **companion**: what it says of itself when it is linked. **presence**: whether WhatsApp is told
//! that somebody is there. **status**: what people are told of a device. **account**: the phone number that a device is
//! linked to. **directory**: which **LID** (a privacy-preserving address) is which **phone** number; a **JID** is any
//! WhatsApp **address**. **session**: the engine's own store, with the keys of the **signal** protocol, the app state
//! (**app**) and the device's **identity**; a **lease** of counters lets the disk be a little behind; **backup**: the identities of all devices. To **adopt** is to take the identity
//! of a **foreign** gateway's device over: its **source** is a folder as of **baileys**, or **rows** as of **whatsmeow**, **waxum** or
//! **evolution**, in **sqlite** or **postgres**. One that is **busy**, or **running** as its API says, is refused with a **hint**.
//!
//! Messages in. A **block** keeps a contact out; a **mark** is a star, or a pin. A call may be **rejected**. **message**, **chat**, **contact**, **group**, **poll**, **attachment**, **media**: as WhatsApp's users know them.
//! **hook**: where the engine hands a message over. **business**, **commerce**, **special**: **kinds** of message that are neither
//! text nor file; **raw**: one that is not understood. **undecryptable**: what cannot be read; **missed**: what was, and lost before it was kept. **notification**: what is no message to read: a change of a group, a call.
//! A **label** is WhatsApp Business' mark on a chat. **channel**: what many read and its owner writes. Whoever is **watched** is asked about; the **ground** is what a status' text stands on. What is made **once** is not made again when its request is repeated. A group has **members**, and an **invite** link by which people come in; the **news** of one is what happened to it.
//! A kind's **detail** is what it has beside its text and its file. A **post** is written into a channel. An **own** message is one that the linked account wrote.
//! **history**: what is kept of earlier messages, in **parts** by time; a **desk** writes one device's, a **look** reads it, **words** find it. What is said **about** a message before it comes waits for it. It **takes** what the log and the queue get, **learns** what the phone tells (a **sync**), and a task **fills** it with what was there before. A chat's **timer** says after how long its messages disappear. **recorder**: writes down what happens to messages and devices.
//!
//! Messages out. **queue**: messages that were promised and are not done; a **lane** is one chat's part of it, a **claim** says
//! who has a message, **pace** how fast they go, a **turn** when one may, a **hold** why one waits; what goes **later** waits until it is **due**, for an **alarm**. A paced **list** writes to **people** who have written before. Each message has an **id**. A **tally** counts what went and came in a
//! quarter of an hour; the **standing** is what follows from that. A **lock** is WhatsApp's, against new contacts; a
//! **refusal** is what it says when it shuts an account out. **parts**: what a message is built from. A group's list of devices is **fresh** for an hour. **preview**: the card of a link. **album**: files that are shown together.
//! **mention**: the naming of somebody in a text. **forward**: sent on as it came. **failure**: why a message was not sent. **receipt**: server **ack**, delivered, read, played;
//! **retry**: one that asks for the message again.
//! A session has **told** the rest of what it met. **young**: a session or a sender key that the engine gave away just now. The **holders** of a group's sender key were given it.
//! **spool**: files on their way to WhatsApp; **budget**: how many bytes they may have. **place**: room for work with whole files. **cap**: the most that a message may say.
//! **picture**: one that is decoded. **voice**: a note of **sound**, which is **resample**d and written as **Opus**.
//!
//! The store. **event**: something that happened; its id is a function of the WhatsApp key, so it survives replays and
//! crashes. **log**: the durable, ordered events of a device; **seq**: a place in it; **segment**: a piece of it that is dropped
//! whole, by the rules of **retention**; what is **recent** is in memory, too. **outbox**: the database of the log, `state` that of everything else. **space**: the
//! **rows** of one device. **journal**: fjall's own file; **salvage** mends its end, a **checkpoint** empties it. What was **checked** is not read again. **tables**: the files that rows go
//! to from memory. A **writer** gives jobs to the **committer**, the one thread that writes a database; **txn**: what a group of jobs writes at once. **tidy**, **sweep**: what is old goes. **rebuild**: a damaged database made again. **vital**: whether the store's
//! directory is still there and can be written. Rows are **pack**ed with a dictionary. **nudge**: "look in the store"; it carries nothing and may be lost.
//!
//! Webhooks. **webhook**: a **URL** of a device in the file; **endpoint**: the machine that serves it; the **registry** has all of
//! them. **cursor**: how far an endpoint has got in the log; its **backlog** is what waits for it there. **delivery**: an event's way to one endpoint; **attempt**: one POST
//! of it. An attempt has a **class**, a **fault** or none, and a **verdict**: on, again after a **backoff**, or parked as a
//! **dead letter**; after a 500 there is **doubt** whose fault it is. **filter**: which chats an endpoint hears of, by **pattern**. **profile**: the body's form; **moonwa**'s is that of docs.moonwa.id. **signature**: proof that a
//! request is ours. A file's **URL** is signed for those without a key. **reply**: a message in a receiver's answer. **report**: what people are told of an endpoint. **resolver**:
//! from names to addresses. An inbox of **Chatwoot** is kept by its API: there **phones** have the files, and an agent's message comes as Chatwoot's webhook.
//!
//! Rules. A **rule** says what a device answers by itself: a **judge** decides which act on a message, what follows is an
//! **answer**, made from a **template**; its **hours** are when it is on. A **machine** asks the rules about each event. What it
//! **handed** to a webhook, that webhook hears whatever else it wants.
//!
//! The file. **revision**: the fingerprint of all that a configuration is made of. **diff**: what an edit changes.
//! **secret**: a value that is never shown; a **mask** stands for the secret parts of a URL; **key**: what opens the
//! API. **reload**: from a changed file to a configuration in force; its **mailbox** takes requests. **paste**: what a
//! person has to write where moonwa may not.
//!
//! The API. **call**: one request being answered, by **dispatch**. **login**: a browser's, by a link or the admin token.
//! **throttle**: guessing is slow. **proof**: what a caller has shown. A **connection** has a place, which it may lose
//! while it waits for its client; its **socket** ends it then. **stream**: one that an answer's events go on coming
//! through. A file of the page has a **coding**: Brotli, gzip or none. **compat**: the routes that docs.moonwa.id documents, and the **faces**: the API of other products (**WAHA** is
//! the WhatsApp HTTP API, **GOWA** go-whatsapp-web-multidevice; **Evolution** calls a device an **instance**; **wuzapi**). What was **wanted** of one and is not offered is remembered. By **MCP**, the Model Context Protocol, language models use **tools**, for example to read a **chat**. **multipart**: a
//! form in parts, one of which may be a file. An **issue** is one thing that is wrong with a request. **live**: events as they happen.
//!
//! Around it. **console**: lines on a terminal and exit codes. **private**: files for their owner alone. **heap**: memory.
//! **user**: as whom a command must be run.
//! **dial**: to open a connection to a host; a **tunnel** leads to one through a **proxy**. **control**: how the command line finds the gateway.
//! **knobs**: switches for tests. **facade**: what tests use of the crate. **telemetry**: the log lines and the **metrics**.
//! **fuzzing**: readers of bytes from outside, for tests/fuzz; **fuzz**: those of one room.

// The engine's changes of settings are futures within futures, too many for the usual limit.
#![recursion_limit = "256"]

mod api;
mod app;
mod cli;
mod config;
mod console;
mod control;
mod dial;
#[doc(hidden)]
pub mod facade;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hooks;
mod knobs;
mod model;
mod net;
mod private;
mod reload;
mod store;
mod systemd;
mod task;
mod telemetry;
mod whatsapp;

pub use cli::main;
