//! All times that the client waits, each with what it bounds and why it is as long as it is.

use std::time::Duration;

/// One address of the host: from SYN to an open connection. A LAN answers within milliseconds;
/// three lost SYNs are sent again within 7 s, of which two must suffice.
pub(super) const TCP: Duration = Duration::from_secs(5);

/// The answer of a proxy to `CONNECT`: it looks the server up and connects to it before.
pub(super) const TUNNEL: Duration = Duration::from_secs(15);

/// The TLS handshake. One signature on a slow box takes well below a second.
pub(super) const TLS: Duration = Duration::from_secs(10);

/// The WebSocket upgrade. A middleware that has just started takes some seconds to accept.
pub(super) const UPGRADE: Duration = Duration::from_secs(15);

/// The login: PAM delays a wrong password by 1–2 s, the rate limit sleeps up to 10 s before it
/// answers (25.04+), and a directory service may be asked.
pub(super) const LOGIN: Duration = Duration::from_secs(45);

/// How long a token stands for the one-time code of a first login. Longer than a run with slow
/// restarts takes, and short enough not to lie about for long.
pub(super) const TOKEN: Duration = Duration::from_secs(2 * 3600);

/// The goodbye. Nothing depends on it, so nobody waits long for it.
pub(super) const LOGOUT: Duration = Duration::from_secs(3);

/// Closing the socket after the goodbye.
pub(super) const CLOSE: Duration = Duration::from_secs(2);

/// A read from the middleware's own tables, choices or kernel. Choices of PCI devices walk the
/// bus and may take seconds.
pub(super) const READ: Duration = Duration::from_secs(30);

/// A query that walks ZFS: seconds on a box with thousands of datasets, more under load.
pub(super) const STORAGE_QUERY: Duration = Duration::from_secs(90);

/// Making, changing or removing a zvol or a device: waits for a ZFS transaction, and behind other callers'.
pub(super) const STORAGE: Duration = Duration::from_secs(120);

/// `vm.create`: the first use starts libvirt, which takes several seconds (25.10 and older).
pub(super) const VM_CREATE: Duration = Duration::from_secs(60);

/// `vm.update` asks the kernel and, for a new name, libvirt, as `vm.create` does.
pub(super) const VM_UPDATE: Duration = VM_CREATE;

/// `vm.start` returns when the domain runs; taking memory back from the ARC comes before that.
pub(super) const VM_START: Duration = Duration::from_secs(120);

/// `vm.delete` of an active VM waits 7 s for the domain to end, behind other callers'.
pub(super) const VM_DELETE: Duration = Duration::from_secs(60);

/// `vm.stop`: `shutdown_timeout` is at most 300 s (`vm.create`, all versions); 30 s on top.
pub(super) const VM_STOP: Duration = Duration::from_secs(330);

/// A running job is looked up anew when no event told of it for so long: events are a hint.
pub(super) const JOB_POLL: Duration = Duration::from_secs(15);

/// Silence from the server after which a ping is sent. nginx of 25.10 and older cuts a connection
/// that had no frame from the server for 60 s: this leaves room for two tries.
pub(super) const IDLE: Duration = Duration::from_secs(20);

/// How long after a ping any frame must have come. The connection is taken for dead after that.
pub(super) const PONG: Duration = Duration::from_secs(15);

/// Writing one frame. Only a peer that no longer reads makes this long.
pub(super) const WRITE: Duration = Duration::from_secs(20);

/// Pauses before the attempts to connect again, at most one login each. A cut cable or a proxy is
/// back at once; a middleware that restarts takes some ten seconds. All attempts of a minute stay
/// far below the 20 calls before login that the server grants an address in that time.
pub(super) const RECONNECT: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_secs(3),
    Duration::from_secs(6),
    Duration::from_secs(12),
    Duration::from_secs(24),
];

/// Within this time login calls are counted together: the server's 60 s, and one more for the way.
pub(super) const LOGIN_WINDOW: Duration = Duration::from_secs(61);

/// A connection that lasted so long was a good one: the next loss has all attempts again.
pub(super) const STABLE: Duration = Duration::from_secs(60);

/// First pause before a call is sent again that the server did not take up (−32000: more than 20
/// in flight); doubled each time.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(100);
