//! `vm.*` that create, change and run VMs.

use std::time::Duration;

use serde_json::{Value, json};

use super::method::{Context, Method, Progress, Step};
use super::query::{self, BY_NUMBER, OLD_BY_NUMBER, OLD_QUERY, QUERY};
use super::shape::Rows;
use crate::errors::Failure;
use crate::json::{flag, int, number, object};
use crate::rules::{models, power, vm};
use crate::version::Line;
use crate::world::Power;

const READ: &[&str] = &["VM_READ"];
const WRITE: &[&str] = &["VM_WRITE"];

pub(super) const METHODS: &[Method] = &[
    Method::read("vm.query", READ, QUERY, query_vms).old(OLD_QUERY),
    Method::read("vm.get_instance", READ, BY_NUMBER, get_instance).old(OLD_BY_NUMBER),
    Method::read("vm.status", READ, models::ID, status),
    Method::write("vm.create", WRITE, models::VM_CREATE_PARAMS, create)
        .old(models::OLD_VM_CREATE_PARAMS)
        .until(Line::V25_10),
    Method::write("vm.create", WRITE, models::VM_CREATE_PARAMS_26, create).only(Line::V26),
    Method::write("vm.create", WRITE, models::VM_CREATE_PARAMS_27, create).since(Line::V27),
    Method::write("vm.update", WRITE, models::VM_UPDATE_PARAMS_25_04, update)
        .old(models::OLD_VM_UPDATE_PARAMS)
        .until(Line::V25_04),
    Method::write("vm.update", WRITE, models::VM_UPDATE_PARAMS, update).since(Line::V25_10),
    Method::steps("vm.delete", WRITE, models::VM_DELETE_PARAMS, delete)
        .old(models::OLD_VM_DELETE_PARAMS),
    Method::steps("vm.start", WRITE, models::VM_START_PARAMS, start),
    Method::steps("vm.stop", WRITE, models::VM_STOP_PARAMS, stop).job(stop_lock),
    Method::steps("vm.restart", WRITE, models::ID, restart).job(restart_lock),
    Method::write("vm.poweroff", WRITE, models::ID, poweroff),
    Method::write("vm.suspend", WRITE, models::ID, suspend),
    Method::write("vm.resume", WRITE, models::ID, resume),
    Method::write("vm.reset", WRITE, models::ID, reset).since(Line::V27),
    Method::write("vm.clone", WRITE, models::VM_CLONE_PARAMS, clone)
        .old(models::OLD_VM_CLONE_PARAMS),
];

fn query_vms(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let secrets = context.sees_secrets();
    let world = &context.state.world;
    let rows: Vec<Value> = world
        .vms
        .values()
        .map(|found| vm::entry(world, found, secrets))
        .collect();
    query::answer_shaped(&world.version, Rows::Vms, rows, params)
}

fn get_instance(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    query::one(entry(context, number(params, 0))?, params)
}

fn entry(context: &Context<'_>, id: i64) -> Result<Value, Failure> {
    let world = &context.state.world;
    Ok(vm::entry(
        world,
        vm::find(world, id)?,
        context.sees_secrets(),
    ))
}

/// Recorded on 25.10.7: an unknown id is `MatchNotFound` here, not a validation error.
fn status(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    let id = number(params, 0);
    match world.vms.get(&id) {
        Some(found) => Ok(vm::status(&world.version, found)),
        None if world.version.uses_pylibvirt() => Err(Failure::not_found("VM", &id.to_string())),
        None => Err(Failure::exception("MatchNotFound", "MatchNotFound()")),
    }
}

fn create(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let id = vm::create(&mut context.state.world, object(params, 0))?;
    entry(context, id)
}

fn update(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let id = number(params, 0);
    vm::update(&mut context.state.world, id, object(params, 1))?;
    entry(context, id)
}

fn delete(context: &mut Context<'_>, params: &[Value], progress: &mut Progress) -> Step {
    let world = &mut context.state.world;
    let (id, options) = (number(params, 0), object(params, 1));
    if progress.step == 0 {
        match power::begin_delete(world, id, &options) {
            Err(failure) => return Step::Done(Err(failure)),
            Ok(true) => return Step::Wait(world.pace.settle),
            Ok(false) => {}
        }
    }
    // A second step only follows where the VM was active.
    Step::Done(power::finish_delete(world, id, &options, progress.step > 0))
}

fn start(context: &mut Context<'_>, params: &[Value], progress: &mut Progress) -> Step {
    let world = &mut context.state.world;
    let id = number(params, 0);
    if progress.step == 0 {
        if let Err(failure) = power::check_start(world, id, flag(&object(params, 1), "overcommit"))
        {
            power::note_failed_start(world, id);
            return Step::Done(Err(failure));
        }
        power::begin_start(world, id);
        return Step::Wait(world.pace.start);
    }
    power::finish_start(world, id);
    Step::Done(Ok(Value::Null))
}

/// Recorded on 25.10.7 and 26.0.0-BETA.3: a guest that ignores ACPI lets the job succeed after
/// `shutdown_timeout` although the VM still runs, unless `force_after_timeout` was given.
fn stop(context: &mut Context<'_>, params: &[Value], progress: &mut Progress) -> Step {
    let options = object(params, 1);
    match stop_step(
        context,
        number(params, 0),
        progress.step,
        flag(&options, "force"),
        flag(&options, "force_after_timeout"),
    ) {
        Ok(Some(wait)) => Step::Wait(wait),
        Ok(None) => Step::Done(Ok(Value::Null)),
        Err(failure) => Step::Done(Err(failure)),
    }
}

fn stop_step(
    context: &mut Context<'_>,
    id: i64,
    step: u32,
    force: bool,
    force_after_timeout: bool,
) -> Result<Option<Duration>, Failure> {
    let world = &mut context.state.world;
    if step == 0 {
        power::check_stop(world, id)?;
    }
    let Some(found) = world.vms.get(&id) else {
        return Ok(None);
    };
    let ignores = found.ignores_acpi;
    let suspended = matches!(found.power, Power::Suspended { .. });
    if force {
        power::turn_off(world, id);
        return Ok(None);
    }
    if step == 0 && (!suspended || force_after_timeout) {
        let seconds = int(&found.config, "shutdown_timeout")
            .and_then(|seconds| u32::try_from(seconds).ok())
            .unwrap_or(90);
        let timeout = world.pace.second.saturating_mul(seconds);
        return Ok(Some(if ignores {
            timeout
        } else {
            world.pace.shutdown.min(timeout)
        }));
    }
    if !ignores && !suspended {
        power::shut_down(world, id);
    } else if force_after_timeout {
        power::turn_off(world, id);
    }
    Ok(None)
}

/// Stop with `force_after_timeout`, then start with overcommit (code reading: `vm.restart`).
fn restart(context: &mut Context<'_>, params: &[Value], progress: &mut Progress) -> Step {
    let id = number(params, 0);
    if progress.step < 2 {
        match stop_step(context, id, progress.step, false, true) {
            Ok(Some(wait)) => return Step::Wait(wait),
            Ok(None) => {}
            Err(failure) => return Step::Done(Err(failure)),
        }
        let world = &mut context.state.world;
        if let Err(failure) = power::check_start(world, id, true) {
            return Step::Done(Err(failure));
        }
        power::begin_start(world, id);
        progress.step = 1;
        return Step::Wait(world.pace.start);
    }
    power::finish_start(&mut context.state.world, id);
    Step::Done(Ok(Value::Null))
}

fn stop_lock(params: &[Value]) -> Option<String> {
    Some(format!(
        "stop_vm_{}",
        params.first().unwrap_or(&json!(null))
    ))
}

fn restart_lock(params: &[Value]) -> Option<String> {
    Some(format!(
        "restart_vm_{}",
        params.first().unwrap_or(&json!(null))
    ))
}

fn poweroff(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    power::power_off(&mut context.state.world, number(params, 0)).map(|()| Value::Null)
}

fn suspend(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    power::suspend(&mut context.state.world, number(params, 0)).map(|()| Value::Null)
}

fn resume(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    power::resume(&mut context.state.world, number(params, 0)).map(|()| Value::Null)
}

/// The domain begins anew, with what it was started with. Schema: 27.0.0.
fn reset(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let world = &context.state.world;
    power::check_running(world, number(params, 0)).map(|()| Value::Null)
}

fn clone(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let name = params.get(1).and_then(Value::as_str);
    power::clone(&mut context.state.world, number(params, 0), name)
}
