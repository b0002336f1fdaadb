//! Opens a TCP connection to whichever of a host's addresses accepts first.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::select;
use tokio::time::sleep;

/// After how long the next address is tried as well, when the ones before have not accepted yet (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first address that accepts. They are tried in their order of preference, IPv6 and IPv4 by turns:
/// where one of the two leads nowhere, the other one is never far behind.
pub(crate) async fn dial(addresses: Vec<IpAddr>, port: u16) -> io::Result<TcpStream> {
    let mut waiting = by_turns(addresses).into_iter();
    let mut underway = FuturesUnordered::new();
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let stream = loop {
        if let Some(address) = waiting.next() {
            underway.push(TcpStream::connect(SocketAddr::new(address, port)));
        } else if underway.is_empty() {
            return Err(refused);
        }
        select! {
            Some(connected) = underway.next() => match connected {
                Ok(stream) => break stream,
                Err(error) => refused = error,
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    };
    // Nagle's algorithm holds a small write back until the one before is acknowledged, and the other side delays that
    // acknowledgement by 40 ms. What we write is small, and somebody waits for it.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Beginning with the family of the first one.
fn by_turns(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let six_first = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == six_first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use tokio::net::TcpListener;

    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn an_address_that_refuses_is_no_reason_to_give_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Nobody listens at the others.
        let others = [2, 3].map(|last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)));
        let stream = dial(vec![others[0], others[1], LOCAL], port).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().ip(), LOCAL);
        assert!(stream.nodelay().unwrap());
        let refused = dial(others.to_vec(), port).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(dial(Vec::new(), port).await.is_err());
    }

    #[test]
    fn the_families_take_turns() {
        let six = |n| IpAddr::V6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, n));
        let four = |n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n));
        let mixed = by_turns(vec![six(1), six(2), six(3), four(1), four(2)]);
        assert_eq!(mixed, [six(1), four(1), six(2), four(2), six(3)]);
        assert_eq!(by_turns(vec![four(1), six(1), four(2)]), [four(1), six(1), four(2)]);
        assert_eq!(by_turns(vec![four(1), four(2)]), [four(1), four(2)]);
        assert!(by_turns(Vec::new()).is_empty());
    }
}
