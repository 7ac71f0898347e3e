//! What `plan`, `apply` and `drift` have in common: looking at the server, and planning from that.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::args::{ChangeArgs, Global};
use super::exit::Failure;
use super::fleet::Fleet;
use super::look::Goal;
use super::output::Output;
use super::prepare::{Reach, prepare, resolved_secrets};
use super::session::{self, Opening, Session};
use crate::config::Environment;
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

    /// Plans from what was seen. `elsewhere` are the VMs (name and type) of other servers.
    pub(super) fn plan_from(
        &self,
        observed: &Observed,
        elsewhere: &[(String, String)],
    ) -> (Plan, Diagnostics) {
        // A masked secret says nothing.
        let same_secret = |reference: &str, seen: &str| {
            let ours = self.secrets.get(reference);
            seen == MASK || ours.is_none_or(|ours| ours.expose_secret() == seen)
        };
        let options = ApplyOptions {
            selection: &Selection::of(&self.options.only).with_elsewhere(elsewhere),
            restart: self.options.restart,
            with_snapshots: self.options.with_snapshots,
            same_secret: &same_secret,
        };
        plan_apply(&self.desired, observed, &options)
    }
}

impl Goal for Wanted {
    fn group(&self) -> &str {
        &self.desired.group
    }

    fn desired(&self) -> Option<&Desired> {
        Some(&self.desired)
    }

    async fn observe(&self, session: &Session) -> Result<Observed, Failure> {
        session::observe_all_for(&session.client, &self.desired).await
    }

    fn plan(
        &self,
        observed: &Observed,
        elsewhere: &[(String, String)],
    ) -> Result<(Plan, Diagnostics), Failure> {
        Ok(self.plan_from(observed, elsewhere))
    }
}

/// Loads the config, connects, and works out what should be on these very servers. `goal` makes of
/// that what the command wants.
pub(super) async fn from_config<G>(
    global: &Global,
    options: SavedOptions,
    vms_at_once: Option<u16>,
    purpose: Purpose,
    output: &Output,
    goal: impl Fn(Wanted) -> G,
) -> Result<(Fleet<G>, Environment), Failure> {
    let prepared = prepare(global, Reach::Server, output)?;
    let opening = Opening {
        global,
        environment: &prepared.environment,
        vms_at_once,
        purpose,
        output,
    };
    let targets = prepared.targets(&Selection::of(&options.only));
    let unasked = prepared.unasked.clone();
    let fleet = Fleet::open(&opening, targets, unasked, async |session, part| {
        let desired = prepared.for_server(&part, &session.client).await?;
        let wanted = Wanted::new(desired, options.clone(), &prepared.environment);
        Ok(goal(wanted))
    })
    .await?;
    Ok((fleet, prepared.environment))
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
