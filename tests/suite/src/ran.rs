//! What a run of the program left behind.

use serde_json::Value;

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The command line, for messages.
    pub command: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
}

impl Ran {
    /// Fails unless it ended with this code.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[track_caller]
    #[must_use]
    pub fn ended(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "expected exit code {code}\n{}",
            self.shown()
        );
        self
    }

    /// Fails unless one of the streams holds each of these.
    ///
    /// # Panics
    /// When one is missing.
    #[track_caller]
    pub fn says(&self, texts: &[&str]) -> &Self {
        // Long lines are wrapped and framed for people; what they say is compared.
        let all = flat(&format!("{}\n{}", self.stdout, self.stderr));
        for text in texts {
            assert!(
                all.contains(&flat(text)),
                "{text:?} is missing\n{}",
                self.shown()
            );
        }
        self
    }

    /// Fails if one of the streams holds one of these.
    ///
    /// # Panics
    /// When one is there.
    #[track_caller]
    pub fn hides(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(
                !self.stdout.contains(text) && !self.stderr.contains(text),
                "{text:?} is shown\n{}",
                self.shown()
            );
        }
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|cause| panic!("not JSON: {cause}\n{}", self.shown()))
    }

    /// Everything, for a message.
    pub fn shown(&self) -> String {
        let Self {
            command,
            stdout,
            stderr,
            code,
        } = self;
        format!("$ {command}\n{stdout}--- standard error\n{stderr}--- exit code {code}")
    }
}

/// One line, single spaces, without the frame that wrapped lines stand in.
fn flat(text: &str) -> String {
    let words = text
        .split_whitespace()
        .filter(|word| !matches!(*word, "│" | "·" | "|"));
    words.collect::<Vec<_>>().join(" ")
}
