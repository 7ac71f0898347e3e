//! The servers of a command: one login each, all asked side by side, each for itself.
//!
//! One that cannot be reached is left out, with the reason; the others go on. One server is a fleet
//! of one. Knows nothing of what is asked.

use futures_util::future::join_all;

use super::exit::Failure;
use super::guard;
use super::output::Output;
use super::session::{self, Opening, Session};
use crate::config::HostEntry;
use crate::diagnostic::Diagnostics;
use crate::whoami::WhoAmI;

/// A server among the others.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its number in the fleet, from 0.
    pub(super) index: usize,
    /// Its name in the config, where that names hosts.
    pub(super) name: Option<String>,
    /// The VMs (name and type) that the config puts there and the command is about.
    pub(super) vms: Vec<(String, String)>,
}

/// A server to log in to, and what is needed to say what is wanted of it.
pub(super) struct Target<T> {
    /// The server.
    pub(super) host: HostEntry,
    /// The VMs (name and type) that the config puts there and the command is about.
    pub(super) vms: Vec<(String, String)>,
    /// What is needed.
    pub(super) part: T,
}

/// A server that answers, and what is wanted of it.
pub(super) struct Member<G> {
    pub(super) place: Place,
    pub(super) session: Session,
    pub(super) goal: G,
}

/// A server that could not be asked, and why.
#[derive(Clone, Debug)]
pub(super) struct Absent {
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// All of them.
pub(super) struct Fleet<G> {
    /// Those that answer, in order of the config; at least one.
    pub(super) members: Vec<Member<G>>,
    /// Those that do not.
    pub(super) absent: Vec<Absent>,
    /// Names of the config's other servers, which the command is not about.
    pub(super) unasked: Vec<String>,
}

impl<G> Fleet<G> {
    /// Logs in to all, and finds out what is wanted of each.
    ///
    /// # Errors
    /// None can be reached, or something else is wrong with one.
    pub(super) async fn open<T>(
        opening: &Opening<'_>,
        targets: Vec<Target<T>>,
        unasked: Vec<String>,
        goal: impl AsyncFn(&Session, T) -> Result<G, Failure>,
    ) -> Result<Self, Failure> {
        let who = WhoAmI::ask();
        let audits = guard::audits(opening, &who, targets.len())?;
        let opened = targets.into_iter().zip(audits).enumerate();
        let opened = opened.map(async |(index, (target, audit))| {
            let Target { host, vms, part } = target;
            let name = host.name.clone();
            let place = Place { index, name, vms };
            let session = match session::open(opening, &host, &who, audit).await {
                Ok(session) => session,
                Err(failure) => return (place, Err(failure)),
            };
            match goal(&session, part).await {
                Ok(goal) => (place, Ok((session, goal))),
                Err(failure) => {
                    session.close().await;
                    (place, Err(failure))
                }
            }
        });
        let (opened, absent, failure) = sort(join_all(opened).await);
        let members = opened.into_iter().map(|(place, (session, goal))| Member {
            place,
            session,
            goal,
        });
        let fleet = Self {
            members: members.collect(),
            absent,
            unasked,
        };
        let failure = failure.or_else(|| {
            let nobody = fleet.members.is_empty();
            nobody.then(|| unreachable(&fleet.absent))
        });
        match failure {
            None => Ok(fleet),
            Some(failure) => {
                fleet.close().await;
                Err(failure)
            }
        }
    }

    /// Logs out everywhere.
    pub(super) async fn close(self) {
        join_all(self.members.into_iter().map(|one| one.session.close())).await;
    }
}

impl Place {
    /// The name, or nothing.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

impl Absent {
    /// Tells the user.
    pub(super) fn tell(&self, output: &Output) {
        output.failure(&self.failure());
    }

    /// As the failure of a command.
    pub(super) fn failure(&self) -> Failure {
        let message = match &self.place.name {
            Some(name) => format!("{name} could not be asked: {}", self.message),
            None => self.message.clone(),
        };
        Failure::Connection {
            message,
            help: self.help.clone(),
        }
    }
}

/// Why a command ends when no server can be asked.
pub(super) fn unreachable(absent: &[Absent]) -> Failure {
    let mut all: Vec<Failure> = absent.iter().map(Absent::failure).collect();
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            all.extend(last);
            Failure::Unreachable(all)
        }
    }
}

/// Parts what the servers came to: who answered, who could not be asked, and, where something else
/// went wrong, why the command cannot go on.
pub(super) fn sort<T>(
    came: Vec<(Place, Result<T, Failure>)>,
) -> (Vec<(Place, T)>, Vec<Absent>, Option<Failure>) {
    let (mut answered, mut absent) = (Vec::new(), Vec::new());
    let mut problems = Diagnostics::default();
    let mut other = None;
    for (place, came) in came {
        match came {
            Ok(answer) => answered.push((place, answer)),
            Err(Failure::Connection { message, help }) => absent.push(Absent {
                place,
                message,
                help,
            }),
            Err(Failure::Problems(found)) => {
                problems.extend(found.of_host(place.name.as_deref()));
            }
            Err(failure) => {
                other.get_or_insert(failure);
            }
        }
    }
    let problems = (!problems.is_empty()).then_some(Failure::Problems(problems));
    (answered, absent, other.or(problems))
}
