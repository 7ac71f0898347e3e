//! The handle that the rest of tnvm uses: connects, logs in once, calls, follows jobs.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::allowed::Allowed;
use super::auth::Credentials;
use super::backoff::{Backoff, Jitter};
use super::connect_error::ConnectError;
use super::endpoint::Endpoint;
use super::error::CallError;
use super::jobs::Job;
use super::lane::Lane;
use super::lines::Lines;
use super::login::Login;
use super::loss::LossReason;
use super::method::Method;
use super::observer::{Observed, Watch};
use super::options::ConnectOptions;
use super::profile::Profile;
use super::reconnect::{Line, Opener};
use super::session::{self, Clock, Opened, Past, ServerInfo};
use super::stats::{CallStats, Counters};
use super::timeouts;
use super::transport::Transport;
use crate::release::Release;

/// One or several connections to a server, logged in. Cloning is cheap; all clones share the
/// connections, which end with the last of them or with [`logout`](Self::logout). A connection that
/// is lost is made again, with one login per attempt, as long as the same server answers; a few
/// attempts within about a minute, then it is lost for good. Others go on without it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    lane: Lane,
}

struct Shared {
    lines: Arc<Lines>,
    endpoint: Endpoint,
    counters: Arc<Counters>,
    call_timeout: Option<Duration>,
    clock: Clock,
    profile: Profile,
    username: String,
    login: Login,
    transport: Transport,
    allowed: Allowed,
    observed: Option<Observed>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Nobody is left who could want a new connection.
        drop(self.lines.end());
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.shared.endpoint)
            .field("server", self.server())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects and logs in: exactly one login, whatever the answer. Further connections, where
    /// the options allow any, are made when there is work for them.
    ///
    /// # Errors
    /// Every way this can fail is a variant of its own, with advice in [`ConnectError::help`].
    pub async fn connect(
        endpoint: &Endpoint,
        credentials: &Credentials,
        options: &ConnectOptions,
    ) -> Result<Self, ConnectError> {
        let counters = Arc::<Counters>::default();
        let open = opener(endpoint, credentials, options, &counters);
        Self::over(endpoint, credentials.username(), options, counters, open).await
    }

    /// Over connections that are made in this way.
    pub(super) async fn over(
        endpoint: &Endpoint,
        login: &str,
        options: &ConnectOptions,
        counters: Arc<Counters>,
        open: Opener,
    ) -> Result<Self, ConnectError> {
        let opened = first(&open, options.jitter).await?;
        let server = opened.server;
        tracing::info!(%endpoint, version = %server.version, hostname = server.hostname, "connected");
        let profile = Profile::new(Release::nearest(&server.version));
        let observed = options.audit.clone().map(|observer| Observed {
            observer,
            endpoint: endpoint.to_string(),
            hostname: server.hostname.clone(),
            login: login.to_owned(),
        });
        Ok(Self {
            shared: Arc::new(Shared {
                lines: Arc::new(Lines::new(
                    opened.connection,
                    server,
                    open,
                    options.jitter,
                    options.connections,
                    options.calls_per_connection(),
                )),
                endpoint: endpoint.clone(),
                counters,
                call_timeout: options.call_timeout,
                clock: opened.clock,
                profile,
                username: login.to_owned(),
                login: opened.login,
                transport: opened.transport,
                allowed: options.allowed,
                observed,
            }),
            lane: Lane::Usual,
        })
    }

    /// Calls a method and waits for its answer; of a job that is its id. Only so many calls are in
    /// flight on each connection, others wait for their turn, and for a new connection where all are
    /// lost.
    /// A call that changes nothing is asked again when its answer was lost; any other is sent once.
    /// Dropping the future forgets the call; the server may still do it.
    ///
    /// # Errors
    /// [`CallError`] says which kind, and [`CallError::may_have_run`] whether to look before going on.
    pub async fn call(&self, method: Method, params: Vec<Value>) -> Result<Value, CallError> {
        self.check(method)?;
        let watch = self.watch(method, &params);
        let result = self.shared.lines.call(self.lane, method, &params).await;
        if let Some(watch) = watch {
            watch.ended(&result);
        }
        result
    }

    /// Begins to observe a call that changes something.
    fn watch<'a>(&'a self, method: Method, params: &'a [Value]) -> Option<Watch<'a>> {
        let observed = self.shared.observed.as_ref()?;
        method.mutates().then(|| observed.watch(method, params))
    }

    /// What may not be sent is refused here, before anything else.
    fn check(&self, method: Method) -> Result<(), CallError> {
        if method.is_login() {
            return Err(CallError::TwoLogins);
        }
        let allowed = self.shared.allowed.check(method);
        allowed.map_err(|why| CallError::NotAllowed { method, why })
    }

    /// Calls a method that is a job and waits until it has ended.
    ///
    /// # Errors
    /// As [`call`](Self::call); a job that failed or was aborted is an error like a refused call.
    pub async fn job(&self, method: Method, params: Vec<Value>) -> Result<Value, CallError> {
        self.check(method)?;
        // A job is one call, that ends when the job does.
        let watch = self.watch(method, &params);
        let result = self.run_job(method, &params).await;
        if let Some(watch) = watch {
            watch.ended(&result);
        }
        result
    }

    async fn run_job(&self, method: Method, params: &[Value]) -> Result<Value, CallError> {
        let after = self.shared.call_timeout.unwrap_or_else(|| method.timeout());
        let deadline = Instant::now() + after;
        // Asked for before the call: what is told before that is never told again.
        let line = self.shared.lines.line_with_events(method).await?;
        let answer = self.shared.lines.call(self.lane, method, params).await?;
        let Some(id) = answer.as_u64() else {
            return Err(CallError::protocol(
                method,
                "the answer is not the id of a job",
            ));
        };
        tracing::debug!(rpc.method = %method, job = id, "job");
        let job = Job::new(method, id, params);
        timeout_at(deadline, self.follow(job, line))
            .await
            .unwrap_or(Err(CallError::TimedOut {
                method,
                after,
                may_have_run: true,
            }))
    }

    /// Looks the job up, then follows its events; looks again when there is none for a while, and
    /// on every new connection. Its events are told on every connection that asked for them.
    async fn follow(&self, mut job: Job<'_>, mut line: Arc<Line>) -> Result<Value, CallError> {
        loop {
            let followed = self.shared.lines.follow_on(&line, job.method).await;
            let (on, connection) = followed.map_err(|error| taken_up(job.method, error))?;
            line = on;
            // Before the look: what is told in between is not missed.
            let mut watch = connection.jobs().watch(job.id);
            if let Some(outcome) = self.look_up(&mut job).await? {
                return outcome;
            }
            let again = Instant::now() + timeouts::JOB_POLL;
            while let Ok(Some(row)) = timeout_at(again, watch.next()).await {
                if let Some(outcome) = job.outcome(&row) {
                    return outcome;
                }
            }
        }
    }

    async fn look_up(
        &self,
        job: &mut Job<'_>,
    ) -> Result<Option<Result<Value, CallError>>, CallError> {
        let rows = match self.call(Method::GetJobs, vec![job.filters()]).await {
            Ok(rows) => rows,
            // A busy server; events or the next look will tell.
            Err(CallError::TimedOut { .. } | CallError::TooManyCalls { .. }) => return Ok(None),
            Err(error) => return Err(taken_up(job.method, error)),
        };
        match rows.as_array().map(|rows| rows.first()) {
            Some(Some(Value::Object(row))) => Ok(job.outcome(row)),
            _ => Err(CallError::protocol(
                job.method,
                format!("the server no longer knows job {}", job.id),
            )),
        }
    }

    /// The same connection for calls that must be done in time whatever else goes on: they do not
    /// wait behind other calls, only for one another. Meant for few and short ones.
    #[must_use]
    pub fn urgent(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            lane: Lane::Urgent,
        }
    }

    /// Why no call can be made any more, if that is so.
    #[must_use]
    pub fn loss(&self) -> Option<LossReason> {
        self.shared.lines.loss()
    }

    /// Who answers.
    #[must_use]
    pub fn server(&self) -> &ServerInfo {
        self.shared.lines.server()
    }

    /// What the server's clock shows now, as exact as half of a round trip at the first login; the
    /// time here where the account may not ask (`system.info`).
    #[must_use]
    pub fn server_time(&self) -> SystemTime {
        self.shared.clock.at(SystemTime::now())
    }

    /// Where the server is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// Who logged in.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.shared.username
    }

    /// How the first login was done.
    #[must_use]
    pub fn login(&self) -> Login {
        self.shared.login
    }

    /// The way to the server, as it was at first.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.shared.transport
    }

    /// What was sent and received so far.
    #[must_use]
    pub fn stats(&self) -> CallStats {
        self.shared.counters.snapshot()
    }

    /// How many connections there may be.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lines.most()
    }

    /// So many calls at once are to be expected soon: connections for them are made now, so that
    /// they are there when the calls come.
    pub fn expect_calls(&self, count: usize) {
        self.shared.lines.grow(count);
    }

    /// Ends the session and the connections of all clones. Takes a few seconds at most, whatever
    /// the server does. A connection that is lost is not made again for this.
    pub async fn logout(self) {
        let ended = self.shared.lines.end();
        join_all(ended.iter().map(|connection| async move {
            if let Err(error) = connection.call(Method::Logout, &[]).await {
                tracing::debug!(%error, "the server did not take leave");
            }
            connection.close().await;
        }))
        .await;
    }

    /// What the server's version has.
    #[must_use]
    pub fn release(&self) -> &Release {
        self.shared.profile.release()
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.shared.profile
    }
}

/// A job was taken up before the connection was lost, so it may well be done.
fn taken_up(method: Method, error: CallError) -> CallError {
    let may_have_run = true;
    match error {
        CallError::Disconnected { why, .. } => CallError::Disconnected {
            method,
            why,
            may_have_run,
        },
        CallError::ConnectionLost { why, .. } => CallError::ConnectionLost {
            method,
            why,
            may_have_run,
        },
        other => other,
    }
}

/// The first connection. Where it is lost once it is logged in, and before the server has said who
/// it is, it is made again like every later one: nothing was asked for yet that changes anything.
async fn first(open: &Opener, jitter: Jitter) -> Result<Opened, ConnectError> {
    let mut lost = match open().await {
        Err(error) if error.is_lost_after_login() => error,
        other => return other,
    };
    tracing::warn!(%lost, "the connection to the server is lost, connecting again");
    let mut backoff = Backoff::new(jitter, 0);
    let mut attempt = 0;
    while let Some(pause) = backoff.pause(attempt) {
        sleep(pause).await;
        attempt += 1;
        match open().await {
            Err(error) if error.is_transient() => lost = error,
            other => return other,
        }
    }
    Err(lost)
}

/// Connects as at first, whenever it is asked to, and no more often than the server lets log in.
fn opener(
    endpoint: &Endpoint,
    credentials: &Credentials,
    options: &ConnectOptions,
    counters: &Arc<Counters>,
) -> Opener {
    let how = Arc::new((endpoint.clone(), credentials.clone(), options.clone()));
    let (counters, past) = (Arc::clone(counters), Arc::<Past>::default());
    Arc::new(move || {
        let (how, counters) = (Arc::clone(&how), Arc::clone(&counters));
        let past = Arc::clone(&past);
        Box::pin(async move {
            let (endpoint, credentials, options) = &*how;
            session::open(endpoint, credentials, options, counters, &past).await
        })
    })
}
