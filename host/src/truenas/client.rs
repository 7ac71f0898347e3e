//! The handle that the rest of tnvm uses: connects, logs in once, calls, follows jobs.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::allowed::Allowed;
use super::auth::{Credentials, LoginRefusal};
use super::clock::ServerClock;
use super::connect::{self, Socket};
use super::connect_error::ConnectError;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::error::CallError;
use super::jobs::{self, JobWatch};
use super::method::Method;
use super::observer::{Observed, Watch};
use super::options::ConnectOptions;
use super::profile::{self, Profile};
use super::stats::CallStats;
use super::timeouts;
use super::version::Version;

/// A connection to a server, logged in. Cloning is cheap; all clones share the connection, which
/// ends with the last of them or with [`logout`](Self::logout).
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Connection,
    endpoint: Endpoint,
    server: ServerInfo,
    clock: ServerClock,
    profile: Profile,
    allowed: Allowed,
    observed: Option<Observed>,
    /// Whether job events have been asked for.
    subscribed: OnceCell<()>,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The version.
    pub version: Version,
    /// What the server calls its version, for example `TrueNAS-25.10.7`.
    pub version_text: String,
    /// The name that the server gives itself; the host of the address where it may not be asked.
    pub hostname: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.shared.endpoint)
            .field("server", &self.shared.server)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects and logs in: exactly one login, whatever the answer.
    ///
    /// # Errors
    /// Every way this can fail is a variant of its own, with advice in [`ConnectError::help`].
    pub async fn connect(
        endpoint: &Endpoint,
        credentials: &Credentials,
        options: &ConnectOptions,
    ) -> Result<Self, ConnectError> {
        check_plaintext(endpoint, credentials, options)?;
        let only_loopback = endpoint.is_plaintext() && credentials.is_api_key();
        let connection = match connect::open(endpoint, &options.tls, only_loopback).await? {
            Socket::Plain(socket) => Connection::start(*socket, options),
            Socket::Tls(socket) => Connection::start(*socket, options),
        };
        let (server, clock) = match enter(&connection, endpoint, credentials).await {
            Ok(entered) => entered,
            Err(error) => {
                connection.close().await;
                return Err(error);
            }
        };
        tracing::info!(%endpoint, version = %server.version, hostname = server.hostname, "connected");
        let profile = Profile::new(&server.version);
        let observed = options.audit.clone().map(|observer| Observed {
            observer,
            endpoint: endpoint.to_string(),
            hostname: server.hostname.clone(),
            login: credentials.username().to_owned(),
        });
        Ok(Self {
            shared: Arc::new(Shared {
                connection,
                endpoint: endpoint.clone(),
                server,
                clock,
                profile,
                allowed: options.allowed,
                observed,
                subscribed: OnceCell::new(),
            }),
        })
    }

    /// Calls a method and waits for its answer; of a job that is its id. At most ten calls are in
    /// flight, others wait for their turn. Dropping the future forgets the call; the server may
    /// still do it.
    ///
    /// # Errors
    /// [`CallError`] says which kind, and [`CallError::may_have_run`] whether to look before going on.
    pub async fn call(&self, method: Method, params: Vec<Value>) -> Result<Value, CallError> {
        self.check(method)?;
        let watch = self.watch(method, &params);
        let result = self.shared.connection.call(method, &params).await;
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
        if method == Method::Login {
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
        let after = self.shared.connection.time(method);
        let deadline = Instant::now() + after;
        // Asked for before the call: what is told before that is never told again.
        self.shared
            .subscribed
            .get_or_try_init(|| async {
                let params = vec![json!(jobs::COLLECTION)];
                self.call(Method::Subscribe, params).await.map(drop)
            })
            .await?;
        let answer = self.shared.connection.call(method, params).await?;
        let Some(id) = answer.as_u64() else {
            return Err(CallError::protocol(
                method,
                "the answer is not the id of a job",
            ));
        };
        tracing::debug!(rpc.method = %method, job = id, "job");
        let watch = self.shared.connection.jobs().watch(id);
        timeout_at(deadline, self.follow(method, id, watch))
            .await
            .unwrap_or(Err(CallError::TimedOut {
                method,
                after,
                may_have_run: true,
            }))
    }

    /// Looks the job up, then follows its events; looks again when there is none for a while.
    async fn follow(
        &self,
        method: Method,
        id: u64,
        mut watch: JobWatch,
    ) -> Result<Value, CallError> {
        loop {
            if let Some(outcome) = self.look_up(method, id).await? {
                return outcome;
            }
            let again = Instant::now() + timeouts::JOB_POLL;
            while let Ok(Some(row)) = timeout_at(again, watch.next()).await {
                if let Some(outcome) = jobs::outcome(method, &row) {
                    return outcome;
                }
            }
        }
    }

    async fn look_up(
        &self,
        method: Method,
        id: u64,
    ) -> Result<Option<Result<Value, CallError>>, CallError> {
        let params = vec![json!([["id", "=", id]])];
        let rows = match self.call(Method::GetJobs, params).await {
            Ok(rows) => rows,
            // The job itself was taken up, so it may well be done.
            Err(CallError::Disconnected { why, .. }) => {
                return Err(CallError::Disconnected {
                    method,
                    why,
                    may_have_run: true,
                });
            }
            // A busy server; events or the next look will tell.
            Err(CallError::TimedOut { .. } | CallError::TooManyCalls { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        match rows.as_array().map(|rows| rows.first()) {
            Some(Some(Value::Object(row))) => Ok(jobs::outcome(method, row)),
            _ => Err(CallError::protocol(
                method,
                format!("the server no longer knows job {id}"),
            )),
        }
    }

    /// Who answers.
    #[must_use]
    pub fn server(&self) -> &ServerInfo {
        &self.shared.server
    }

    /// The time by the server's clock, exact to about a round trip; by this machine's where the
    /// account may not ask.
    #[must_use]
    pub fn server_time(&self) -> SystemTime {
        self.shared.clock.now()
    }

    /// Where the server is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// What was sent and received so far.
    #[must_use]
    pub fn stats(&self) -> CallStats {
        self.shared.connection.stats()
    }

    /// Ends the session and the connection of all clones. Takes a few seconds at most, whatever
    /// the server does.
    pub async fn logout(self) {
        if let Err(error) = self.call(Method::Logout, Vec::new()).await {
            tracing::debug!(%error, "the server did not take leave");
        }
        self.shared.connection.close().await;
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.shared.profile
    }
}

fn check_plaintext(
    endpoint: &Endpoint,
    credentials: &Credentials,
    options: &ConnectOptions,
) -> Result<(), ConnectError> {
    if !endpoint.is_plaintext() || endpoint.is_loopback() {
        return Ok(());
    }
    let endpoint = endpoint.clone();
    match credentials {
        Credentials::ApiKey { .. } => Err(ConnectError::ApiKeyOverPlaintext { endpoint }),
        Credentials::Password { .. } if options.allow_plaintext => Ok(()),
        Credentials::Password { .. } => Err(ConnectError::PasswordOverPlaintext { endpoint }),
    }
}

/// Logs in and asks who answers.
async fn enter(
    connection: &Connection,
    endpoint: &Endpoint,
    credentials: &Credentials,
) -> Result<(ServerInfo, ServerClock), ConnectError> {
    let failed = |source| ConnectError::Call {
        endpoint: endpoint.clone(),
        source,
    };
    let refused = |refusal| ConnectError::Login {
        endpoint: endpoint.clone(),
        username: credentials.username().to_owned(),
        refusal,
    };
    /// The mechanism is not allowed at this assurance level.
    const EOPNOTSUPP: i64 = 95;
    match connection
        .call(Method::Login, &[credentials.login_argument()])
        .await
    {
        Ok(answer) => match LoginRefusal::in_answer(&answer) {
            None => connection.logged_in(),
            Some(refusal) => return Err(refused(refusal)),
        },
        Err(CallError::Refused(error)) if error.has_errno(EOPNOTSUPP) => {
            return Err(refused(LoginRefusal::Mechanism));
        }
        Err(error) => return Err(failed(error)),
    }
    let (version, info) = tokio::join!(
        connection.call(Method::SystemVersion, &[]),
        connection.call(Method::SystemInfo, &[]),
    );
    let answer = version.map_err(failed)?;
    let text = answer.as_str().unwrap_or_default().to_owned();
    let Some(version) = Version::parse(&text) else {
        return Err(ConnectError::UnknownVersion {
            endpoint: endpoint.clone(),
            text,
        });
    };
    if version.line() < profile::OLDEST {
        return Err(ConnectError::Version {
            endpoint: endpoint.clone(),
            version,
        });
    }
    // The name is for people only; an account that may not ask still makes VMs.
    let info = info
        .inspect_err(|error| tracing::debug!(%error, "the server does not tell its name"))
        .ok();
    let clock = ServerClock::from_info(info.as_ref());
    let hostname = info
        .and_then(|info| info.get("hostname")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| endpoint.host());
    let server = ServerInfo {
        version,
        version_text: text,
        hostname,
    };
    Ok((server, clock))
}
