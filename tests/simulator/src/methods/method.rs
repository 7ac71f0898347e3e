//! What a method is, and how one is found.

use std::time::Duration;

use serde_json::Value;

use super::{
    auth, auth_legacy, core, dataset, device, disk_image, filesystem, interface, pool, snapshot,
    system, vm, vm_info, zfs_resource,
};
use crate::errors::Failure;
use crate::schema::{Checker, Field};
use crate::session::{Login, Session};
use crate::state::{ConnectionId, State};
use crate::version::{Line, Version};

/// A method of the server.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    params: &'static [Field],
    /// The same as the older schema system names and checks them, where it does so differently.
    old_params: Option<&'static [Field]>,
    /// The last line that checks it by the older schema system.
    last_old: Line,
    access: Access,
    /// Whether it changes anything beyond the session.
    pub(crate) mutates: bool,
    /// Whether it is a job; jobs with the same answer of the function run one after the other.
    pub(crate) job: Option<JobLock>,
    /// The first and the last release line that have it in this form.
    lines: (Line, Line),
    pub(crate) run: Run,
}

/// Names the lock of a job from its parameters; `None` needs no lock.
pub(crate) type JobLock = fn(&[Value]) -> Option<String>;

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody; throttled before login.
    Anonymous,
    /// Anybody, never throttled.
    Free,
    /// Whoever is logged in and has one of these roles; none asks for a login only.
    Roles(&'static [&'static str]),
}

/// The function behind a method.
pub(crate) enum Run {
    /// Done at once.
    Now(fn(&mut Context<'_>, &[Value]) -> Result<Value, Failure>),
    /// Done in steps, with time passing in between.
    Steps(fn(&mut Context<'_>, &[Value], &mut Progress) -> Step),
}

/// What a step comes to.
pub(crate) enum Step {
    /// Call again after this time.
    Wait(Duration),
    /// The end.
    Done(Result<Value, Failure>),
}

/// How far a method in steps has got.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Steps taken before this one.
    pub(crate) step: u32,
    /// The job it runs as.
    pub(crate) job: Option<i64>,
}

/// What a method works on.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) connection: ConnectionId,
}

impl Method {
    /// A method that only looks.
    pub(crate) const fn read(
        name: &'static str,
        roles: &'static [&'static str],
        params: &'static [Field],
        run: fn(&mut Context<'_>, &[Value]) -> Result<Value, Failure>,
    ) -> Self {
        Self {
            name,
            params,
            old_params: None,
            last_old: Line::V24_10,
            access: Access::Roles(roles),
            mutates: false,
            job: None,
            lines: (Line::V24_10, Line::V27),
            run: Run::Now(run),
        }
    }

    /// A method that changes something.
    pub(crate) const fn write(
        name: &'static str,
        roles: &'static [&'static str],
        params: &'static [Field],
        run: fn(&mut Context<'_>, &[Value]) -> Result<Value, Failure>,
    ) -> Self {
        Self {
            name,
            params,
            old_params: None,
            last_old: Line::V24_10,
            access: Access::Roles(roles),
            mutates: true,
            job: None,
            lines: (Line::V24_10, Line::V27),
            run: Run::Now(run),
        }
    }

    /// A method that changes something and takes time.
    pub(crate) const fn steps(
        name: &'static str,
        roles: &'static [&'static str],
        params: &'static [Field],
        run: fn(&mut Context<'_>, &[Value], &mut Progress) -> Step,
    ) -> Self {
        Self {
            name,
            params,
            old_params: None,
            last_old: Line::V24_10,
            access: Access::Roles(roles),
            mutates: true,
            job: None,
            lines: (Line::V24_10, Line::V27),
            run: Run::Steps(run),
        }
    }

    /// The same as a job.
    pub(crate) const fn job(mut self, lock: JobLock) -> Self {
        self.job = Some(lock);
        self
    }

    /// The same, and it changes nothing after all.
    pub(crate) const fn looking_only(mut self) -> Self {
        self.mutates = false;
        self
    }

    /// The same for whoever asks.
    pub(crate) const fn open(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The same with the parameters of the older schema system.
    pub(crate) const fn old(mut self, params: &'static [Field]) -> Self {
        self.old_params = Some(params);
        self
    }

    /// The same of a service that 25.04 still checks by the older schema system (schema: 25.04.2, where
    /// jobs, pools, datasets, snapshots, interfaces and `system.*` are such).
    pub(crate) const fn old_in_25_04(mut self) -> Self {
        self.last_old = Line::V25_04;
        self
    }

    /// The same in this release line and newer ones.
    pub(crate) const fn since(mut self, first: Line) -> Self {
        self.lines.0 = first;
        self
    }

    /// The same up to this release line.
    pub(crate) const fn until(mut self, last: Line) -> Self {
        self.lines.1 = last;
        self
    }

    /// The same in this release line alone.
    pub(crate) const fn only(mut self, line: Line) -> Self {
        self.lines = (line, line);
        self
    }

    /// Who checks its parameters in a version.
    fn checker(&self, version: &Version) -> Checker {
        if version.line() <= self.last_old {
            Checker::Old
        } else {
            Checker::Models
        }
    }

    /// The parameters in a version.
    pub(crate) fn params(&self, version: &Version) -> &'static [Field] {
        match (self.old_params, self.checker(version)) {
            (Some(old), Checker::Old) => old,
            _ => self.params,
        }
    }

    /// Checks parameters as a version does, and answers them complete.
    pub(crate) fn check(&self, version: &Version, params: &[Value]) -> Result<Vec<Value>, Failure> {
        // Recorded on 24.10.2.5, 25.04.2.6, 26.0.0-BETA.3 and 27: `vm.create` without any parameter.
        if params.is_empty() && self.name.ends_with(".create") {
            let text = "CRUDService.create() missing 1 required positional argument: 'data'";
            return Err(Failure::exception("TypeError", text));
        }
        self.checker(version).params(self.params(version), params)
    }

    /// Who may call it in a version.
    pub(crate) fn access(&self, version: &Version) -> Access {
        if version.pings_after_login_only() && self.name == "core.ping" {
            Access::Roles(&[])
        } else {
            self.access
        }
    }
}

impl Context<'_> {
    /// The session of the caller. A job may outlive its connection; it then acts for nobody.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.state.sessions.get(&self.connection)
    }

    /// The same, to change.
    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        self.state.sessions.get_mut(&self.connection)
    }

    /// Who is logged in.
    pub(crate) fn login(&self) -> Option<&Login> {
        self.session().and_then(|session| session.login.as_ref())
    }

    /// Whether the caller may see secrets of VMs and their devices: full administrators, and who may
    /// change devices (code reading: secret fields, 25.04+).
    pub(crate) fn sees_secrets(&self) -> bool {
        !self.state.world.version.masks_secrets()
            || self
                .login()
                .is_some_and(|login| login.role.is_full() || login.may(&["VM_DEVICE_WRITE"]))
    }
}

const NAMESPACES: [&[Method]; 14] = [
    auth::METHODS,
    auth_legacy::METHODS,
    core::METHODS,
    dataset::METHODS,
    device::METHODS,
    disk_image::METHODS,
    filesystem::METHODS,
    interface::METHODS,
    pool::METHODS,
    snapshot::METHODS,
    system::METHODS,
    vm::METHODS,
    vm_info::METHODS,
    zfs_resource::METHODS,
];

/// The method of that name in a version.
pub(crate) fn find(version: &Version, name: &str) -> Option<&'static Method> {
    all(version).find(|method| method.name == name)
}

/// Whether a version has any method beside the given one in its service.
pub(crate) fn has_service(version: &Version, name: &str) -> bool {
    let service = |name: &str| name.rsplit_once('.').map(|(service, _)| service.to_owned());
    all(version).any(|method| service(method.name) == service(name))
}

/// All methods of a version.
pub(crate) fn names(version: &Version) -> impl Iterator<Item = &'static Method> {
    all(version)
}

fn all(version: &Version) -> impl Iterator<Item = &'static Method> {
    let line = version.line();
    let has_vms = version.has_vms();
    NAMESPACES
        .into_iter()
        .flatten()
        .filter(move |method| (method.lines.0..=method.lines.1).contains(&line))
        .filter(move |method| has_vms || !method.name.starts_with("vm."))
}
