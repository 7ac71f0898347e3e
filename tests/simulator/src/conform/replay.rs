//! Replays a transcript: sends every recorded request to a fresh simulator, on its own connection
//! and in the recorded order, and compares what comes back. How answers are compared is in
//! `compare`; which host is simulated, in `learned`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::compare::Comparison;
use super::difference::{Difference, DifferenceKind};
use super::events;
use super::known::Known;
use super::link::{Link, Refused, event_of};
use super::report::{FrameReport, Replay};
use super::scram::Scram;
use super::traits::Traits;
use super::transcript::{Step, Transcript, What};
use super::{credentials, learned};
use crate::methods;
use crate::server::{Options, Running, Simulator, StartError};
use crate::version::Version;
use crate::world::World;

/// How long an answer may take. Guests that ignore ACPI take a tenth of their timeout here.
const PATIENCE: Duration = Duration::from_secs(35);
/// How long a read that disagrees is repeated: what is under way ends at another moment here.
const SETTLE: Duration = Duration::from_secs(2);
/// How often it is asked in that time.
const AGAIN: Duration = Duration::from_millis(50);
/// More calls than this in one go take their time, so that limits on calls in flight are met.
const MANY: usize = 5;
/// What is compared under this name is no answer to a known method.
const PROTOCOL: &str = "(protocol)";

/// A request on its way.
struct Asked {
    method: String,
    /// As we sent it.
    frame: Value,
}

/// A connection of the recording.
enum Line {
    Open(Box<Link>),
    /// The simulator does not serve this path.
    NotServed,
}

struct Engine {
    running: Running,
    version: Version,
    api_path: String,
    traits: Traits,
    scram: Scram,
    known: Known,
    lines: BTreeMap<String, Line>,
    asked: BTreeMap<(String, String), Asked>,
    frames: Vec<FrameReport>,
}

/// Replays a transcript on this world, to which what the transcript shows of its host is added.
///
/// # Errors
/// When no simulator can be started.
pub async fn replay(transcript: &Transcript, mut world: World) -> Result<Replay, StartError> {
    learned::learn(&mut world, transcript);
    let version = world.version.clone();
    let mut options = Options::with_world(world);
    if transcript.longest_burst() > MANY {
        // Calls that were in flight together must be so here.
        options.latency = AGAIN;
    }
    let mut engine = Engine {
        running: Simulator::start(options).await?,
        version: version.clone(),
        api_path: transcript.api_path.clone(),
        traits: Traits::default(),
        scram: Scram::of(transcript),
        known: Known::default(),
        lines: BTreeMap::new(),
        asked: BTreeMap::new(),
        frames: Vec::new(),
    };
    for step in &transcript.steps {
        engine.step(step).await;
    }
    let last = transcript.steps.last().map_or(0, |step| step.frame);
    let names: Vec<String> = engine.lines.keys().cloned().collect();
    for name in names {
        engine.close(last, &name).await;
    }
    engine.running.stop().await;
    Ok(Replay {
        transcript: transcript.name.clone(),
        version: version.short().to_owned(),
        frames: engine.frames,
    })
}

impl Engine {
    async fn step(&mut self, step: &Step) {
        match &step.what {
            What::Connect { path, refused } => {
                self.connect(step.frame, &step.connection, path, *refused)
                    .await;
            }
            What::Close => self.close(step.frame, &step.connection).await,
            What::Sent(frame) => self.send(&step.connection, frame).await,
            What::SentText(text) => {
                self.put(&step.connection, Message::text(text.clone()))
                    .await;
            }
            What::SentBinary => {
                self.put(&step.connection, Message::binary(vec![0, 1, 2]))
                    .await;
            }
            What::Received(frame) if event_of(frame).is_some() => {
                self.expect_event(step, frame).await;
            }
            What::Received(frame) => self.expect_answer(step, frame).await,
            What::Closed { code, reason } => self.expect_end(step, *code, reason).await,
        }
    }

    async fn connect(&mut self, frame: u64, name: &str, path: &str, refused: Option<u16>) {
        let opened = Link::open(self.running.address(), path).await;
        let outcome = match (&opened, refused) {
            (Ok(_), None) => None,
            (Err(Refused::Status(status)), Some(recorded)) if *status == recorded => None,
            // An endpoint of an older version, of which the simulator converts no shapes.
            (Err(Refused::Status(404)), None) => None,
            (Err(Refused::Status(status)), _) => Some(format!("refused with status {status}")),
            (Err(Refused::Other(why)), _) => Some(format!("refused: {why}")),
            (Ok(_), Some(_)) => Some("opened".to_owned()),
        };
        let recorded = refused.map_or("opened".to_owned(), |status| {
            format!("refused with status {status}")
        });
        let differences = outcome
            .map(|own| Difference::new(DifferenceKind::Connection, path, recorded, own))
            .into_iter()
            .collect::<Vec<_>>();
        if refused.is_some() || !differences.is_empty() {
            self.frames
                .push(FrameReport::new(frame, "(connection)", differences));
        }
        let line = opened.map_or(Line::NotServed, |link| Line::Open(Box::new(link)));
        self.lines.insert(name.to_owned(), line);
    }

    /// The connection, opened when the recording does not say when it was.
    async fn link(&mut self, name: &str) -> Option<&mut Link> {
        if !self.lines.contains_key(name) {
            let path = self.api_path.clone();
            self.connect(0, name, &path, None).await;
        }
        match self.lines.get_mut(name) {
            Some(Line::Open(link)) => Some(link),
            _ => None,
        }
    }

    async fn put(&mut self, name: &str, message: Message) {
        if let Some(link) = self.link(name).await {
            link.send(message).await;
        }
    }

    async fn send(&mut self, name: &str, recorded: &Value) {
        let mut own = recorded.clone();
        let method = recorded.get("method").and_then(Value::as_str);
        let method = method.unwrap_or_default().to_owned();
        if let Some(params) = own.get_mut("params") {
            *params = self.known.params(&method, params);
            let scram = &mut self.scram;
            self.running.change(|world| {
                credentials::fill_in(world, &method, params);
                if method == "auth.login_ex" {
                    scram.fill_in(world, name, params);
                }
            });
        }
        if let Some(id) = recorded.get("id") {
            let asked = Asked {
                method,
                frame: own.clone(),
            };
            self.asked.insert((name.to_owned(), id.to_string()), asked);
        }
        self.put(name, Message::text(own.to_string())).await;
    }

    async fn expect_answer(&mut self, step: &Step, recorded: &Value) {
        let id = recorded.get("id").cloned();
        let key = (
            step.connection.clone(),
            id.as_ref().map(Value::to_string).unwrap_or_default(),
        );
        let asked = self.asked.remove(&key);
        let method = asked.as_ref().map_or("", |asked| asked.method.as_str());
        let label = self.label(method, recorded);
        let modelled = methods::find(&self.version, method);
        if self.is_not_served(&step.connection) {
            self.frames
                .push(FrameReport::not_modelled(step.frame, &label));
            return;
        }
        let kind = recorded.get("msg").cloned();
        let Some(own) = self
            .answer(&step.connection, id.as_ref(), kind.as_ref())
            .await
        else {
            let missing = Difference::new(DifferenceKind::Outcome, "", "an answer", "none");
            self.frames
                .push(FrameReport::new(step.frame, &label, vec![missing]));
            return;
        };
        if modelled.is_none() && is_unknown(&own) && !is_unknown(recorded) {
            self.frames
                .push(FrameReport::not_modelled(step.frame, &label));
            return;
        }
        let mut differences = self.compare(method, recorded, &own);
        let reads = modelled.is_some_and(|method| !method.mutates);
        if let (true, Some(asked)) = (reads, &asked) {
            let deadline = Instant::now() + SETTLE;
            while differences.iter().any(Difference::may_settle) && Instant::now() < deadline {
                sleep(AGAIN).await;
                let again = Message::text(asked.frame.to_string());
                self.put(&step.connection, again).await;
                match self
                    .answer(&step.connection, id.as_ref(), kind.as_ref())
                    .await
                {
                    Some(own) => differences = self.compare(method, recorded, &own),
                    None => break,
                }
            }
        }
        self.learn_token(method, recorded, &own);
        self.scram.hear(&step.connection, &own);
        let traits = &self.traits;
        self.running.change(|world| traits.apply(world));
        self.frames
            .push(FrameReport::new(step.frame, &label, differences));
    }

    /// Tokens may be hidden, or of another length than ours.
    fn learn_token(&mut self, method: &str, recorded: &Value, own: &Value) {
        let text = |frame: &Value| frame.get("result")?.as_str().map(str::to_owned);
        if let ("auth.generate_token" | "core.subscribe", Some(recorded), Some(own)) =
            (method, text(recorded), text(own))
        {
            self.known.learn_text(&recorded, &own);
        }
    }

    async fn answer(
        &mut self,
        name: &str,
        id: Option<&Value>,
        kind: Option<&Value>,
    ) -> Option<Value> {
        let deadline = Instant::now() + PATIENCE;
        let link = self.link(name).await?;
        let found = link.frame(deadline, |frame| {
            frame.get("id") == id && frame.get("msg") == kind
        });
        found.await
    }

    fn compare(&mut self, method: &str, recorded: &Value, own: &Value) -> Vec<Difference> {
        let is_number = |frame: &Value| frame.get("result").is_some_and(|result| result.is_i64());
        let job = methods::find(&self.version, method).is_some_and(|method| method.job.is_some());
        let mut comparison = Comparison::new(method, &mut self.known);
        comparison.answers_job = job && is_number(recorded) && is_number(own);
        comparison.frames(recorded, own)
    }

    async fn expect_event(&mut self, step: &Step, recorded: &Value) {
        let Some(event) = event_of(recorded) else {
            return;
        };
        let label = events::label(event);
        if self.is_not_served(&step.connection) || !events::is_modelled(event) {
            self.frames
                .push(FrameReport::not_modelled(step.frame, &label));
            return;
        }
        let deadline = Instant::now() + SETTLE;
        let mut found = None;
        loop {
            let (Some(Line::Open(link)), known) =
                (self.lines.get_mut(&step.connection), &mut self.known)
            else {
                return;
            };
            // One that fits better may be on its way.
            let patience = if found.is_some() { AGAIN } else { SETTLE };
            found = events::find(link.events(), event, known).or(found);
            if found.as_ref().is_some_and(Vec::is_empty)
                || link
                    .read(deadline.min(Instant::now() + patience))
                    .await
                    .is_none()
            {
                break;
            }
        }
        let differences = found.unwrap_or_else(|| {
            let what = events::describe(event);
            vec![Difference::new(DifferenceKind::Event, "", what, "none")]
        });
        self.frames
            .push(FrameReport::new(step.frame, &label, differences));
    }

    async fn expect_end(&mut self, step: &Step, code: u16, reason: &str) {
        let deadline = Instant::now() + PATIENCE;
        let Some(link) = self.link(&step.connection).await else {
            return;
        };
        let differences = match link.end(deadline).await {
            None => vec![Difference::new(
                DifferenceKind::Connection,
                "",
                format!("closed with {code}"),
                "open",
            )],
            Some((own, _)) if own != code => vec![Difference::new(
                DifferenceKind::Connection,
                "close",
                code,
                own,
            )],
            Some((_, own)) if own != reason => {
                let kind = DifferenceKind::Wording;
                vec![Difference::new(kind, "close.reason", reason, own)]
            }
            Some(_) => Vec::new(),
        };
        self.frames
            .push(FrameReport::new(step.frame, "(connection)", differences));
    }

    /// Closes a connection; what came on it and was never recorded is a difference.
    async fn close(&mut self, frame: u64, name: &str) {
        let Some(Line::Open(mut link)) = self.lines.remove(name) else {
            return;
        };
        if self.asked.keys().any(|(line, _)| line == name) {
            // What was sent last reached the server before the end did; here both take no time.
            sleep(AGAIN).await;
        }
        for odd in events::unexpected(link.events()) {
            let label = events::label(&odd);
            let what = events::describe(&odd);
            let kind = DifferenceKind::Event;
            let differences = vec![Difference::new(kind, "", "none", what)];
            self.frames
                .push(FrameReport::new(frame, &label, differences));
        }
        let asked = &self.asked;
        let spare = link.spare(|id| !asked.contains_key(&(name.to_owned(), id.to_string())));
        for own in spare {
            let kind = DifferenceKind::Outcome;
            let differences = vec![Difference::new(kind, "", "no answer", own)];
            self.frames
                .push(FrameReport::new(frame, PROTOCOL, differences));
        }
        link.close().await;
        self.asked.retain(|(line, _), _| line != name);
    }

    fn is_not_served(&self, name: &str) -> bool {
        matches!(self.lines.get(name), Some(Line::NotServed))
    }

    /// What to call a frame in the report: names that no server has would fill it.
    fn label(&self, method: &str, recorded: &Value) -> String {
        if method.is_empty() {
            return PROTOCOL.to_owned();
        }
        let known = methods::find(&self.version, method).is_some();
        if !known && is_unknown(recorded) {
            return "(unknown method)".to_owned();
        }
        method.to_owned()
    }
}

/// Whether an answer says that there is no such method, in either protocol.
fn is_unknown(answer: &Value) -> bool {
    let Some(error) = answer.get("error") else {
        return false;
    };
    error.get("code").and_then(Value::as_i64) == Some(-32601)
        || error.get("error").and_then(Value::as_i64) == Some(201)
}
