//! Writing marks: shows which, asks, writes them under the lock, and looks whether they are there.
//!
//! Knows neither which VMs are chosen nor what the marks mean.

use serde::Serialize;
use serde_json::{Map, Value};

use super::args::{AdoptArgs, Global};
use super::exit::{Exit, Failure};
use super::guard;
use super::output::Output;
use super::session::{self, Session};
use super::signals;
use crate::diagnostic::Diagnostics;
use crate::execute::StopSignal;
use crate::lock::Held;
use crate::plan::Observed;
use crate::truenas::{CallError, Client};

/// How often writing begins anew after an answer was lost.
const TRIES: u32 = 3;

/// One call.
pub(super) enum MarkCall {
    /// User properties of a zvol; none as the value removes one.
    Zvol {
        dataset: String,
        properties: Vec<(String, Option<String>)>,
    },
    /// The description of a VM.
    Vm { id: u64, description: String },
}

/// Marks to be written.
pub(super) trait MarkPlan: Clone + PartialEq + Serialize {
    /// The group that they are of.
    fn group(&self) -> &str;
    /// The VMs that have something to be written.
    fn open(&self) -> Vec<&str>;
    /// What is to be written, in this order.
    fn calls(&self) -> Vec<MarkCall>;
    /// The plan for people.
    fn lines(&self) -> Vec<String>;
    /// What it means, before the question.
    fn question(&self) -> &'static str;
    /// What the same command does after an interruption.
    fn goes_on(&self) -> &'static str;
    /// What has been done when all is written.
    fn done(&self) -> String;
}

/// One run: how a plan is made from what is seen. Without errors, it can be carried out.
pub(super) struct Marking<'a, P> {
    pub(super) global: &'a Global,
    pub(super) args: &'a AdoptArgs,
    pub(super) session: &'a Session,
    /// What is to be done.
    pub(super) plan_of: &'a dyn Fn(&Observed) -> (P, Diagnostics),
}

impl<P: MarkPlan> Marking<'_, P> {
    pub(super) async fn run(&self, output: &Output) -> Result<Exit, Failure> {
        let observe = async || session::observe_everything(&self.session.client).await;
        let (place, observed) = tokio::join!(guard::look(self.session), observe());
        let (plan, problems) = self.plan(&observed?)?;
        output.problems(&problems);
        if self.args.dry_run || plan.open().is_empty() {
            show(&plan, output);
            return Ok(Exit::Done);
        }
        if self.global.read_only {
            show(&plan, output);
            return Err(guard::read_only());
        }
        // What was seen before a question is old by the time of its answer.
        let mut place = place;
        if !self.args.yes {
            confirm(&plan, output)?;
            place = None;
        }
        let force = self.args.force_unlock;
        let (lock, observed) =
            guard::lock(self.session, place, plan.group(), force, output, observe).await?;
        let again = observed.and_then(|observed| self.plan(&observed));
        let refused = match again {
            // What is written is what was shown and agreed to, and nothing else.
            Ok((again, _)) if again == plan => None,
            Ok(_) => Some(guard::changed_meanwhile(self.session)),
            Err(failure) => Some(failure),
        };
        if let Some(failure) = refused {
            guard::unlock(lock).await;
            return Err(failure);
        }
        let written = self.write(&plan, lock, output).await?;
        if written == Exit::Done {
            if output.is_json() || self.args.yes {
                show(&plan, output);
            }
            output.note(&plan.done());
        }
        Ok(written)
    }

    fn plan(&self, observed: &Observed) -> Result<(P, Diagnostics), Failure> {
        let (plan, problems) = (self.plan_of)(observed);
        if problems.has_errors() {
            return Err(Failure::Problems(problems));
        }
        Ok((plan, problems))
    }

    /// Writes everything, call by call; a stop signal is heard in between. An answer that is lost is
    /// looked for: what is written needs nothing any more.
    async fn write(&self, plan: &P, lock: Option<Held>, output: &Output) -> Result<Exit, Failure> {
        let (stop, signal) = StopSignal::new();
        let lost = lock.as_ref().map(Held::lost);
        let losing = tokio::spawn(guard::stop_when_lost(
            lost,
            stop.clone(),
            self.session.prefix(),
            *output,
        ));
        let interrupts = signals::on_every(move || stop.stop());
        let mut left = plan.clone();
        let mut outcome = Err(Failure::Interrupted);
        for _ in 0..TRIES {
            let done = tokio::select! {
                biased;
                () = signal.now() => break,
                done = write_all(&self.session.client, &left, &signal) => done,
            };
            let observed = session::observe_everything(&self.session.client).await;
            // A name that was only a mark is not known any more when that is gone.
            let rest = observed.map(|observed| (self.plan_of)(&observed).0);
            outcome = match (done, rest) {
                (_, Ok(rest)) if rest.open().is_empty() => Ok(Exit::Done),
                (Ok(false), Ok(_)) if signal.is_withdrawn() => Ok(Exit::Refused),
                (Ok(false), Ok(_)) => {
                    output.note(&format!("interrupted: the same command {}", plan.goes_on()));
                    Ok(Exit::Interrupted)
                }
                (Err(cause), Ok(rest)) if matches!(cause, CallError::Disconnected { .. }) => {
                    left = rest;
                    outcome = Err(session::broken(&cause));
                    continue;
                }
                (Err(cause), _) => {
                    output.error(&format!("not every mark could be written: {cause}"));
                    output.note(&format!(
                        "  help: remove the cause; the same command {}",
                        plan.goes_on()
                    ));
                    Ok(Exit::Failed)
                }
                (Ok(true), Ok(rest)) => {
                    output.error(&format!(
                        "the server does not show the marks of {} as they were written",
                        rest.open().join(", ")
                    ));
                    Ok(Exit::Failed)
                }
                (Ok(_), Err(failure)) => Err(failure),
            };
            break;
        }
        interrupts.abort();
        losing.abort();
        if matches!(outcome, Err(Failure::Interrupted)) {
            guard::leave(self.session, lock, output);
        } else {
            guard::unlock(lock).await;
        }
        outcome
    }
}

/// Gives whether it came to its end.
async fn write_all<P: MarkPlan>(
    client: &Client,
    plan: &P,
    signal: &StopSignal,
) -> Result<bool, CallError> {
    for call in plan.calls() {
        if signal.is_stopping() {
            return Ok(false);
        }
        match call {
            MarkCall::Zvol {
                dataset,
                properties,
            } => client.set_user_properties(&dataset, &properties).await?,
            MarkCall::Vm { id, description } => {
                let fields: Map<String, Value> = [("description".to_owned(), description.into())]
                    .into_iter()
                    .collect();
                client.update_vm(id, fields).await?;
            }
        }
    }
    Ok(true)
}

fn show<P: MarkPlan>(plan: &P, output: &Output) {
    if output.is_json() {
        output.json(plan);
        return;
    }
    for line in plan.lines() {
        output.line(&line);
    }
}

fn confirm<P: MarkPlan>(plan: &P, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return Err(Failure::NotConfirmed(
            "a program cannot be asked: `-o json` needs `--yes`, or `--dry-run` to look first; nothing was changed".to_owned(),
        ));
    }
    show(plan, output);
    let group = plan.group();
    let question = format!(
        "{} Type the group's name ({group}) to go on:",
        plan.question()
    );
    match output.ask(&question) {
        Some(answer) if answer == group => Ok(()),
        Some(_) => Err(Failure::NotConfirmed(
            "that is not the group's name; nothing was changed".to_owned(),
        )),
        None => Err(Failure::NotConfirmed(
            "nobody can be asked, since standard input is not a terminal; `--yes` goes on without asking; nothing was changed".to_owned(),
        )),
    }
}
