//! `moonwa mcp --stdio`: programs of language models start it and speak the Model Context Protocol over its input and
//! output. What they ask goes on to the running gateway's `/mcp`, so there is one place that answers.

use std::io::BufRead as _;
use std::path::Path;
use std::thread;

use anyhow::Result;
use serde_json::{Value, json};

use super::client::Gateway;
use crate::console::{Exit, complain, say};
use crate::model::DeviceName;

/// JSON-RPC's code for what went wrong inside.
const INTERNAL_ERROR: i32 = -32603;
const PARSE_ERROR: i32 = -32700;

pub(super) fn serve(
    config: Option<&Path>,
    device: Option<&DeviceName>,
    allow_send: bool,
) -> Result<Exit> {
    let gateway = Gateway::find(config)?;
    let device = device.map(|device| format!("device={device}"));
    let allow = allow_send.then(|| "allow=send".to_owned());
    let query: Vec<String> = device.into_iter().chain(allow).collect();
    let path = format!("mcp?{}", query.join("&"));
    // A tool may wait for most of a minute, and others are asked for meanwhile.
    thread::scope(|scope| {
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            if !line.trim().is_empty() {
                let (gateway, path) = (&gateway, path.as_str());
                scope.spawn(move || answer(gateway, path, &line));
            }
        }
        Ok(Exit::Clean)
    })
}

/// Passes one message on, and its answer back. What is no request gets none.
fn answer(gateway: &Gateway, path: &str, line: &str) {
    let Ok(message) = serde_json::from_str::<Value>(line) else {
        return say(&error(&Value::Null, PARSE_ERROR, "this line is not JSON"));
    };
    let id = message.get("id").unwrap_or(&Value::Null);
    match gateway.pass_on(path, line, &headers(&message)) {
        Ok((200, answer)) => say(answer.trim()),
        Ok((202, _)) => {}
        // Other answers of the protocol are errors in its own form; those of moonwa are not.
        Ok((_, answer)) if answer.contains("\"jsonrpc\"") => say(answer.trim()),
        Ok((status, answer)) => {
            let problem: Value = serde_json::from_str(&answer).unwrap_or_default();
            let why = ["detail", "title"].iter().find_map(|key| problem.get(*key)?.as_str());
            let why = why.map_or_else(|| format!("moonwa answered {status}"), str::to_owned);
            refuse(id, &why);
        }
        Err(error) => refuse(id, &format!("{error:#}")),
    }
}

fn refuse(id: &Value, why: &str) {
    if id.is_null() {
        complain(&format!("moonwa: {why}"));
    } else {
        say(&error(id, INTERNAL_ERROR, why));
    }
}

fn error(id: &Value, code: i32, message: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string()
}

/// What newer versions of the protocol want to have said in HTTP's headers as well.
fn headers(message: &Value) -> Vec<(&'static str, String)> {
    let text = |path: &str| message.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let version = text("/params/_meta/io.modelcontextprotocol~1protocolVersion");
    let mut headers = Vec::new();
    if let Some(version) = version {
        headers.push(("mcp-protocol-version", version));
        headers.extend(text("/method").map(|method| ("mcp-method", method)));
        headers.extend(text("/params/name").map(|name| ("mcp-name", name)));
    }
    headers
}
