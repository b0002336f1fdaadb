//! What `.github/migrate.md` says of each face is so: every operation in its tables is offered, and every story that it
//! names is there. What is not in them answers 501, and `moonwa doctor` tells of it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use hyper::Method;
use moonwa_simulator::harness::{Moonwa, api_key};
use serde_json::{Value, json};

use super::support::{BOSS, Program, Story, basic, speak};

fn read(path: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The cells of the table for one product.
fn rows(product: &str) -> Result<Vec<[String; 3]>> {
    let page = read(".github/migrate.md")?;
    let section = page.split("\n## From ").find(|section| section.starts_with(product));
    let lines = section.context("no such section")?.lines();
    let rows = lines.filter(|line| line.starts_with("| ")).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        <[&str; 3]>::try_from(cells).map(|cells| cells.map(str::to_owned))
    });
    let rows: Result<Vec<_>, _> = rows.skip(1).collect();
    rows.ok().context("a row has three cells")
}

/// What stands in backticks.
fn words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Asks for every operation of the table, of a linked device.
async fn everything_is_offered(face: &str, product: &str, numbers: [&str; 2]) -> Result<()> {
    let story = Story::start(face, numbers).await?;
    let header = match face {
        "waha" => ("x-api-key", BOSS.to_owned()),
        "gowa" => ("authorization", basic(BOSS)),
        "evolution" => ("apikey", BOSS.to_owned()),
        _ => ("token", BOSS.to_owned()),
    };
    let program = Program::new(&story.moonwa, &[(header.0, header.1.as_str())]);
    let mut asked = 0;
    for [operations, ..] in rows(product)? {
        let of_method = |word: &str| {
            let (method, path) = word.split_once(' ')?;
            Some((Method::from_bytes(method.as_bytes()).ok()?, path.to_owned()))
        };
        for (method, path) in words(&operations).filter_map(of_method) {
            let mut path = path.replace("{message}", "3EB0ABCDEF").replace("{group}", "1203@g.us");
            path = path.replace("{chat}", &format!("{}@c.us", story.bob.number()));
            for device in ["{session}", "{device}", "{instance}"] {
                path = path.replace(device, "toko");
            }
            let kind = if method == Method::GET { "" } else { "application/json" };
            let body = if method == Method::GET { "" } else { "{}" };
            let answer = program.ask(method.clone(), &path, kind, body.into()).await?;
            // A message or a group that is not known, or a code that is not shown, is not found.
            let named = ["3EB0", "1203", "qrcode"].iter().any(|word| path.contains(word));
            assert!(
                answer.status != 501 && (answer.status != 404 || named),
                "{method} {path}: {}",
                answer.text()
            );
            asked += 1;
        }
    }
    assert!(asked > 15, "{face}: {asked} operations");
    story.stop().await
}

#[tokio::test]
async fn every_operation_of_waha_in_the_table_is_offered() -> Result<()> {
    everything_is_offered("waha", "WAHA", ["310181", "310182"]).await
}

#[tokio::test]
async fn every_operation_of_gowa_in_the_table_is_offered() -> Result<()> {
    everything_is_offered("gowa", "GOWA", ["300181", "300182"]).await
}

#[tokio::test]
async fn every_operation_of_evolution_in_the_table_is_offered() -> Result<()> {
    everything_is_offered("evolution", "Evolution API", ["301181", "301182"]).await
}

#[tokio::test]
async fn every_operation_of_wuzapi_in_the_table_is_offered() -> Result<()> {
    everything_is_offered("wuzapi", "wuzapi", ["302181", "302182"]).await
}

#[test]
fn every_row_of_the_tables_names_a_story_that_is_there() -> Result<()> {
    for product in ["WAHA", "GOWA", "Evolution API", "wuzapi"] {
        for [what, _, stories] in rows(product)? {
            assert!(words(&stories).next().is_some(), "{product}: nothing shows {what}");
            let mut told = String::new();
            for story in words(&stories) {
                let (room, name) = story.rsplit_once("::").context("a path")?;
                let file = read(&format!("tests/it/{}.rs", room.replace("::", "/")))?;
                let rest = file.split_once(&format!("fn {name}() -> Result<()>"));
                let body = rest.and_then(|(_, rest)| rest.split("\n}\n").next());
                told.push_str(body.with_context(|| format!("{product}: there is no {story}"))?);
            }
            // The last step of an operation's path, or an event's name, stands in one of them.
            for word in words(&what) {
                let step = match word.split_once(" /") {
                    Some((_, path)) => path.rsplit('/').find(|step| !step.starts_with('{')),
                    None => Some(word).filter(|_| what.starts_with("event")),
                };
                let shown = step.is_none_or(|step| told.contains(step));
                assert!(shown, "{product}: no story of that row is about {word}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_each_face_lacks_is_remembered_and_told() -> Result<()> {
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).device("toko", &[]).start().await?;
    speak(&moonwa, &["waha", "gowa", "evolution", "wuzapi"]).await?;
    let key = api_key("toko");
    // Whose key it is, what is asked for, how it is remembered, and what the refusal has in that product's form.
    let table = [
        (
            "waha",
            ("x-api-key", key.clone()),
            "/api/toko/chats/overview",
            "GET /api/toko/chats/overview",
            "/statusCode",
            json!(501),
        ),
        (
            "gowa",
            ("authorization", basic(&key)),
            "/user/avatar?phone=628123456789",
            "GET /user/avatar",
            "/code",
            json!("NOT_IMPLEMENTED"),
        ),
        (
            "evolution",
            ("apikey", key.clone()),
            "/instance/setPresence/toko",
            "GET /instance/setPresence/toko",
            "/error",
            json!("Not Implemented"),
        ),
        (
            "wuzapi",
            ("token", key.clone()),
            "/user/contacts",
            "GET /user/contacts",
            "/code",
            json!(501),
        ),
    ];
    for (face, (header, value), path, _, field, wanted) in &table {
        let program = Program::new(&moonwa, &[(header, value.as_str())]);
        let refused = program.get(path).await?.expect(501).json();
        assert_eq!(refused.pointer(field), Some(wanted), "{face}: {refused}");
    }
    let list = moonwa.admin().get("/v1/faces").await?.expect(200).json()["not_offered"].clone();
    let (_, doctor) = moonwa.command(&["doctor"]).await?;
    for (face, _, _, operation, ..) in &table {
        let known = |want: &Value| want["face"] == *face && want["operation"] == *operation;
        assert!(list.as_array().is_some_and(|list| list.iter().any(known)), "{operation}: {list}");
        let line = format!("{face}: {operation} is not offered, and was asked for");
        assert!(doctor.contains(&line), "{line}: {doctor}");
    }
    moonwa.stop().await?;
    Ok(())
}
