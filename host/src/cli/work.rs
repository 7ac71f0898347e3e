//! The one way to change servers: look, plan, show, ask, lock, look again, execute.
//!
//! Knows what a command wants by its [`Goal`]; `create`, `apply` and `destroy` differ in that, in
//! what they ask the user, and in whether what is done must be exactly what was shown.

use futures_util::future::join_all;

use super::args::{Global, OnFailureArg};
use super::exit::{Exit, Failure};
use super::fleet::{Absent, Fleet, sort, unreachable};
use super::guard;
use super::look::{Goal, Part, Planned, Seen, look, plan};
use super::output::Output;
use super::prepare::Secrets;
use super::run::{Run, RunPart, run};
use super::shown::{parts, show, show_planned};
use crate::config::Environment;
use crate::execute::OnFailure;
use crate::lock::Held;
use crate::plan::Plan;

/// How a command changes what is there.
pub(super) struct Work<'a> {
    /// The options.
    pub(super) global: &'a Global,
    /// The variables.
    pub(super) environment: &'a Environment,
    /// Where the user is told.
    pub(super) output: &'a Output,
    /// Whether to show the plan and no more.
    pub(super) dry_run: bool,
    /// What the user is asked before these plans are carried out, if anything.
    pub(super) question: &'a dyn Fn(&[&Plan]) -> Option<Question>,
    /// Whether what is done must be what was shown. Otherwise it is what is still missing.
    pub(super) as_shown: bool,
    /// Whether all servers must answer.
    pub(super) all_or_none: bool,
    /// Whether to remove the locks of others.
    pub(super) force_unlock: bool,
    /// VMs side by side on a server, if the user says.
    pub(super) concurrency: Option<u16>,
    /// VMs that may be down for a restart at once, over all servers, if the user says.
    pub(super) max_unavailable: Option<u16>,
    /// What becomes of a VM that fails.
    pub(super) on_failure: OnFailure,
}

/// A question that is answered with the group's name.
pub(super) struct Question {
    /// What a person is asked.
    pub(super) text: String,
    /// What a program is told that cannot be asked.
    pub(super) of_program: String,
    /// What is told where nobody is there to answer.
    pub(super) of_nobody: String,
}

/// The locks of the servers, by their place.
type Locks = Vec<(usize, Option<Held>)>;

impl Work<'_> {
    /// Does it.
    pub(super) async fn carry_out<G: Goal>(&self, fleet: &Fleet<G>) -> Result<Exit, Failure> {
        let mut planned = look(fleet).await?;
        self.require_all(&planned.absent)?;
        planned.tell(self.output)?;
        if self.dry_run {
            return Ok(show_planned(&planned, self.output));
        }
        if self.global.read_only && planned.has_changes() {
            show_planned(&planned, self.output);
            return Err(guard::read_only());
        }
        let plans: Vec<&Plan> = planned.parts.iter().map(|part| &part.plan).collect();
        let question = (self.question)(&plans);
        if let Some(question) = &question {
            self.ask(question, &planned)?;
            // What was seen before a question is old by the time of its answer.
            for part in &mut planned.parts {
                part.locks = None;
            }
        }
        let mut locks = Locks::new();
        if planned.has_changes() {
            for part in &planned.parts {
                part.member.session.expect(&part.plan, self.concurrency);
            }
            (planned, locks) = self.lock(fleet, planned).await?;
        } else {
            let sweeps = planned.parts.iter_mut().map(async |part| {
                let session = &part.member.session;
                guard::sweep(session, part.locks.take(), &part.plan.group).await;
            });
            join_all(sweeps).await;
        }
        let secrets = Secrets::of(self.environment);
        let parts = planned.parts.iter().map(|part| {
            let place = &part.member.place;
            let lock = locks.iter_mut().find(|(index, _)| *index == place.index);
            RunPart {
                place,
                session: &part.member.session,
                plan: &part.plan,
                observed: &part.observed,
                lock: lock.and_then(|(_, lock)| lock.take()),
            }
        });
        let run_it = Run {
            parts: parts.collect(),
            absent: &planned.absent,
            secrets: &secrets,
            concurrency: self.concurrency,
            max_unavailable: self.max_unavailable,
            on_failure: self.on_failure,
            shown: question.is_some(),
        };
        let exit = run(run_it, self.output).await;
        // Those of servers that were lost once they were locked.
        join_all(locks.into_iter().map(|(_, lock)| guard::unlock(lock))).await;
        Ok(exit)
    }

    fn require_all(&self, absent: &[Absent]) -> Result<(), Failure> {
        if self.all_or_none && !absent.is_empty() {
            return Err(unreachable(absent));
        }
        Ok(())
    }

    fn ask<G>(&self, question: &Question, planned: &Planned<'_, G>) -> Result<(), Failure> {
        if self.output.is_json() {
            return Err(Failure::NotConfirmed(question.of_program.clone()));
        }
        show(&parts(planned), self.output);
        let group = planned.parts.first().map(|part| part.plan.group.as_str());
        match self.output.ask(&question.text) {
            Some(answer) if Some(answer.as_str()) == group => Ok(()),
            Some(_) => Err(Failure::NotConfirmed(
                "that is not the group's name; nothing was changed".to_owned(),
            )),
            None => Err(Failure::NotConfirmed(question.of_nobody.clone())),
        }
    }

    /// Takes the lock on every server, and plans again from a look under it. All are taken, or none
    /// is kept. One after the other in one order, so that of two runs that begin together one wins.
    async fn lock<'f, G: Goal>(
        &self,
        fleet: &'f Fleet<G>,
        planned: Planned<'f, G>,
    ) -> Result<(Planned<'f, G>, Locks), Failure> {
        let mut locks = Locks::new();
        match self.lock_all(fleet, planned, &mut locks).await {
            Ok(planned) => Ok((planned, locks)),
            Err(failure) => {
                let held = locks.into_iter().map(|(_, lock)| guard::unlock(lock));
                join_all(held).await;
                Err(failure)
            }
        }
    }

    async fn lock_all<'f, G: Goal>(
        &self,
        fleet: &'f Fleet<G>,
        planned: Planned<'f, G>,
        locks: &mut Locks,
    ) -> Result<Planned<'f, G>, Failure> {
        let (mut seen, mut absent): (Vec<Seen<'f, G>>, _) = (Vec::new(), planned.absent);
        let mut before = Vec::new();
        for part in planned.parts {
            let Part {
                member,
                observed,
                plan,
                locks: place,
            } = part;
            let session = &member.session;
            let observe = async || member.goal.observe(session).await;
            let force = self.force_unlock;
            let taken = guard::lock(session, place, &plan.group, force, self.output, observe).await;
            let again = taken.and_then(|(held, again)| {
                locks.push((member.place.index, held));
                again
            });
            let (again, lost, failure) = sort(vec![(member.place.clone(), again)]);
            if let Some(failure) = failure {
                return Err(failure);
            }
            seen.extend(again.into_iter().map(|(_, again)| (member, None, again)));
            before.push((member, observed, plan));
            for one in lost {
                self.require_all(std::slice::from_ref(&one))?;
                one.tell(self.output);
                absent.push(one);
            }
        }
        if seen.is_empty() {
            return Err(unreachable(&absent));
        }
        let mut again = plan(fleet, seen, absent)?;
        if again.problems.has_errors() {
            return Err(Failure::Problems(again.problems));
        }
        for part in &mut again.parts {
            let index = part.member.place.index;
            let known = before.iter_mut().find(|(one, ..)| one.place.index == index);
            let Some((member, observed, plan)) = known else {
                continue;
            };
            if self.as_shown && *plan != part.plan {
                return Err(guard::changed_meanwhile(&member.session));
            }
            // What is left on the server is told as it was before.
            part.observed = std::mem::take(observed);
        }
        Ok(again)
    }
}

impl From<OnFailureArg> for OnFailure {
    fn from(arg: OnFailureArg) -> Self {
        match arg {
            OnFailureArg::Rollback => Self::Rollback,
            OnFailureArg::Keep => Self::Keep,
        }
    }
}
