//! A call from its arrival to its answer: who may, what strikes, how long, and in how many steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::shared::Shared;
use super::strikes::{self, Delivery};
use crate::errors::{EACCES, Failure};
use crate::faults::Effect;
use crate::jobs::{JobState, NewJob};
use crate::methods::{self, Access, Context, Method, Progress, Run, Step, older};
use crate::protocol::{Protocol, Request};
use crate::state::{ConnectionId, Outgoing, State};
use crate::version;

/// What a call needs of its connection.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) connection: ConnectionId,
    /// Which life of the server it belongs to: nothing of an earlier one commits any more.
    pub(super) life: u64,
    pub(super) shared: Arc<Shared>,
    /// How it is answered.
    pub(super) protocol: Protocol,
    /// The line whose shapes it is answered in.
    pub(super) shape: version::Line,
    /// One permit per call that may run at once.
    pub(super) running: Arc<Semaphore>,
    /// Calls that were not answered yet; [`run`] takes its own off at its end.
    pub(super) in_flight: Arc<AtomicUsize>,
}

/// How a call is to go on.
enum Admission {
    Unknown,
    Refused(Failure),
    Throttled,
    Go {
        method: &'static Method,
        strike: Option<Effect>,
        journal: usize,
    },
}

/// How a call ended.
pub(super) enum End {
    Answer(Result<Value, Failure>),
    Unknown,
    TooMany,
    /// Not at all: this happens to the connection instead.
    Cut(Outgoing),
}

/// Runs a call and answers it.
pub(super) async fn run(line: Line, mut request: Request, in_flight: usize) {
    let server = line.shared.with(|state| state.world.version.line());
    older::upwards(line.shape, server, &request.method, &mut request.params);
    // Closed semaphores do not occur: nobody closes this one.
    let permit = line.running.clone().acquire_owned().await;
    let (end, delivery, journal) = decide(&line, &request, in_flight).await;
    drop(permit);
    line.in_flight.fetch_sub(1, Ordering::SeqCst);
    line.shared.with(|state| {
        if let (Some(journal), End::Answer(outcome)) = (journal, &end) {
            state.journal.ended(journal, outcome.is_ok());
        }
        let version = state.world.version.clone();
        let frames = version.traces_have_frames();
        let text = |id: &Value| {
            let protocol = line.protocol;
            let answer = match &end {
                End::Unknown => {
                    let known = methods::has_service(&version, &request.method);
                    protocol.method_unknown(id, &request.method, known)
                }
                End::TooMany => protocol.too_many(id),
                End::Answer(Ok(result)) => {
                    let (method, result) = (&request.method, result.clone());
                    let result = older::downwards(line.shape, server, method, result);
                    protocol.result(id, &result)
                }
                End::Answer(Err(failure)) => protocol.failed(id, failure, frames),
                // Filtered out below.
                End::Cut(_) => Value::Null,
            };
            answer.to_string()
        };
        match (&end, &request.id) {
            (End::Cut(what), _) => {
                if let Some(link) = state.links.get(&line.connection) {
                    // A closed channel means the connection's task has just ended.
                    link.send(what.clone()).ok();
                }
            }
            (_, Some(id)) => delivery.send(&line, state, id, text),
            (_, None) => {}
        }
    });
}

async fn decide(
    line: &Line,
    request: &Request,
    in_flight: usize,
) -> (End, Delivery, Option<usize>) {
    let shared = &line.shared;
    let admission = shared.with(|state| {
        let server = state.world.version.line();
        match older::absent(line.shape, server, &request.method) {
            Some(failure) => Admission::Refused(failure),
            None => admit(state, line.connection, request, in_flight),
        }
    });
    let (method, strike, journal) = match admission {
        Admission::Unknown => return (End::Unknown, Delivery::Plain, None),
        Admission::Refused(failure) => {
            return (End::Answer(Err(failure)), Delivery::Plain, None);
        }
        Admission::Throttled => return (strikes::throttled(None).await, Delivery::Plain, None),
        Admission::Go {
            method,
            strike,
            journal,
        } => (method, strike, journal),
    };
    if !shared.latency.is_zero() {
        sleep(shared.latency).await;
    }
    let (end, delivery) = match strike {
        Some(effect) => strikes::suffer(line, method, request, journal, effect).await,
        None => (
            End::Answer(execute(line, method, request).await),
            Delivery::Plain,
        ),
    };
    (end, delivery, Some(journal))
}

/// Recorded on 25.10.7: an unknown name is told apart before anything else is asked.
fn admit(
    state: &mut State,
    connection: ConnectionId,
    request: &Request,
    in_flight: usize,
) -> Admission {
    let Some(method) = methods::find(&state.world.version, &request.method) else {
        return Admission::Unknown;
    };
    let journal = state.journal.arrived(
        connection,
        method.name,
        &request.params,
        method.mutates,
        in_flight,
    );
    let now = Instant::now();
    let Some(session) = state.sessions.get_mut(&connection) else {
        return Admission::Refused(Failure::not_authenticated());
    };
    if let Some(login) = &mut session.login {
        if login.has_expired(&state.world.logins, now) {
            session.log_out();
            // Code reading: `auth.py`; the words are ours.
            return Admission::Refused(Failure::denied(EACCES, "Session expired"));
        }
        login.last_used = now;
    }
    let version = &state.world.version;
    let throttled = session.login.is_none() || version.throttles_the_logged_in();
    match (method.access(version), &session.login) {
        (Access::Roles(_), None) => return Admission::Refused(Failure::not_authenticated()),
        (Access::Roles(roles), Some(login)) if !login.may(roles) => {
            return Admission::Refused(Failure::denied(EACCES, "Not authorized"));
        }
        (Access::Anonymous, _)
            if throttled
                && state.world.rate_limit
                && state
                    .limiter
                    .is_exceeded(method.name, session.peer.ip(), now) =>
        {
            return Admission::Throttled;
        }
        _ => {}
    }
    let strike = state.faults.strike(method.name, &request.params);
    Admission::Go {
        method,
        strike,
        journal,
    }
}

/// Runs a call to its end, or to the number of its job.
pub(super) async fn execute(
    line: &Line,
    method: &'static Method,
    request: &Request,
) -> Result<Value, Failure> {
    let Some(lock) = method.job else {
        return drive(line, method, &request.params, None).await;
    };
    let shared = Arc::clone(&line.shared);
    let added = shared.with(|state| {
        if state.life != line.life {
            return None;
        }
        let session = state.sessions.get(&line.connection);
        let new = NewJob {
            method: method.name.to_owned(),
            arguments: request.params.clone(),
            message_ids: state
                .world
                .version
                .tells_message_ids()
                .then(|| request.id.clone().into_iter().collect()),
            user: session
                .and_then(|session| session.login.as_ref())
                .map(|login| login.user.clone())
                .unwrap_or_default(),
            credentials: session.map_or(Value::Null, |session| {
                session.credentials(&state.world.version)
            }),
            lock: lock(&request.params),
        };
        let withheld = session.is_some_and(|session| !session.legacy_jobs)
            && line.protocol == Protocol::JsonRpc;
        let (job, event) = state.jobs.add(new);
        state.world.emit(event);
        Some((job, withheld))
    });
    let Some((job, withheld)) = added else {
        return Err(Failure::fault("the server was restarted"));
    };
    // The job outlives its caller's connection (recorded on 25.10.7), so it is no child of this call.
    let work = tokio::spawn(work_off(line.clone(), method, request.params.clone(), job));
    if !withheld {
        return Ok(job.into());
    }
    // It only ends by itself or with the runtime.
    work.await.unwrap_or(Ok(Value::Null))
}

/// A job from its queue to its end.
async fn work_off(
    line: Line,
    method: &'static Method,
    params: Vec<Value>,
    job: i64,
) -> Result<Value, Failure> {
    let shared = &line.shared;
    loop {
        // Registered before looking, so that an end in between is not missed.
        let ended = shared.job_ended.notified();
        let started = shared.with(|state| {
            if state.life != line.life {
                return true;
            }
            let event = state.jobs.try_start(job);
            let started = event.is_some();
            state.world.events.extend(event);
            started
        });
        if started {
            break;
        }
        ended.await;
    }
    let outcome = drive(&line, method, &params, Some(job)).await;
    shared.with(|state| {
        // Job numbers begin again with every life.
        if state.life != line.life {
            return;
        }
        let events = state.jobs.finish(job, outcome.clone());
        state.world.events.extend(events);
    });
    shared.job_ended.notify_waiters();
    outcome
}

/// Takes a method's steps, with the time between them.
async fn drive(
    line: &Line,
    method: &Method,
    params: &[Value],
    job: Option<i64>,
) -> Result<Value, Failure> {
    let mut progress = Progress { step: 0, job };
    let mut checked = None;
    loop {
        let step = line.shared.with(|state| {
            if state.life != line.life {
                return Step::Done(Err(Failure::fault("the server was restarted")));
            }
            if job
                .and_then(|job| state.jobs.get(job))
                .is_some_and(|job| job.state == JobState::Aborted)
            {
                return Step::Done(Ok(Value::Null));
            }
            let params = match checked
                .take()
                .map_or_else(|| method.check(&state.world.version, params), Ok)
            {
                Ok(params) => params,
                Err(failure) => return Step::Done(Err(failure)),
            };
            let mut context = Context {
                state,
                connection: line.connection,
            };
            let step = match method.run {
                Run::Now(run) => Step::Done(run(&mut context, &params)),
                Run::Steps(run) => run(&mut context, &params, &mut progress),
            };
            checked = Some(params);
            step
        });
        match step {
            Step::Done(outcome) => return outcome,
            Step::Wait(pause) => sleep(pause).await,
        }
        progress.step += 1;
    }
}
