//! Who is at work: the user, the machine and the process of this run.
//!
//! For the audit and the lock, which both tell others of it. Knows neither.

use std::hash::{BuildHasher, Hasher};

/// Who runs this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhoAmI {
    /// The user of this machine: its name, else `uid 1000`.
    pub user: String,
    /// The name of this machine.
    pub host: String,
    /// This boot of this machine and its process ids, in 16 hexadecimal digits: where this is the
    /// same, a process id means the same. None where the system does not tell.
    pub machine: Option<String>,
    /// The process id.
    pub pid: u32,
    /// When the process began, in the system's ticks since it was booted; tells a process from a
    /// later one with its number. None where the system does not tell.
    pub started: Option<u64>,
    /// This run: 16 hexadecimal digits that no other run has.
    pub run: String,
}

impl WhoAmI {
    /// Asks the system.
    #[must_use]
    pub fn ask() -> Self {
        let host = hostname();
        let pid = std::process::id();
        Self {
            user: user(),
            machine: machine(&host),
            host,
            pid,
            started: process(pid).and_then(|found| found.started),
            run: format!("{:016x}", random()),
        }
    }

    /// Whether a process of this machine has surely ended: there is none with this number, or a
    /// later one has it. Where the system does not tell it may live.
    ///
    /// The kernel is asked whether the number is taken, since `/proc` may hide other users'
    /// processes (`hidepid`); only what it shows besides tells one process from a later one.
    #[must_use]
    pub fn has_ended(pid: u32, started: Option<u64>) -> bool {
        use rustix::process::{Pid, test_kill_process};
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return false;
        };
        if test_kill_process(number) == Err(rustix::io::Errno::SRCH) {
            return true;
        }
        match (process(pid), started) {
            (Some(found), _) if found.is_dead => true,
            (Some(found), Some(then)) => found.started.is_some_and(|now| now != then),
            _ => false,
        }
    }
}

/// A number by chance: the standard library seeds its hash tables from the system.
#[must_use]
pub fn random() -> u64 {
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

struct Process {
    started: Option<u64>,
    is_dead: bool,
}

/// What `/proc` tells of a process (Linux): the state is the third field, the start the 22nd;
/// the second is a name in brackets that may hold anything.
fn process(pid: u32) -> Option<Process> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    Some(Process {
        is_dead: matches!(state, "Z" | "X"),
        started: fields.nth(18).and_then(|field| field.parse().ok()),
    })
}

/// The user's name from `/etc/passwd`: the environment can say anything.
fn user() -> String {
    let id = rustix::process::geteuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id && !name.is_empty()).then(|| name.to_owned())
    });
    name.or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| format!("uid {id}"))
}

fn hostname() -> String {
    let first_line = |file: &str| {
        let text = std::fs::read_to_string(file).ok()?;
        let name = text.lines().next()?.trim().to_owned();
        (!name.is_empty()).then_some(name)
    };
    first_line("/proc/sys/kernel/hostname")
        .or_else(|| first_line("/etc/hostname"))
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Two machines, two boots and two containers never have the same.
fn machine(host: &str) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let processes = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let mut hasher = blake3::Hasher::new();
    for part in [host, boot.trim(), &processes.to_string_lossy()] {
        hasher.update(part.as_bytes()).update(b"\0");
    }
    hasher.finalize().to_hex().get(..16).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_differ_and_one_machine_is_one() {
        let (one, two) = (WhoAmI::ask(), WhoAmI::ask());
        assert_ne!(one.run, two.run);
        assert_eq!((one.machine, one.started), (two.machine, two.started));
        assert!(!one.user.is_empty() && !one.host.is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_has_ended_when_its_number_is_free_or_anothers() {
        let me = WhoAmI::ask();
        assert!(!WhoAmI::has_ended(me.pid, me.started));
        assert!(!WhoAmI::has_ended(me.pid, None));
        assert!(WhoAmI::has_ended(me.pid, me.started.map(|then| then + 1)));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        // Not waited for yet: ended, but its number is still taken.
        let pid = child.id();
        while process(pid).is_some_and(|found| !found.is_dead) {
            std::thread::yield_now();
        }
        assert!(WhoAmI::has_ended(pid, None));
        child.wait().unwrap();
        assert!(WhoAmI::has_ended(pid, None));
    }
}
