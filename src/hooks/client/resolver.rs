//! Turns the hosts of webhooks into addresses: cached, and bounded in time and threads. The policy is checked on the
//! addresses that are then connected to, so neither a literal address nor a name that resolves differently the next
//! time gets around it.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout_at;

use crate::net::Network;

/// How long a name may take to be resolved.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same when there is an older answer to fall back on.
const STALE_PATIENCE: Duration = Duration::from_millis(500);
/// How long an answer is used without asking again.
const FRESH: Duration = Duration::from_secs(30);
/// How long a failure is reported to others who ask for the same name.
const FRESH_FAILURE: Duration = Duration::from_secs(1);
/// How many names are remembered.
const NAMES: usize = 256;
/// How many lookups may hang at once: getaddrinfo cannot be interrupted.
const THREADS: usize = 16;
/// How many addresses of a name are tried.
const ADDRESSES: usize = 16;

/// Why a name has no address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    /// Events may not go there.
    #[error(
        "{0} is an address that webhooks may not go to (link-local, cloud metadata, multicast or reserved)"
    )]
    Forbidden(IpAddr),
    /// Nobody answers for this `.local` name.
    #[error(
        "{0} was not found: .local names need mDNS, which the resolver of this machine does not offer; write the address instead"
    )]
    Local(String),
    /// The system does not know the name.
    #[error("{name} was not found ({cause})")]
    NotFound {
        name: String,
        /// The system's words.
        cause: String,
    },
    /// The system did not answer.
    #[error("{0} was not resolved in time")]
    Slow(String),
    /// Too many lookups hang.
    #[error("too many name lookups hang")]
    Busy,
}

type Lookup = dyn Fn(&str) -> std::io::Result<Vec<IpAddr>> + Send + Sync;

type Addresses = Result<Vec<IpAddr>, ResolveError>;
type Names = BTreeMap<String, Name>;

/// Resolves names under the policy. Clones share what they know.
#[derive(Clone)]
pub(super) struct PolicyResolver {
    names: Arc<Mutex<Names>>,
    threads: Arc<Semaphore>,
    lookup: Arc<Lookup>,
}

/// What is known of a name.
#[derive(Default)]
struct Name {
    /// The last answer, and since when it is known.
    known: Option<(Instant, Addresses)>,
    /// Gets the answer of the lookup under way.
    underway: Option<Underway>,
}

type Underway = watch::Receiver<Option<Addresses>>;

impl PolicyResolver {
    /// A resolver that asks the system.
    pub(super) fn new() -> Self {
        Self::asking(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
    }

    fn asking(
        lookup: impl Fn(&str) -> std::io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        let threads = Arc::new(Semaphore::new(THREADS));
        Self { names: Arc::default(), threads, lookup: Arc::new(lookup) }
    }

    /// The addresses of `host` that events may go to, the preferred ones first.
    pub(super) async fn addresses(&self, host: &str) -> Addresses {
        let found = match bare(host).parse::<IpAddr>() {
            Ok(literal) => vec![literal],
            Err(_) => self.named(&host.to_ascii_lowercase()).await?,
        };
        let allowed: Vec<IpAddr> = found
            .iter()
            .map(IpAddr::to_canonical)
            .filter(|ip| Network::of(*ip) != Network::Reserved)
            .take(ADDRESSES)
            .collect();
        match (allowed.is_empty(), found.first()) {
            (true, Some(forbidden)) => Err(ResolveError::Forbidden(*forbidden)),
            (true, None) => Err(not_found(host, "no address")),
            (false, _) => Ok(allowed),
        }
    }

    /// What the cache or the system knows. When the system does not answer soon, the addresses that it gave before are
    /// used: names whose lookup hangs must not stop the others.
    async fn named(&self, name: &str) -> Addresses {
        let known = self.names().get(name).and_then(|name| name.known.clone());
        let stale = match known {
            Some(known) if is_fresh(&known) => return known.1,
            Some((_, answer)) => answer.ok(),
            None => None,
        };
        let patience = if stale.is_some() { STALE_PATIENCE } else { PATIENCE };
        match (self.ask(name, patience).await, stale) {
            (Err(ResolveError::Slow(_) | ResolveError::Busy), Some(stale)) => Ok(stale),
            (answer, _) => answer,
        }
    }

    /// Asks the system. All who ask for the same name share one lookup.
    async fn ask(&self, name: &str, patience: Duration) -> Addresses {
        let deadline = tokio::time::Instant::now() + patience;
        let underway = underway(&self.names(), name);
        let mut underway = if let Some(underway) = underway {
            underway
        } else {
            let thread = timeout_at(deadline, self.threads.clone().acquire_owned()).await;
            let Ok(Ok(thread)) = thread else { return Err(ResolveError::Busy) };
            self.start(name, thread)?
        };
        let answer = timeout_at(deadline, underway.wait_for(Option::is_some)).await;
        let answer = answer.map_err(|_elapsed| ResolveError::Slow(name.to_owned()))?;
        answer
            .ok()
            .and_then(|answer| answer.clone())
            .unwrap_or_else(|| Err(not_found(name, "the lookup failed")))
    }

    /// getaddrinfo may block for long, so it gets a thread of its own: one per name, and few in all.
    fn start(&self, name: &str, thread: OwnedSemaphorePermit) -> Result<Underway, ResolveError> {
        let mut known = self.names();
        if let Some(underway) = underway(&known, name) {
            return Ok(underway);
        }
        // One may have ended since its answer was looked for.
        let answer = known.get(name).and_then(|name| name.known.as_ref());
        if let Some((_, answer)) = answer.filter(|known| is_fresh(known)) {
            return Ok(watch::channel(Some(answer.clone())).1);
        }
        let (answered, answer) = watch::channel(None);
        let (names, lookup, asked) = (self.names.clone(), self.lookup.clone(), name.to_owned());
        let builder = std::thread::Builder::new().name("moonwa-dns".into()).stack_size(256 * 1024);
        let started = builder.spawn(move || {
            let answer = lookup(&asked).map_err(|error| not_found(&asked, &error.to_string()));
            let known = Name { known: Some((Instant::now(), answer.clone())), underway: None };
            lock(&names).insert(asked, known);
            drop(thread);
            answered.send_replace(Some(answer));
        });
        started.map_err(|error| not_found(name, &error.to_string()))?;
        make_room(&mut known);
        known.entry(name.to_owned()).or_default().underway = Some(answer.clone());
        Ok(answer)
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }
}

fn lock(names: &Mutex<Names>) -> MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lookup of a name that is under way. One that panicked is not.
fn underway(names: &Names, name: &str) -> Option<Underway> {
    let underway = names.get(name)?.underway.clone();
    underway.filter(|underway| underway.has_changed().is_ok())
}

fn is_fresh((at, answer): &(Instant, Addresses)) -> bool {
    at.elapsed() < if answer.is_ok() { FRESH } else { FRESH_FAILURE }
}

fn not_found(name: &str, cause: &str) -> ResolveError {
    let name = name.to_owned();
    let is_local = name.trim_end_matches('.').rsplit('.').next() == Some("local");
    if is_local {
        return ResolveError::Local(name);
    }
    ResolveError::NotFound { name, cause: cause.to_owned() }
}

/// Forgets the oldest answer when there are too many.
fn make_room(names: &mut Names) {
    if names.len() < NAMES {
        return;
    }
    let idle = names.iter().filter(|(_, entry)| entry.underway.is_none());
    let oldest =
        idle.filter_map(|(name, entry)| Some((entry.known.as_ref()?.0, name.clone()))).min();
    if let Some((_, oldest)) = oldest {
        names.remove(&oldest);
    }
}

/// A host without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn ask(host: &str) -> Addresses {
        PolicyResolver::asking(|_| panic!("a literal address needs no lookup"))
            .addresses(host)
            .await
    }

    #[tokio::test]
    async fn receivers_at_home_are_allowed() {
        for host in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.3.4",
            "192.168.1.20",
            "100.64.0.1",
            "8.8.8.8",
            "[::1]",
            "[fd12:3456::1]",
            "[2606:4700::1111]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(ask(host).await.is_ok(), "{host}");
        }
        let mapped: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(ask("[::ffff:127.0.0.1]").await, Ok(vec![mapped]));
    }

    #[tokio::test]
    async fn places_of_harm_are_refused() {
        for host in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "192.88.99.1",
            "[::]",
            "[::7f00:1]",
            "[fe80::1]",
            "[fec0::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "[::ffff:169.254.169.254]",
            "[::ffff:0.0.0.0]",
            "[::ffff:0:a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::1]",
            "[2001:db8::1]",
            "[2002:a9fe:a9fe::1]",
            "[2001::1]",
            "[100::1]",
            "[4000::1]",
            "[5f00::1]",
        ] {
            assert!(matches!(ask(host).await, Err(ResolveError::Forbidden(_))), "{host}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_its_addresses() {
        let rebinding = PolicyResolver::asking(|_| {
            Ok(vec!["169.254.169.254".parse().unwrap(), "192.168.1.2".parse().unwrap()])
        });
        let home: IpAddr = "192.168.1.2".parse().unwrap();
        assert_eq!(rebinding.addresses("a.example").await, Ok(vec![home]));
        let metadata = PolicyResolver::asking(|_| Ok(vec!["169.254.169.254".parse().unwrap()]));
        let refused = metadata.addresses("a.example").await;
        assert!(matches!(refused, Err(ResolveError::Forbidden(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn one_lookup_serves_everybody_for_a_while() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let resolver = PolicyResolver::asking(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
        });
        let all = (0..8).map(|_| resolver.addresses("Crm.Example"));
        futures_util::future::try_join_all(all).await.unwrap();
        resolver.addresses("crm.example").await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_lookup_that_ended_meanwhile_is_not_made_again() {
        let resolver = PolicyResolver::asking(|_| Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]));
        let known = resolver.addresses("crm.example").await;
        let resolver = PolicyResolver { lookup: Arc::new(|_| panic!("once more")), ..resolver };
        assert_eq!(resolver.ask("crm.example", PATIENCE).await, known);
    }

    /// A lookup that hangs, for all names but that one, until the sender is dropped.
    fn hanging(but: &'static str) -> (std::sync::mpsc::Sender<()>, PolicyResolver) {
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let resolver = PolicyResolver::asking(move |name| {
            if name == but {
                return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
            }
            assert!(gate.lock().unwrap().recv().is_err());
            Ok(Vec::new())
        });
        (release, resolver)
    }

    /// Takes all threads for names that hang.
    async fn hang(resolver: &PolicyResolver) {
        for n in 0..THREADS {
            let name = format!("n{n}.example");
            assert_eq!(resolver.addresses(&name).await, Err(ResolveError::Slow(name)));
        }
    }

    // Time is paused, so it runs on when everybody waits for a lookup that hangs.
    #[tokio::test(start_paused = true)]
    async fn a_hanging_lookup_is_given_up_and_threads_are_bounded() {
        let (release, resolver) = hanging("");
        let began = tokio::time::Instant::now();
        hang(&resolver).await;
        // The clock of the runtime ticks in milliseconds.
        let waited = began.elapsed().as_secs();
        assert_eq!(waited, PATIENCE.as_secs() * u64::try_from(THREADS).unwrap());
        let again = resolver.addresses("n0.example").await;
        assert_eq!(again, Err(ResolveError::Slow("n0.example".into())));
        assert_eq!(resolver.addresses("more.example").await, Err(ResolveError::Busy));
        drop(release);
        tokio::time::resume();
        let ended = resolver.addresses("n0.example").await;
        assert!(matches!(ended, Err(ResolveError::NotFound { .. })), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_hang_do_not_stop_a_name_that_was_known() {
        let (_release, resolver) = hanging("known.example");
        tokio::time::resume();
        let known = resolver.addresses("known.example").await;
        assert!(known.is_ok(), "{known:?}");
        tokio::time::pause();
        hang(&resolver).await;
        resolver.names().get_mut("known.example").unwrap().known.as_mut().unwrap().0 -= FRESH;
        let began = tokio::time::Instant::now();
        assert_eq!(resolver.addresses("known.example").await, known);
        assert!(began.elapsed() < STALE_PATIENCE * 2, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn the_cache_is_bounded() {
        let resolver = PolicyResolver::asking(|_| Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]));
        for n in 0..NAMES + 10 {
            resolver.addresses(&format!("n{n}.example")).await.unwrap();
        }
        assert_eq!(resolver.names().len(), NAMES);
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_no_answer() {
        let resolver = PolicyResolver::asking(|_| panic!("on purpose"));
        for _ in 0..2 {
            let answer = resolver.addresses("a.example").await;
            assert!(matches!(answer, Err(ResolveError::NotFound { .. })), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_local_name_gets_its_own_words() {
        let resolver = PolicyResolver::asking(|_| Err(std::io::ErrorKind::NotFound.into()));
        let local = resolver.addresses("homeassistant.local").await;
        assert_eq!(local, Err(ResolveError::Local("homeassistant.local".into())));
        let other = resolver.addresses("crm.example").await;
        assert!(matches!(other, Err(ResolveError::NotFound { .. })), "{other:?}");
    }
}
