//! The listener's open connections. If there are too many, the one that has been silent the longest is closed, so that
//! a newcomer is let in at once: an idle connection, or a body that does not end, keeps nobody out.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as Connection;

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
    by_turn: BTreeMap<u64, TcpStream>,
}

/// A connection's place, given back when the connection ends.
pub(super) struct OpenConnection {
    connections: Connections,
    turn: Mutex<u64>,
}

impl Connections {
    /// Lets a connection in; the server keeps its place with it.
    pub(super) fn enter(&self, connection: &dyn Any, kept: &mut Extensions) {
        let Some(connection) = connection.downcast_ref::<Connection>() else { return };
        // Where there is no descriptor left for it, it is served all the same.
        let Ok(socket) = connection.as_fd().try_clone_to_owned() else { return };
        kept.insert(self.place(socket.into()));
    }

    fn place(&self, socket: TcpStream) -> OpenConnection {
        let mut open = self.open();
        if open.by_turn.len() >= OPEN_MAX
            && let Some((_, longest)) = open.by_turn.pop_first()
        {
            // It may be gone already.
            let _ = longest.shutdown(Shutdown::Both);
        }
        let turn = open.put(socket);
        OpenConnection { connections: self.clone(), turn: Mutex::new(turn) }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn put(&mut self, socket: TcpStream) -> u64 {
        let turn = self.next;
        self.next += 1;
        self.by_turn.insert(turn, socket);
        turn
    }
}

impl OpenConnection {
    /// The connection gave a sign of life.
    pub(super) fn lives(&self) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.connections.open();
        if let Some(socket) = open.by_turn.remove(&turn) {
            *turn = open.put(socket);
        }
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
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    #[test]
    fn of_too_many_the_one_that_was_silent_the_longest_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Connections::default();
        let enter = || {
            let theirs = TcpStream::connect(address).unwrap();
            theirs.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            (theirs, connections.place(listener.accept().unwrap().0))
        };
        let mut entered: Vec<_> = (0..OPEN_MAX).map(|_| enter()).collect();
        entered[0].1.lives();
        entered.push(enter());
        let ended = |place: &mut (TcpStream, OpenConnection)| matches!(place.0.read(&mut [0]), Ok(0));
        assert_eq!([0, 1, 2, OPEN_MAX].map(|n| ended(&mut entered[n])), [false, true, false, false]);
        drop(entered);
        assert!(connections.open().by_turn.is_empty());
    }
}
