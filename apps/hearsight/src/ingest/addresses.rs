//! The one UDP socket, and under which addresses the world reaches it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// A second of 30 Mbit/s waits in the kernel rather than being lost while the thread is elsewhere.
const BUFFER: usize = 4 * 1024 * 1024;

/// More addresses than this make answers long and browsers slow.
const MAX_CANDIDATES: usize = 8;

/// Binds the socket, non-blocking, with large buffers; `[::]` takes IPv4 as well.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // The kernel grants what it allows; less only costs packets under load.
    for result in [socket.set_recv_buffer_size(BUFFER), socket.set_send_buffer_size(BUFFER)] {
        if let Err(error) = result {
            tracing::debug!(stage = "ingest", %error, "socket buffers stay small");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The addresses that answers name: the bound one, or all of this machine's when bound to none, and the public one.
/// The public one comes first: it is the likeliest to be reached.
pub(super) fn candidates(local: SocketAddr, public: Option<IpAddr>) -> io::Result<Vec<SocketAddr>> {
    let port = local.port();
    let own = if local.ip().is_unspecified() {
        machine(local.ip())?
    } else {
        vec![local.ip()]
    };
    let mut all: Vec<SocketAddr> = Vec::new();
    for ip in public.into_iter().chain(own) {
        let address = SocketAddr::new(ip, port);
        if !all.contains(&address) && all.len() < MAX_CANDIDATES {
            all.push(address);
        }
    }
    Ok(all)
}

fn machine(bound: IpAddr) -> io::Result<Vec<IpAddr>> {
    let mut ips: Vec<IpAddr> = if_addrs::get_if_addrs()?
        .into_iter()
        .map(|interface| interface.ip())
        .collect();
    ips.retain(|ip| sensible(*ip) && (bound.is_ipv6() || ip.is_ipv4()));
    // Global and private addresses before loopback, IPv4 before IPv6: the order that clients try.
    ips.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    if ips.is_empty() {
        ips.push(if bound.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    Ok(ips)
}

/// Link-local addresses need a scope that SDP can't carry.
fn sensible(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast()),
        IpAddr::V6(ip) => !(ip.is_unspecified() || ip.is_unicast_link_local() || ip.is_multicast()),
    }
}

/// Which of our addresses a datagram from `source` is taken to have reached. The kernel does not say on a socket
/// bound to all addresses; one of the same family and kind makes the pair that ICE wants.
pub(super) fn reached(candidates: &[SocketAddr], source: SocketAddr) -> Option<SocketAddr> {
    let family = |a: &&SocketAddr| a.is_ipv4() == source.is_ipv4();
    candidates
        .iter()
        .filter(family)
        .find(|a| a.ip().is_loopback() == source.ip().is_loopback())
        .or_else(|| candidates.iter().find(family))
        .copied()
}

/// A source as the peer would write it: IPv4 mapped into IPv6 becomes IPv4 again.
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A destination as our socket wants it.
pub(super) fn for_socket(address: SocketAddr, local: SocketAddr) -> SocketAddr {
    match (address, local.is_ipv6()) {
        (SocketAddr::V4(v4), true) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_for_all_addresses_names_real_ones_and_the_public_one_first() {
        let public: IpAddr = "203.0.113.7".parse().expect("address");
        let all = candidates("0.0.0.0:4000".parse().expect("address"), Some(public)).expect("candidates");
        assert_eq!(all[0], SocketAddr::new(public, 4000));
        assert!(all.len() >= 2 && all.len() <= MAX_CANDIDATES);
        assert!(
            all.iter()
                .all(|a| a.port() == 4000 && a.is_ipv4() && !a.ip().is_unspecified())
        );
    }

    #[test]
    fn a_bound_address_is_the_only_one() {
        let local = "127.0.0.1:4000".parse().expect("address");
        assert_eq!(candidates(local, None).expect("candidates"), [local]);
    }

    #[test]
    fn a_source_reaches_an_address_of_its_own_family_and_kind() {
        let all: Vec<SocketAddr> = ["10.0.0.1:9", "127.0.0.1:9", "[::1]:9"]
            .map(|a| a.parse().expect("address"))
            .to_vec();
        assert_eq!(reached(&all, "127.0.0.1:5".parse().expect("address")), Some(all[1]));
        assert_eq!(reached(&all, "10.0.0.2:5".parse().expect("address")), Some(all[0]));
        assert_eq!(reached(&all, "[2001:db8::1]:5".parse().expect("address")), Some(all[2]));
        assert_eq!(reached(&all[..1], "[::1]:5".parse().expect("address")), None);
    }
}
