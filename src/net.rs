//! Which addresses a request of ours may go to. There is one table; webhooks and fetched files differ only in what they
//! allow of it. Names are resolved elsewhere, and the rule is asked about the addresses that are connected to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::{Ipv4Net, Ipv6Net};

/// Whose network an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Public,
    /// This machine and the networks around it.
    Private,
    /// No host can be there, or a request to it does harm: cloud metadata, link-local, multicast, reserved ranges, and
    /// prefixes that carry an IPv4 address in disguise.
    Reserved,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

const RESERVED_V4: [Ipv4Net; 12] = [
    v4(0, 0, 0, 0, 8),
    v4(100, 100, 100, 200, 32), // Alibaba's metadata
    v4(168, 63, 129, 16, 32),   // Azure's
    v4(169, 254, 0, 0, 16),     // everybody else's, and link-local
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];
const PRIVATE_V4: [Ipv4Net; 5] = [
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
];

/// Everything public in IPv6 is in here, and most of what is not is reserved.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);
const RESERVED_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23), // protocol assignments, among them Teredo
    v6(0x2001, 0xdb8, 32),
    v6(0x2002, 0, 16), // 6to4
    v6(0x3fff, 0, 20),
];
const PRIVATE_V6: Ipv6Net = v6(0xfc00, 0, 7);
/// Amazon's metadata, in the middle of the private range.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl Network {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) if RESERVED_V4.iter().any(|net| net.contains(&ip)) => Self::Reserved,
            IpAddr::V4(ip) if PRIVATE_V4.iter().any(|net| net.contains(&ip)) => Self::Private,
            IpAddr::V4(_) => Self::Public,
            IpAddr::V6(METADATA_V6) => Self::Reserved,
            IpAddr::V6(ip) if ip.is_loopback() || PRIVATE_V6.contains(&ip) => Self::Private,
            IpAddr::V6(ip) => Self::of_other_v6(ip),
        }
    }

    /// Everything but loopback and private ranges.
    fn of_other_v6(ip: Ipv6Addr) -> Self {
        let reserved = RESERVED_V6.iter().any(|net| net.contains(&ip));
        if GLOBAL_V6.contains(&ip) && !reserved { Self::Public } else { Self::Reserved }
    }
}

/// Whether a packet to that address stays on this machine, also where the address is a public one. The kernel knows: it
/// would send such a packet from the address itself. Nothing is sent for that.
pub(crate) fn is_own(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let source = || -> io::Result<IpAddr> {
        let any: IpAddr = match ip {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        // Any port will do.
        socket.connect(SocketAddr::new(ip, 9))?;
        Ok(socket.local_addr()?.ip())
    };
    // Without a route there is nothing to reach either.
    source().is_ok_and(|source| source == ip)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_address_has_its_network() {
        let table = [
            (
                Network::Public,
                "1.1.1.1 8.8.8.8 157.240.1.1 100.128.0.1 172.32.0.1 192.169.0.1 198.20.0.1 223.255.255.255 \
                 2606:4700::1111 2001:4860:4860::8888 2a03:2880::1 2003::1 3fff:1000::1 ::ffff:1.1.1.1",
            ),
            (
                Network::Private,
                "127.0.0.1 127.9.9.9 10.0.0.1 172.16.3.4 192.168.1.20 100.64.0.1 100.127.255.255 ::1 fc00::1 \
                 fd12:3456::1 ::ffff:127.0.0.1 ::ffff:10.1.2.3",
            ),
            (
                Network::Reserved,
                "169.254.169.254 169.254.0.1 100.100.100.200 168.63.129.16 0.0.0.0 0.1.2.3 224.0.0.1 239.255.255.255 \
                 240.0.0.1 255.255.255.255 192.0.0.8 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.7 \
                 203.0.113.9 :: ::7f00:1 ::a9fe:a9fe fe80::1 fec0::1 fd00:ec2::254 ff02::1 ::ffff:169.254.169.254 \
                 ::ffff:0.0.0.0 ::ffff:0:a9fe:a9fe 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1 2001:2::1 2001:1ff::1 \
                 2001:db8::1 2002:a9fe:a9fe::1 3fff::1 4000::1 5f00::1 8000::1 e000::1",
            ),
        ];
        for (network, addresses) in table {
            for ip in addresses.split_whitespace() {
                assert_eq!(Network::of(ip.parse().unwrap()), network, "{ip}");
            }
        }
    }

    #[test]
    fn an_address_of_this_machine_is_known_as_its_own() {
        for own in ["127.0.0.1", "::ffff:127.0.0.1"] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1", "8.8.8.8", "2001:db8::1"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
        // The address that packets to others are sent from, if there is one.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("8.8.8.8:9").is_ok() {
            let own = socket.local_addr().unwrap().ip();
            assert!(is_own(own), "{own}");
        }
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_judged_as_what_it_is(bits: u32) {
            let ip = Ipv4Addr::from(bits);
            prop_assert_eq!(Network::of(ip.to_ipv6_mapped().into()), Network::of(ip.into()));
        }
    }
}
