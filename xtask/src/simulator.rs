//! A simulated TrueNAS for the demo and the benchmarks: started on loopback, stopped when dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// A running simulator.
pub(crate) struct Simulator {
    child: Option<Child>,
    /// `127.0.0.1:40001`
    pub(crate) address: String,
}

impl Simulator {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started, or does not listen in time.
    pub(crate) fn start(program: &Path, folder: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        // Starting takes milliseconds; a machine under load gets a thousand times as much.
        const PATIENCE: Duration = Duration::from_secs(30);
        let ready: PathBuf = folder.join("simulator.ready");
        let _ = std::fs::remove_file(&ready);
        let log = std::fs::File::create(folder.join("simulator.log"))?;
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--truenas", "25.10"])
            .arg("--ready-file")
            .arg(&ready)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let began = Instant::now();
        loop {
            if let Ok(text) = std::fs::read_to_string(&ready)
                && let Some(address) = text.lines().next()
            {
                return Ok(Self {
                    child: Some(child),
                    address: address.to_owned(),
                });
            }
            if let Some(status) = child.try_wait()? {
                let log = std::fs::read_to_string(folder.join("simulator.log"))?;
                bail!("the simulator ended at once ({status}): {log}");
            }
            if began.elapsed() > PATIENCE {
                let _ = child.kill();
                bail!("the simulator did not listen within {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets it run on after this program, and gives its process id.
    pub(crate) fn keep(mut self) -> u32 {
        self.child.take().map_or(0, |child| child.id())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It holds nothing on disk, so there is nothing to end gently.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
