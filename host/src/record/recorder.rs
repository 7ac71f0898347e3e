//! The file of a recording: made anew, a line per frame, up to a size.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use super::frames::Frames;
use crate::plan::Plan;
use crate::redact::Redaction;
use crate::truenas::{Direction, DisconnectReason, WireObserver};

/// Bytes of a recording at most. A run that makes a hundred VMs is about 2 MiB.
const LARGEST: u64 = 256 << 20;

/// Lines that wait for the first one, which names the server's version; it is asked for right after
/// the login.
const MOST_WAITING: usize = 64;

/// Writes the frames of all connections of a run.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    began: Instant,
    state: Mutex<State>,
}

/// A recording that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the recording {}: {source}", path.display())]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

#[derive(Debug)]
struct State {
    file: File,
    frames: Frames,
    connections: u64,
    api_path: Option<String>,
    /// Lines before the first is written, which comes before them; none once it is.
    waiting: Option<Vec<Line>>,
    next: u64,
    written: u64,
    /// Why nothing more is written, if so.
    ended: bool,
}

/// One line. `tnvm-simulator --conform` reads the same.
#[derive(Debug, Default, Serialize)]
struct Line {
    i: u64,
    /// Since the beginning.
    ms: u64,
    dir: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<Close>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tnvm: Option<&'static str>,
}

/// The end of a connection that the server, or the way to it, has ended.
#[derive(Debug, Serialize)]
struct Close {
    /// None without a close frame.
    code: Option<u16>,
    reason: String,
}

impl Recorder {
    /// Makes the file, readable by its owner alone. A file that is there is never overwritten: it
    /// may be a recording that nobody can make again.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| RecordError {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            path: path.to_owned(),
            began: Instant::now(),
            state: Mutex::new(State {
                file,
                frames: Frames::default(),
                connections: 0,
                api_path: None,
                waiting: Some(Vec::new()),
                next: 1,
                written: 0,
                ended: false,
            }),
        })
    }

    /// A text that is hidden wherever it occurs. One of fewer than four characters is hidden only
    /// where its place or name tells what it is.
    pub fn hide(&self, secret: &str) {
        self.state().frames.secrets.remember(secret);
    }

    /// A host and a user that get stand-ins wherever they occur.
    pub fn about(&self, host: &str, user: &str) {
        let mut state = self.state();
        state.frames.names.host(host);
        state.frames.names.user(user);
    }

    /// The plan that is carried out from here on; its devices tell where secrets are.
    pub fn about_plan(&self, plan: &Plan) {
        self.state().frames.redaction = Redaction::of_plan(plan);
    }

    fn add(&self, state: &mut State, line: Line) {
        if state.ended {
            return;
        }
        let line = Line {
            i: state.next,
            ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            ..line
        };
        state.next += 1;
        match &mut state.waiting {
            Some(waiting) if state.frames.server.is_none() && waiting.len() < MOST_WAITING => {
                waiting.push(line);
            }
            _ => {
                self.begin(state);
                self.write(state, &line);
            }
        }
    }

    /// Writes the first line and those that waited for it.
    fn begin(&self, state: &mut State) {
        let Some(waiting) = state.waiting.take() else {
            return;
        };
        let first = Line {
            dir: "meta",
            note: Some("recorded by tnvm; secrets, names and addresses are replaced".to_owned()),
            // One that nobody has asked.
            server: Some(
                state
                    .frames
                    .server
                    .clone()
                    .unwrap_or_else(|| "TrueNAS".to_owned()),
            ),
            api_path: state.api_path.clone(),
            tnvm: Some(env!("CARGO_PKG_VERSION")),
            ..Line::default()
        };
        self.write(state, &first);
        for line in &waiting {
            self.write(state, line);
        }
    }

    fn write(&self, state: &mut State, line: &Line) {
        if state.ended {
            return;
        }
        let written = serde_json::to_vec(line).map_err(io::Error::from);
        let written = written.and_then(|mut text| {
            text.push(b'\n');
            state.written += text.len() as u64;
            if state.written > LARGEST {
                return Err(io::Error::other(format!(
                    "it has reached {} MiB",
                    LARGEST >> 20
                )));
            }
            state.file.write_all(&text)
        });
        if let Err(error) = written {
            state.ended = true;
            let file = self.path.display();
            tracing::warn!(%error, %file, "the recording ends here");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in between leaves a line unwritten, and nothing half-changed that matters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WireObserver for Recorder {
    fn opened(&self, path: &str) -> u64 {
        let mut state = self.state();
        state.connections += 1;
        let connection = state.connections;
        state.api_path.get_or_insert_with(|| path.to_owned());
        let line = Line {
            dir: "meta",
            conn: Some(format!("c{connection}")),
            note: Some(format!("connect wss://HOST{path}")),
            ..Line::default()
        };
        self.add(&mut state, line);
        connection
    }

    fn frame(&self, connection: u64, direction: Direction, text: &str) {
        let mut state = self.state();
        if state.ended {
            return;
        }
        let mut line = Line {
            dir: match direction {
                Direction::ToServer => "c2s",
                Direction::FromServer => "s2c",
            },
            conn: Some(format!("c{connection}")),
            ..Line::default()
        };
        match serde_json::from_str::<Value>(text) {
            Ok(mut frame) => {
                state.frames.clean(connection, direction, &mut frame);
                line.frame = Some(frame);
            }
            // Nobody knows what is secret in it.
            Err(_) => {
                line.dir = "meta";
                let size = text.chars().count();
                line.note = Some(format!(
                    "the server sent {size} characters that are no JSON"
                ));
            }
        }
        self.add(&mut state, line);
    }

    fn closed(&self, connection: u64, why: &DisconnectReason) {
        let mut state = self.state();
        state.frames.forget(connection);
        let mut line = Line {
            conn: Some(format!("c{connection}")),
            ..Line::default()
        };
        match why {
            DisconnectReason::ClosedByUs => {
                line.dir = "meta";
                line.note = Some("closed by tnvm".to_owned());
            }
            other => {
                line.dir = "s2c";
                let code = match other {
                    DisconnectReason::ClosedByServer { code, .. } => Some(*code),
                    _ => None,
                };
                let said = match other {
                    DisconnectReason::ClosedByServer { reason, .. } => reason.clone(),
                    other => other.to_string(),
                };
                let reason = state.frames.secrets.hidden(&said);
                let reason = state.frames.names.text(&reason);
                line.close = Some(Close { code, reason });
            }
        }
        self.add(&mut state, line);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let mut state = self.state();
        self.begin(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn told(recorder: &Recorder, direction: Direction, frame: &Value) {
        recorder.frame(1, direction, &frame.to_string());
    }

    #[test]
    fn a_recording_names_the_server_first_and_has_every_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nas.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        recorder.hide("Hunter22");
        recorder.about("nas.example.org", "alice");
        assert_eq!(recorder.opened("/api/current"), 1);
        assert_eq!(
            std::fs::metadata(&path).unwrap().len(),
            0,
            "nobody knows the server yet"
        );
        told(
            &recorder,
            Direction::ToServer,
            &json!({"id": 1, "method": "system.version", "params": []}),
        );
        told(
            &recorder,
            Direction::FromServer,
            &json!({"id": 1, "result": "TrueNAS-25.10.7"}),
        );
        recorder.frame(1, Direction::FromServer, "Hunter22 {");
        recorder.closed(
            1,
            &DisconnectReason::ClosedByServer {
                code: 1008,
                reason: "not from 10.1.2.3, alice".into(),
            },
        );
        recorder.closed(1, &DisconnectReason::ClosedByUs);
        let found = lines(&path);
        assert_eq!(found[0]["server"], "TrueNAS-25.10.7");
        assert_eq!(found[0]["api_path"], "/api/current");
        let without_time = |line: &Value| {
            let mut line = line.clone();
            line.as_object_mut().unwrap().shift_remove("ms");
            line
        };
        let rest: Vec<Value> = found.iter().skip(1).map(without_time).collect();
        assert_eq!(
            rest,
            [
                json!({"i": 1, "dir": "meta", "conn": "c1", "note": "connect wss://HOST/api/current"}),
                json!({"i": 2, "dir": "c2s", "conn": "c1", "frame": {"id": 1, "method": "system.version", "params": []}}),
                json!({"i": 3, "dir": "s2c", "conn": "c1", "frame": {"id": 1, "result": "TrueNAS-25.10.7"}}),
                json!({"i": 4, "dir": "meta", "conn": "c1", "note": "the server sent 10 characters that are no JSON"}),
                json!({"i": 5, "dir": "s2c", "conn": "c1", "close": {"code": 1008, "reason": "not from 198.18.0.1, user-1"}}),
                json!({"i": 6, "dir": "meta", "conn": "c1", "note": "closed by tnvm"}),
            ]
        );
    }

    #[test]
    fn a_session_that_never_got_in_is_written_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nas.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        recorder.opened("/websocket");
        drop(recorder);
        let found = lines(&path);
        assert_eq!(
            (found.len(), &found[0]["api_path"]),
            (2, &json!("/websocket"))
        );
    }

    #[test]
    fn a_file_that_is_there_is_never_overwritten_and_a_new_one_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nas.jsonl");
        std::fs::write(&path, "precious").unwrap();
        let error = Recorder::create(&path).unwrap_err();
        assert!(error.to_string().contains("nas.jsonl"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        let new = folder.path().join("new.jsonl");
        let _recorder = Recorder::create(&new).unwrap();
        let mode = std::fs::metadata(&new).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }

    #[test]
    fn a_full_recording_ends_and_nobody_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nas.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        let frame = json!({"id": 1, "result": "x"});
        for _ in 0..=MOST_WAITING {
            told(&recorder, Direction::FromServer, &frame);
        }
        recorder.state().written = LARGEST - 10;
        let before = lines(&path).len();
        told(&recorder, Direction::FromServer, &frame);
        told(&recorder, Direction::FromServer, &frame);
        assert_eq!(lines(&path).len(), before);
    }
}
