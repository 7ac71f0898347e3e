//! `core.*`: options, subscriptions and jobs. Recorded on 25.10.7.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::method::{Access, Context, Method, Progress, Run, Step};
use super::query::{self, OLD_QUERY, QUERY};
use crate::errors::{ENOMETHOD, Failure};
use crate::jobs::JobState;
use crate::json::{number, object, word};
use crate::random;
use crate::schema::{Default, Field, INT, Model, TEXT, Type};
use crate::version::{Line, Version};

/// How often `core.job_wait` looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Unknown options are ignored here, unlike everywhere else.
static OPTIONS: Model = Model {
    name: "CoreOptions",
    fields: &[
        Field::absent("legacy_jobs", Type::Bool),
        Field::absent("private_methods", Type::Bool),
        Field::absent("py_exceptions", Type::Bool),
    ],
    closed: false,
    rule: None,
};
/// Schema: 25.04.2.
static OPTIONS_25_04: Model = Model {
    name: "CoreSetOptionsOptions",
    fields: &[Field::absent("py_exceptions", Type::Bool)],
    closed: false,
    rule: None,
};
static SET_OPTIONS_25_04: &[Field] = &[Field::required("options", Type::Object(&OPTIONS_25_04))];
static SET_OPTIONS: &[Field] = &[Field::required("options", Type::Object(&OPTIONS))];
static EVENT: &[Field] = &[Field::required("event", TEXT)];
static SUBSCRIPTION: &[Field] = &[Field::required("id_", TEXT)];
static ID: &[Field] = &[Field::required("id", INT)];
static GET_METHODS: &[Field] = &[
    Field::with("service", Type::Nullable(&TEXT), Default::Null),
    Field::with(
        "target",
        Type::OneOf(&["WS", "CLI", "REST"]),
        Default::Text("WS"),
    ),
];
static BULK: &[Field] = &[
    Field::required("method", TEXT),
    Field::required("params", Type::List(&Type::List(&Type::Any))),
    Field::with("description", Type::Nullable(&TEXT), Default::Null),
];

pub(super) const METHODS: &[Method] = &[
    Method::read("core.ping", &[], &[], |_, _| Ok(json!("pong"))).open(Access::Anonymous),
    Method::read("core.set_options", &[], SET_OPTIONS, set_options)
        .open(Access::Free)
        .since(Line::V25_10),
    Method::read("core.set_options", &[], SET_OPTIONS_25_04, set_options)
        .open(Access::Free)
        .since(Line::V25_04_0)
        .until(Line::V25_04),
    Method::read("core.subscribe", &[], EVENT, subscribe).since(Line::V25_04_0),
    Method::read("core.unsubscribe", &[], SUBSCRIPTION, unsubscribe).since(Line::V25_04_0),
    Method::read("core.get_jobs", &[], QUERY, get_jobs)
        .old(OLD_QUERY)
        .old_in_25_04(),
    Method::read("core.get_methods", &[], GET_METHODS, get_methods),
    Method::write("core.job_abort", &[], ID, job_abort).old_in_25_04(),
    Method::steps("core.job_wait", &[], ID, job_wait)
        .job(|_| None)
        .looking_only()
        .old_in_25_04(),
    Method::steps("core.bulk", &[], BULK, bulk)
        .job(|_| None)
        .old_in_25_04(),
];

fn set_options(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let given = object(params, 0);
    let py_exceptions_only = context.state.world.version.has_legacy_jobs_only();
    let Some(session) = context.session_mut() else {
        return Ok(Value::Null);
    };
    let set = |option: &mut bool, key: &str| {
        if let Some(flag) = given.get(key).and_then(Value::as_bool) {
            *option = flag;
        }
    };
    set(&mut session.py_exceptions, "py_exceptions");
    if py_exceptions_only {
        return Ok(Value::Null);
    }
    set(&mut session.legacy_jobs, "legacy_jobs");
    set(&mut session.private_methods, "private_methods");
    Ok(json!({
        "legacy_jobs": session.legacy_jobs, "private_methods": session.private_methods,
        "py_exceptions": session.py_exceptions,
    }))
}

/// Any name is taken; one that nothing sends stays silent (recorded: an unknown event has an id too).
fn subscribe(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let id = random::uuid();
    if let Some(session) = context.session_mut() {
        session
            .subscriptions
            .insert(id.clone(), word(params, 0).to_owned());
    }
    Ok(json!(id))
}

fn unsubscribe(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    if let Some(session) = context.session_mut() {
        session.subscriptions.remove(word(params, 0));
    }
    Ok(Value::Null)
}

fn get_jobs(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let Some(login) = context.login() else {
        return Err(Failure::not_authenticated());
    };
    let only = (!login.role.is_full()).then_some(login.user.as_str());
    query::answer(
        query::Dialect::of_storage(&context.state.world.version),
        context.state.jobs.rows(only),
        params,
        0,
        "filters",
    )
}

fn get_methods(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let service = params.first().and_then(Value::as_str);
    let version = context.state.world.version.clone();
    let methods = super::names(&version).filter(|method| {
        service.is_none_or(|service| {
            method
                .name
                .rsplit_once('.')
                .is_some_and(|(own, _)| own == service)
        })
    });
    let map: Map<String, Value> = methods
        .map(|method| {
            let accepts: Vec<Value> = method.params(&version).iter().map(|field| json!({"_name_": field.name})).collect();
            let access = method.access(&version);
            let roles: &[&str] = match access {
                Access::Roles(roles) => roles,
                _ => &[],
            };
            let anonymous = !matches!(access, Access::Roles(_));
            (method.name.to_owned(), json!({
                "description": null, "accepts": accepts, "returns": [], "job": method.job.is_some(),
                "roles": roles, "no_auth_required": anonymous,
            }))
        })
        .collect();
    Ok(Value::Object(map))
}

fn job_abort(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let id = number(params, 0);
    if context.state.jobs.get(id).is_none() {
        return Err(if context.state.world.version.leaks_missing_job() {
            Failure::exception("KeyError", id.to_string())
        } else {
            no_job(id)
        });
    }
    // None of the simulated jobs says that it can be aborted. Recorded on 26.0.0-BETA.3 and 27: it goes
    // on; up to 25.10.7 it counts as aborted.
    if context.state.world.version.aborts_any_job()
        && let Some(event) = context.state.jobs.abort(id)
    {
        context.state.world.emit(event);
    }
    Ok(Value::Null)
}

/// Itself a job: it ends as the other one does.
fn job_wait(context: &mut Context<'_>, params: &[Value], _: &mut Progress) -> Step {
    let id = number(params, 0);
    let Some(job) = context.state.jobs.get(id) else {
        return Step::Done(Err(no_job(id)));
    };
    if !job.is_over() {
        return Step::Wait(LOOK_AGAIN);
    }
    Step::Done(match (&job.failure, job.state) {
        (Some(failure), JobState::Failed) => Err(failure.clone()),
        _ => Ok(job.result.clone()),
    })
}

/// One call after the other, without the time they take; jobs are refused. Always a success.
fn bulk(context: &mut Context<'_>, params: &[Value], progress: &mut Progress) -> Step {
    let version = context.state.world.version.clone();
    let method = super::find(&version, word(params, 0));
    let Some(method) = method else {
        return Step::Done(Err(no_method(&version, word(params, 0))));
    };
    if method.job.is_some() {
        return Step::Done(Err(Failure::fault(format!(
            "Method {} cannot be called in bulk",
            method.name
        ))));
    }
    let lists = params
        .get(1)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut results = Vec::new();
    for (position, list) in lists.iter().enumerate() {
        let given = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let outcome = method
            .check(&version, given)
            .and_then(|checked| run_through(method, context, &checked));
        results.push(match outcome {
            Ok(result) => json!({"result": result, "error": null}),
            Err(failure) => json!({"result": null, "error": failure.bare()}),
        });
        if let (true, Some(last)) = (
            version.tells_message_ids(),
            results.last_mut().and_then(Value::as_object_mut),
        ) {
            last.insert("job_id".into(), Value::Null);
        }
        let percent = u32::try_from(position * 100 / lists.len()).unwrap_or(0);
        let note = format!("{position} / {}", lists.len());
        if let Some(event) = progress
            .job
            .and_then(|job| context.state.jobs.set_progress(job, percent, &note))
        {
            context.state.world.emit(event);
        }
    }
    Step::Done(Ok(Value::Array(results)))
}

/// Recorded on 24.10.2.5 to 27: `core.bulk` with a name of no service.
fn no_method(version: &Version, name: &str) -> Failure {
    let (service, method) = name.rsplit_once('.').unwrap_or((name, ""));
    let known = super::names(version).any(|method| {
        method
            .name
            .rsplit_once('.')
            .is_some_and(|(other, _)| other == service)
    });
    let text = if known {
        format!("Method '{method}' not found in '{service}'")
    } else {
        format!("Service '{service}' not found")
    };
    Failure::call(ENOMETHOD, text)
}

fn run_through(
    method: &Method,
    context: &mut Context<'_>,
    params: &[Value],
) -> Result<Value, Failure> {
    match method.run {
        Run::Now(run) => run(context, params),
        Run::Steps(run) => {
            let mut progress = Progress::default();
            loop {
                match run(context, params, &mut progress) {
                    Step::Done(outcome) => return outcome,
                    Step::Wait(_) => progress.step += 1,
                }
            }
        }
    }
}

fn no_job(id: i64) -> Failure {
    let complaints = vec![(
        None,
        format!("Job with id {id} does not exist"),
        crate::errors::ENOENT,
    )];
    Failure::Validation {
        class: "InstanceNotFound",
        complaints,
    }
}
