//! The listener's open connections. If there are too many, the peer with the most loses the one that has been silent
//! the longest. So a new connection is let in at once, an idle one or an endless body keeps nobody out, and nobody
//! loses a connection because of another peer.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::dev::Extensions;

use super::paced::{Begun, Paced, Trusted};
use crate::peer::counted_as;

/// Connections open at once. Each has two descriptors, and all together fit into those that are kept free for what is
/// not the public listener.
pub(super) const OPEN_MAX: usize = 96;

/// All connections. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    next: u64,
    /// The longest silence first.
    by_turn: BTreeMap<u64, (Option<IpAddr>, TcpStream)>,
}

/// A connection's place, given back when the connection ends.
pub(super) struct OpenConnection {
    connections: Connections,
    turn: Mutex<u64>,
    begun: Begun,
}

impl Connections {
    /// Lets a connection in; the server keeps its place with it.
    pub(super) fn enter(&self, connection: &Paced, kept: &mut Extensions) {
        // Without a free descriptor for it, the connection is still served.
        let Ok(socket) = connection.socket().as_fd().try_clone_to_owned() else { return };
        kept.insert(self.place(socket.into(), connection.begun()));
    }

    fn place(&self, socket: TcpStream, begun: Begun) -> OpenConnection {
        let peer = socket.peer_addr().ok().map(|address| counted_as(address.ip()));
        let mut open = self.open();
        if open.by_turn.len() >= OPEN_MAX
            && let Some(longest) = open.longest_of_the_most()
        {
            // It may be gone already.
            let _ = longest.shutdown(Shutdown::Both);
        }
        let turn = open.put(peer, socket);
        OpenConnection { connections: self.clone(), turn: Mutex::new(turn), begun }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn put(&mut self, peer: Option<IpAddr>, socket: TcpStream) -> u64 {
        let turn = self.next;
        self.next += 1;
        self.by_turn.insert(turn, (peer, socket));
        turn
    }

    /// Removes the longest-silent connection of the peer that has the most.
    fn longest_of_the_most(&mut self) -> Option<TcpStream> {
        let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for (peer, _) in self.by_turn.values() {
            *counts.entry(*peer).or_default() += 1;
        }
        let most = counts.values().max()?;
        let turn = self.by_turn.iter().find(|(_, (peer, _))| counts.get(peer) == Some(most)).map(|(turn, _)| *turn)?;
        self.by_turn.remove(&turn).map(|(_, socket)| socket)
    }
}

impl OpenConnection {
    /// Notes that a request of the connection has begun, with a body of this length: see [`Begun::count`].
    pub(super) fn begins(&self, body: Option<u64>) {
        self.begun.count(body);
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.connections.open();
        if let Some((peer, socket)) = open.by_turn.remove(&turn) {
            *turn = open.put(peer, socket);
        }
    }
}

impl OpenConnection {
    /// The request that has just begun has shown a token: see [`Begun::trust`].
    pub(super) fn trust(&self) -> Trusted {
        self.begun.trust()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let turn = *self.turn.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.connections.open().by_turn.remove(&turn);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketType};

    use super::*;

    struct Stage {
        listener: TcpListener,
        connections: Connections,
    }

    impl Stage {
        fn enter(&self, from: u8) -> (TcpStream, OpenConnection) {
            let theirs = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            rustix::net::bind(&theirs, &SocketAddr::from(([127, 0, 0, from], 0))).unwrap();
            rustix::net::connect(&theirs, &self.listener.local_addr().unwrap()).unwrap();
            let theirs = TcpStream::from(theirs);
            theirs.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            (theirs, self.connections.place(self.listener.accept().unwrap().0, Begun::default()))
        }
    }

    fn is_cut((theirs, _): &mut (TcpStream, OpenConnection)) -> bool {
        matches!(theirs.read(&mut [0]), Ok(0))
    }

    #[test]
    fn the_peer_with_most_connections_loses_its_longest_silent_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stage = Stage { listener, connections: Connections::default() };
        let mut other = stage.enter(2);
        let mut entered: Vec<_> = (1..OPEN_MAX).map(|_| stage.enter(1)).collect();
        entered[0].1.begins(None);
        entered.push(stage.enter(1));
        assert_eq!([0, 1, 2, OPEN_MAX - 1].map(|n| is_cut(&mut entered[n])), [false, true, false, false]);
        let mut another = stage.enter(3);
        assert_eq!([2, 3].map(|n| is_cut(&mut entered[n])), [true, false]);
        assert!(!is_cut(&mut other) && !is_cut(&mut another));
        drop((entered, other, another));
        assert!(stage.connections.open().by_turn.is_empty());
    }
}
