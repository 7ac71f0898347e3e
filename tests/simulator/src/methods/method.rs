//! What a method is, and how one is found.

use std::time::Duration;

use serde_json::Value;

use super::{
    auth, core, dataset, device, filesystem, interface, pool, snapshot, system, vm, vm_info,
};
use crate::errors::Failure;
use crate::schema::Field;
use crate::session::{Login, Session};
use crate::state::{ConnectionId, State};
use crate::version::{Line, Version};

/// A method of the server.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Field],
    pub(crate) access: Access,
    /// Whether it changes anything beyond the session.
    pub(crate) mutates: bool,
    /// Whether it is a job; jobs with the same answer of the function run one after the other.
    pub(crate) job: Option<JobLock>,
    /// The release lines that have it in this form; none stands for all.
    pub(crate) lines: &'static [Line],
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
            access: Access::Roles(roles),
            mutates: false,
            job: None,
            lines: &[],
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
            access: Access::Roles(roles),
            mutates: true,
            job: None,
            lines: &[],
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
            access: Access::Roles(roles),
            mutates: true,
            job: None,
            lines: &[],
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

    /// The same in these release lines only.
    pub(crate) const fn only(mut self, lines: &'static [Line]) -> Self {
        self.lines = lines;
        self
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
        self.login()
            .is_some_and(|login| login.role.is_full() || login.may(&["VM_DEVICE_WRITE"]))
    }
}

const NAMESPACES: [&[Method]; 11] = [
    auth::METHODS,
    core::METHODS,
    dataset::METHODS,
    device::METHODS,
    filesystem::METHODS,
    interface::METHODS,
    pool::METHODS,
    snapshot::METHODS,
    system::METHODS,
    vm::METHODS,
    vm_info::METHODS,
];

/// The method of that name in a version.
pub(crate) fn find(version: &Version, name: &str) -> Option<&'static Method> {
    all(version).find(|method| method.name == name)
}

/// All methods of a version.
pub(crate) fn names(version: &Version) -> impl Iterator<Item = &'static Method> {
    all(version)
}

fn all(version: &Version) -> impl Iterator<Item = &'static Method> {
    let line = version.line();
    NAMESPACES
        .into_iter()
        .flatten()
        .filter(move |method| method.lines.is_empty() || method.lines.contains(&line))
}
