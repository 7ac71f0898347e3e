//! What `plan`, `apply` and `drift` have in common: looking at the server, and planning from that.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::args::{ChangeArgs, Global};
use super::exit::Failure;
use super::output::Output;
use super::prepare::{Prepared, Reach, prepare, resolved_secrets};
use super::session::{self, Session};
use crate::config::{Config, Environment};
use crate::diagnostic::Diagnostics;
use crate::plan::{
    ApplyOptions, HostIdentity, Observed, Plan, SavedOptions, Selection, plan_apply,
};
use crate::resolve::Desired;
use crate::truenas::{MASK, Purpose};

/// What should be, and what may be done for it.
pub(super) struct Wanted {
    /// What should be.
    pub(super) desired: Desired,
    /// What may be done.
    pub(super) options: SavedOptions,
    secrets: BTreeMap<String, SecretString>,
}

impl Wanted {
    /// Gets the secrets too, which tell whether the server has others.
    pub(super) fn new(desired: Desired, options: SavedOptions, environment: &Environment) -> Self {
        Self {
            secrets: resolved_secrets(environment, &desired),
            desired,
            options,
        }
    }

    /// Looks at everything that counts.
    pub(super) async fn observe(&self, session: &Session) -> Result<Observed, Failure> {
        session::observe_all_for(&session.client, &self.desired).await
    }

    /// Plans from what was seen.
    pub(super) fn plan(&self, observed: &Observed) -> (Plan, Diagnostics) {
        // A masked secret says nothing.
        let same_secret = |reference: &str, seen: &str| {
            let ours = self.secrets.get(reference);
            seen == MASK || ours.is_none_or(|ours| ours.expose_secret() == seen)
        };
        let options = ApplyOptions {
            selection: &Selection::of(&self.options.only),
            restart: self.options.restart,
            with_snapshots: self.options.with_snapshots,
            same_secret: &same_secret,
        };
        plan_apply(&self.desired, observed, &options)
    }
}

/// Loads the config, connects, and works out what should be on this very server.
pub(super) async fn from_config(
    global: &Global,
    options: SavedOptions,
    vms_at_once: Option<u16>,
    purpose: Purpose,
    output: &Output,
) -> Result<(Session, Wanted, Environment), Failure> {
    let prepared = prepare(global, Reach::Server, output)?;
    let environment = prepared.environment.clone();
    let config: Option<&Config> = Some(&prepared.config);
    let session = session::open(global, &environment, config, vms_at_once, purpose, output).await?;
    match prepared.for_server(&session.client).await {
        Ok(Prepared { desired, .. }) => {
            let wanted = Wanted::new(desired, options, &environment);
            Ok((session, wanted, environment))
        }
        Err(failure) => {
            session.close().await;
            Err(failure)
        }
    }
}

/// The flags, as they are kept.
pub(super) fn options(args: &ChangeArgs) -> SavedOptions {
    SavedOptions {
        only: args.only.clone(),
        restart: args.restart,
        with_snapshots: args.with_snapshots,
    }
}

/// Who the server is.
pub(super) fn identity(session: &Session) -> HostIdentity {
    let server = session.client.server();
    HostIdentity {
        host_id: server.host_id.clone(),
        hostname: server.hostname.clone(),
        endpoint: session.client.endpoint().to_string(),
        version: server.version.to_string(),
    }
}
