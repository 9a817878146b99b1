//! The other end of a connection: the address that limits are counted by, which peers are trusted to forward an
//! address, and which addresses are this machine itself.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use url::Url;

/// The proxies that are trusted to report their clients. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
    /// How many proxies are in front of us, whatever their addresses.
    hops: usize,
}

impl TrustedProxies {
    /// Trusts all addresses of these networks.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        Self { networks: networks.into(), hops: 0 }
    }

    /// Trusts this many proxies, whatever their addresses: for use if nobody reaches us except through them.
    #[must_use]
    pub fn behind(mut self, hops: usize) -> Self {
        self.hops = hops;
        self
    }

    /// Whether a client at this address is a trusted proxy.
    #[must_use]
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        self.hops > 0 || self.trusts(peer)
    }

    /// Whether the proxy at this address is trusted.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&peer))
    }

    /// The client: the peer itself, or, if that is a trusted proxy, the address it names in `X-Forwarded-For`. Read
    /// from its end: anything before the last address that is not a trusted proxy's was written by a stranger.
    #[must_use]
    pub fn client<'v>(&self, peer: IpAddr, forwarded_for: impl DoubleEndedIterator<Item = &'v str>) -> IpAddr {
        let mut client = peer.to_canonical();
        for (n, hop) in forwarded_for.flat_map(|value| value.split(',')).rev().enumerate() {
            if n >= self.hops && !self.trusts(client) {
                break;
            }
            let Some(address) = address(hop.trim()) else { break };
            client = address;
        }
        client
    }
}

/// What connections and guesses are counted by: an IPv4 address, or the network of 64 bits that one
/// customer has of IPv6.
#[must_use]
pub fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Whether an address is this machine's own: it is reached through no proxy, and no network sees what goes
/// there.
#[must_use]
pub fn is_on_this_machine(url: &Url) -> bool {
    url.host_str().is_some_and(is_this_machine)
}

/// Whether the host of a URL is this machine's own: loopback addresses, and their names (RFC 6761 §6.3).
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().map_or_else(
        |_| {
            let name = bare.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        },
        |address| address.to_canonical().is_loopback() || address.is_unspecified(),
    )
}

/// An address as proxies write it: alone, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.parse().ok();
    let bracketed = || text.strip_prefix('[')?.split_once(']')?.0.parse().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    bare.or_else(bracketed).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_trusted_proxy_may_name_the_client() {
        let proxies = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (peer, forwarded, client) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.1", "198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", &["203.0.113.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            assert_eq!(proxies.client(ip(peer), forwarded.iter().copied()), ip(client), "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn only_loopback_addresses_and_localhost_are_this_machine() {
        for host in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "0.0.0.0",
            "::",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["redis", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com", "", "127.1"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn behind_several_trusted_proxies_only_their_entries_count() {
        let proxies = TrustedProxies::default().behind(2);
        for (peer, forwarded, client) in [
            ("192.0.2.1", &["203.0.113.9, 198.51.100.7, 192.0.2.2"][..], "198.51.100.7"),
            ("192.0.2.1", &["198.51.100.7"], "198.51.100.7"),
            ("192.0.2.1", &[], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7, unknown"], "192.0.2.1"),
        ] {
            assert_eq!(proxies.client(ip(peer), forwarded.iter().copied()), ip(client), "{peer} {forwarded:?}");
        }
        let both = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()]).behind(1);
        assert_eq!(both.client(ip("192.0.2.1"), ["198.51.100.7, 10.0.0.1"].into_iter()), ip("198.51.100.7"));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        assert_eq!(counted_as(ip("2001:db8:1:2:3:4:5:6")), counted_as(ip("2001:db8:1:2:ffff::1")));
        assert_ne!(counted_as(ip("2001:db8:1:2::1")), counted_as(ip("2001:db8:1:3::1")));
        assert_eq!(counted_as(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }
}
