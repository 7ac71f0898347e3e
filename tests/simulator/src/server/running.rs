//! Starting and stopping a simulator, and the handle that tests hold.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::listener;
use super::outage::{self, Outage};
use super::shared::Shared;
use crate::faults::{Fault, Faults};
use crate::journal::Journal;
use crate::state::State;
use crate::tls::{self, Certificate, TlsError};
use crate::version::Version;
use crate::world::{World, WorldBuilder, WorldView};

/// How to start. The default is the default world of 25.10 on a free port of 127.0.0.1, without TLS,
/// without latency, without faults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The world to simulate; it names the version.
    pub world: World,
    /// How long every call takes before it commits and answers.
    pub latency: Duration,
    /// Whether to speak TLS with a certificate made at start.
    pub tls: bool,
    /// The fault script.
    pub faults: Vec<Fault>,
}

impl Default for Options {
    fn default() -> Self {
        Self::with_world(WorldBuilder::example(Version::default()).build())
    }
}

impl Options {
    /// The default with another world.
    pub fn with_world(world: World) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            world,
            latency: Duration::ZERO,
            tls: false,
            faults: Vec::new(),
        }
    }
}

/// Starts simulators.
#[derive(Debug, Clone, Copy)]
pub struct Simulator;

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address or port 0")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A simulator that runs. Dropping it stops it.
pub struct Running {
    address: SocketAddr,
    api_key: Option<String>,
    certificate: Option<Certificate>,
    shared: Arc<Shared>,
    // Accepts connections until `stopping` turns true; every connection watches the same signal.
    listener: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Listens and serves in the background of the current runtime.
    ///
    /// # Errors
    /// When the address is taken or no certificate can be made.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let refused = |source| StartError::Listen {
            address: options.listen,
            source,
        };
        let socket = TcpListener::bind(options.listen).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        let (acceptor, certificate) = match options.tls {
            true => tls::acceptor(address.ip())
                .map(|(acceptor, certificate)| (Some(acceptor), Some(certificate)))?,
            false => (None, None),
        };
        let api_key = options.world.key_of("truenas_admin").or_else(|| {
            options
                .world
                .api_keys
                .first()
                .map(crate::world::ApiKey::full)
        });
        let mut faults = Faults::default();
        for fault in options.faults {
            faults.add(fault);
        }
        let mut state = State::new(options.world, faults);
        state.certificate = certificate.as_ref().map(Certificate::hash);
        let shared = Arc::new(Shared::new(state, options.latency));
        let listener = tokio::spawn(listener::serve(socket, acceptor, Arc::clone(&shared)));
        tracing::info!(%address, tls = certificate.is_some(), "simulator listens");
        Ok(Running {
            address,
            api_key,
            certificate,
            shared,
            listener: Some(listener),
        })
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of its newest endpoint: JSON-RPC, or the legacy protocol where that is all there is.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "wss"
        } else {
            "ws"
        };
        let json_rpc = self
            .shared
            .with(|state| state.world.version.speaks_json_rpc());
        let path = if json_rpc {
            "/api/current"
        } else {
            "/websocket"
        };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The administrator's API key. Worthless outside this simulator, so it may be shown.
    pub fn api_key(&self) -> &str {
        self.api_key.as_deref().unwrap_or_default()
    }

    /// The certificate, when it speaks TLS.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// What there is right now.
    pub fn view(&self) -> WorldView {
        self.shared.with(|state| state.world.view())
    }

    /// What was called so far.
    pub fn journal(&self) -> Journal {
        self.shared.with(|state| state.journal.clone())
    }

    /// Adds a fault at the end of the script.
    pub fn inject(&self, fault: Fault) {
        self.shared.with(|state| state.faults.add(fault));
    }

    /// Forgets all faults, struck or not. Calls that are held stay held.
    pub fn clear_faults(&self) {
        self.shared.with(|state| state.faults.clear());
    }

    /// Changes the world as if an administrator had, without a call. Subscribers hear nothing.
    pub fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.shared.with(|state| act(&mut state.world))
    }

    /// Lets every call that a fault holds go on: what was not committed commits now, and whoever is
    /// still connected gets the answers. Calls of a closed connection go on too up to 25.10 and are
    /// cancelled on 26.
    pub fn release_held(&self) {
        self.shared.release_held();
    }

    /// Restarts the middleware, as an update or a crash of it does: connections are cut, calls and
    /// jobs that did not commit never will, nobody is let in for `pause`. Then the same world is
    /// served: VMs go on, job ids begin at 1, tokens are worthless, `system.boot_id` stays.
    pub async fn restart(&self, pause: Duration) {
        outage::restart(&self.shared, pause, Outage::Cut, false).await;
    }

    /// Restarts the host: like [`Running::restart`], and all VMs are off, then those with `autostart`
    /// run again, and `system.boot_id` is another one.
    pub async fn reboot(&self, pause: Duration) {
        outage::restart(&self.shared, pause, Outage::Cut, true).await;
    }

    /// Stops listening and closes every connection; returns when the listener is gone.
    pub async fn stop(mut self) {
        self.shared.stopping.send_replace(true);
        if let Some(listener) = self.listener.take() {
            // It only ends by itself or by a panic that was reported already.
            listener.await.ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stopping.send_replace(true);
    }
}
