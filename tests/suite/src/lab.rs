//! The stage: a folder, a simulated TrueNAS, an environment, and the program run on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tnvm_simulator::{
    Fault, Journal, Options, Role, Running, Simulator, Version, World, WorldBuilder, WorldView,
};
use tokio::runtime::Runtime;

use crate::background::Background;
use crate::paths;
use crate::ran::Ran;

/// Found nowhere else, so that any sight of it in an output is a leak.
const PASSWORD: &str = "Api-Passw0rd-of-the-Lab";
const VNC_PASSWORD: &str = "VncLab42";

/// Gives the administrators of a server the lab's own password.
pub(crate) fn own_password(options: &mut Options) {
    for user in &mut options.world.users {
        if user.role == Role::FullAdmin {
            user.password = PASSWORD.to_owned();
        }
    }
}

/// A server and a folder for one test. The folder is named `lab`, and so is the config's group.
pub struct Lab {
    // Dropped in this order: the server stops while its runtime still turns.
    server: Running,
    runtime: Runtime,
    folder: TempDir,
    environment: BTreeMap<String, String>,
    secrets: Vec<String>,
}

/// The version of tests that hold for every version: `TNVM_MATRIX_VERSION`, else the default one.
///
/// # Panics
/// When no such version is simulated.
pub fn version() -> Version {
    let asked = std::env::var("TNVM_MATRIX_VERSION").ok();
    asked.map_or_else(Version::default, |asked| asked.parse().unwrap())
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Lab {
    /// The simulator's default world, without latency.
    pub fn new() -> Self {
        Self::of(|world| world)
    }

    /// The default world with changes.
    pub fn of(change: impl FnOnce(WorldBuilder) -> WorldBuilder) -> Self {
        Self::on(Version::default(), change)
    }

    /// The default world of the version that is asked for.
    pub fn of_any() -> Self {
        Self::on(version(), |world| world)
    }

    /// The default world of a version, with changes.
    pub fn on(version: Version, change: impl FnOnce(WorldBuilder) -> WorldBuilder) -> Self {
        let world = WorldBuilder::example(version);
        Self::with(Options::with_world(change(world).build()))
    }

    /// Any server. Its administrator gets the lab's own password.
    ///
    /// # Panics
    /// When the server cannot be started.
    pub fn with(mut options: Options) -> Self {
        own_password(&mut options);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(Simulator::start(options)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lab")).unwrap();
        let scheme = if server.certificate().is_some() {
            "wss"
        } else {
            "ws"
        };
        let environment = [
            ("TRUENAS_HOST", format!("{scheme}://{}", server.address())),
            ("API_USERNAME", "truenas_admin".to_owned()),
            ("API_PASSWORD", PASSWORD.to_owned()),
            ("VNC_PASSWORD", VNC_PASSWORD.to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        // A part of it is a secret as much as the whole: SCRAM takes it apart.
        let (_, key) = server.api_key().split_once('-').unwrap();
        let key = key.to_owned();
        Self {
            server,
            runtime,
            folder,
            environment: environment.into(),
            secrets: vec![PASSWORD.to_owned(), VNC_PASSWORD.to_owned(), key],
        }
    }

    /// Calls take this long from the start. For what must be watched while it happens.
    pub fn slow(latency: Duration) -> Self {
        Self::with(Options {
            latency,
            ..Options::default()
        })
    }

    /// The folder in which the program runs.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("lab")
    }

    /// The server.
    pub fn server(&self) -> &Running {
        &self.server
    }

    /// The variables that the program gets.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.environment.remove(name);
        self
    }

    /// A text that no output of any run may show from here on.
    pub fn secret(&mut self, text: &str) -> &mut Self {
        self.secrets.push(text.to_owned());
        self
    }

    /// What no output may show.
    pub(crate) fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// Writes a file below the folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Writes `config.yaml`: the usual storage, then this.
    pub fn config(&self, types: &str) -> &Self {
        let storage =
            "storage: {pool_path: tank/kubernetes, cdrom_path: /mnt/tank/iso/metal-amd64.iso}\n";
        self.write("config.yaml", &format!("{storage}{types}"));
        self
    }

    /// Writes `config.yaml` as the example that is shipped.
    ///
    /// # Panics
    /// When the example is missing.
    pub fn example(&self) -> &Self {
        let text = std::fs::read_to_string(paths::root().join("examples/kubernetes.yaml")).unwrap();
        self.write("config.yaml", &text);
        self
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn tnvm(&self, arguments: &[&str]) -> Ran {
        self.spawn(arguments).wait()
    }

    /// Runs the program and goes on.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(&self, arguments: &[&str]) -> Background {
        let child = self.command(arguments).stdin(Stdio::null()).spawn();
        self.watch(child.unwrap(), arguments)
    }

    /// The program in its folder and with its variables, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(paths::program());
        command
            .args(arguments)
            .current_dir(self.folder())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("NO_COLOR", "1")
            .env("COLUMNS", "200")
            // Compiled once for all tests; the cache has locks of its own.
            .env("TNVM_CACHE_DIR", paths::target().join("suite/plugin-cache"))
            .envs(&self.environment)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A child of [`Self::command`], to be waited for.
    pub(crate) fn watch(&self, child: Child, arguments: &[&str]) -> Background {
        Background {
            child,
            command: format!("tnvm {}", arguments.join(" ")),
            secrets: self.secrets.clone(),
        }
    }

    /// What there is on the server.
    pub fn view(&self) -> WorldView {
        self.server.view()
    }

    /// What was called so far.
    pub fn journal(&self) -> Journal {
        self.server.journal()
    }

    /// How many calls so far may have changed something.
    pub fn mutations(&self) -> usize {
        self.journal().mutating().len()
    }

    /// Whether nobody has connected so far.
    pub fn is_untouched(&self) -> bool {
        self.journal().connections().is_empty()
    }

    /// Adds a fault.
    pub fn inject(&self, fault: Fault) -> &Self {
        self.server.inject(fault);
        self
    }

    /// Changes the world as an administrator would.
    pub fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.server.change(act)
    }

    /// Waits until the journal is as wanted.
    ///
    /// # Panics
    /// When that does not happen within half a minute.
    #[track_caller]
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&Journal) -> bool) {
        const PATIENCE: Duration = Duration::from_secs(30);
        let began = Instant::now();
        while !wanted(&self.journal()) {
            assert!(began.elapsed() < PATIENCE, "never came: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Fails unless planning again finds nothing to do and touches nothing.
    ///
    /// # Panics
    /// When there is something to do.
    #[track_caller]
    pub fn settled(&self, options: &[&str]) {
        let (before, view) = (self.mutations(), self.view());
        let ran = self.tnvm(&[&["create"], options].concat()).ended(0);
        ran.says(&["No changes"]);
        assert_eq!(self.mutations(), before, "{}", ran.shown());
        assert_eq!(self.view(), view);
        let ran = self.plan(options).ended(0);
        assert_eq!(self.mutations(), before, "{}", ran.shown());
    }

    /// Plans; the exit code is 2 where there is something to do.
    #[track_caller]
    pub fn plan(&self, options: &[&str]) -> Ran {
        self.tnvm(&[&["plan", "--detailed-exitcode"], options].concat())
    }

    /// Applies `config.yaml`, with consent.
    #[track_caller]
    pub fn apply(&self, options: &[&str]) -> Ran {
        self.tnvm(&[&["apply", "--yes"], options].concat())
    }

    /// Writes `config.yaml` and applies it, which must work.
    #[track_caller]
    pub fn converge(&self, types: &str, options: &[&str]) -> Ran {
        self.config(types).apply(options).ended(0)
    }

    /// What was called from the `from`-th call on that may change something, with its parameters.
    pub fn changes_since(&self, from: usize) -> Vec<(String, Vec<Value>)> {
        let journal = self.journal();
        let changes = journal.calls().iter().skip(from);
        changes
            .filter(|call| call.mutating)
            .map(|call| (call.method.clone(), call.params.clone()))
            .collect()
    }

    /// Runs a future on the server's runtime.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// A path as text.
    ///
    /// # Panics
    /// When it is not Unicode.
    pub fn text(path: &Path) -> &str {
        path.to_str().unwrap()
    }
}
