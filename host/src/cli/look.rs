//! Looking at all servers of a command and planning for each, then over all.
//!
//! Changes nothing, and shows nothing but what is wrong.

use futures_util::future::join_all;

use super::exit::Failure;
use super::fleet::{Absent, Fleet, Member, sort, unreachable};
use super::guard;
use super::output::Output;
use super::session::Session;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lock::Look;
use crate::plan::{HostPart, Observed, Plan, check_across};
use crate::resolve::Desired;

/// What a command wants of one server.
pub(super) trait Goal {
    /// The group.
    fn group(&self) -> &str;

    /// What should be there; none where the marks alone count.
    fn desired(&self) -> Option<&Desired>;

    /// Looks at everything that the plan depends on.
    async fn observe(&self, session: &Session) -> Result<Observed, Failure>;

    /// Plans from what was seen. `elsewhere` are the VMs (name and type) of the other servers, which
    /// a pattern of the user may be about.
    fn plan(
        &self,
        observed: &Observed,
        elsewhere: &[(String, String)],
    ) -> Result<(Plan, Diagnostics), Failure>;
}

/// One server's part.
pub(super) struct Part<'f, G> {
    pub(super) member: &'f Member<G>,
    pub(super) observed: Observed,
    pub(super) plan: Plan,
    /// Where locks are, where something may be changed.
    pub(super) locks: Option<Look>,
}

/// All parts.
pub(super) struct Planned<'f, G> {
    /// Of the servers that answer, in order; at least one.
    pub(super) parts: Vec<Part<'f, G>>,
    /// The servers that do not.
    pub(super) absent: Vec<Absent>,
    /// What is to be said of all of it. The plans are only fit for execution when there is no error.
    pub(super) problems: Diagnostics,
}

/// What was seen of a server.
pub(super) type Seen<'f, G> = (&'f Member<G>, Option<Look>, Observed);

/// Looks at all servers, and plans.
///
/// # Errors
/// None can be asked any more, or what one holds forbids to go on.
pub(super) async fn look<G: Goal>(fleet: &Fleet<G>) -> Result<Planned<'_, G>, Failure> {
    let looks = fleet.members.iter().map(async |member| {
        let Member { session, goal, .. } = member;
        let (locks, observed) = tokio::join!(guard::look(session), goal.observe(session));
        let seen = observed.map(|observed| (member, locks, observed));
        (member.place.clone(), seen)
    });
    let (seen, lost, failure) = sort(join_all(looks).await);
    if let Some(failure) = failure {
        return Err(failure);
    }
    let absent = [fleet.absent.clone(), lost].concat();
    if seen.is_empty() {
        return Err(unreachable(&absent));
    }
    let seen = seen.into_iter().map(|(_, seen)| seen).collect();
    plan(fleet, seen, absent)
}

/// Plans for each server from what was seen, and compares.
///
/// # Errors
/// What one holds forbids to go on.
pub(super) fn plan<'f, G: Goal>(
    fleet: &Fleet<G>,
    seen: Vec<Seen<'f, G>>,
    absent: Vec<Absent>,
) -> Result<Planned<'f, G>, Failure> {
    let known: Vec<Vec<(String, String)>> = seen.iter().map(known).collect();
    let of_absent: Vec<(String, String)> = absent
        .iter()
        .flat_map(|one| one.place.vms.clone())
        .collect();
    let mut problems = Diagnostics::default();
    let mut parts = Vec::with_capacity(seen.len());
    for (nth, (member, locks, observed)) in seen.into_iter().enumerate() {
        let others = known.iter().enumerate().filter(|(other, _)| *other != nth);
        let mut elsewhere: Vec<_> = others.flat_map(|(_, vms)| vms.clone()).collect();
        elsewhere.extend(of_absent.iter().cloned());
        let (plan, found) = member.goal.plan(&observed, &elsewhere)?;
        problems.extend(found.of_host(member.place.name.as_deref()));
        parts.push(Part {
            member,
            observed,
            plan,
            locks,
        });
    }
    let compared: Vec<HostPart<'_>> = parts
        .iter()
        .filter_map(|part| {
            Some(HostPart {
                host: part.member.place.name(),
                desired: part.member.goal.desired()?,
                plan: &part.plan,
                observed: &part.observed,
            })
        })
        .collect();
    problems.extend(check_across(&compared));
    problems.extend(perhaps_elsewhere(&compared, fleet, &absent));
    Ok(Planned {
        parts,
        absent,
        problems,
    })
}

/// The VMs that a server should have, and those that it has of the group.
fn known<G: Goal>((member, _, observed): &Seen<'_, G>) -> Vec<(String, String)> {
    let marks = observed.marks(member.goal.group());
    let there = marks
        .into_iter()
        .map(|mark| (mark.vm.clone(), mark.vm_type.clone()));
    there.chain(member.place.vms.iter().cloned()).collect()
}

/// Nobody knows whether a server that was not asked has a VM that is made anew on another.
fn perhaps_elsewhere<G>(
    parts: &[HostPart<'_>],
    fleet: &Fleet<G>,
    absent: &[Absent],
) -> Diagnostics {
    let absent = absent.iter().map(|one| one.place.name().to_owned());
    let mut unasked: Vec<String> = fleet.unasked.iter().cloned().chain(absent).collect();
    unasked.dedup();
    let mut problems = Diagnostics::default();
    if unasked.is_empty() {
        return problems;
    }
    let unasked = unasked.join(" and ");
    for part in parts {
        for vm in part.plan.vms.iter().filter(|vm| vm.creates()) {
            problems.push(
                Diagnostic::warning(format!(
                    "to be made on {}; {unasked} was not asked whether it is there already",
                    part.host
                ))
                .help("if you changed its `host`, look there first: two of it would have the same MAC addresses")
                .vm(&vm.name),
            );
        }
    }
    problems
}

impl<G> Planned<'_, G> {
    /// Whether anything is to be done anywhere.
    pub(super) fn has_changes(&self) -> bool {
        self.parts.iter().any(|part| !part.plan.is_empty())
    }

    /// Tells what is to be said, and who could not be asked.
    ///
    /// # Errors
    /// The problems, where they forbid to go on.
    pub(super) fn tell(&self, output: &Output) -> Result<(), Failure> {
        for absent in &self.absent {
            absent.tell(output);
        }
        if self.problems.has_errors() {
            return Err(Failure::Problems(self.problems.clone()));
        }
        output.problems(&self.problems);
        Ok(())
    }
}
