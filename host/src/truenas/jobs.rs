//! Jobs: who waits for which, what events say, and how one ended.
//!
//! Events are hints that save time; what `core.get_jobs` says is the truth.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::error::{CODE_CALL, CallError, ServerError, field_errors, sort, without_errno};
use super::method::Method;

/// The collection of job events.
pub(super) const COLLECTION: &str = "core.get_jobs";

type Row = Option<Map<String, Value>>;

/// The jobs that somebody waits for. Rows of all others are dropped at once.
#[derive(Debug)]
pub(super) struct JobBoard {
    watched: Mutex<Watched>,
}

/// None once there will be no more events.
type Watched = Option<HashMap<u64, watch::Sender<Row>>>;

impl Default for JobBoard {
    fn default() -> Self {
        Self {
            watched: Mutex::new(Some(HashMap::new())),
        }
    }
}

impl JobBoard {
    /// Watches a job until the value is dropped.
    pub(super) fn watch(self: &Arc<Self>, id: u64) -> JobWatch {
        let rows = match &mut *self.lock() {
            Some(watched) => watched
                .entry(id)
                .or_insert_with(|| watch::channel(None).0)
                .subscribe(),
            // Its sender is gone at once, as those of all others are.
            None => watch::channel(None).1,
        };
        JobWatch {
            id,
            rows,
            board: Arc::clone(self),
        }
    }

    /// A row of a job, from an event.
    pub(super) fn update(&self, id: u64, row: Map<String, Value>) {
        if let Some(sender) = self.lock().as_ref().and_then(|watched| watched.get(&id)) {
            sender.send_replace(Some(row));
        }
    }

    /// No more events: wakes everybody.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        // Nothing that runs under the lock can leave the map half-changed.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One waiter for a job.
#[derive(Debug)]
pub(super) struct JobWatch {
    id: u64,
    rows: watch::Receiver<Row>,
    board: Arc<JobBoard>,
}

impl JobWatch {
    /// The next row; none when there will be no more events.
    pub(super) async fn next(&mut self) -> Row {
        self.rows.changed().await.ok()?;
        self.rows.borrow_and_update().clone()
    }
}

impl Drop for JobWatch {
    fn drop(&mut self) {
        let mut watched = self.board.lock();
        let Some(watched) = watched.as_mut() else {
            return;
        };
        // This receiver still counts.
        if watched
            .get(&self.id)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            watched.remove(&self.id);
        }
    }
}

/// A job of ours: what tells it from others that had or will have its id.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) method: Method,
    pub(super) id: u64,
    arguments: &'a [Value],
    /// When the server began it, as it was first told.
    started: Option<Value>,
}

impl<'a> Job<'a> {
    /// The job that the server gave this id for this call.
    pub(super) fn new(method: Method, id: u64, arguments: &'a [Value]) -> Self {
        Self {
            method,
            id,
            arguments,
            started: None,
        }
    }

    /// The filters that find it.
    pub(super) fn filters(&self) -> Value {
        json!([["id", "=", self.id], ["method", "=", self.method.name()]])
    }

    /// How it ended, from a row with its id; none while it has not. A row of another job says that
    /// the server has forgotten ours: ids begin anew when the middleware restarts (all versions).
    pub(super) fn outcome(&mut self, row: &Map<String, Value>) -> Option<Result<Value, CallError>> {
        if self.is_another(row) {
            return Some(Err(forgotten(self.method)));
        }
        if self.started.is_none() {
            let started = row.get("time_started").filter(|time| !time.is_null());
            self.started = started.cloned();
        }
        outcome(self.method, row)
    }

    /// The server keeps the arguments as they were sent (recorded on 24.10 to 27).
    fn is_another(&self, row: &Map<String, Value>) -> bool {
        let theirs = row.get("arguments").and_then(Value::as_array);
        let began = row.get("time_started").filter(|time| !time.is_null());
        theirs.is_some_and(|theirs| theirs != self.arguments)
            || matches!((&self.started, began), (Some(one), Some(other)) if one != other)
    }
}

fn forgotten(method: Method) -> CallError {
    CallError::protocol(
        method,
        "the server has restarted and no longer knows the job",
    )
}

/// How a job ended; none while it has not.
fn outcome(method: Method, row: &Map<String, Value>) -> Option<Result<Value, CallError>> {
    // Ids begin anew when the middleware restarts: the same id may be another job.
    let name = row.get("method").and_then(Value::as_str);
    if name.is_some_and(|name| name != method.name()) {
        return Some(Err(forgotten(method)));
    }
    let failed = |reason: &str| {
        let info = row.get("exc_info").unwrap_or(&Value::Null);
        let class = info.get("type").and_then(Value::as_str);
        let fields = if class == Some("VALIDATION") {
            field_errors(info.get("extra").unwrap_or(&Value::Null))
        } else {
            Vec::new()
        };
        sort(ServerError {
            method,
            code: CODE_CALL,
            errno: info.get("errno").and_then(Value::as_i64),
            errname: None,
            reason: without_errno(reason),
            fields,
            class: class.map(str::to_owned),
        })
    };
    match row.get("state").and_then(Value::as_str)? {
        "SUCCESS" => Some(Ok(row.get("result").cloned().unwrap_or_default())),
        "FAILED" => {
            let reason = row.get("error").and_then(Value::as_str);
            Some(Err(failed(reason.unwrap_or("the job failed"))))
        }
        "ABORTED" => Some(Err(failed("the job was aborted"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ended(row: Value) -> Option<Result<Value, CallError>> {
        outcome(Method::VmStop, row.as_object().expect("an object"))
    }

    #[test]
    fn a_running_job_has_no_outcome() {
        for state in ["WAITING", "RUNNING"] {
            assert!(ended(json!({"method": "vm.stop", "state": state})).is_none());
        }
        assert!(ended(json!({})).is_none());
    }

    #[test]
    fn success_has_the_result() {
        let row = json!({"method": "vm.stop", "state": "SUCCESS", "result": 5});
        assert_eq!(ended(row).and_then(Result::ok), Some(json!(5)));
    }

    #[test]
    fn a_failure_has_errno_and_text() {
        let row = json!({"method": "vm.stop", "state": "FAILED", "error": "[EFAULT] not running",
            "exc_info": {"type": "CallError", "errno": 14, "extra": null}});
        let Some(Err(CallError::Refused(error))) = ended(row) else {
            panic!("not refused");
        };
        assert_eq!(
            (error.errno, error.reason.as_str()),
            (Some(14), "not running")
        );
    }

    #[test]
    fn an_invalid_job_names_its_fields() {
        let row = json!({"method": "vm.stop", "state": "FAILED", "error": "x",
            "exc_info": {"type": "VALIDATION", "errno": null, "extra": [["options.force", "odd", 22]]}});
        let error = ended(row).expect("an end").expect_err("a failure");
        assert_eq!(error.to_string(), "vm.stop was refused: options.force: odd");
    }

    #[test]
    fn an_aborted_job_is_no_success() {
        let row = json!({"method": "vm.stop", "state": "ABORTED", "result": null});
        assert!(ended(row).is_some_and(|ended| ended.is_err()));
    }

    #[test]
    fn the_same_id_of_another_method_is_another_job() {
        let row = json!({"method": "pool.scrub", "state": "SUCCESS", "result": null});
        assert!(ended(row).is_some_and(|ended| ended.is_err()));
    }

    #[test]
    fn the_same_id_and_method_with_other_arguments_or_another_start_is_another_job() {
        let arguments = [json!(7), json!({"force": false})];
        let row = |arguments: Value, started: Value, state: &str| {
            let row = json!({"id": 5, "method": "vm.stop", "arguments": arguments,
                "time_started": started, "state": state, "result": null});
            row.as_object().expect("an object").clone()
        };
        let (ours, at) = (json!([7, {"force": false}]), json!({"$date": 1000}));
        let begun = || {
            let mut job = Job::new(Method::VmStop, 5, &arguments);
            // Before it begins it has no time yet.
            assert!(
                job.outcome(&row(ours.clone(), Value::Null, "WAITING"))
                    .is_none()
            );
            assert!(
                job.outcome(&row(ours.clone(), at.clone(), "RUNNING"))
                    .is_none()
            );
            job
        };
        let ended = begun().outcome(&row(ours.clone(), at.clone(), "SUCCESS"));
        assert!(ended.is_some_and(|ended| ended.is_ok()));
        for (arguments, started) in [
            (json!([8, {"force": false}]), at.clone()),
            (json!([7]), at.clone()),
            (ours.clone(), json!({"$date": 2000})),
        ] {
            let error = begun().outcome(&row(arguments, started, "SUCCESS"));
            let error = error.expect("an end").expect_err("another job");
            assert!(error.may_have_run(), "{error:?}");
        }
    }

    #[tokio::test]
    async fn watchers_leave_nothing_behind() {
        let board = Arc::new(JobBoard::default());
        let (mut one, two) = (board.watch(3), board.watch(3));
        board.update(3, Map::new());
        assert!(one.next().await.is_some());
        drop(two);
        let len = || board.lock().as_ref().map(HashMap::len);
        assert_eq!(len(), Some(1));
        drop(one);
        assert_eq!(len(), Some(0));
    }

    #[tokio::test]
    async fn the_end_of_events_wakes_watchers() {
        let board = Arc::new(JobBoard::default());
        let mut watch = board.watch(3);
        board.close();
        assert_eq!(watch.next().await, None);
        assert_eq!(board.watch(4).next().await, None, "nor any later one");
    }
}
