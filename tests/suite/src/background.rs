//! A run of the program that is still going on.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::ran::Ran;

/// No run that a test waits for takes this long; a hang is a failure and not a standstill.
const PATIENCE: Duration = Duration::from_secs(120);

/// A child and what is needed to tell of it.
#[derive(Debug)]
pub struct Background {
    pub(crate) child: Child,
    pub(crate) command: String,
    pub(crate) secrets: Vec<String>,
}

impl Background {
    /// Presses Ctrl-C.
    ///
    /// # Panics
    /// When the process is gone already.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// SIGTERM, as of a service or a CI job that is cancelled.
    ///
    /// # Panics
    /// When the process is gone already.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGHUP, as of a terminal that is closed.
    ///
    /// # Panics
    /// When the process is gone already.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When the process is gone already.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When the system cannot tell.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not end in two minutes, or shows a secret.
    #[track_caller]
    pub fn wait(self) -> Ran {
        let Self {
            mut child,
            command,
            secrets,
        } = self;
        let pid = Pid::from_child(&child);
        let (done, ended) = std::sync::mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            let late = ended.recv_timeout(PATIENCE).is_err();
            if late {
                kill_process(pid, Signal::KILL).ok();
            }
            late
        });
        let began = Instant::now();
        child.stdin.take();
        let output = child.wait_with_output().unwrap();
        done.send(()).ok();
        let late = watchdog.join().unwrap() && began.elapsed() >= PATIENCE;
        let ran = Ran {
            command,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        };
        assert!(!late, "did not end within {PATIENCE:?}\n{}", ran.shown());
        // In every run of every test, whatever else it is about.
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        ran.hides(&secrets);
        ran
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}
