//! Receivers can verify who wrote: the official libraries of Standard Webhooks in three languages, and for the headers
//! of other products a few lines in two of them that share nothing with ours, take what was really delivered and
//! refuse a body that was changed on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use moonwa::facade::config::{Compat, EndpointConfig};
use moonwa::facade::model::Secret;

use super::fixture::{FAST, Gate, endpoint};
use super::receiver::{Hit, OK, Receiver};

const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OLD: &str = "whsec_bW9vbndhIHVzZWQgdGhpcyBvbmUgYmVmb3JlIQ==";
const PLAIN: &str = "a plain secret of at least 24 bytes";
const STRANGER: &str = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCwgbm90IG91cnM=";

/// What a receiver that knows `secret` got, and whether it must believe it.
struct Claim {
    scheme: &'static str,
    secret: &'static str,
    hit: Hit,
    genuine: bool,
}

impl Claim {
    /// One JSON object on a line, as the scripts read it.
    fn line(&self) -> String {
        let headers = self.hit.headers.iter();
        let headers: BTreeMap<_, _> =
            headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let body = str::from_utf8(&self.hit.body).unwrap();
        let claim = serde_json::json!({
            "scheme": self.scheme, "secret": self.secret, "headers": headers, "body": body,
        });
        format!("{claim}\n")
    }
}

/// One event as it arrives at an endpoint with those secrets.
async fn delivered(secrets: &[&str]) -> Hit {
    let gate = Gate::open(FAST).await;
    let receiver = Receiver::start(&gate.tasks, |_| OK).await;
    let signed = EndpointConfig {
        secrets: secrets.iter().copied().map(Secret::new).collect(),
        compat: BTreeSet::from([Compat::Waha, Compat::Gowa]),
        ..endpoint(&receiver.url)
    };
    gate.configure(&[signed]).await;
    gate.say(&["halo, apa kabar? \u{1f334} \"é\"\n"]).await;
    let hits = receiver.until(|hits| !hits.is_empty()).await;
    gate.close().await;
    hits[0].clone()
}

/// The genuine delivery; the same with another body; the same for a receiver with another secret.
fn claims_of(scheme: &'static str, secret: &'static str, hit: &Hit) -> [Claim; 3] {
    let text = str::from_utf8(&hit.body).unwrap();
    let tampered = Hit { body: text.replacen("halo", "hola", 1).into(), ..hit.clone() };
    assert_ne!(tampered.body, hit.body);
    [
        Claim { scheme, secret, hit: hit.clone(), genuine: true },
        Claim { scheme, secret, hit: tampered, genuine: false },
        Claim { scheme, secret: STRANGER, hit: hit.clone(), genuine: false },
    ]
}

/// One secret, two while the receiver moves from the old one to the new one, and one that is not Standard Webhooks'.
async fn claims() -> Vec<Claim> {
    let one = delivered(&[NEW]).await;
    let rotating = delivered(&[NEW, OLD]).await;
    let plain = delivered(&[PLAIN]).await;
    let standard = [(NEW, &one), (NEW, &rotating), (OLD, &rotating), (PLAIN, &plain)];
    let standard = standard.iter().flat_map(|(secret, hit)| claims_of("standard", secret, hit));
    // The other products know one secret: the first.
    let compat = [
        ("waha", NEW, &rotating),
        ("gowa", NEW, &rotating),
        ("waha", PLAIN, &plain),
        ("gowa", PLAIN, &plain),
    ];
    let compat = compat.iter().flat_map(|(scheme, secret, hit)| claims_of(scheme, secret, hit));
    standard.chain(compat).collect()
}

#[tokio::test]
async fn the_library_for_rust_believes_us() {
    let claims = claims().await;
    let standard = claims.iter().filter(|claim| claim.scheme == "standard");
    for Claim { secret, hit, genuine, .. } in standard {
        let webhook = if secret.starts_with("whsec_") {
            standardwebhooks::Webhook::new(secret)
        } else {
            standardwebhooks::Webhook::from_bytes(secret.as_bytes().to_vec())
        };
        let verdict = webhook.unwrap().verify(&hit.body, &hit.headers);
        assert_eq!(verdict.is_ok(), *genuine, "{secret}: {verdict:?}");
    }
}

#[tokio::test]
#[ignore = "needs the verifier of PyPI; .ci/run installs it and runs this"]
async fn the_library_for_python_believes_us() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/verifiers/python/bin/python");
    ask(Command::new(python).arg(root.join("tests/it/hooks_delivery/verifiers/verify.py"))).await;
}

#[tokio::test]
#[ignore = "needs node and the verifier of npm; .ci/run installs them and runs this"]
async fn the_library_for_javascript_believes_us() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("tests/it/hooks_delivery/verifiers/verify.cjs");
    let modules = root.join("target/verifiers/node_modules");
    ask(Command::new("node").env("NODE_PATH", modules).arg(script)).await;
}

/// What the script says of every claim, against what is so.
async fn ask(script: &mut Command) {
    let claims = claims().await;
    let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut script = script.expect("the verifiers: see .ci/run");
    let lines: String = claims.iter().map(Claim::line).collect();
    script.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = script.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let verdicts = String::from_utf8(output.stdout).unwrap();
    let verdicts: Vec<&str> = verdicts.lines().collect();
    assert_eq!(verdicts.len(), claims.len());
    for (claim, verdict) in claims.iter().zip(verdicts) {
        let right = if claim.genuine { "accepted" } else { "refused" };
        assert_eq!(verdict, right, "{} with {}", claim.scheme, claim.secret);
    }
}
