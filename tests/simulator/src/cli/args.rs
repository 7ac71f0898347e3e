//! The options of the program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tnvm_simulator::Version;

/// What the long help says after the options.
const FORMATS: &str = "\
World file (YAML or JSON; every key optional, unknown keys are errors, names replace or add):
  empty: false               true starts from a bare host
  hostname: truenas
  memory_gib: 128            physical memory
  arc_gib: 8                 current ARC; half of it counts as shrinkable
  rate_limit: true           throttle calls before login
  pace: {start_ms: 40, shutdown_ms: 100, settle_ms: 40, second_ms: 1000}
  pools: [{name: tank, size_gib: 4096, zvol_block_size: 16K, status: ONLINE}]
  datasets: [tank/vms, {name: tank/s, locked: true, readonly: false}]
  zvols: [{name: tank/vms/z, size_gib: 10, sparse: false, readonly: false, origin: null, user_properties: {\"a:b\": c}}]
  snapshots: [tank/vms/z@s]
  files: [/mnt/tank/iso/x.iso, {path: /mnt/tank/iso/y.iso, size: 1048576}]
  interfaces: [{name: br5, kind: bridge, members: [], addresses: [10.0.0.2/24], dhcp_addresses: [], description: \"\"}]
  users: [{name: joe, password: p, role: full_admin, api_key: null, api_key_expired: false, expired: false}]
  users: [{name: ann, password: p, roles: [VM_WRITE, POOL_READ], otp_secret: BASE32, otp_codes: [\"424242\"], otp_window: 1}]
  logins: {scram_iterations: 500000, assurance_level: 1, redirect: [\"https://10.0.0.2\"], trust_loopback: true,
           session_seconds: 2592000, session_idle_seconds: 1800}
  usb: [{name: usb_1_3, vendor_id: \"0x1\", product_id: \"0x2\", vendor: V, product: P}]
  pci: [{name: pci_0000_02_00_0, controller_type: T, vendor: V, product: P, available: true}]
  vms: [{name: web, memory: 512, settings: {cores: 2}, running: true, ignores_acpi: false, fails_to_start: null,
         devices: [{dtype: NIC, type: VIRTIO, nic_attach: br0}]}]
  Roles: full_admin, readonly, nothing; `roles` takes the server's names instead. A user with `otp_secret`
  or `otp_codes` is asked for a one-time code; the secret is base32, as an authenticator app takes it.
  redirect makes the host a standby node; assurance_level 2 is STIG mode; trust_loopback: false treats
  clients on this machine as strangers, whose API keys are revoked when they come without TLS.
  Interface kinds: physical, bridge, bond, vlan.

Fault script (YAML or JSON, a list; every call goes through it and the first entry that strikes decides):
  - {method: vm.device.create, params_contain: DISK, occurrence: 2, effect: {fail: {errno: 14, text: no luck}}}
  method is a method, the beginning of one (vm.*), or http for HTTP requests, whose one parameter is `METHOD /path`.
  occurrence is the n-th matching call (default 1), every, {first: 3} or {from: 3}.
 Effects on the answer:
  {fail: {code: -32602, errno: 22, attribute: vm_create.name, text: bad}}   refused, and nothing is done
  enomem, enospc, ebusy      refused with errno 12, 28, 16
  dataset_busy               what a delete of a busy dataset answers: a refusal up to 25.10, success from 26 on
  {pretend: {result: true}}  answers this and does nothing, as deletes may from 26 on
  {rate_limit: {pause_ms: 5000}}   throttled: a pause (default 1 to 10 s), then errno 16
  concurrency_cap            refused as one call too many in flight
  revoke_key                 the API key that the call presents, or its session's, is revoked
 Effects on when it comes:
  {delay: {ms: 200}}         the call takes longer
  hold_before_commit, hold_after_commit   no answer until a test lets go
 Effects on how it looks:
  duplicate                  the answer comes twice
  {garbage: no_json}         a meaningless frame comes first; also no_object, no_message, binary
  {wrong_id: {then_ms: 50}}  the answer comes under another id; under its own later, or never
  {slow: {pieces: 4, pause_ms: 100}}   the answer trickles
 Effects on the connection:
  drop_before_commit, drop_after_commit, {commit_late: {ms: 50}}   cut before, after, or while it takes effect
  {close: {code: 1011, reason: \"\", after_commit: false}}   closed by the server
  {half_open: {after_commit: false}}   stays open and falls silent, pings included
  {restart: {down_ms: 100, after_commit: false, bad_gateway: false, reboot: false}}   the middleware restarts
 Effects on HTTP requests (these and delay, drop_before_commit, close, half_open):
  {redirect: {to: \"https://nas/api/current\"}}   307; the same host and path by https when left out
  {http_status: {status: 502}}
  Effects whose settings may all be left out may be written as a bare name: half_open, restart, slow, wrong_id, …
";

/// Run a simulated TrueNAS
///
/// It speaks JSON-RPC 2.0 over WebSocket at /api/current and answers GET /api/versions; 24.10 speaks
/// the legacy protocol at /websocket alone, which the others do too. The default world has the pools `tank` and `storage`, some bridges and ISO files, and the user `truenas_admin`
/// with the password `secret`. Nothing outlives the program. Ctrl-C ends it.
#[derive(Debug, Parser)]
#[command(name = "tnvm-simulator", version, after_long_help = FORMATS)]
pub(super) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,

    /// Which TrueNAS to be: 24.10, 25.04.0, 25.04.1, 25.04.2, 25.10, 25.10.0 to 25.10.9, 26,
    /// 26.0.0-BETA.3, or 27
    ///
    /// 25.04.0 and 25.04.1 have no VMs.
    #[arg(long, value_name = "VERSION", default_value = "25.10")]
    pub(super) truenas: Version,

    /// How long every call takes, e.g. 20ms or 1.5s
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    pub(super) latency: Duration,

    /// Speak TLS with a self-signed certificate made at start
    #[arg(long)]
    pub(super) tls: bool,

    /// The administrator's API key, `<id>-<64 characters>`; random when left out
    #[arg(long, value_name = "KEY")]
    pub(super) api_key: Option<String>,

    /// A file that changes the default world
    #[arg(long, value_name = "FILE")]
    pub(super) world: Option<PathBuf>,

    /// A file with faults
    #[arg(long, value_name = "FILE")]
    pub(super) faults: Option<PathBuf>,

    /// Replay transcripts (as TNVM_RECORD writes them) instead of serving, and print what differs
    ///
    /// Each is replayed on a fresh simulator of the version it was recorded on, on a host as the
    /// transcript shows it; --world gives another. Exit code 1 when something differs.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["listen", "truenas", "latency", "tls", "api_key", "faults", "ready_file"])]
    pub(super) conform: Vec<PathBuf>,

    /// How --conform prints what it found
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        requires = "conform",
        default_value = "text"
    )]
    pub(super) output: Output,

    /// A file to write once the simulator listens
    ///
    /// First line `host:port`, then lines `key value`: api_key, pid, and with TLS certificate (path of
    /// the PEM file) and fingerprint (SHA-256, hexadecimal).
    #[arg(long, value_name = "FILE")]
    pub(super) ready_file: Option<PathBuf>,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write e.g. 20ms or 1.5s");
    let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 0.001),
        (None, Some(number)) => (number, 1.0),
        (None, None) => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(duration("20").is_err() && duration("-1s").is_err() && duration("xs").is_err());
    }

    #[test]
    fn the_options_are_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
