//! The program on a terminal: somebody reads what it asks and types.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::lab::Lab;
use crate::ran::Ran;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

impl Lab {
    /// Runs the program with standard input and standard error on a terminal. For each pair, waits
    /// until the first is shown and then types the second. What the terminal showed is standard error.
    ///
    /// # Panics
    /// When there is no terminal, or what is waited for is never shown.
    #[track_caller]
    pub fn on_terminal(&self, arguments: &[&str], typed: &[(&str, &str)]) -> Ran {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open = || rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        let slave = open().unwrap();
        // Lines end as they are written, so that texts can be compared.
        let mut settings = tcgetattr(&slave).unwrap();
        settings.output_modes = rustix::termios::OutputModes::empty();
        tcsetattr(&slave, OptionalActions::Now, &settings).unwrap();
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::from(slave))
            .stderr(Stdio::from(open().unwrap()));
        let child = command.spawn().unwrap();
        // The program alone holds the other end now: when it ends, so does what is shown.
        drop(command);
        let mut master = File::from(master);
        let shown = read(master.try_clone().unwrap());
        let mut all = String::new();
        for (awaited, answer) in typed {
            let from = all.len();
            while !all[from..].contains(awaited) {
                match shown.recv_timeout(PATIENCE) {
                    Ok(text) => all.push_str(&text),
                    Err(_) => panic!("{awaited:?} is never shown:\n{all}"),
                }
            }
            writeln!(master, "{answer}").unwrap();
        }
        let mut ran = self.watch(child, arguments).wait();
        while let Ok(text) = shown.recv_timeout(PATIENCE) {
            all.push_str(&text);
        }
        ran.stderr = all;
        let secrets: Vec<&str> = self.secrets().iter().map(String::as_str).collect();
        ran.hides(&secrets);
        ran
    }
}

/// Everything that is shown, as it comes, until the other end is closed.
fn read(mut master: File) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // Linux says EIO when the other end is closed.
        while let Ok(length @ 1..) = master.read(&mut buffer) {
            let text =
                String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    receiver
}
