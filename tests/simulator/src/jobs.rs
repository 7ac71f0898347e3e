//! Jobs: methods that answer with a number and go on by themselves. Rows as recorded on 25.10.7
//! (`core.get_jobs`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::errors::Failure;
use crate::world::Event;
use crate::world::machine::{date, now_seconds};

/// How many jobs are remembered. Code reading: `job.py`.
const REMEMBERED: usize = 1000;

/// All jobs since the start; ids begin at 1.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: BTreeMap<i64, Job>,
    held_locks: BTreeSet<String>,
    last: i64,
}

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) user: String,
    pub(crate) state: JobState,
    pub(crate) failure: Option<Failure>,
    pub(crate) result: Value,
    method: String,
    arguments: Vec<Value>,
    message_ids: Option<Vec<Value>>,
    description: Value,
    progress: (u32, String),
    started: i64,
    finished: Option<i64>,
    credentials: Value,
    lock: Option<String>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobState {
    Waiting,
    Running,
    Success,
    Failed,
    Aborted,
}

/// What a new job is made from.
pub(crate) struct NewJob {
    pub(crate) method: String,
    pub(crate) arguments: Vec<Value>,
    /// The calls that asked for it; `None` where the version does not tell.
    pub(crate) message_ids: Option<Vec<Value>>,
    pub(crate) user: String,
    pub(crate) credentials: Value,
    /// Jobs with the same lock run one after the other.
    pub(crate) lock: Option<String>,
}

impl Jobs {
    /// Queues a job; answers its id and the event.
    pub(crate) fn add(&mut self, new: NewJob) -> (i64, Event) {
        self.last += 1;
        let job = Job {
            id: self.last,
            user: new.user,
            state: JobState::Waiting,
            failure: None,
            result: Value::Null,
            method: new.method,
            arguments: new.arguments,
            message_ids: new.message_ids,
            description: Value::Null,
            progress: (0, String::new()),
            started: now_seconds(),
            finished: None,
            credentials: new.credentials,
            lock: new.lock,
        };
        let event = event("added", &job);
        self.jobs.insert(job.id, job);
        while self.jobs.len() > REMEMBERED {
            self.jobs.pop_first();
        }
        (self.last, event)
    }

    /// Lets a waiting job run, unless another holds its lock. The event is sent when it runs now.
    pub(crate) fn try_start(&mut self, id: i64) -> Option<Event> {
        let job = self.jobs.get_mut(&id)?;
        if let Some(lock) = &job.lock
            && !self.held_locks.insert(lock.clone())
        {
            return None;
        }
        job.state = JobState::Running;
        Some(event("changed", job))
    }

    /// Sets the progress in percent.
    pub(crate) fn set_progress(
        &mut self,
        id: i64,
        percent: u32,
        description: &str,
    ) -> Option<Event> {
        let job = self.jobs.get_mut(&id)?;
        job.progress = (percent, description.to_owned());
        Some(event("changed", job))
    }

    /// Ends a job. An aborted one stays aborted.
    pub(crate) fn finish(&mut self, id: i64, outcome: Result<Value, Failure>) -> Vec<Event> {
        let Some(job) = self.jobs.get_mut(&id) else {
            return Vec::new();
        };
        if let Some(lock) = &job.lock {
            self.held_locks.remove(lock);
        }
        if job.state == JobState::Aborted {
            return Vec::new();
        }
        job.finished = Some(now_seconds());
        match outcome {
            Ok(result) => {
                job.state = JobState::Success;
                job.result = result;
                job.progress.0 = 100;
            }
            Err(failure) => {
                job.state = JobState::Failed;
                job.failure = Some(failure);
            }
        }
        vec![event("changed", job)]
    }

    /// `core.job_abort`. Recorded on 25.10.7: `vm.stop` is not abortable and is marked all the same.
    pub(crate) fn abort(&mut self, id: i64) -> Option<Event> {
        let job = self.jobs.get_mut(&id)?;
        if job.is_over() {
            return None;
        }
        job.state = JobState::Aborted;
        job.finished = Some(now_seconds());
        Some(event("changed", job))
    }

    /// The job, if it is remembered.
    pub(crate) fn get(&self, id: i64) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// Rows of jobs that a user may see; `None` sees all.
    pub(crate) fn rows(&self, user: Option<&str>) -> Vec<Value> {
        self.jobs
            .values()
            .filter(|job| user.is_none_or(|user| job.user == user))
            .map(Job::row)
            .collect()
    }
}

impl Job {
    /// Whether nothing more will happen.
    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self.state,
            JobState::Success | JobState::Failed | JobState::Aborted
        )
    }

    fn row(&self) -> Value {
        let mut row = json!({
            "id": self.id, "message_ids": self.message_ids, "method": self.method, "arguments": self.arguments,
            "transient": false, "description": self.description, "abortable": false, "logs_path": null,
            "logs_excerpt": null,
            "progress": {"percent": self.progress.0, "description": self.progress.1, "extra": null},
            "result": self.result, "result_encoding_error": null,
            "error": self.failure.as_ref().map(Failure::reason),
            "exception": self.failure.as_ref().map(|failure| format!("Traceback (most recent call last):\n{}", failure.reason())),
            "exc_info": self.failure.as_ref().map(Failure::exc_info),
            "state": self.state.word(), "time_started": date(self.started),
            "time_finished": self.finished.map(date), "credentials": self.credentials,
        });
        if let (None, Some(row)) = (&self.message_ids, row.as_object_mut()) {
            row.shift_remove("message_ids");
        }
        row
    }
}

impl JobState {
    fn word(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }
}

fn event(kind: &'static str, job: &Job) -> Event {
    Event {
        kind,
        collection: "core.get_jobs",
        id: json!(job.id),
        fields: Some(job.row()),
        extra: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(jobs: &mut Jobs, lock: Option<&str>) -> i64 {
        let new = NewJob {
            method: "vm.stop".into(),
            arguments: vec![json!(1)],
            message_ids: Some(vec![json!(7)]),
            user: "joe".into(),
            credentials: Value::Null,
            lock: lock.map(str::to_owned),
        };
        jobs.add(new).0
    }

    #[test]
    fn jobs_with_the_same_lock_run_one_after_the_other() {
        let mut jobs = Jobs::default();
        let (first, second) = (job(&mut jobs, Some("a")), job(&mut jobs, Some("a")));
        assert!(jobs.try_start(first).is_some());
        assert!(jobs.try_start(second).is_none());
        jobs.finish(first, Ok(Value::Null));
        assert!(jobs.try_start(second).is_some());
    }

    #[test]
    fn an_aborted_job_stays_aborted() {
        let mut jobs = Jobs::default();
        let id = job(&mut jobs, None);
        jobs.abort(id);
        jobs.finish(id, Ok(json!(1)));
        assert_eq!(jobs.get(id).unwrap().state, JobState::Aborted);
    }

    #[test]
    fn others_jobs_are_hidden() {
        let mut jobs = Jobs::default();
        job(&mut jobs, None);
        assert!(jobs.rows(Some("eve")).is_empty());
        assert_eq!(jobs.rows(None).len(), 1);
    }

    #[test]
    fn only_the_last_thousand_are_remembered() {
        let mut jobs = Jobs::default();
        for _ in 0..1001 {
            job(&mut jobs, None);
        }
        assert!(jobs.get(1).is_none() && jobs.get(1001).is_some());
    }
}
