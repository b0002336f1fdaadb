//! Real Signal state on a real store, in a process that is killed again and again: no message key may be used twice, no
//! ratchet may be lost or go back. What the child writes to its standard output stands for the wire.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use data_encoding::HEXLOWER;
use rand::SeedableRng;
use rand::rngs::StdRng;
use wa_rs::async_trait;
use wa_rs::wacore::libsignal::protocol::{
    ChainKey, IdentityKey, KeyPair, ProtocolAddress, RootKey, SenderKeyDistributionMessage,
    SenderKeyName, SenderKeyRecord, SenderKeyStore, SessionRecord, SessionState,
    SignalProtocolError, create_sender_key_distribution_message, group_decrypt, group_encrypt,
    process_sender_key_distribution_message,
};
use wa_rs::wacore::store::SignalStoreCache;
use wa_rs::wacore::store::traits::SignalStore;

use crate::model::DeviceName;
use crate::store::{Store, StoreOptions};
use crate::whatsapp::session::SessionStore;

const CHILD: &str = "whatsapp::session::tests::durability::child";
const DIRECTORY: &str = "MOONWA_TEST_DURABILITY_DIR";
const NEXT: &str = "MOONWA_TEST_DURABILITY_NEXT";
const ROUNDS: u32 = 20;
/// Messages the peer sent before the test began.
const INCOMING: usize = 2000;

/// Sender keys the way the engine keeps them: in its cache, on our store.
struct Cached<'a> {
    cache: &'a SignalStoreCache,
    backend: &'a SessionStore,
}

#[async_trait]
impl SenderKeyStore for Cached<'_> {
    async fn store_sender_key(
        &mut self,
        name: &SenderKeyName,
        record: SenderKeyRecord,
    ) -> Result<(), SignalProtocolError> {
        self.cache.put_sender_key(name, record).await;
        Ok(())
    }

    async fn load_sender_key(
        &self,
        name: &SenderKeyName,
    ) -> Result<Option<SenderKeyRecord>, SignalProtocolError> {
        let record = self.cache.get_sender_key(name, self.backend).await;
        let record = record.map_err(|e| SignalProtocolError::BackendError("test", e.into()))?;
        Ok(record.map(|record| (*record).clone()))
    }
}

/// Sender keys of the peer, who never crashes.
#[derive(Default)]
struct Peer(Option<SenderKeyRecord>);

#[async_trait]
impl SenderKeyStore for Peer {
    async fn store_sender_key(
        &mut self,
        _name: &SenderKeyName,
        record: SenderKeyRecord,
    ) -> Result<(), SignalProtocolError> {
        self.0 = Some(record);
        Ok(())
    }

    async fn load_sender_key(
        &self,
        _name: &SenderKeyName,
    ) -> Result<Option<SenderKeyRecord>, SignalProtocolError> {
        Ok(self.0.clone())
    }
}

fn our_group() -> SenderKeyName {
    SenderKeyName::from_parts("120363000000080001@g.us", "15550008002@s.whatsapp.net:0")
}

fn their_group() -> SenderKeyName {
    SenderKeyName::from_parts("120363000000080001@g.us", "15550008003@s.whatsapp.net:0")
}

fn contact() -> ProtocolAddress {
    ProtocolAddress::new("15550008001", 1.into())
}

fn fresh_session() -> SessionRecord {
    let mut rng = StdRng::seed_from_u64(7);
    let local = IdentityKey::new(KeyPair::generate(&mut rng).public_key);
    let remote = IdentityKey::new(KeyPair::generate(&mut rng).public_key);
    let base = KeyPair::generate(&mut rng).public_key;
    let mut state = SessionState::new(3, &local, &remote, &RootKey::new([7; 32]), &base);
    state.set_sender_chain(&KeyPair::generate(&mut rng), &ChainKey::new([11; 32], 0));
    SessionRecord::new(state)
}

/// Takes the next message key of a session, as an encryption does.
fn spend(record: &mut SessionRecord) -> (u32, String) {
    let chain = record.session_state().unwrap().get_sender_chain_key().unwrap();
    let keys = chain.message_keys().generate_keys();
    let print = HEXLOWER.encode(&[keys.cipher_key().as_slice(), keys.iv()].concat());
    let next = chain.next_chain_key().unwrap();
    record.session_state_mut().unwrap().set_sender_chain_key(&next).unwrap();
    if chain.index() >= record.reserved_sender_chain_index() {
        record.reserve_sender_chain_counters(chain.index());
    }
    (chain.index(), print)
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

#[tokio::test]
#[ignore = "the process that the other test kills"]
async fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let dir = Path::new(&dir);
    let mut next: usize = std::env::var(NEXT).unwrap().parse().unwrap();
    let options = StoreOptions {
        path: dir.join("store"),
        power_safe: true,
        keep: Duration::from_secs(3600),
        max_size: 1 << 20,
    };
    let store = Store::open(options).await.unwrap();
    let session = SessionStore::new(store.space(&DeviceName::parse("a").unwrap()));
    let cache = SignalStoreCache::new();
    let mut keys = Cached { cache: &cache, backend: &session };
    let mut rng: StdRng = rand::make_rng();
    let text = std::fs::read_to_string(dir.join("incoming")).unwrap();
    let incoming: Vec<Vec<u8>> =
        text.lines().map(|line| HEXLOWER.decode(line.as_bytes()).unwrap()).collect();

    if !session.has_session(contact().as_str()).await.unwrap() {
        say("new");
        cache.put_session(&contact(), fresh_session()).await;
        create_sender_key_distribution_message(&our_group(), &mut keys, &mut rng).await.unwrap();
        let theirs = SenderKeyDistributionMessage::try_from(incoming[0].as_slice()).unwrap();
        process_sender_key_distribution_message(&their_group(), &theirs, &mut keys).await.unwrap();
        cache.flush(&session).await.unwrap();
        say("ready");
    }
    // What was taken must be known as taken.
    if next > 1 {
        let again = group_decrypt(&incoming[next - 1], &mut keys, &their_group()).await;
        let known = matches!(again, Err(SignalProtocolError::DuplicatedMessage(..)));
        say(&format!("{} {}", if known { "remembered" } else { "forgot" }, next - 1));
    }
    for turn in 0.. {
        let mut dm = cache.get_session(&contact(), &session).await.unwrap().unwrap();
        let (counter, print) = spend(&mut dm);
        cache.put_session(&contact(), dm).await;
        let group = group_encrypt(&mut keys, &our_group(), b"x", &mut rng).await.unwrap();
        if cache.needs_pre_wire_flush().await {
            cache.flush(&session).await.unwrap();
        }
        say(&format!("dm {counter} {print}"));
        say(&format!("group {}", group.iteration()));
        if turn % 9 == 8 && next < incoming.len() {
            match group_decrypt(&incoming[next], &mut keys, &their_group()).await {
                Ok(_) => {
                    cache.flush(&session).await.unwrap();
                    say(&format!("got {next}"));
                }
                Err(SignalProtocolError::DuplicatedMessage(..)) => say(&format!("had {next}")),
                Err(error) => say(&format!("lost {next} {error}")),
            }
            next += 1;
        }
    }
}

/// What the wire has seen so far.
#[derive(Default)]
struct Wire {
    lives: u32,
    dm: Vec<(u32, String)>,
    group: Vec<u32>,
    taken: usize,
    remembered: u32,
}

impl Wire {
    /// Judges one line of the child.
    fn see(&mut self, line: &str, first_take: &mut bool) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["new"] => assert!(self.dm.is_empty(), "the session was lost"),
            ["dm", counter, print] => {
                let counter = counter.parse().unwrap();
                if let Some((last, _)) = self.dm.last() {
                    assert!(counter > *last, "message key {counter} came after {last}");
                    // A crash burns at most what was leased.
                    assert!(counter - last <= 2 * 64 + 1, "from {last} to {counter}");
                }
                assert!(self.dm.iter().all(|(_, old)| old != print), "key {counter} was reused");
                self.dm.push((counter, (*print).to_owned()));
            }
            ["group", iteration] => {
                let iteration = iteration.parse().unwrap();
                assert!(
                    self.group.last().is_none_or(|last| iteration > *last),
                    "group {iteration}"
                );
                self.group.push(iteration);
            }
            ["got", n] => {
                assert_eq!(n.parse(), Ok(self.taken + 1));
                self.taken += 1;
                *first_take = false;
            }
            ["had", n] => {
                // Durable, but killed before it could say so: only the first one after a start can be.
                assert!(*first_take, "message {n} was taken by nobody");
                self.taken += 1;
                *first_take = false;
            }
            ["remembered", n] => {
                assert_eq!(n.parse(), Ok(self.taken));
                self.remembered += 1;
            }
            ["forgot" | "lost", ..] => panic!("{line}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn no_key_is_used_twice_and_no_ratchet_lost_however_often_it_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut peer = Peer::default();
    let mut rng: StdRng = rand::make_rng();
    let hello = create_sender_key_distribution_message(&their_group(), &mut peer, &mut rng).await;
    let mut incoming = HEXLOWER.encode(hello.unwrap().serialized());
    for _ in 0..INCOMING {
        let message = group_encrypt(&mut peer, &their_group(), b"hi", &mut rng).await.unwrap();
        incoming.push('\n');
        incoming.push_str(&HEXLOWER.encode(message.serialized()));
    }
    std::fs::write(dir.path().join("incoming"), incoming).unwrap();

    let mut wire = Wire::default();
    for _ in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--ignored", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .env(NEXT, (wire.taken + 1).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut first_take = true;
        for _ in 0..rand::random_range(5..300) {
            let line = lines.next().expect("the child ended by itself").unwrap();
            wire.see(&line, &mut first_take);
        }
        child.kill().unwrap();
        // What was said before the end counts as well.
        for line in lines {
            wire.see(&line.unwrap(), &mut first_take);
        }
        assert_eq!(child.wait().unwrap().code(), None, "it was not killed");
        wire.lives += 1;
    }
    assert_eq!(wire.lives, ROUNDS);
    assert!(wire.dm.len() > 100 && wire.group.len() > 100 && wire.taken > 10, "too few to tell");
    assert!(wire.remembered > 5, "the ratchet was hardly ever looked at after a kill");
}
