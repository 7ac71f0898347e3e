//! The command line: what can be asked for, and its help.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::access::Access;

/// Provisions virtual machines on TrueNAS
///
/// A config says which VMs there should be; tnvm works out every device, shows the plan, makes
/// what is missing over the TrueNAS WebSocket API, and undoes what fails. Credentials come from
/// the environment or a `.env` file beside the config: TRUENAS_HOST, and TRUENAS_API_KEY or
/// API_USERNAME with API_PASSWORD; VNC_PASSWORD for the displays.
///
/// Exit codes: 0 done; 1 some VM failed; 2 bad usage or config, nothing was changed; 3 no
/// connection or login; 4 refused for safety; 130 interrupted. `drift` and `plan
/// --detailed-exitcode`: 2 there are differences, 1 bad usage or config.
#[derive(Debug, Parser)]
#[command(name = "tnvm", version, propagate_version = true, max_term_width = 100)]
pub(super) struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub(super) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the VMs of the config that are missing, and start them
    ///
    /// Nothing that exists is changed or removed. A VM that fails is rolled back: only what this
    /// run made for it is removed. Running it again makes what is still missing.
    Create(CreateArgs),
    /// Show what `apply` would do, and save it if you like
    ///
    /// Compares every VM and device of the config with the server. Changes nothing.
    Plan(PlanArgs),
    /// Make the server as the config says: make, change and remove VMs and devices of the group
    ///
    /// Shows the plan. Before anything is removed, or a VM is restarted, it asks. Running it
    /// again goes on from what is there. With a FILE that `plan --out` wrote, exactly that plan is
    /// carried out, or nothing.
    Apply(ApplyArgs),
    /// Show what differs from the config, for example because somebody changed it by hand
    ///
    /// Exit code 0: nothing; 2: something; 1: bad usage or config.
    Drift(DriftArgs),
    /// Take over VMs that tnvm did not make, or write a config for them, or give them back
    ///
    /// Marks the VMs and their zvols as the group's, after asking; changes nothing else. From
    /// then on `apply` and `destroy` count them in. Each VM needs an entry in the config before
    /// that: `--write` makes one. `--release` takes the marks off again.
    Adopt(AdoptArgs),
    /// Remove the group's VMs and their zvols
    ///
    /// Takes only what carries the group's ownership mark; a VM or zvol whose name merely looks
    /// alike stays. Shows what goes, and asks for the group's name.
    Destroy(DestroyArgs),
    /// List the server's VMs
    List(ListArgs),
    /// Test address, certificate and credentials, and whether the roles suffice
    ///
    /// Shows the certificate's fingerprint to pin, how the login went, the roles, and what is
    /// missing for which command; with a config, for what its VMs need. Changes nothing. Exit code
    /// 0: all is there; 1: roles are missing; 3: no login.
    Login,
    /// Show the device types that are loaded
    #[command(subcommand)]
    Plugin(PluginCommand),
}

/// Options of every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The config
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        default_value = "config.yaml",
        help_heading = "Input"
    )]
    pub(super) config: PathBuf,
    /// The group's name; default: from the config, or the config's folder
    #[arg(long, global = true, value_name = "NAME", help_heading = "Input")]
    pub(super) group: Option<String>,
    /// Override one value of the config: worker.count=5
    #[arg(long, global = true, value_name = "PATH=VALUE", help_heading = "Input")]
    pub(super) set: Vec<String>,
    /// Templates that override the built-in ones, file by file
    #[arg(long, global = true, value_name = "DIR", help_heading = "Input")]
    pub(super) templates_dir: Option<PathBuf>,
    /// Folder of further plugins (*.wasm)
    #[arg(long, global = true, value_name = "DIR", help_heading = "Input")]
    pub(super) plugins_dir: Option<PathBuf>,
    /// The server: name, name:port or a URL; without a scheme wss is meant. Where the config names
    /// hosts: the name of one, to leave the others out [env: TRUENAS_HOST]
    #[arg(long, global = true, value_name = "HOST", help_heading = "Connection")]
    pub(super) host: Option<String>,
    /// Certificates to trust instead of the platform's (PEM)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub(super) ca: Option<PathBuf>,
    /// The server certificate's SHA-256 fingerprint to trust, and no other
    #[arg(
        long,
        global = true,
        value_name = "SHA256",
        help_heading = "Connection"
    )]
    pub(super) fingerprint: Option<String>,
    /// How to get in.
    #[command(flatten)]
    pub(super) access: Access,
    /// Send a password over ws:// to another machine; with --auth scram, use an API key there
    #[arg(long, global = true, help_heading = "Connection")]
    pub(super) allow_plaintext: bool,
    /// How many connections to the server there may be, each with a login of its own; beyond the
    /// first they are made when there is work for them
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=8),
        help_heading = "Connection"
    )]
    pub(super) connections: u8,
    /// Refuse every change before it is sent, whatever the command; it still shows what it would do
    #[arg(
        long,
        global = true,
        env = "TNVM_READ_ONLY",
        value_parser = FalseyValueParser::new(),
        help_heading = "Safety"
    )]
    pub(super) read_only: bool,
    /// Where a line per change is added; default: audit.jsonl in the user's folder for state
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TNVM_AUDIT_LOG",
        help_heading = "Safety"
    )]
    pub(super) audit_log: Option<PathBuf>,
    /// Write every frame of the session there, without secrets, names and addresses; never over a
    /// file that is there
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TNVM_RECORD",
        help_heading = "Output"
    )]
    pub(super) record: Option<PathBuf>,
    /// How to print data
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, help_heading = "Output")]
    pub(super) output: Format,
    /// Whether to colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, help_heading = "Output")]
    pub(super) color: Colour,
    /// What to log on standard error: error, warn, info, debug, trace, or a tracing filter
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "warn",
        env = "TNVM_LOG",
        help_heading = "Output"
    )]
    pub(super) log_level: String,
    /// How to log
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, help_heading = "Output")]
    pub(super) log_format: LogFormat,
}

/// What `plan` and `apply` may do, and to which VMs.
#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// Only these VMs: a name, a VM type, or a pattern such as `worker*`; may be given repeatedly
    #[arg(long, value_name = "NAME|TYPE|GLOB")]
    pub(super) only: Vec<String>,
    /// Shut down and start running VMs where a change needs it
    #[arg(long)]
    pub(super) restart: bool,
    /// Let snapshots of zvols that are removed go with them; never clones
    #[arg(long)]
    pub(super) with_snapshots: bool,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) change: ChangeArgs,
    /// Save the plan for `tnvm apply FILE`; an existing file is replaced
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    pub(super) out: Option<PathBuf>,
    /// Exit with 0 when there is nothing to do, 2 when there is, 1 when that cannot be said
    #[arg(long)]
    pub(super) detailed_exitcode: bool,
    /// Plan without a server, as if it were empty
    #[arg(long)]
    pub(super) offline: bool,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// A plan that `tnvm plan --out` wrote; what was allowed there is allowed here
    #[arg(value_name = "FILE", conflicts_with_all = ["only", "restart", "with_snapshots"])]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) change: ChangeArgs,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
    /// How many VMs may be down for a restart at the same time, over all hosts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) max_unavailable: u16,
    /// How many VMs to work on side by side; 1 is strictly one call at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) concurrency: Option<u16>,
    /// What becomes of a VM that fails
    #[arg(long, value_enum, default_value_t = OnFailureArg::Rollback)]
    pub(super) on_failure: OnFailureArg,
    /// Remove the lock that another run holds on the group; only when it is sure not to run
    #[arg(long)]
    pub(super) force_unlock: bool,
}

/// Arguments of `adopt`.
#[derive(Debug, Args)]
pub(super) struct AdoptArgs {
    /// The VMs, by name
    #[arg(value_name = "NAME", required_unless_present = "prefix")]
    pub(super) names: Vec<String>,
    /// All VMs whose names begin so
    #[arg(long, value_name = "TEXT")]
    pub(super) prefix: Option<String>,
    /// The VM type they are of; default: as the config has it, else the name without its number
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) vm_type: Option<String>,
    /// Mark nothing, and write a config that says what is there; `-` is standard output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["yes", "force_unlock", "dry_run"])]
    pub(super) write: Option<PathBuf>,
    /// Give the VMs back: take the marks off them and their zvols, and leave them as they are
    #[arg(long, conflicts_with_all = ["vm_type", "write"])]
    pub(super) release: bool,
    /// Show what would be marked and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Remove the lock that another run holds on the group; only when it is sure not to run
    #[arg(long)]
    pub(super) force_unlock: bool,
}

/// Arguments of `drift`.
#[derive(Debug, Args)]
pub(super) struct DriftArgs {
    /// Only these VMs: a name, a VM type, or a pattern such as `worker*`; may be given repeatedly
    #[arg(long, value_name = "NAME|TYPE|GLOB")]
    pub(super) only: Vec<String>,
}

/// Arguments of `create`.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Show the plan and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Plan without a server, as if it were empty
    #[arg(long, requires = "dry_run")]
    pub(super) offline: bool,
    /// Only these VMs: a name, a VM type, or a pattern such as `worker*`; may be given repeatedly
    #[arg(long, value_name = "NAME|TYPE|GLOB")]
    pub(super) only: Vec<String>,
    /// How many VMs to work on side by side; 1 is strictly one call at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) concurrency: Option<u16>,
    /// What becomes of a VM that fails
    #[arg(long, value_enum, default_value_t = OnFailureArg::Rollback)]
    pub(super) on_failure: OnFailureArg,
    /// Remove the lock that another run holds on the group; only when it is sure not to run
    #[arg(long)]
    pub(super) force_unlock: bool,
}

/// Arguments of `destroy`.
#[derive(Debug, Args)]
pub(super) struct DestroyArgs {
    /// Only these VMs: a name, a VM type, or a pattern such as `worker*`; may be given repeatedly
    #[arg(long, value_name = "NAME|TYPE|GLOB")]
    pub(super) only: Vec<String>,
    /// Let snapshots of the zvols go with them; never clones
    #[arg(long)]
    pub(super) with_snapshots: bool,
    /// Show what would go and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
    /// How many VMs to work on side by side; 1 is strictly one call at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) concurrency: Option<u16>,
    /// Remove the lock that another run holds on the group; only when it is sure not to run
    #[arg(long)]
    pub(super) force_unlock: bool,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only VMs that tnvm made
    #[arg(long)]
    pub(super) owned: bool,
    /// The VMs of every host of the config, with a column that says where each is
    #[arg(long)]
    pub(super) all_hosts: bool,
}

/// What to do with plugins.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// List the device types, the key each claims, and where it comes from
    List,
}

/// How to print data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What becomes of a VM that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OnFailureArg {
    /// What this run made for it is removed.
    Rollback,
    /// It stays as it is, for a look.
    Keep,
}
