//! The file of the audit: opened once, a line added per call.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::plan::Plan;
use crate::redact::Redaction;
use crate::timestamp::rfc3339;
use crate::truenas::{CallError, CallObserver, CallOutcome, CallRecord};
use crate::whoami::WhoAmI;

/// The file cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the audit file {} cannot be opened: {source}", path.display())]
pub struct AuditError {
    path: PathBuf,
    source: io::Error,
}

/// An open audit file.
#[derive(Debug)]
pub struct AuditLog {
    file: File,
    path: PathBuf,
    who: WhoAmI,
    command: &'static str,
    subject: Mutex<Subject>,
}

/// What the run is about, as far as it is known yet.
#[derive(Debug, Default)]
struct Subject {
    group: Option<String>,
    plan: Option<String>,
    redaction: Redaction,
}

/// One line. Members are added, never renamed.
#[derive(Serialize)]
struct Line<'a> {
    /// When the call was asked for: RFC 3339, UTC.
    time: String,
    run: &'a str,
    user: &'a str,
    machine: &'a str,
    pid: u32,
    endpoint: &'a str,
    hostname: &'a str,
    login: &'a str,
    command: &'a str,
    group: Option<&'a str>,
    plan: Option<&'a str>,
    method: &'a str,
    params: Value,
    /// `ok`, `lost`, or why it failed.
    result: String,
    errno: Option<i64>,
    duration_ms: u64,
}

impl AuditLog {
    /// Opens or makes the file, readable by its owner alone, and the folders above it. Lines are
    /// only ever added at its end.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn open(path: &Path, who: WhoAmI, command: &'static str) -> Result<Self, AuditError> {
        let failed = |source| AuditError {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(folder).map_err(failed)?;
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            who,
            command,
            subject: Mutex::default(),
        })
    }

    /// Another log to the same file, for another server: it is about a plan of its own.
    ///
    /// # Errors
    /// When the system gives no second handle to the file.
    pub fn another(&self) -> Result<Self, AuditError> {
        let file = self.file.try_clone().map_err(|source| AuditError {
            path: self.path.clone(),
            source,
        })?;
        Ok(Self {
            file,
            path: self.path.clone(),
            who: self.who.clone(),
            command: self.command,
            subject: Mutex::default(),
        })
    }

    /// Where lines are kept unless the user says otherwise: `audit.jsonl` in the user's folder for
    /// state. None where there is no such folder.
    #[must_use]
    pub fn default_path() -> Option<PathBuf> {
        use etcetera::BaseStrategy;
        let strategy = etcetera::choose_base_strategy().ok()?;
        let folder = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
        Some(folder.join("tnvm").join("audit.jsonl"))
    }

    /// The group that the run is for.
    pub fn about_group(&self, group: &str) {
        self.subject().group = Some(group.to_owned());
    }

    /// The plan that is carried out from here on; its devices tell where secrets are.
    pub fn about_plan(&self, plan: &Plan) {
        let mut subject = self.subject();
        subject.group = Some(plan.group.clone());
        subject.plan = plan_id(plan);
        subject.redaction = Redaction::of_plan(plan);
    }

    fn subject(&self) -> MutexGuard<'_, Subject> {
        // Only assignments happen under the lock, so nobody leaves it half-changed.
        self.subject.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, call: &CallRecord<'_>) -> Result<String, serde_json::Error> {
        let subject = self.subject();
        let (params, secrets) = subject.redaction.apply(call.params);
        let (result, errno) = match call.outcome {
            CallOutcome::Done => ("ok".to_owned(), None),
            CallOutcome::Abandoned => ("lost".to_owned(), None),
            CallOutcome::Failed(error) if is_lost(error) => ("lost".to_owned(), None),
            CallOutcome::Failed(error) => {
                let errno = error.server().and_then(|said| said.errno);
                (secrets.hidden(&error.to_string()), errno)
            }
        };
        let line = Line {
            time: rfc3339(call.began),
            run: &self.who.run,
            user: &self.who.user,
            machine: &self.who.host,
            pid: self.who.pid,
            endpoint: call.endpoint,
            hostname: call.hostname,
            login: call.login,
            command: self.command,
            group: subject.group.as_deref(),
            plan: subject.plan.as_deref(),
            method: call.method.name(),
            params,
            result,
            errno,
            duration_ms: u64::try_from(call.duration.as_millis()).unwrap_or(u64::MAX),
        };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        Ok(text)
    }
}

impl CallObserver for AuditLog {
    fn ended(&self, call: &CallRecord<'_>) {
        let line = self.line(call).map_err(io::Error::from);
        // The file is opened for appending and the line is one write, so lines of two runs do not mix.
        let written = line.and_then(|line| (&self.file).write_all(line.as_bytes()));
        if let Err(error) = written {
            let file = self.path.display();
            tracing::error!(%error, %file, rpc.method = %call.method, "a change is missing in the audit");
        }
    }
}

/// Whether nobody knows if the call was done.
fn is_lost(error: &CallError) -> bool {
    error.may_have_run()
}

/// A short name for a plan: the first 16 hexadecimal digits of the BLAKE3 of its JSON. Equal plans
/// have equal names.
#[must_use]
pub fn plan_id(plan: &Plan) -> Option<String> {
    let json = serde_json::to_vec(plan).ok()?;
    let hash = blake3::hash(&json).to_hex();
    hash.get(..16).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime};

    use serde_json::json;

    use super::*;
    use crate::truenas::Method;

    fn open(path: &Path) -> AuditLog {
        AuditLog::open(path, WhoAmI::ask(), "create").unwrap()
    }

    fn told(log: &AuditLog, params: &[Value], outcome: CallOutcome<'_>) {
        log.ended(&CallRecord {
            endpoint: "wss://nas",
            hostname: "nas",
            login: "root",
            method: Method::DeviceCreate,
            params,
            began: SystemTime::UNIX_EPOCH,
            duration: Duration::from_millis(7),
            outcome,
        });
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_call_is_one_line_that_says_who_did_what_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/audit.jsonl");
        let log = open(&path);
        log.about_group("lab");
        told(&log, &[json!({"password": "Hunter22"})], CallOutcome::Done);
        let error = CallError::Disconnected {
            method: Method::DeviceCreate,
            why: crate::truenas::DisconnectReason::Ended,
            may_have_run: true,
        };
        told(&log, &[], CallOutcome::Failed(&error));
        told(&log, &[], CallOutcome::Abandoned);
        let found = lines(&path);
        let who = &log.who;
        let expected = json!({
            "time": "1970-01-01T00:00:00.000Z", "run": who.run, "user": who.user,
            "machine": who.host, "pid": who.pid, "endpoint": "wss://nas", "hostname": "nas",
            "login": "root", "command": "create", "group": "lab", "plan": null,
            "method": "vm.device.create", "params": [{"password": "(secret)"}],
            "result": "ok", "errno": null, "duration_ms": 7,
        });
        assert_eq!(found[0], expected);
        assert_eq!(
            (&found[1]["result"], &found[2]["result"]),
            (&json!("lost"), &json!("lost"))
        );
    }

    #[test]
    fn file_and_folder_are_the_users_alone_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tnvm/audit.jsonl");
        told(&open(&path), &[], CallOutcome::Done);
        told(&open(&path), &[], CallOutcome::Done);
        assert_eq!(lines(&path).len(), 2);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn lines_of_two_writers_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let long = json!("x".repeat(9000));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let log = open(&path);
                    for _ in 0..50 {
                        told(&log, std::slice::from_ref(&long), CallOutcome::Done);
                    }
                });
            }
        });
        assert_eq!(lines(&path).len(), 200);
    }

    #[test]
    fn a_log_for_another_server_writes_to_the_same_file_about_its_own_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let log = open(&path);
        let other = log.another().unwrap();
        log.about_group("lab");
        other.about_group("other");
        told(&log, &[], CallOutcome::Done);
        told(&other, &[], CallOutcome::Done);
        let found = lines(&path);
        assert_eq!(
            (&found[0]["group"], &found[1]["group"]),
            (&json!("lab"), &json!("other"))
        );
        assert_eq!(found[0]["run"], found[1]["run"]);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = AuditLog::open(folder.path(), WhoAmI::ask(), "create").unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&folder.path().display().to_string())
        );
    }
}
