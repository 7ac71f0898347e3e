//! Reads a transcript: frames exchanged with a TrueNAS, one JSON object per line, oldest first. It
//! does not know what the frames mean.
//!
//! `{"i": 3, "ms": 118, "dir": "s2c", "conn": "c1", "frame": {…}}`. `dir` is `c2s`, `s2c` or `meta`;
//! instead of `frame` a line may have `text` (what was sent is no JSON) or `close` (`code`, `reason`).
//! The first line is a `meta` with `server` and `api_path`. `TNVM_RECORD` writes the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// A recorded session.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// What to call it: the file's name without its ending.
    pub name: String,
    /// The server as the recorder named it, e.g. `TrueNAS middleware 25.10.7`.
    pub server: String,
    /// Where connections go unless a line says otherwise, e.g. `/api/current`.
    pub api_path: String,
    pub(super) steps: Vec<Step>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// The number of its line.
    pub(super) frame: u64,
    /// The connection's name.
    pub(super) connection: String,
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// The client opened a connection at this path; `refused` names the HTTP status that it got.
    Connect { path: String, refused: Option<u16> },
    /// The client closed it.
    Close,
    /// The client sent JSON.
    Sent(Value),
    /// The client sent a text that is no JSON.
    SentText(String),
    /// The client sent a binary frame.
    SentBinary,
    /// The server sent JSON.
    Received(Value),
    /// The server closed the connection.
    Closed { code: u16, reason: String },
}

/// Why a transcript cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// The file cannot be read.
    #[error("cannot read the transcript {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is none of a transcript.
    #[error("{name}, line {line}: {why}; a transcript has one JSON object per line")]
    Line {
        /// The transcript.
        name: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The first line does not say what was recorded.
    #[error("{name}: its first line must be a `meta` with `server`, e.g. \"TrueNAS 25.10.7\"")]
    NoServer {
        /// The transcript.
        name: String,
    },
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    i: u64,
    dir: String,
    conn: Option<String>,
    // Told apart from a frame that is null.
    #[serde(default, deserialize_with = "present")]
    frame: Option<Value>,
    text: Option<String>,
    close: Option<CloseLine>,
    note: Option<String>,
    server: Option<String>,
    api_path: Option<String>,
}

#[derive(Deserialize)]
struct CloseLine {
    code: Option<u16>,
    #[serde(default)]
    reason: String,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl Transcript {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is no transcript.
    pub fn read(path: &Path) -> Result<Self, TranscriptError> {
        let text = std::fs::read_to_string(path).map_err(|source| TranscriptError::Read {
            path: path.to_owned(),
            source,
        })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text)
    }

    /// Parses the lines.
    ///
    /// # Errors
    /// When a line is no JSON of the known form, or the first does not name the server.
    pub fn parse(name: &str, text: &str) -> Result<Self, TranscriptError> {
        let mut transcript = None;
        for (index, text) in text.lines().enumerate() {
            if text.trim().is_empty() {
                continue;
            }
            let bad = |why: String| TranscriptError::Line {
                name: name.to_owned(),
                line: index + 1,
                why,
            };
            let line: Line = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
            match &mut transcript {
                None => transcript = Some(Self::begun(name, line)?),
                Some(transcript) => transcript.add(line).map_err(bad)?,
            }
        }
        transcript.ok_or_else(|| TranscriptError::NoServer {
            name: name.to_owned(),
        })
    }

    /// The most requests that were sent on a connection without an answer in between.
    pub(super) fn longest_burst(&self) -> usize {
        let mut now: BTreeMap<&str, usize> = BTreeMap::new();
        let mut longest = 0;
        for step in &self.steps {
            let count = now.entry(&step.connection).or_default();
            match step.what {
                What::Sent(_) => *count += 1,
                What::Received(_) => *count = 0,
                _ => {}
            }
            longest = longest.max(*count);
        }
        longest
    }

    fn begun(name: &str, line: Line) -> Result<Self, TranscriptError> {
        let Some(server) = line.server else {
            return Err(TranscriptError::NoServer {
                name: name.to_owned(),
            });
        };
        Ok(Self {
            name: name.to_owned(),
            server,
            api_path: line.api_path.unwrap_or_else(|| "/api/current".to_owned()),
            steps: Vec::new(),
        })
    }

    fn add(&mut self, line: Line) -> Result<(), String> {
        let connection = line.conn.unwrap_or_default();
        let what = match (line.dir.as_str(), line.frame, line.text, line.close) {
            ("meta", ..) => match meta(line.note.as_deref().unwrap_or_default()) {
                Some(what) => what,
                None => return Ok(()),
            },
            ("c2s", Some(frame), ..) => What::Sent(frame),
            ("c2s", None, Some(text), _) if text.starts_with("<binary") => What::SentBinary,
            ("c2s", None, Some(text), _) => What::SentText(whole(text)),
            ("s2c", Some(frame), ..) => What::Received(frame),
            // Without a code the connection was cut; 1006 is what WebSocket libraries call that.
            ("s2c", None, _, Some(close)) => What::Closed {
                code: close.code.unwrap_or(1006),
                reason: close.reason,
            },
            ("c2s" | "s2c", ..) => return Err("neither `frame`, `text` nor `close`".to_owned()),
            (other, ..) => return Err(format!("`dir` is {other:?}")),
        };
        self.steps.push(Step {
            frame: line.i,
            connection,
            what,
        });
        Ok(())
    }
}

/// `connect ws://HOST/path`, `connect /path: …: 404`, `closed by …`; other notes are for people.
fn meta(note: &str) -> Option<What> {
    if note.starts_with("closed") {
        return Some(What::Close);
    }
    let target = note.strip_prefix("connect ")?;
    if let Some(path) = target.strip_prefix('/') {
        let (path, why) = path.split_once(": ")?;
        let status = why.rsplit(' ').next()?.parse().ok()?;
        return Some(What::Connect {
            path: format!("/{path}"),
            refused: Some(status),
        });
    }
    let (_, rest) = target.split_once("://")?;
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    Some(What::Connect {
        path: format!("/{path}"),
        refused: None,
    })
}

/// Recorders cut long texts: `{"a": "xxx...<9066 characters in total>`. What was cut off is made up.
fn whole(text: String) -> String {
    let cut = text.rsplit_once("...<").and_then(|(begin, rest)| {
        let total: usize = rest.strip_suffix(" characters in total>")?.parse().ok()?;
        Some((begin, total))
    });
    let Some((begin, total)) = cut else {
        return text;
    };
    let end = "\"]}";
    let missing = total.saturating_sub(begin.chars().count() + end.len());
    format!("{begin}{}{end}", "x".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FIRST: &str = r#"{"i": 0, "dir": "meta", "server": "TrueNAS 25.10.7"}"#;

    fn steps(lines: &[&str]) -> Vec<What> {
        let text = format!("{FIRST}\n{}", lines.join("\n"));
        let transcript = Transcript::parse("t", &text).unwrap();
        transcript.steps.into_iter().map(|step| step.what).collect()
    }

    #[test]
    fn notes_open_and_close_connections() {
        let found = steps(&[
            r#"{"i": 1, "dir": "meta", "conn": "a", "note": "connect wss://HOST/api/v25.10.0"}"#,
            r#"{"i": 2, "dir": "meta", "conn": "a", "note": "the next is odd"}"#,
            r#"{"i": 3, "dir": "meta", "conn": "a", "note": "closed by the recorder"}"#,
            r#"{"i": 4, "dir": "meta", "conn": "a", "note": "connect /api/v9: HandshakeError: 404"}"#,
        ]);
        let connect = |path: &str, refused| What::Connect {
            path: path.to_owned(),
            refused,
        };
        assert_eq!(
            found,
            [
                connect("/api/v25.10.0", None),
                What::Close,
                connect("/api/v9", Some(404))
            ]
        );
    }

    #[test]
    fn a_frame_that_is_null_is_a_frame() {
        assert_eq!(
            steps(&[r#"{"i": 1, "dir": "c2s", "conn": "a", "frame": null}"#]),
            [What::Sent(json!(null))]
        );
    }

    #[test]
    fn a_text_that_was_cut_gets_its_length_back() {
        let found = steps(&[
            r#"{"i": 1, "dir": "c2s", "conn": "a", "text": "{\"a\": [\"xx...<90 characters in total>"}"#,
        ]);
        let [What::SentText(text)] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(text.len(), 90);
        assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
    }

    #[test]
    fn what_is_no_transcript_is_refused_with_the_line() {
        let error = Transcript::parse("t", &format!("{FIRST}\n{{}}")).unwrap_err();
        assert!(error.to_string().contains("t, line 2"), "{error}");
        let error = Transcript::parse("t", "{\"dir\": \"meta\"}").unwrap_err();
        assert!(error.to_string().contains("`server`"), "{error}");
    }
}
