//! What a fault makes of a call: whether it runs, when, and what its caller gets to see. It does not
//! choose which call is struck, and does not know how a frame looks.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::calls::{End, Line, execute};
use super::outage::{self, Outage};
use super::shared::Shared;
use crate::errors::{EBUSY, Failure};
use crate::faults::{self, Effect, Noise};
use crate::methods::{self, Context, Method};
use crate::protocol::Request;
use crate::random;
use crate::state::{Outgoing, State};

/// How an answer reaches its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Once, in one frame.
    Plain,
    /// Twice.
    Twice,
    /// After a frame that means nothing.
    After(Noise),
    /// Under another id; under its own that much later, or never.
    Astray(Option<Duration>),
    /// In fragments, with pauses between.
    InPieces(usize, Duration),
}

/// Runs a call that a fault strikes; `journal` is its place in the journal.
pub(super) async fn suffer(
    line: &Line,
    method: &'static Method,
    request: &Request,
    journal: usize,
    effect: Effect,
) -> (End, Delivery) {
    let shared = &line.shared;
    let refusal =
        shared.with(|state| faults::refusal(&effect, &state.world, method.name, &request.params));
    if let Some(outcome) = refusal {
        return (End::Answer(outcome), Delivery::Plain);
    }
    let run = || execute(line, method, request);
    let noted = async || {
        let outcome = run().await;
        shared.with(|state| state.journal.ended(journal, outcome.is_ok()));
        outcome
    };
    let end = match effect {
        Effect::RateLimit { pause_ms } => throttled(pause_ms.map(Duration::from_millis)).await,
        Effect::ConcurrencyCap => End::TooMany,
        Effect::RevokeKey => {
            let answer = shared.with(|state| revoke(state, line, request));
            match answer {
                Some(answer) => End::Answer(Ok(answer)),
                None => End::Answer(run().await),
            }
        }
        Effect::Delay { ms } => {
            sleep(Duration::from_millis(ms)).await;
            End::Answer(run().await)
        }
        Effect::HoldBeforeCommit => {
            hold(shared, journal).await;
            End::Answer(run().await)
        }
        Effect::HoldAfterCommit => {
            let outcome = noted().await;
            hold(shared, journal).await;
            End::Answer(outcome)
        }
        Effect::DropBeforeCommit => End::Cut(Outgoing::Drop),
        Effect::DropAfterCommit => {
            noted().await.ok();
            End::Cut(Outgoing::Drop)
        }
        Effect::CommitLate { ms } => {
            // Neither the call's task nor the connection's: both may end before.
            let (line, request) = (line.clone(), request.clone());
            tokio::spawn(async move {
                sleep(Duration::from_millis(ms)).await;
                let outcome = execute(&line, method, &request).await;
                let ended = |state: &mut State| state.journal.ended(journal, outcome.is_ok());
                line.shared.with(ended);
            });
            End::Cut(Outgoing::Drop)
        }
        Effect::Close {
            code,
            reason,
            after_commit,
        } => {
            if after_commit {
                noted().await.ok();
            }
            End::Cut(Outgoing::Close(code, reason))
        }
        Effect::HalfOpen { after_commit } => {
            if after_commit {
                noted().await.ok();
            }
            End::Cut(Outgoing::Silence)
        }
        Effect::Restart {
            down_ms,
            after_commit,
            bad_gateway,
            reboot,
        } => {
            if after_commit {
                noted().await.ok();
            }
            let outage = match bad_gateway {
                true => Outage::BadGateway,
                false => Outage::Cut,
            };
            // Not within the call: that ends with its connection.
            let (shared, pause) = (Arc::clone(shared), Duration::from_millis(down_ms));
            tokio::spawn(async move { outage::restart(&shared, pause, outage, reboot).await });
            End::Cut(Outgoing::Drop)
        }
        Effect::Duplicate => return (End::Answer(run().await), Delivery::Twice),
        Effect::Garbage(noise) => return (End::Answer(run().await), Delivery::After(noise)),
        Effect::WrongId { then_ms } => {
            let later = then_ms.map(Duration::from_millis);
            return (End::Answer(run().await), Delivery::Astray(later));
        }
        Effect::Slow { pieces, pause_ms } => {
            let pause = Duration::from_millis(pause_ms);
            return (End::Answer(run().await), Delivery::InPieces(pieces, pause));
        }
        // The first were answered above; the others strike requests only.
        Effect::Fail { .. }
        | Effect::Enomem
        | Effect::Enospc
        | Effect::Ebusy
        | Effect::DatasetBusy
        | Effect::Pretend { .. }
        | Effect::Redirect { .. }
        | Effect::HttpStatus { .. } => End::Answer(run().await),
    };
    (end, Delivery::Plain)
}

/// A call of somebody who calls too often. Code reading: a random pause of 1 to 10 s, then EBUSY.
pub(super) async fn throttled(pause: Option<Duration>) -> End {
    sleep(pause.unwrap_or_else(|| Duration::from_secs(random::between(1, 10)))).await;
    End::Answer(Err(Failure::denied(EBUSY, "Rate Limit Exceeded")))
}

impl Delivery {
    /// What is sent, in order; `text` frames the answer under an id. What comes late is sent by a
    /// task of its own.
    pub(super) fn send(
        self,
        line: &Line,
        state: &State,
        id: &Value,
        text: impl Fn(&Value) -> String,
    ) {
        let Some(link) = state.links.get(&line.connection) else {
            return;
        };
        let send = |outgoing| {
            // A closed channel means the connection's task has just ended.
            link.send(outgoing).ok();
        };
        match self {
            Self::Plain => send(Outgoing::Text(text(id))),
            Self::Twice => {
                send(Outgoing::Text(text(id)));
                send(Outgoing::Text(text(id)));
            }
            Self::After(noise) => {
                send(noise.frame());
                send(Outgoing::Text(text(id)));
            }
            Self::Astray(later) => {
                send(Outgoing::Text(text(&another(id))));
                if let Some(pause) = later {
                    let (link, text) = (link.clone(), text(id));
                    tokio::spawn(async move {
                        sleep(pause).await;
                        link.send(Outgoing::Text(text)).ok();
                    });
                }
            }
            Self::InPieces(pieces, pause) => send(Outgoing::Trickle(text(id), pieces, pause)),
        }
    }
}

impl Noise {
    fn frame(self) -> Outgoing {
        match self {
            Self::NoJson => Outgoing::Text("<html>502 Bad Gateway</html>".into()),
            Self::NoObject => Outgoing::Text("[1, \"two\", null]".into()),
            Self::NoMessage => Outgoing::Text(json!({"hello": "world"}).to_string()),
            Self::Binary => Outgoing::Binary(vec![0, 159, 146, 150]),
        }
    }
}

/// An id that no client comes to on its own.
fn another(id: &Value) -> Value {
    match (id, id.as_i64()) {
        (Value::String(text), _) => json!(format!("{text}-astray")),
        (_, Some(number)) => json!(number.wrapping_add(1_000_000_007)),
        _ => json!("astray"),
    }
}

/// Revokes the key that a login presents, and answers what the login gets; or the key of the
/// session, and answers nothing.
fn revoke(state: &mut State, line: &Line, request: &Request) -> Option<Value> {
    let mut context = Context {
        state,
        connection: line.connection,
    };
    methods::revoke_key(&mut context, &request.method, &request.params)
}

/// Stands still until held calls are released, or until the call is cancelled.
async fn hold(shared: &Shared, journal: usize) {
    /// Tells the journal in both cases.
    struct Held<'a>(&'a Shared, usize);
    impl Drop for Held<'_> {
        fn drop(&mut self) {
            self.0.with(|state| state.journal.held(self.1, false));
        }
    }
    let mut released = shared.released.subscribe();
    shared.with(|state| state.journal.held(journal, true));
    let _held = Held(shared, journal);
    // The sender lies in `shared` and outlives this.
    released.changed().await.ok();
}
