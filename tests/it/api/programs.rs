//! What people's programs really post, by those programs: of each what they write, and what becomes of it.

use anyhow::Result;
use moonwa_simulator::Simulator;
use moonwa_simulator::harness::{Moonwa, api_key};
use serde_json::Value;

use super::readme::run;

/// Posts what `%` stands for with PHP's curl, as forums and shops' plugins show it.
const PHP: &str = r"<?php
[, $url, $key, $to, $text] = $argv;
$file = new CURLFile(__DIR__ . '/nota.txt');
$curl = curl_init($url);
curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_POST => true, %]);
echo curl_exec($curl);
";

/// The options of PHP's curl.
const BY_PHP: [&str; 6] = [
    "CURLOPT_POSTFIELDS => ['api_key' => $key, 'receiver' => $to, 'data[message]' => $text]",
    "CURLOPT_POSTFIELDS => ['api_key' => $key, 'receiver' => $to, 'data' => json_encode(['message' => $text])]",
    "CURLOPT_POSTFIELDS => http_build_query(['api_key' => $key, 'receiver' => $to, 'data' => ['message' => $text]])",
    "CURLOPT_POSTFIELDS => json_encode(['api_key' => $key, 'receiver' => $to, 'data' => ['message' => $text]])",
    "CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
     CURLOPT_POSTFIELDS => json_encode(['api_key' => $key, 'receiver' => (int) $to, 'data' => ['message' => $text]])",
    "CURLOPT_HTTPHEADER => [\"Authorization: Bearer $key\"],
     CURLOPT_POSTFIELDS => \"\\u{FEFF}\" . json_encode(['to' => $to, 'message' => $text])",
];

/// The arguments of curl; K, T and N stand for the key, the receiver and the text.
const BY_CURL: [&[&str]; 8] = [
    &["-d", "api_key=K", "-d", "receiver=T", "-d", "data[message]=N"],
    &["-d", "api_key=K", "-d", "receiver=+T", "--data-urlencode", "message=N"],
    &["-d", r#"{"api_key":"K","receiver":"T","data":{"message":"N"}}"#],
    &["--json", r#"{"api_key":"K","receiver":T,"data":{"message":"N"}}"#],
    &["-F", "api_key=K", "-F", "receiver=T", "-F", "data[message]=N"],
    &["-F", "api_key=K", "-F", "receiver=T", "-F", "message=N;type=text/plain;charset=utf-8"],
    &["-F", "api_key=K", "-F", "to=T", "-F", r#"data={"message":"N"};type=application/json"#],
    &["-H", "X-Api-Key: K", "-F", "number=T", "-F", "text=N"],
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl, and php with its curl; .ci/run installs them"]
async fn what_curl_and_php_post_is_understood() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555500121", "Ann").await, sim.phone("628555500122", "Bob").await);
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let directory = tempfile::tempdir()?;
    let dir = directory.path();
    std::fs::write(dir.join("nota.txt"), "lunas")?;
    let (key, to) = (api_key("toko"), bob.number());
    let url = |path: &str| format!("http://{}{path}", moonwa.address());
    let curl = async |path: &str, arguments: &[&str], text: &str| {
        let filled = |argument: &&str| {
            argument
                .replace("=K", &format!("={key}"))
                .replace(" K", &format!(" {key}"))
                .replace("\"K\"", &format!("\"{key}\""))
                .replace("=T", &format!("={to}"))
                .replace("+T", &format!("%2B{to}"))
                .replace(":T", &format!(":{to}"))
                .replace("\"T\"", &format!("\"{to}\""))
                .replace("=N", &format!("={text}"))
                .replace("\"N\"", &format!("\"{text}\""))
        };
        let arguments: Vec<String> = arguments.iter().map(filled).collect();
        let url = url(path);
        let mut all = vec!["--silent", &url];
        all.extend(arguments.iter().map(String::as_str));
        run("curl", &all, dir).await
    };
    let php = async |path: &str, options: &str, text: &str| {
        std::fs::write(dir.join("post.php"), PHP.replace('%', options))?;
        run("php", &["post.php", &url(path), &key, to, text], dir).await
    };

    for (n, arguments) in BY_CURL.iter().enumerate() {
        let text = format!("curl {n} ✓");
        let told = curl("/api/send-message", arguments, &text).await?;
        assert!(told.starts_with(r#"{"status":true"#), "{arguments:?}: {told}");
        bob.expect_text(&text).await?;
    }
    for (n, options) in BY_PHP.iter().enumerate() {
        let text = format!("php {n} ✓");
        let told = php("/api/send-message", options, &text).await?;
        assert!(told.starts_with(r#"{"status":true"#), "{options}: {told}");
        bob.expect_text(&text).await?;
    }

    // A file belongs elsewhere, and is taken there.
    let form = "CURLOPT_POSTFIELDS => ['api_key' => $key, 'receiver' => $to, 'file' => $file]";
    let by_php = php("/api/send-media", form, "").await?;
    let by_curl = ["-F", "api_key=K", "-F", "receiver=T", "-F", "file=@nota.txt"];
    for told in [by_php, curl("/api/send-media", &by_curl, "").await?] {
        assert!(told.contains("/v1/devices/{device}/messages"), "{told}");
    }
    let messages = "/v1/devices/toko/messages?wait=20s";
    let form = "CURLOPT_HTTPHEADER => [\"Authorization: Bearer $key\"],
        CURLOPT_POSTFIELDS => ['to' => $to, 'kind' => 'document', 'file' => $file]";
    let by_php = php(messages, form, "").await?;
    let by_curl = ["-H", "Authorization: Bearer K", "-F", "to=T", "-F", "kind=document", "-F"];
    let by_curl = [&by_curl[..], &["file=@nota.txt"]].concat();
    for told in [by_php, curl(messages, &by_curl, "").await?] {
        let told: Value = serde_json::from_str(&told)?;
        let id = told["id"].as_str().unwrap_or_default();
        let got = bob.wait_inbox(0, |item| item.message().is_some_and(|m| m.id == id)).await?;
        let got = got.message().expect("a message").message.clone();
        let document = got.document_message.as_option().expect("a document");
        assert_eq!(document.file_name.as_deref(), Some("nota.txt"), "{told}");
        assert_eq!(bob.media(&got)?, b"lunas");
    }
    moonwa.stop().await?;
    Ok(())
}
