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

/// What a command prints for programs. Its shape is documented in `docs/plan-format.md`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Printed<'a> {
    /// Of a config that names no hosts.
    One(OfServer<'a>),
    /// Of one that does.
    Hosts(OfHosts<'a>),
}

/// What is printed of one server. Members are added, never renamed.
#[derive(Debug, Serialize)]
pub(super) struct OfServer<'a> {
    /// None of a server that could not be asked.
    plan: Option<&'a PlanView>,
    vms: Vec<VmReport>,
    summary: Sums,
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

/// What is printed where the config names hosts.
#[derive(Debug, Serialize)]
pub(super) struct OfHosts<'a> {
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
        let ran = |_: &Place| (Vec::new(), Sums::Nothing {});
        output.json(&printed(shown, ran, Sums::Nothing {}));
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
pub(super) fn printed<'a>(
    shown: &'a [Shown<'_>],
    ran: impl Fn(&Place) -> (Vec<VmReport>, Sums),
    summary: Sums,
) -> Printed<'a> {
    let of = |one: &'a Shown<'_>| {
        let (vms, summary) = ran(one.place);
        let plan = one.plan();
        OfServer { plan, vms, summary }
    };
    if let [one] = shown
        && one.place.name.is_none()
    {
        return Printed::One(of(one));
    }
    let hosts = shown.iter().map(|one| OfHost {
        host: one.place.name(),
        of: of(one),
        error: match &one.came {
            Came::Asked { .. } => None,
            Came::NotAsked(absent) => Some(Told {
                message: &absent.message,
                help: absent.help.as_deref(),
            }),
        },
    });
    let hosts = hosts.collect();
    Printed::Hosts(OfHosts { hosts, summary })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::PlanKind;

    /// Fails unless the JSON is as `docs/plan.schema.json` says of `definition`.
    #[track_caller]
    fn check_documented(printed: &Printed<'_>, definition: &str) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/plan.schema.json");
        let text = std::fs::read_to_string(file).unwrap();
        let whole: Value = serde_json::from_str(&text).unwrap();
        let reference = format!("#/$defs/{definition}");
        let schema = json!({"$ref": reference, "$defs": whole["$defs"]});
        let value = serde_json::to_value(printed).unwrap();
        let problems: Vec<String> = jsonschema::validator_for(&schema)
            .unwrap()
            .iter_errors(&value)
            .map(|one| one.to_string())
            .collect();
        assert!(problems.is_empty(), "{problems:#?}\n{value:#}");
    }

    fn place(name: Option<&str>, index: usize) -> Place {
        Place {
            index,
            name: name.map(str::to_owned),
            vms: Vec::new(),
        }
    }

    fn nothing_ran(_: &Place) -> (Vec<VmReport>, Sums) {
        (Vec::new(), Sums::Nothing {})
    }

    fn members(printed: &Printed<'_>) -> Vec<String> {
        let value = serde_json::to_value(printed).unwrap();
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn one_server_without_a_name_has_the_shape_that_it_always_had() {
        let place = place(None, 0);
        let plan = Plan::new("lab", PlanKind::Apply, vec![]);
        let shown = [Shown::asked(&place, "wss://nas".into(), &plan, None)];
        let printed = printed(&shown, nothing_ran, Sums::Nothing {});
        assert_eq!(members(&printed), ["plan", "vms", "summary"]);
        check_documented(&printed, "of_server");
    }

    #[test]
    fn named_hosts_have_a_part_each_also_when_nobody_could_ask_them() {
        let (one, two) = (place(Some("nas1"), 0), place(Some("nas2"), 1));
        let plan = Plan::new("lab", PlanKind::Apply, vec![]);
        let absent = Absent {
            place: two,
            message: "no answer".into(),
            help: None,
        };
        let shown = [
            Shown::not_asked(&absent),
            Shown::asked(&one, "wss://nas1".into(), &plan, None),
        ];
        let shown = in_order(shown.into_iter());
        let ran = |place: &Place| {
            let summary = Summary::default();
            (nothing_ran(place).0, Sums::Of(summary))
        };
        let printed = printed(&shown, ran, Sums::Of(Summary::default()));
        assert_eq!(members(&printed), ["hosts", "summary"]);
        check_documented(&printed, "of_hosts");
        let value = serde_json::to_value(&printed).unwrap();
        assert_eq!(value["hosts"][0]["host"], "nas1");
        assert_eq!(value["hosts"][1]["plan"], Value::Null);
        assert_eq!(value["hosts"][1]["error"]["message"], "no answer");
    }

    #[test]
    fn sums_of_servers_that_ran_side_by_side_are_added() {
        let one = Summary {
            outcomes: [("created".to_owned(), json!(2))].into_iter().collect(),
            success: true,
            wall_seconds: 3.0,
            mutating_calls: 4,
            ..Summary::default()
        };
        let mut sum = one.clone();
        sum.add(&Summary {
            success: false,
            wall_seconds: 1.0,
            ..one
        });
        assert_eq!(sum.outcomes["created"], 4);
        assert_eq!((sum.success, sum.mutating_calls), (false, 8));
        assert!((sum.wall_seconds - 3.0).abs() < 0.001);
    }
}
