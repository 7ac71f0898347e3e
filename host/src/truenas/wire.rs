//! Whoever wants to see every frame of every connection: a recording.
//!
//! Frames are told as they are on the wire, secrets included, so what is told here must not be
//! written down as it is.

use std::fmt;
use std::sync::Arc;

use super::loss::DisconnectReason;

/// Is told of every text frame, in the order of the socket. Called from within the async runtime:
/// it must not take long.
pub trait WireObserver: fmt::Debug + Send + Sync {
    /// A connection is open at this path of the server; gives the number that it is told with.
    fn opened(&self, path: &str) -> u64;
    /// A frame of that connection.
    fn frame(&self, connection: u64, direction: Direction, text: &str);
    /// The connection has ended.
    fn closed(&self, connection: u64, why: &DisconnectReason);
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From tnvm.
    ToServer,
    /// To tnvm.
    FromServer,
}

/// The observer of one connection.
#[derive(Debug)]
pub(super) struct Tap {
    observer: Arc<dyn WireObserver>,
    connection: u64,
}

impl Tap {
    pub(super) fn new(observer: &Arc<dyn WireObserver>, path: &str) -> Self {
        Self {
            connection: observer.opened(path),
            observer: Arc::clone(observer),
        }
    }

    pub(super) fn frame(&self, direction: Direction, text: &str) {
        self.observer.frame(self.connection, direction, text);
    }

    pub(super) fn closed(&self, why: &DisconnectReason) {
        self.observer.closed(self.connection, why);
    }
}
