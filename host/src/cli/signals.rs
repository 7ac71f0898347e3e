//! The wish of the user, or of the system, to end: Ctrl-C, SIGTERM, SIGHUP.
//!
//! Knows nothing of what is ended.

use tokio::task::JoinHandle;

/// Acts every time the process is asked to end, until it is aborted: on SIGINT (Ctrl-C), on SIGTERM
/// (a service or a CI job is cancelled) and on SIGHUP (the terminal is closed), unless the process
/// was started with SIGHUP ignored (`nohup`).
pub(super) fn on_every(mut act: impl FnMut() + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut signals = Signals::new();
        while signals.next().await {
            act();
        }
    })
}

#[cfg(unix)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        if !is_ignored(SignalKind::hangup()) {
            kinds.push(SignalKind::hangup());
        }
        let listen = |kind| {
            signal(kind)
                .inspect_err(|error| tracing::warn!(%error, ?kind, "a signal cannot be heard"))
                .ok()
        };
        Self(kinds.into_iter().filter_map(listen).collect())
    }

    /// Waits for one; gives whether there can be another.
    async fn next(&mut self) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let each = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        let (heard, _, _) = futures_util::future::select_all(each).await;
        heard.is_some()
    }
}

/// Whether the process was told to ignore a signal, from `/proc` (Linux): a mask in hexadecimal, the
/// first signal the lowest bit. Listening would end that.
#[cfg(unix)]
fn is_ignored(kind: tokio::signal::unix::SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    let bit = u32::try_from(kind.as_raw_value() - 1).unwrap_or(u32::MAX);
    mask.checked_shr(bit).unwrap_or(0) & 1 == 1
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) -> bool {
        tokio::signal::ctrl_c().await.is_ok()
    }
}
