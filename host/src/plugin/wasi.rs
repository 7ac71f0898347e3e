//! Closed WASI, for toolchains that cannot leave it out (Python, JavaScript, wasip2).
//!
//! Every interface is there and grants nothing: no files, arguments, environment or sockets; the
//! clocks stand still, random bytes come from the request, output goes to the log. It knows
//! nothing of contracts.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::{
    Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView,
};

use super::error::PluginErrorKind;
use super::store::{HasState, State};

/// Bytes of random data before they repeat. 16 KiB: seeding hash maps takes 16 to 64 bytes.
const RANDOM_BYTES: usize = 16 * 1024;

/// Bytes one call for random data may ask for. 64 KiB, since the host must allocate them.
const RANDOM_CALL: u64 = 64 * 1024;

/// Open handles (streams, pollables). 1 024: the host keeps each of them in its own memory.
const HANDLES: usize = 1024;

/// Bytes that may be written at once; the guest asks again for more.
const WRITE: usize = 4096;

/// A store's data with closed WASI.
pub(super) struct WithWasi {
    state: State,
    context: WasiCtx,
    table: ResourceTable,
    stdout: Captured,
    stderr: Captured,
}

impl HasState for WithWasi {
    fn new(state: State, seed: &dyn Fn() -> String) -> Self {
        let mut random = vec![0; RANDOM_BYTES];
        blake3::Hasher::new_derive_key("tnvm 2026 random bytes of a plugin call")
            .update(seed().as_bytes())
            .finalize_xof()
            .fill(&mut random);
        let insecure_seed = random
            .first_chunk()
            .map_or(0, |bytes| u128::from_le_bytes(*bytes));
        let limit = state.logs.bytes_left();
        let (stdout, stderr) = (Captured::new(limit), Captured::new(limit));
        let context = WasiCtx::builder()
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .wall_clock(Still)
            .monotonic_clock(Still)
            .secure_random(Deterministic::new(random.clone()))
            .insecure_random(Deterministic::new(random))
            .insecure_random_seed(insecure_seed)
            .max_random_size(RANDOM_CALL)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            state,
            context,
            table,
            stdout,
            stderr,
        }
    }

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn finish(&mut self) {
        for (stream, captured) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            captured.with(|output| {
                if !output.bytes.is_empty() {
                    self.state
                        .logs
                        .write_output(stream, &output.bytes, output.whole);
                }
            });
        }
    }

    /// wasmtime-wasi runs its host functions on a tokio runtime and panics where the calling
    /// thread already drives one, so the call gets a thread of its own.
    fn on_a_fit_thread<R: Send>(call: impl FnOnce() -> R + Send) -> Result<R, PluginErrorKind> {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let span = tracing::Span::current();
        let host = |what: &str| PluginErrorKind::Host(what.to_owned());
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("tnvm-plugin-wasi".to_owned())
                .spawn_scoped(scope, || {
                    tracing::dispatcher::with_default(&dispatch, || span.in_scope(call))
                })
                .map_err(|error| host(&format!("no thread for the call: {error}")))?
                .join()
                .map_err(|_| host("a host function of WASI panicked"))
        })
    }
}

impl WasiView for WithWasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.context,
            table: &mut self.table,
        }
    }
}

/// Adds every interface, closed.
pub(super) fn add_to_linker(linker: &mut Linker<WithWasi>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    // wasmtime-wasi waits in real time for a subscription to the clock, and no deadline reaches a
    // guest that waits inside the host. With a still clock every such wait is over at once.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<WithWasi, HasSelf<WithWasi>>(linker, |data| data)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl monotonic_clock::Host for WithWasi {
    fn now(&mut self) -> wasmtime::Result<monotonic_clock::Instant> {
        Ok(HostMonotonicClock::now(&Still))
    }

    fn resolution(&mut self) -> wasmtime::Result<monotonic_clock::Duration> {
        Ok(HostMonotonicClock::resolution(&Still))
    }

    fn subscribe_instant(
        &mut self,
        _when: monotonic_clock::Instant,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let over = self.table.push(Over)?;
        subscribe(&mut self.table, over)
    }

    fn subscribe_duration(
        &mut self,
        _duration: monotonic_clock::Duration,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(0)
    }
}

/// A wait that is over.
struct Over;

#[wasmtime_wasi::async_trait]
impl Pollable for Over {
    async fn ready(&mut self) {}
}

/// A clock that stands still at the epoch: the same request gives the same plan at any hour.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// What a guest wrote to one stream, up to a limit; the rest is dropped, since a refused write
/// would become a panic in the guest.
#[derive(Clone)]
struct Captured(Arc<Mutex<Output>>);

struct Output {
    bytes: Vec<u8>,
    limit: usize,
    whole: bool,
}

impl Captured {
    fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Output {
            bytes: Vec::new(),
            limit,
            whole: true,
        })))
    }

    fn with<R>(&self, use_it: impl FnOnce(&mut Output) -> R) -> R {
        // A poisoned lock still holds bytes that are worth showing.
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn append(&self, bytes: &[u8]) {
        self.with(|output| {
            let room = output.limit.saturating_sub(output.bytes.len());
            output.whole &= bytes.len() <= room;
            output.bytes.extend(bytes.iter().take(room));
        });
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

impl OutputStream for Captured {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE)
    }
}

impl AsyncWrite for Captured {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.append(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
