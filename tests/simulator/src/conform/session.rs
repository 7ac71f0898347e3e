//! A session of our own that calls every method, written down in `sessions/everything.yaml` and run
//! on any version. What it gives is checked elsewhere; it can also be kept as a transcript.
//!
//! A step is `{call: METHOD, with: [PARAMETERS], fails: CODE, job: STATE, keep: NAME, lines: […],
//! not: […]}`. `fails` is the JSON-RPC code of a refusal; `job` how the job ends that the call begins.
//! `keep` gives the answer's id (or the answer itself) a name, and `$NAME` in later parameters is
//! that. `lines` names the release lines that have the step, `not` those that do not.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::link::{Link, Refused};
use crate::server::Running;
use crate::version::{Line, Version};

const STEPS: &str = include_str!("../../sessions/everything.yaml");
/// Answers come at once; jobs take less than a second.
const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(20);

/// A call of a session and what came of it.
#[derive(Debug, Clone)]
pub struct Called {
    /// The method.
    pub method: String,
    /// Its parameters.
    pub params: Vec<Value>,
    /// What it answered, or the error; both as they were sent.
    pub outcome: Result<Value, Value>,
    /// Of a call that begins a job: the job's row at its end.
    pub job: Option<Value>,
}

/// Why a session broke off.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The steps cannot be read.
    #[error("sessions/everything.yaml: {0}")]
    Steps(#[from] serde_yaml::Error),
    /// There is no connection.
    #[error("the session cannot connect: {0}")]
    Connect(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    call: String,
    #[serde(default)]
    with: Vec<Value>,
    fails: Option<i64>,
    job: Option<String>,
    keep: Option<String>,
    #[serde(default)]
    lines: Vec<serde_yaml::Number>,
    #[serde(default)]
    not: Vec<serde_yaml::Number>,
}

/// What a session was: its calls, and the frames as a transcript.
#[derive(Debug)]
pub struct Session {
    /// Every call in order.
    pub calls: Vec<Called>,
    /// Steps that did not end as they should.
    pub problems: Vec<String>,
    /// The lines of a transcript.
    pub transcript: String,
}

/// Runs the session against a simulator.
///
/// # Errors
/// When there is no connection.
pub async fn session(running: &Running, version: &Version) -> Result<Session, SessionError> {
    let steps: Vec<Step> = serde_yaml::from_str(STEPS)?;
    let mut talk = Talk::begin(running, version).await?;
    let mut calls = Vec::new();
    let here = steps.iter().filter(|step| step.is_for(version.line()));
    let mut problems = Vec::new();
    for (number, step) in here.enumerate() {
        match talk.step(step, &mut calls).await {
            Ok(()) => {}
            Err(what) => problems.push(format!("step {}, {}: {what}", number + 1, step.call)),
        }
    }
    Ok(Session {
        calls,
        problems,
        transcript: talk.lines.join("\n") + "\n",
    })
}

impl Step {
    fn is_for(&self, line: Line) -> bool {
        let name = match line {
            Line::V24_10 => "24.1",
            Line::V25_04_0 | Line::V25_04 => "25.04",
            Line::V25_10 => "25.1",
            Line::V26 => "26",
            Line::V27 => "27",
        };
        // YAML reads 24.10 as a number.
        let has =
            |names: &[serde_yaml::Number]| names.iter().any(|other| other.to_string() == name);
        (self.lines.is_empty() || has(&self.lines)) && !has(&self.not)
    }
}

impl Step {
    /// Whether it ended as it should.
    fn is_right(&self, called: &Called) -> Result<(), String> {
        match (self.fails, &called.outcome) {
            (Some(code), Err(error)) if code == code_of(error) => {}
            (None, Ok(_)) => {}
            (_, Ok(result)) => return Err(format!("it worked: {result}")),
            (_, Err(error)) => return Err(format!("it was refused: {error}")),
        }
        match (&self.job, &called.job) {
            (Some(state), Some(row)) if row.get("state") != Some(&json!(state)) => {
                Err(format!("its job ended as {row}"))
            }
            _ => Ok(()),
        }
    }
}

/// The connection of a session.
struct Talk {
    link: Link,
    legacy: bool,
    last: i64,
    kept: BTreeMap<String, Value>,
    lines: Vec<String>,
}

impl Talk {
    async fn begin(running: &Running, version: &Version) -> Result<Self, SessionError> {
        let legacy = version.line() == Line::V24_10;
        let path = if legacy { "/websocket" } else { "/api/current" };
        let link = Link::open(running.address(), path)
            .await
            .map_err(|refused| {
                SessionError::Connect(match refused {
                    Refused::Status(status) => format!("status {status}"),
                    Refused::Other(why) => why,
                })
            })?;
        let mut talk = Self {
            link,
            legacy,
            last: 0,
            kept: BTreeMap::new(),
            lines: Vec::new(),
        };
        let server = format!("tnvm-simulator {}", version.short());
        talk.note(json!({"dir": "meta", "server": server, "api_path": path, "note": "sessions/everything.yaml"}));
        talk.note(json!({"dir": "meta", "conn": "c1", "note": format!("connect ws://HOST{path}")}));
        if legacy {
            let hello = json!({"msg": "connect", "version": "1", "support": ["1"]});
            let connected = json!("connected");
            talk.exchange(&hello, |frame| frame.get("msg") == Some(&connected))
                .await
                .map_err(SessionError::Connect)?;
        }
        Ok(talk)
    }

    fn note(&mut self, mut line: Value) {
        if let Some(line) = line.as_object_mut() {
            line.insert("i".into(), self.lines.len().into());
        }
        self.lines.push(line.to_string());
    }

    async fn exchange(
        &mut self,
        sent: &Value,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        self.note(json!({"dir": "c2s", "conn": "c1", "frame": sent}));
        self.link.send(Message::text(sent.to_string())).await;
        let deadline = Instant::now() + PATIENCE;
        let answer = self.link.frame(deadline, is_it).await;
        let answer = answer.ok_or("no answer")?;
        self.note(json!({"dir": "s2c", "conn": "c1", "frame": answer}));
        Ok(answer)
    }

    async fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, String> {
        self.last += 1;
        // The older protocol's clients count in texts.
        let (id, frame) = if self.legacy {
            let id = json!(self.last.to_string());
            (
                id.clone(),
                json!({"id": id, "msg": "method", "method": method, "params": params}),
            )
        } else {
            let id = json!(self.last);
            (
                id.clone(),
                json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}),
            )
        };
        self.exchange(&frame, |frame| frame.get("id") == Some(&id))
            .await
    }

    async fn step(&mut self, step: &Step, calls: &mut Vec<Called>) -> Result<(), String> {
        let params: Vec<Value> = step
            .with
            .iter()
            .map(|param| self.filled(param))
            .map(|param| {
                if self.legacy {
                    with_type_on_top(param)
                } else {
                    param
                }
            })
            .collect();
        let answer = self.call(&step.call, &params).await?;
        let outcome = match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(answer.get("result").cloned().unwrap_or_default()),
        };
        if let (Some(name), Ok(result)) = (&step.keep, &outcome) {
            let kept = result.get("id").unwrap_or(result).clone();
            self.kept.insert(name.clone(), kept);
        }
        let job = match (&step.job, &outcome) {
            (Some(_), Ok(id)) => Some(self.ended(id).await?),
            _ => None,
        };
        let called = Called {
            method: step.call.clone(),
            params,
            outcome,
            job,
        };
        let as_expected = step.is_right(&called);
        calls.push(called);
        as_expected
    }

    /// The row of a job at its end.
    async fn ended(&mut self, id: &Value) -> Result<Value, String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            // Only the look that sees the end is kept: how many it takes depends on the moment.
            let kept = self.lines.len();
            let params = [json!([["id", "=", id]]), json!({"get": true})];
            let answer = self.call("core.get_jobs", &params).await?;
            let row = answer.get("result").cloned().unwrap_or_default();
            let state = row.get("state").and_then(Value::as_str);
            if ["SUCCESS", "FAILED", "ABORTED"].map(Some).contains(&state) {
                return Ok(row);
            }
            self.lines.truncate(kept);
            sleep(AGAIN).await;
        }
        Err("its job did not end".to_owned())
    }

    fn filled(&self, param: &Value) -> Value {
        match param {
            Value::String(text) => text
                .strip_prefix('$')
                .and_then(|name| self.kept.get(name))
                .unwrap_or(param)
                .clone(),
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| (name.clone(), self.filled(member)))
                .collect(),
            other => other.clone(),
        }
    }
}

/// 24.10 has the type of a device beside its attributes.
fn with_type_on_top(mut param: Value) -> Value {
    let attributes = param.get_mut("attributes").and_then(Value::as_object_mut);
    let dtype = attributes.and_then(|attributes| attributes.remove("dtype"));
    if let (Some(dtype), Some(param)) = (dtype, param.as_object_mut()) {
        param.insert("dtype".into(), dtype);
    }
    param
}

/// The JSON-RPC code of a refusal; of the older protocol's, the one that it would have.
fn code_of(error: &Value) -> i64 {
    let number = |name: &str| error.get(name).and_then(Value::as_i64);
    number("code").unwrap_or_else(|| match error.get("type").and_then(Value::as_str) {
        Some("VALIDATION") => -32602,
        _ if number("error") == Some(201) => -32601,
        _ => -32001,
    })
}
