//! One login for a whole command, and what commands read over it.

use std::sync::Arc;

use serde_json::Value;

use super::args::Global;
use super::exit::Failure;
use super::guard;
use super::output::Output;
use crate::audit::AuditLog;
use crate::config::{self, Environment, HostEntry};
use crate::diagnostic::Diagnostic;
use crate::execute::{ObserveRequest, observe};
use crate::plan::{Observed, ObservedVm, Plan};
use crate::record::Recorder;
use crate::release::Release;
use crate::resolve::Desired;
use crate::truenas::{
    Allowed, CallError, CallObserver, Client, ConnectOptions, Credentials, Endpoint, Fingerprint,
    Purpose, TlsOptions, WireObserver,
};
use crate::whoami::WhoAmI;

/// How to log in, whatever the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening<'a> {
    /// The options.
    pub(super) global: &'a Global,
    /// The variables.
    pub(super) environment: &'a Environment,
    /// VMs side by side, if the user says. With one there is also one call at a time on a server,
    /// reading included, for servers that take no more.
    pub(super) vms_at_once: Option<u16>,
    /// Only what this needs can be called.
    pub(super) purpose: Purpose,
    /// Where the user is told.
    pub(super) output: &'a Output,
}

/// A logged-in connection.
#[derive(Debug)]
pub(super) struct Session {
    /// The client.
    pub(super) client: Client,
    /// The name of the server in the config, where that names hosts.
    pub(super) name: Option<String>,
    /// The host as the user named it.
    pub(super) host: String,
    /// Who runs this.
    pub(super) who: WhoAmI,
    /// What the connection is for.
    pub(super) purpose: Purpose,
    /// Whether anything may be changed: not by a command that only looks, and not read-only.
    pub(super) may_change: bool,
    /// Where changes are written down; none where nothing may be changed, or there is no place.
    pub(super) audit: Option<Arc<AuditLog>>,
    /// Where every frame is written down, if the user wants that.
    pub(super) recorder: Option<Arc<Recorder>>,
}

/// Connects and logs in, once.
pub(super) async fn open(
    opening: &Opening<'_>,
    host: &HostEntry,
    who: &WhoAmI,
    audit: Option<Arc<AuditLog>>,
) -> Result<Session, Failure> {
    let Opening {
        global,
        environment,
        purpose,
        output,
        ..
    } = *opening;
    let usage = |message, help| usage(host, message, help);
    let connection = environment.connection(host).map_err(Failure::Problems)?;
    let section = &host.section;
    let endpoint = Endpoint::parse(&connection.host).map_err(|cause| {
        usage(
            format!("the host is not an address: {cause}"),
            "name it as `nas`, `nas:444`, `wss://nas` or `ws://127.0.0.1:6000`",
        )
    })?;
    let fingerprint = global
        .fingerprint
        .as_ref()
        .or(section.fingerprint.as_ref())
        .map(|text| text.parse::<Fingerprint>())
        .transpose()
        .map_err(|cause| {
            usage(
                format!("--fingerprint: {cause}"),
                "give the SHA-256 of the certificate in hexadecimal",
            )
        })?;
    let insecure = global.access.insecure();
    if insecure.is_some() && fingerprint.is_some() {
        return Err(usage(
            "--insecure does not go together with a pinned certificate".to_owned(),
            "leave --insecure away: the pinned certificate is accepted, whoever has signed it",
        ));
    }
    if insecure.is_some() && !endpoint.is_plaintext() {
        output.note(&format!(
            "warning: the certificate of {endpoint} is not verified (--insecure): whoever is on the way can read and change everything; `tnvm login` shows what to pin"
        ));
    }
    let credentials = match connection.credentials {
        config::Credentials::ApiKey { username, key } => Credentials::ApiKey {
            username: username.ok_or_else(|| {
                usage(
                    "an API key belongs to a user, and API_USERNAME is not set".to_owned(),
                    "set API_USERNAME to the user that TRUENAS_API_KEY was made for",
                )
            })?,
            key,
        },
        config::Credentials::Password { username, password } => {
            Credentials::Password { username, password }
        }
    };
    let recorder = guard::recorder(global, environment, &endpoint.host(), &credentials)?;
    let default = ConnectOptions::default();
    let options = ConnectOptions {
        concurrency: match opening.vms_at_once {
            Some(1) => 1,
            _ => default.concurrency,
        },
        connections: match opening.vms_at_once {
            Some(1) => 1,
            _ => global.connections.into(),
        },
        tls: TlsOptions {
            ca: global.ca.clone().or_else(|| section.ca.clone()),
            fingerprint,
            insecure,
        },
        allow_plaintext: global.allow_plaintext,
        proxies: global.access.proxies(environment),
        key_login: global.access.key_login(),
        otp: Some(global.access.codes(environment, *output)),
        allowed: Allowed::of(purpose).read_only(global.read_only),
        audit: audit.clone().map(|log| log as Arc<dyn CallObserver>),
        wire: recorder.clone().map(|one| one as Arc<dyn WireObserver>),
        ..default
    };
    let client = Client::connect(&endpoint, &credentials, &options)
        .await
        .map_err(|cause| Failure::Connection {
            help: cause.help(),
            message: cause.to_string(),
        })?;
    if let Some(warning) = unknown(client.release()) {
        opening
            .output
            .problems(&warning.host(host.name.as_deref()).into());
    }
    Ok(Session {
        client,
        name: host.name.clone(),
        host: endpoint.host(),
        who: who.clone(),
        purpose,
        may_change: purpose != Purpose::Look && !global.read_only,
        audit,
        recorder,
    })
}

/// A release that came after this tnvm is worked with as if it were the newest known one.
fn unknown(release: &Release) -> Option<Diagnostic> {
    let known = Release::newest().facts().name;
    let message = format!(
        "TrueNAS {} is newer than this tnvm, which treats it as {known}",
        release.version()
    );
    let warning = Diagnostic::warning(message)
        .help("look whether there is a newer tnvm; `--dry-run` shows what would be done");
    release.is_unknown().then_some(warning)
}

impl Session {
    /// What a line about this server begins with: its name, where it has one.
    pub(super) fn prefix(&self) -> String {
        let name = self.name.as_ref();
        name.map(|name| format!("{name}: ")).unwrap_or_default()
    }

    /// This is about to be carried out: further connections, where they are allowed and there is
    /// work for them, are made meanwhile.
    pub(super) fn expect(&self, plan: &Plan, concurrency: Option<u16>) {
        let steps = plan.vms.iter().map(|vm| vm.steps.len()).sum();
        let at_once = concurrency.map_or(usize::MAX, usize::from);
        self.client.expect_calls(at_once.min(steps));
    }

    /// Logs out.
    pub(super) async fn close(self) {
        self.client.logout().await;
    }
}

/// Everything that a create compares with: all zvols of the server too, since a VM may have its
/// disks outside `storage.pool_path`.
pub(super) async fn observe_for(client: &Client, desired: &Desired) -> Result<Observed, Failure> {
    observe_around(client, desired, false).await
}

/// Everything that an apply compares with: besides, the snapshots of what it may remove.
pub(super) async fn observe_all_for(
    client: &Client,
    desired: &Desired,
) -> Result<Observed, Failure> {
    observe_around(client, desired, true).await
}

async fn observe_around(
    client: &Client,
    desired: &Desired,
    snapshots: bool,
) -> Result<Observed, Failure> {
    let devices = || desired.vms.iter().flat_map(|vm| &vm.devices);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let mut dataset_prefixes: Vec<String> = devices()
        .filter_map(|device| device.volume.as_ref())
        .filter_map(|volume| Some(volume.dataset.rsplit_once('/')?.0.to_owned()))
        .collect();
    dataset_prefixes.sort_unstable();
    dataset_prefixes.dedup();
    let mut files: Vec<String> = devices()
        .filter(|device| {
            device
                .attributes
                .get("dtype")
                .is_some_and(|kind| kind == "CDROM")
        })
        .filter_map(|device| text(device.attributes.get("path")))
        .collect();
    files.sort_unstable();
    files.dedup();
    let request = ObserveRequest {
        dataset_prefixes,
        files,
        want_choices: true,
        want_memory: true,
        want_virtualization: true,
        all_volumes: true,
        snapshots,
    };
    observe(client, &request)
        .await
        .map_err(|cause| broken(&cause))
}

/// All VMs and all zvols: what a destroy looks through for marks.
pub(super) async fn observe_everything(client: &Client) -> Result<Observed, Failure> {
    let request = ObserveRequest {
        all_volumes: true,
        snapshots: true,
        ..ObserveRequest::default()
    };
    observe(client, &request)
        .await
        .map_err(|cause| broken(&cause))
}

/// All VMs alone.
pub(super) async fn observe_vms(client: &Client) -> Result<Vec<ObservedVm>, Failure> {
    let request = ObserveRequest::default();
    let observed = observe(client, &request).await;
    Ok(observed.map_err(|cause| broken(&cause))?.vms)
}

/// One fact of the contract's closed list, as the server answers it.
pub(super) async fn fact(client: &Client, kind: &str) -> Result<Value, Failure> {
    let answer = match kind {
        "nic-choices" => client.nic_choices().await.map(Value::from),
        "bind-choices" => client.bind_choices().await.map(Value::from),
        "disk-choices" => client.disk_choices().await,
        "usb-choices" => client.usb_choices().await,
        "pci-choices" => client.pci_choices().await,
        _ => Ok(Value::Null),
    };
    answer.map_err(|cause| broken(&cause))
}

/// A read before the first change failed: nothing was changed.
pub(super) fn broken(cause: &CallError) -> Failure {
    Failure::Connection {
        message: cause.to_string(),
        help: cause.help().map(str::to_owned),
    }
}

fn usage(host: &HostEntry, message: String, help: &str) -> Failure {
    let problem = Diagnostic::error(message).help(help);
    Failure::Problems(problem.host(host.name.as_deref()).into())
}
