//! A plan over all servers of a command as it is shown: as text by host, or as JSON.
//!
//! Decides the shape; `output` prints.

use serde::Serialize;
use serde_json::{Map, Value};

use super::exit::Exit;
use super::fleet::{Absent, Place};
use super::look::{Goal, Planned};
use super::output::Output;
use crate::execute::VmReport;
use crate::plan::{Observed, Plan, PlanView, overall};

/// One server's part for showing.
pub(super) struct Shown<'a> {
    place: &'a Place,
    came: Came<'a>,
}

/// What became of asking it.
enum Came<'a> {
    Asked { address: String, plan: PlanView },
    NotAsked(&'a Absent),
}

/// What a command prints for programs of one server. Members are added, never renamed.
#[derive(Debug, Serialize)]
pub(super) struct OfServer<'a> {
    /// None of a server that could not be asked.
    pub(super) plan: Option<&'a PlanView>,
    pub(super) vms: Vec<VmReport>,
    pub(super) summary: Sums,
}

/// The same with its name, where the config names hosts.
#[derive(Debug, Serialize)]
struct OfHost<'a> {
    host: &'a str,
    #[serde(flatten)]
    of: OfServer<'a>,
    /// Why it could not be asked, if so.
    error: Option<Told<'a>>,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    message: &'a str,
    help: Option<&'a str>,
}

/// What a command prints for programs, where the config names hosts.
#[derive(Debug, Serialize)]
struct OfHosts<'a> {
    hosts: Vec<OfHost<'a>>,
    summary: Sums,
}

/// Sums over a run; empty where nothing ran.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Sums {
    /// Of a run.
    Of(Summary),
    /// Of none.
    Nothing {},
}

/// Sums over a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Summary {
    /// VMs by outcome.
    pub(super) outcomes: Map<String, Value>,
    /// Whether every VM is as planned.
    pub(super) success: bool,
    pub(super) interrupted: bool,
    pub(super) wall_seconds: f64,
    /// Calls that read, of the whole command.
    pub(super) reading_calls: u64,
    /// Calls that change something.
    pub(super) mutating_calls: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
}

impl Summary {
    /// Adds what another server came to; they ran side by side.
    pub(super) fn add(&mut self, other: &Self) {
        for (outcome, count) in &other.outcomes {
            let sum = self.outcomes.get(outcome).and_then(Value::as_u64);
            let sum = sum.unwrap_or(0) + count.as_u64().unwrap_or(0);
            self.outcomes.insert(outcome.clone(), sum.into());
        }
        self.success &= other.success;
        self.interrupted |= other.interrupted;
        self.wall_seconds = self.wall_seconds.max(other.wall_seconds);
        self.reading_calls += other.reading_calls;
        self.mutating_calls += other.mutating_calls;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
    }
}

impl<'a> Shown<'a> {
    /// A part; what is left on the server is told where it was looked at.
    pub(super) fn asked(
        place: &'a Place,
        address: String,
        plan: &Plan,
        observed: Option<&Observed>,
    ) -> Self {
        let plan = PlanView::of(plan, observed);
        Self {
            place,
            came: Came::Asked { address, plan },
        }
    }

    /// A server without a part.
    pub(super) fn not_asked(absent: &'a Absent) -> Self {
        Self {
            place: &absent.place,
            came: Came::NotAsked(absent),
        }
    }

    fn plan(&self) -> Option<&PlanView> {
        match &self.came {
            Came::Asked { plan, .. } => Some(plan),
            Came::NotAsked(_) => None,
        }
    }
}

/// All parts of a plan, in order of the config.
pub(super) fn parts<'a, G>(planned: &'a Planned<'_, G>) -> Vec<Shown<'a>> {
    let asked = planned.parts.iter().map(|part| {
        let address = part.member.session.client.endpoint().to_string();
        let observed = Some(&part.observed);
        Shown::asked(&part.member.place, address, &part.plan, observed)
    });
    in_order(asked.chain(planned.absent.iter().map(Shown::not_asked)))
}

/// In order of the config.
pub(super) fn in_order<'a>(all: impl Iterator<Item = Shown<'a>>) -> Vec<Shown<'a>> {
    let mut all: Vec<Shown<'a>> = all.collect();
    all.sort_by_key(|one| one.place.index);
    all
}

/// A dry run: the plan in the shape that a real run prints.
pub(super) fn show_only(shown: &[Shown<'_>], output: &Output) {
    if output.is_json() {
        print_json(
            shown,
            |_| (Vec::new(), Sums::Nothing {}),
            Sums::Nothing {},
            output,
        );
    } else {
        show(shown, output);
    }
}

/// Shows plans that were made without a server, one for each place.
pub(super) fn show_offline(places: &[Place], plans: &[Plan], output: &Output) {
    let shown = places.iter().zip(plans);
    let shown = shown.map(|(place, plan)| Shown::asked(place, "offline".to_owned(), plan, None));
    show_only(&shown.collect::<Vec<_>>(), output);
}

/// Shows a plan and how such a command ends: one that could not ask everybody says so.
pub(super) fn show_planned<G: Goal>(planned: &Planned<'_, G>, output: &Output) -> Exit {
    show_only(&parts(planned), output);
    if planned.absent.is_empty() {
        Exit::Done
    } else {
        Exit::Connection
    }
}

/// The text for people. Where the config names hosts, each has a heading.
pub(super) fn show(shown: &[Shown<'_>], output: &Output) {
    for one in shown {
        match (&one.came, &one.place.name) {
            (Came::Asked { plan, .. }, None) => output.plan(plan),
            (Came::Asked { address, plan }, Some(name)) => {
                output.line(&format!("Host {name} ({address}):"));
                output.plan(plan);
                output.line("");
            }
            (Came::NotAsked(_), _) => {
                output.line(&format!("Host {} could not be asked.", one.place.name()));
                output.line("");
            }
        }
    }
    if shown.iter().any(|one| one.place.name.is_some()) {
        let plans: Vec<&PlanView> = shown.iter().filter_map(Shown::plan).collect();
        output.line(&overall(&plans));
    }
}

/// The JSON for programs; `ran` says what became of the VMs of a server, by its place. Where the
/// config names hosts, there is one for each, and `summary` is the sum of all.
pub(super) fn print_json(
    shown: &[Shown<'_>],
    ran: impl Fn(&Place) -> (Vec<VmReport>, Sums),
    summary: Sums,
    output: &Output,
) {
    let of = |one: &Shown<'_>| ran(one.place);
    if let [one] = shown
        && one.place.name.is_none()
    {
        let (vms, summary) = of(one);
        let plan = one.plan();
        output.json(&OfServer { plan, vms, summary });
        return;
    }
    let hosts = shown.iter().map(|one| {
        let (vms, summary) = of(one);
        let plan = one.plan();
        OfHost {
            host: one.place.name(),
            of: OfServer { plan, vms, summary },
            error: match &one.came {
                Came::Asked { .. } => None,
                Came::NotAsked(absent) => Some(Told {
                    message: &absent.message,
                    help: absent.help.as_deref(),
                }),
            },
        }
    });
    let hosts = hosts.collect();
    output.json(&OfHosts { hosts, summary });
}
