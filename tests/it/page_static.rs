//! What can be said about the admin page without a browser: both languages say every word and every word is used,
//! nothing in it needs a looser content policy than the strict one, and every name points at something.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use http_body_util::Full;
use hyper::Method;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, Reply};
use serde_json::Value;

/// The kinds of file the page may consist of.
const KINDS: [&str; 5] = ["html", "js", "css", "svg", "json"];

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("web")
}

/// Every asset by its path below `web/`. The API's description lies there too, but is no part of the page.
fn assets() -> BTreeMap<String, String> {
    fn walk(dir: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(web()).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                walk(&path, found);
            } else if name != "openapi.json" {
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&web(), &mut found);
    found
}

/// What follows the last dot of a name.
fn kind(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

fn scripts() -> BTreeMap<String, String> {
    assets().into_iter().filter(|(name, _)| kind(name) == "js").collect()
}

/// All style sheets, one after another.
fn styles() -> String {
    assets().into_iter().filter(|(name, _)| kind(name) == "css").map(|(_, text)| text).collect()
}

/// The words of each key in English and in Indonesian. Each line of the table is an entry as JSON has them.
fn words() -> BTreeMap<String, [String; 2]> {
    let text = fs::read_to_string(web().join("words.js")).unwrap();
    let (_, table) = text.split_once("export default {\n").unwrap();
    let (table, _) = table.split_once("};").unwrap();
    let mut words = BTreeMap::new();
    for line in table.lines().map(str::trim) {
        if line.starts_with("//") {
            continue;
        }
        let entry = line.strip_suffix(',').expect(line);
        let entry: BTreeMap<String, [String; 2]> =
            serde_json::from_str(&format!("{{{entry}}}")).expect(line);
        for (key, both) in entry {
            assert!(both.iter().all(|text| !text.trim().is_empty()), "{key} says nothing");
            let earlier = words.insert(key.clone(), both);
            assert!(earlier.is_none(), "{key} stands twice");
        }
    }
    words
}

/// What each request of the reference is for in Indonesian, by its operation's id.
fn summaries() -> BTreeMap<String, String> {
    let text = fs::read_to_string(web().join("summaries.js")).unwrap();
    let (_, table) = text.split_once("export default {\n").unwrap();
    let (table, _) = table.split_once(",\n};").unwrap();
    let lines: Vec<&str> = table.lines().collect();
    let summaries: BTreeMap<_, _> = serde_json::from_str(&format!("{{{table}}}")).unwrap();
    assert_eq!(summaries.len(), lines.len(), "one stands twice");
    summaries
}

/// What stands between `before` and `after`, at each place.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split_once(after).map(|(name, _)| name))
        .collect()
}

/// The values of an attribute, quoted or not.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=");
    let value = |rest: &'a str| match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([' ', '>', '\n']).next(),
    };
    page.split(&start).skip(1).filter_map(value).collect()
}

fn placeholders(text: &str) -> BTreeSet<&str> {
    between(text, "{", "}").into_iter().collect()
}

#[test]
fn both_languages_say_the_same_things() {
    // Controls and names that docs.moonwa.id gives, and words that both languages have. All others are translated.
    const ALIKE: [&str; 15] = [
        "settings",
        "status",
        "compat.gowa",
        "compat.waha",
        "device.logout_q",
        "field.emoji",
        "kind.audio",
        "kind.sticker",
        "kind.video",
        "nav.config",
        "nav.devices",
        "nav.send",
        "nav.webhooks",
        "settings.format",
        "settings.secret",
    ];
    let words = words();
    assert!(words.len() > 200, "the dictionary was not read");
    for (key, [en, id]) in &words {
        assert_eq!(placeholders(id), placeholders(en), "{key}");
        assert!(en != id || ALIKE.contains(&key.as_str()), "{key} is in one language only");
    }
}

#[test]
fn every_request_of_the_reference_has_words_in_both_languages() {
    let text = fs::read_to_string(web().join("openapi.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let methods = document["paths"].as_object().unwrap().values();
    let operations = methods.flat_map(|methods| methods.as_object().unwrap().values());
    let (words, mut summaries) = (words(), summaries());
    for operation in operations {
        let group = format!("api.group.{}", operation["tags"][0].as_str().unwrap());
        assert!(words.contains_key(&group), "web/words.js lacks {group}");
        let id = operation["operationId"].as_str().unwrap();
        let indonesian = summaries.remove(id);
        let indonesian = indonesian.unwrap_or_else(|| panic!("web/summaries.js lacks {id}"));
        assert!(!indonesian.trim().is_empty(), "{id} says nothing");
        assert_ne!(operation["summary"], indonesian, "{id} is in one language only");
    }
    assert!(summaries.is_empty(), "openapi.json has no {summaries:?}");
}

#[test]
fn every_word_asked_for_exists_and_every_word_is_asked_for() {
    // What the documentation calls so in both languages stands in the code.
    const DOCUMENTED: [&str; 1] = ["Session Name"];
    let words = words();
    let mut asked = BTreeSet::new();
    let mut families = BTreeSet::new();
    for (name, script) in scripts().iter().filter(|(name, _)| name.as_str() != "words.js") {
        // A key made up of parts is known by its beginning: t(`r.${reason}`).
        for part in script.split('`') {
            if let Some((family, _)) = part.split_once("${") {
                families.insert(family.to_owned());
            }
        }
        families.extend(between(script, "say(\"", "\"").into_iter().map(|f| format!("{f}.")));
        for literal in script.split('"') {
            if words.contains_key(literal) {
                asked.insert(literal.to_owned());
            }
        }
        for before in [" t(\"", "(t(\"", "[t(\"", "\tt(\""] {
            for key in between(script, before, "\"") {
                assert!(words.contains_key(key), "{name} asks for {key}");
            }
        }
        for table in between(script, "HEADS = [", "]") {
            for key in table.split('"').skip(1).step_by(2) {
                assert!(words.contains_key(key) || DOCUMENTED.contains(&key), "{name}: {key}");
            }
        }
    }
    let families: Vec<_> = families.into_iter().filter(|f| f.ends_with(['.', '_'])).collect();
    for key in words.keys() {
        let key = key.trim_end_matches(".one");
        assert!(
            asked.contains(key) || families.iter().any(|family| key.starts_with(family.as_str())),
            "nobody asks for {key}"
        );
    }
}

/// The sentences about moonwa.toml, in English and in Indonesian. Each line of the table is an entry as JSON has them.
fn problems() -> Vec<[String; 2]> {
    let text = fs::read_to_string(web().join("problems.js")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("\t["));
    lines.map(|line| serde_json::from_str(line.trim().trim_end_matches(',')).unwrap()).collect()
}

/// The texts of a source file, as they are written.
fn texts(source: &str) -> Vec<String> {
    let (source, _tests) = source.split_once("#[cfg(test)]").unwrap_or((source, ""));
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n").replace("'\"'", "' '");
    let (mut found, mut rest) = (Vec::new(), code.as_str());
    while let Some((_, text)) = rest.split_once('"') {
        let mut escaped = false;
        let end = text.find(|c| {
            let is_end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        let (text, after) = text.split_at(end.unwrap());
        let joined = text.split("\\\n").map(|line| line.trim_start_matches([' ', '\n']));
        found.push(joined.collect::<String>().replace("\\\"", "\""));
        rest = &after[1..];
    }
    found
}

/// A sentence with {} for each value that is put in.
fn with_gaps(text: &str) -> String {
    let mut parts = text.split('{');
    let mut sentence = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((name, rest)) if !name.contains(' ') => sentence.extend(["{}", rest]),
            _ => sentence.extend(["{", part]),
        }
    }
    sentence
}

#[test]
fn every_problem_of_moonwa_toml_has_words_in_both_languages() {
    // No sentences about a file: what stands for a secret, what the parser says, and what ends with a unit.
    const OTHERS: [&str; 4] =
        ["(as before, not shown)", "duplicate key", "at least {}s", "at most {}s"];
    const BROWSERS: [&str; 4] = ["Chrome (", "Edge (", "Firefox (", "Safari ("];
    let table = problems();
    assert!(table.len() > 150, "the table was not read");
    let known: BTreeSet<&str> = table.iter().map(|[english, _]| english.as_str()).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join("config/proxy.rs"), root.join("model/phone.rs")];
    files.extend(fs::read_dir(root.join("config/read")).unwrap().map(|file| file.unwrap().path()));
    let mut wordless = Vec::new();
    let mut sources = String::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        for text in texts(&source) {
            for sentence in with_gaps(&text).split("; ") {
                sources.extend([sentence, "\n"]);
                let letters = sentence.replace("{}", "");
                let is_sentence = letters.trim().contains(' ')
                    && letters.chars().filter(|c| c.is_alphabetic()).count() > 3;
                let skipped = OTHERS.contains(&sentence)
                    || BROWSERS.iter().any(|browser| sentence.starts_with(browser));
                if is_sentence && !skipped && !known.contains(sentence) {
                    wordless.push(sentence.to_owned());
                }
            }
        }
    }
    assert!(wordless.is_empty(), "web/problems.js lacks {wordless:#?}");

    // Nothing is translated that nobody says. Two files say one thing each about moonwa.toml, and the system says some.
    for file in ["config/diff/mod.rs", "model/device.rs"] {
        let source = fs::read_to_string(root.join(file)).unwrap();
        sources += &texts(&source).iter().map(|text| with_gaps(text) + "\n").collect::<String>();
    }
    let said = |english: &str| {
        english.ends_with(')') && english.contains("(os error ")
            || english.split("{}").all(|part| sources.contains(part))
    };
    let unsaid: Vec<_> = known.into_iter().filter(|english| !said(english)).collect();
    assert!(unsaid.is_empty(), "nobody says {unsaid:#?}");
    for [english, indonesian] in table {
        let gaps = |text: &str| text.matches("{}").count();
        assert_eq!(gaps(&english), gaps(&indonesian), "{english}");
        assert_ne!(english, indonesian);
    }
}

/// What openapi.json lets a field of a schema be.
fn choices(schema: &str) -> Vec<String> {
    let text = fs::read_to_string(web().join("openapi.json")).unwrap();
    let book: Value = serde_json::from_str(&text).unwrap();
    let list = book.pointer(&format!("/components/schemas/{schema}/enum")).unwrap();
    serde_json::from_value(list.clone()).unwrap()
}

#[test]
fn every_code_of_the_server_has_words_in_both_languages() {
    let words = words();
    let all = [
        ("error", "Problem/properties/code"),
        ("attempt", "DeliveryCode"),
        ("progress", "MessageStatus"),
    ];
    for (family, schema) in all {
        let codes = choices(schema);
        assert!(codes.len() > 5, "{schema} was not read");
        for code in codes {
            assert!(
                words.contains_key(&format!("{family}.{code}")),
                "no words for {family}.{code}"
            );
        }
    }
}

/// What goes over the wire has no comments, which are known by how a line begins.
#[test]
fn no_text_of_a_script_runs_over_several_lines() {
    for (name, script) in scripts() {
        let mut lines = script.lines().map(str::trim_start);
        let mixed =
            lines.find(|line| !line.starts_with(['/', '*']) && line.matches('`').count() % 2 == 1);
        assert_eq!(mixed, None, "{name}");
    }
}

#[test]
fn text_only_enters_as_text() {
    for (name, script) in scripts() {
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "DOMParser",
            "srcdoc",
            "createContextualFragment",
            "javascript:",
            ".onclick",
        ] {
            assert!(!script.contains(sink), "{name} uses {sink}");
        }
    }
}

#[test]
fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
    let assets = assets();
    let page = &assets["index.html"];
    for tag in between(page, "<", ">") {
        for attribute in tag.split_ascii_whitespace().skip(1) {
            let name = attribute.split_once('=').map_or("", |(name, _)| name);
            assert!(!name.starts_with("on"), "a handler in <{tag}>");
            assert!(name != "style", "a style in <{tag}>");
        }
        assert!(!tag.starts_with("style"), "a style sheet in the page");
        assert!(!tag.starts_with("script") || tag.contains(" src="), "a script in the page");
        for address in values(tag, "src").into_iter().chain(values(tag, "href")) {
            // Relative, so that the page also works below a path.
            let known = ["v1/session", "openapi.json"].contains(&address);
            assert!(
                known || address.starts_with('#') || assets.contains_key(address),
                "{address} is no asset of the page"
            );
        }
    }
    let style = styles();
    assert!(
        !style.contains("url(") && !style.contains("@import"),
        "the style sheet fetches something"
    );
    for (name, script) in scripts() {
        let folder = Path::new(&name).parent().unwrap();
        for (before, after) in [(" from \"", "\""), ("import(\"", "\"")] {
            for import in between(&script, before, after) {
                assert!(
                    import.starts_with("./") || import.starts_with("../"),
                    "{name} imports {import}"
                );
                let target = web().join(folder).join(import);
                assert!(target.exists(), "{name} imports {import}, which is not there");
            }
        }
    }
}

#[test]
fn every_icon_class_and_view_is_there() {
    let assets = assets();
    let code: String = scripts()
        .into_iter()
        .filter(|(name, _)| name != "words.js" && name != "icons.js")
        .map(|(_, text)| text)
        .collect();
    let icons: BTreeSet<_> = assets["icons.js"]
        .lines()
        .filter_map(|line| line.strip_prefix('\t')?.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    assert!(icons.len() > 20, "the icons were not read");
    let literals: BTreeSet<_> = code.split('"').collect();
    let shorthand = |icon: &str| code.contains(&format!(" {icon}: \""));
    for icon in &icons {
        assert!(literals.contains(icon) || shorthand(icon), "nobody uses the icon {icon}");
    }
    for before in ["icon(\"", "tool(\"", "empty(\""] {
        for icon in between(&code, before, "\"") {
            assert!(icons.contains(icon), "no icon {icon}");
        }
    }
    for before in ["pill(\"", "button(\""] {
        for icon in between(&code, before, ", t(") {
            let icon = icon.split('"').nth(2).unwrap_or_default();
            assert!(icon.is_empty() || icons.contains(icon), "no icon {icon}");
        }
    }
    // Every class of the style sheet is given to something.
    let style = styles();
    let selectors: String = style.split('}').filter_map(|rule| rule.split('{').next()).collect();
    for part in selectors.split('.').skip(1) {
        let class: String = part.chars().take_while(char::is_ascii_alphabetic).collect();
        let given = [
            format!(".{class}"),
            format!("\"{class}\""),
            format!("{class}:"),
            format!("`{class}"),
            format!("\"{class} "),
        ];
        assert!(
            class.is_empty() || given.iter().any(|given| code.contains(given.as_str())),
            "nothing is .{class}"
        );
    }
    // The views are fetched by their names.
    let views = between(&assets["app.js"], "NAV = [", "]").concat() + "\"device\"";
    let names: Vec<_> = views.split('"').skip(1).step_by(2).collect();
    assert!(names.len() > 5, "the views were not read");
    for name in names {
        assert!(assets.contains_key(&format!("view/{name}.js")), "no view {name}");
    }
}

#[test]
fn only_known_kinds_of_file_and_none_too_long_to_read() {
    let assets = assets();
    for (name, text) in &assets {
        assert!(KINDS.contains(&kind(name)), "{name} is of no kind the server knows");
        let table = name == "words.js";
        assert!(table || text.lines().count() <= 400, "{name} has more than 400 lines");
    }
}

/// What an answer takes on the wire: its head, and its body as it is sent.
fn wire_size(reply: &Reply) -> usize {
    let head: usize =
        reply.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    head + reply.body.len()
}

#[tokio::test]
async fn the_page_is_light_on_the_wire() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).start().await?;
    let assets = assets();
    let page = &assets["index.html"];
    let named = [values(page, "href"), values(page, "src")].concat();
    let (mut first, mut all) = (0, 0);
    for name in assets.keys().map(String::as_str).chain(["openapi.json"]) {
        let anyone = moonwa.anyone();
        let request = anyone.request(Method::GET, &format!("/{name}"));
        let request = request.header("accept-encoding", "gzip, deflate, br, zstd");
        let reply = anyone.send(request.body(Full::default())?).await?.expect(200);
        let size = wire_size(&reply);
        all += size;
        if name == "index.html" || named.contains(&name) && name != "openapi.json" {
            first += size;
        }
    }
    println!("on the wire: first view {first} bytes, everything {all} bytes");
    assert!(first <= 45_000, "the first view takes {first} bytes");
    // The inbox, which is fetched when it is opened, took it from 110,000.
    assert!(all <= 145_000, "everything takes {all} bytes");
    moonwa.stop().await?;
    Ok(())
}

/// Whoever edits the page writes comments and indents; who loads it gets neither, and every line where it was written.
#[tokio::test]
async fn what_is_served_is_what_was_written_without_comments() -> Result<()> {
    let sim = Simulator::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa")).whatsapp(&sim).start().await?;
    let mut emptied = 0;
    for (name, written) in assets() {
        let served = moonwa.anyone().get(&format!("/{name}")).await?.expect(200).text();
        match kind(&name) {
            "js" | "css" => {
                assert_eq!(served.lines().count(), written.lines().count(), "{name}");
                for (served, written) in served.lines().zip(written.lines()) {
                    let written = written.trim_start();
                    if served != written {
                        emptied += 1;
                        let comment =
                            ["//", "/*", "*"].iter().any(|start| written.starts_with(start));
                        assert!(served.is_empty() && comment, "{name}: {written}");
                    }
                }
            }
            "json" => {
                let [served, written] =
                    [&served, &written].map(|text| serde_json::from_str::<Value>(text));
                assert_eq!(served?, written?, "{name}");
            }
            _ => assert_eq!(served, written, "{name}"),
        }
    }
    assert!(emptied > 50, "{emptied} comments were emptied");
    moonwa.stop().await?;
    Ok(())
}

#[test]
fn the_first_view_is_three_requests_deep() {
    // The page; what it names: style, modules, session; and what app.js asks for then: devices, live stream.
    let assets = assets();
    let page = &assets["index.html"];
    let named = [values(page, "href"), values(page, "src")].concat();
    let mut reached = BTreeSet::from(["app.js".to_owned()]);
    let mut open = vec!["app.js".to_owned()];
    while let Some(name) = open.pop() {
        let folder = Path::new(&name).parent().unwrap();
        for import in between(&assets[&name], " from \"", "\"") {
            let path = folder.join(import);
            let mut plain = PathBuf::new();
            for part in path.components() {
                match part {
                    std::path::Component::ParentDir => drop(plain.pop()),
                    std::path::Component::Normal(name) => plain.push(name),
                    _ => {}
                }
            }
            let target = plain.to_str().unwrap().to_owned();
            if reached.insert(target.clone()) {
                open.push(target);
            }
        }
    }
    for module in &reached {
        assert!(named.contains(&module.as_str()), "{module} is found only after app.js was read");
    }
    assert!(named.contains(&"v1/session"), "who is there is asked at once");
}
