//! Turns the hosts of webhooks into addresses: cached, and bounded in time and threads. The policy is checked on the
//! addresses that are then connected to, so neither a literal address nor a name that resolves differently the next time
//! gets around it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::net::Network;

/// How long a name may take to be resolved.
pub(super) const RESOLVE: Duration = Duration::from_secs(3);
/// How long the addresses that were found may take to accept a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer is used.
const FRESH: Duration = Duration::from_secs(30);
/// How long a failure is reported to others who ask for the same name.
const FRESH_FAILURE: Duration = Duration::from_secs(1);
/// How many names are remembered.
const NAMES: usize = 256;
/// How many lookups may hang at once: getaddrinfo cannot be interrupted.
const THREADS: usize = 16;
/// How many addresses ureq keeps.
const ADDRESSES: usize = 16;

/// Why a name has no address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResolveError {
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

/// The resolver of the delivery threads. Clones share what they know.
#[derive(Clone)]
pub(super) struct PolicyResolver {
    names: Arc<Names>,
    lookup: Arc<Lookup>,
}

#[derive(Default)]
struct Names {
    known: Mutex<BTreeMap<String, Name>>,
    changed: Condvar,
}

enum Name {
    Underway,
    Known { at: Instant, answer: Result<Vec<IpAddr>, ResolveError> },
}

impl PolicyResolver {
    /// A resolver that asks the system.
    pub(super) fn new() -> Self {
        Self::asking(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
    }

    fn asking(
        lookup: impl Fn(&str) -> std::io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self { names: Arc::default(), lookup: Arc::new(lookup) }
    }

    /// The addresses of `host` that events may go to.
    fn addresses(&self, host: &str, patience: Duration) -> Result<Vec<IpAddr>, ResolveError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let found = match bare.parse::<IpAddr>() {
            Ok(literal) => vec![literal],
            Err(_) => self.named(&bare.to_ascii_lowercase(), patience)?,
        };
        // Private ranges and loopback are allowed: the URL stands in the operator's own file, and a receiver in their own
        // network is the usual case.
        let allowed = |ip: &IpAddr| Network::of(*ip) != Network::Reserved;
        let allowed: Vec<IpAddr> = found.iter().map(IpAddr::to_canonical).filter(allowed).collect();
        match (allowed.is_empty(), found.first()) {
            (true, Some(forbidden)) => Err(ResolveError::Forbidden(*forbidden)),
            (true, None) => Err(not_found(host, "no address")),
            (false, _) => Ok(allowed),
        }
    }

    /// What the cache or the system knows. All who ask for the same name share one lookup.
    fn named(&self, name: &str, patience: Duration) -> Result<Vec<IpAddr>, ResolveError> {
        let deadline = Instant::now() + patience;
        let mut known = self.names.lock();
        loop {
            match known.get(name) {
                Some(Name::Known { at, answer }) if at.elapsed() < freshness(answer) => {
                    return answer.clone();
                }
                Some(Name::Underway) => {}
                Some(Name::Known { .. }) | None => {
                    make_room(&mut known);
                    self.start(&mut known, name)?;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ResolveError::Slow(name.to_owned()));
            }
            let woken = self.names.changed.wait_timeout(known, left);
            known = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// getaddrinfo may block for long, so it gets a thread of its own: one per name, and few in all.
    fn start(&self, known: &mut BTreeMap<String, Name>, name: &str) -> Result<(), ResolveError> {
        if known.values().filter(|name| matches!(name, Name::Underway)).count() >= THREADS {
            return Err(ResolveError::Busy);
        }
        let (names, lookup, asked) = (self.names.clone(), self.lookup.clone(), name.to_owned());
        let thread = std::thread::Builder::new().name("moonwa-dns".into()).stack_size(256 * 1024);
        let started = thread.spawn(move || {
            let answer = lookup(&asked).map_err(|error| not_found(&asked, &error.to_string()));
            names.lock().insert(asked, Name::Known { at: Instant::now(), answer });
            names.changed.notify_all();
        });
        started.map_err(|error| not_found(name, &error.to_string()))?;
        known.insert(name.to_owned(), Name::Underway);
        Ok(())
    }
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Name>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for PolicyResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default);
        let found = self
            .addresses(host, *timeout.after)
            .map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let mut addresses = self.empty();
        for ip in found.into_iter().take(ADDRESSES) {
            addresses.push(SocketAddr::new(ip, port));
        }
        Ok(addresses)
    }
}

impl fmt::Debug for PolicyResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PolicyResolver")
    }
}

fn freshness(answer: &Result<Vec<IpAddr>, ResolveError>) -> Duration {
    if answer.is_ok() { FRESH } else { FRESH_FAILURE }
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
fn make_room(known: &mut BTreeMap<String, Name>) {
    if known.len() < NAMES {
        return;
    }
    let answered = known.iter().filter_map(|(name, entry)| match entry {
        Name::Known { at, .. } => Some((*at, name.clone())),
        Name::Underway => None,
    });
    if let Some((_, oldest)) = answered.min() {
        known.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn ask(host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        PolicyResolver::asking(|_| panic!("a literal address needs no lookup"))
            .addresses(host, PATIENCE)
    }

    #[test]
    fn receivers_at_home_are_allowed() {
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
            assert!(ask(host).is_ok(), "{host}: {:?}", ask(host));
        }
        let mapped: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(ask("[::ffff:127.0.0.1]"), Ok(vec![mapped]));
    }

    #[test]
    fn places_of_harm_are_refused() {
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
            assert!(matches!(ask(host), Err(ResolveError::Forbidden(_))), "{host}");
        }
    }

    #[test]
    fn a_name_is_judged_by_its_addresses() {
        let rebinding = PolicyResolver::asking(|_| {
            Ok(vec!["169.254.169.254".parse().unwrap(), "192.168.1.2".parse().unwrap()])
        });
        let home: IpAddr = "192.168.1.2".parse().unwrap();
        assert_eq!(rebinding.addresses("a.example", PATIENCE), Ok(vec![home]));
        let metadata = PolicyResolver::asking(|_| Ok(vec!["169.254.169.254".parse().unwrap()]));
        let refused = metadata.addresses("a.example", PATIENCE);
        assert!(matches!(refused, Err(ResolveError::Forbidden(_))), "{refused:?}");
    }

    #[test]
    fn one_lookup_serves_everybody_for_a_while() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let resolver = Arc::new(PolicyResolver::asking(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
        }));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| resolver.addresses("Crm.Example", PATIENCE).unwrap());
            }
        });
        resolver.addresses("crm.example", PATIENCE).unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_hanging_lookup_is_given_up_and_threads_are_bounded() {
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let resolver = PolicyResolver::asking(move |_| {
            let closed = gate.lock().unwrap().recv().is_err();
            assert!(closed);
            Ok(Vec::new())
        });
        let moment = Duration::from_millis(5);
        for n in 0..THREADS {
            let name = format!("n{n}.example");
            assert_eq!(resolver.addresses(&name, moment), Err(ResolveError::Slow(name)));
        }
        assert_eq!(
            resolver.addresses("n0.example", moment),
            Err(ResolveError::Slow("n0.example".into()))
        );
        assert_eq!(resolver.addresses("more.example", moment), Err(ResolveError::Busy));
        drop(release);
        assert!(matches!(
            resolver.addresses("n0.example", PATIENCE),
            Err(ResolveError::NotFound { .. })
        ));
    }

    #[test]
    fn the_cache_is_bounded() {
        let resolver = PolicyResolver::asking(|_| Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]));
        for n in 0..NAMES + 10 {
            resolver.addresses(&format!("n{n}.example"), PATIENCE).unwrap();
        }
        assert_eq!(resolver.names.lock().len(), NAMES);
    }

    #[test]
    fn a_local_name_gets_its_own_words() {
        let resolver = PolicyResolver::asking(|_| Err(std::io::ErrorKind::NotFound.into()));
        let local = resolver.addresses("homeassistant.local", PATIENCE);
        assert_eq!(local, Err(ResolveError::Local("homeassistant.local".into())));
        let other = resolver.addresses("crm.example", PATIENCE);
        assert!(matches!(other, Err(ResolveError::NotFound { .. })), "{other:?}");
    }
}
