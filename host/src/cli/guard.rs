//! The guards of a run, in words for the user: read-only, the audit, and the lock of the group.

use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio::sync::watch;

use super::args::Global;
use super::exit::Failure;
use super::output::Output;
use super::session::{self, Opening, Session};
use super::signals;
use crate::audit::AuditLog;
use crate::config::{Environment, VARIABLES};
use crate::diagnostic::Diagnostic;
use crate::execute::{StopHandle, StopSignal};
use crate::lock::{self, Held, Lock, LockError, LockRecord, Look, Request, Times};
use crate::record::Recorder;
use crate::truenas::{Credentials, Purpose};
use crate::whoami::WhoAmI;

/// The refusal of a run that has something to change but must not.
pub(super) fn read_only() -> Failure {
    Failure::Refused {
        message: "nothing was changed: this run is read-only".to_owned(),
        help: "leave `--read-only` away and unset TNVM_READ_ONLY to do what is shown above"
            .to_owned(),
    }
}

/// The refusal of a run whose plan is no longer the one that was agreed to.
pub(super) fn changed_meanwhile(session: &Session) -> Failure {
    Failure::Refused {
        message: format!(
            "{}nothing was changed: the server is no longer as it was when the plan was shown",
            session.prefix()
        ),
        help: "run the command again, and look at the plan anew".to_owned(),
    }
}

/// Opens the audit of a run that may change something, once for each of so many servers. A file
/// that the user named must be there; without the usual one the run goes on, and says so.
pub(super) fn audits(
    opening: &Opening<'_>,
    who: &WhoAmI,
    servers: usize,
) -> Result<Vec<Option<Arc<AuditLog>>>, Failure> {
    let mut logs = vec![audit(opening, who)?];
    while let (Some(first), true) = (logs.first(), logs.len() < servers) {
        let another = first.as_ref().map(|log| log.another()).transpose();
        let another = another.map_err(|cause| {
            let problem = Diagnostic::error(cause.to_string())
                .help("the system gives no more open files; `ulimit -n` says how many there are");
            Failure::Problems(problem.into())
        })?;
        logs.push(another.map(Arc::new));
    }
    Ok(logs)
}

fn audit(opening: &Opening<'_>, who: &WhoAmI) -> Result<Option<Arc<AuditLog>>, Failure> {
    let Opening {
        global,
        purpose,
        output,
        ..
    } = *opening;
    if purpose == Purpose::Look || global.read_only {
        return Ok(None);
    }
    let open = |path: &_| AuditLog::open(path, who.clone(), purpose.name()).map(Arc::new);
    if let Some(path) = &global.audit_log {
        return open(path).map(Some).map_err(|cause| {
            let problem = Diagnostic::error(cause.to_string())
                .help("name a file that can be written with --audit-log or TNVM_AUDIT_LOG");
            Failure::Problems(problem.into())
        });
    }
    let opened = match AuditLog::default_path() {
        Some(path) => open(&path).map_err(|cause| cause.to_string()),
        None => Err("there is no folder for the audit file".to_owned()),
    };
    Ok(opened
        .map_err(|cause| {
            output.note(&format!(
                "warning: changes are not written down: {cause}; `--audit-log FILE` names another"
            ));
        })
        .ok())
}

/// Makes the recording of a session, where one is wanted. Whatever is known to be secret is hidden
/// in it from its first frame on.
pub(super) fn recorder(
    global: &Global,
    environment: &Environment,
    host: &str,
    credentials: &Credentials,
) -> Result<Option<Arc<Recorder>>, Failure> {
    let Some(path) = global
        .record
        .as_ref()
        .filter(|path| !path.as_os_str().is_empty())
    else {
        return Ok(None);
    };
    let recorder = Recorder::create(path).map_err(|cause| {
        let problem = Diagnostic::error(cause.to_string())
            .help("name a new file with --record or TNVM_RECORD; a recording is never overwritten");
        Failure::Problems(problem.into())
    })?;
    let variables = VARIABLES.iter().filter(|variable| variable.secret);
    for secret in variables.filter_map(|variable| environment.get(variable.name)) {
        recorder.hide(secret.expose_secret());
    }
    let (Credentials::ApiKey { key: secret, .. }
    | Credentials::Password {
        password: secret, ..
    }) = credentials;
    recorder.hide(secret.expose_secret());
    recorder.about(host, credentials.username());
    Ok(Some(Arc::new(recorder)))
}

/// Looks for the place of the lock; goes together with the first look at the server.
pub(super) async fn look(session: &Session) -> Option<Look> {
    if session.may_change {
        Some(lock::look(&session.client).await)
    } else {
        None
    }
}

/// Removes what killed runs left at the place of the lock, where this one has nothing to do.
pub(super) async fn sweep(session: &Session, place: Option<Look>, group: &str) {
    if let Some(place) = place {
        lock::sweep(&session.client, &session.who, group, place).await;
    }
}

/// Takes the lock of a group, and looks at the server under it. Ctrl-C is heard when that is done,
/// so that the lock is not left behind; pressed twice, at once. `place` is a look that was taken
/// just now; after a question to the user there is none.
pub(super) async fn lock<T>(
    session: &Session,
    place: Option<Look>,
    group: &str,
    force: bool,
    output: &Output,
    observe: impl AsyncFn() -> T,
) -> Result<(Option<Held>, T), Failure> {
    if let Some(audit) = &session.audit {
        audit.about_group(group);
    }
    let place = match place {
        Some(place) => place,
        None => lock::look(&session.client).await,
    };
    let request = Request {
        client: &session.client,
        who: &session.who,
        group,
        command: session.purpose.name(),
        force,
        times: Times::default(),
    };
    let tell = |holder: &LockRecord| {
        let holder = holder.holder();
        output.note(&format!(
            "{}removing the lock of group {group}: it is held by {holder}",
            session.prefix()
        ));
    };
    let (stop, signal) = StopSignal::new();
    let interrupts = signals::on_every(move || stop.stop());
    let outcome = tokio::select! {
        outcome = lock::take(&request, place, &tell, observe) => outcome,
        () = signal.now() => return Err(Failure::Interrupted),
    };
    interrupts.abort();
    let interrupted = signal.is_stopping();
    match outcome {
        Ok((Lock::Held(held), _)) if interrupted => {
            held.release().await;
            Err(Failure::Interrupted)
        }
        Ok(_) if interrupted => Err(Failure::Interrupted),
        Ok((Lock::Held(held), seen)) => Ok((Some(held), seen)),
        Ok((Lock::Without(why), seen)) => {
            output.note(&format!(
                "{}warning: group {group} is not locked, so make sure that nobody else works on it: {why}",
                session.prefix()
            ));
            Ok((None, seen))
        }
        Err(LockError::Call(cause)) => Err(session::broken(&cause)),
        Err(LockError::Taken(holders)) => Err(taken(session, group, &holders)),
    }
}

fn taken(session: &Session, group: &str, holders: &[LockRecord]) -> Failure {
    let held: Vec<String> = holders
        .iter()
        .map(|lock| format!("{}; its lock expires at {}", lock.holder(), lock.expiry()))
        .collect();
    let by = if held.is_empty() {
        "several runs at the same moment".to_owned()
    } else {
        held.join(", and by ")
    };
    Failure::Refused {
        message: format!(
            "{}nothing was changed: group {group} is held by {by}",
            session.prefix()
        ),
        help: "wait until that run has ended; a living one renews its lock, that of a dead one \
               expires. If it is sure not to run any more, `--force-unlock` removes its lock"
            .to_owned(),
    }
}

/// Releases the lock, if there is one.
pub(super) async fn unlock(lock: Option<Held>) {
    if let Some(held) = lock {
        held.release().await;
    }
}

/// Leaves the lock to expire, where calls may still be at work on the server.
pub(super) fn leave(session: &Session, lock: Option<Held>, output: &Output) {
    if let Some(held) = lock {
        output.note(&format!(
            "{}the server may still be at work on what was asked for, so the lock of the group is left \
             to expire within two minutes; on this machine the next run takes it over at once",
            session.prefix()
        ));
        held.leave();
    }
}

/// Begins nothing more once the lock is lost.
pub(super) async fn stop_when_lost(
    lost: Option<watch::Receiver<Option<String>>>,
    stop: StopHandle,
    prefix: String,
    output: Output,
) {
    let Some(mut lost) = lost else { return };
    let why = match lost.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        // Released: the run is at its end.
        Err(_) => return,
    };
    output.note(&format!(
        "{prefix}{why}: finishing the calls in flight and beginning nothing more; the same command goes on from there"
    ));
    stop.withdraw();
}
