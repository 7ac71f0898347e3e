//! What a guest writes, passed on to tracing under a budget.
//!
//! It knows nothing of contracts: `abi` maps levels and fields.

use tracing::Level;

use super::error::PluginErrorKind;
use super::limits::Limits;
use super::text::{cut, plain};

/// Bytes of a panic's text that are kept: a long assertion with both values.
const PANIC_BYTES: usize = 8 * 1024;

/// The log of one call.
#[derive(Debug)]
pub(super) struct Logs {
    plugin: String,
    vm: Option<String>,
    records: usize,
    bytes: usize,
    records_limit: usize,
    bytes_limit: usize,
    panic: Option<String>,
}

/// The budget is used up: traps the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("over the log budget of {limit} {unit}")]
pub(super) struct OverBudget {
    limit: usize,
    unit: &'static str,
}

impl From<OverBudget> for PluginErrorKind {
    fn from(OverBudget { limit, unit }: OverBudget) -> Self {
        Self::LogBudget { limit, unit }
    }
}

impl Logs {
    /// For one call.
    pub(super) fn new(plugin: &str, vm: Option<&str>, limits: &Limits) -> Self {
        Self {
            plugin: plugin.to_owned(),
            vm: vm.map(str::to_owned),
            records: 0,
            bytes: 0,
            records_limit: limits.log_records,
            bytes_limit: limits.log_bytes,
            panic: None,
        }
    }

    /// Writes one record, or refuses it.
    pub(super) fn write(
        &mut self,
        level: Level,
        message: &str,
        fields: &[(String, String)],
    ) -> Result<(), OverBudget> {
        let bytes = fields.iter().fold(message.len(), |sum, (key, value)| {
            sum + key.len() + value.len()
        });
        self.records += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.records > self.records_limit {
            return Err(OverBudget {
                limit: self.records_limit,
                unit: "records",
            });
        }
        if self.bytes > self.bytes_limit {
            return Err(OverBudget {
                limit: self.bytes_limit,
                unit: "bytes",
            });
        }
        self.emit(level, message, fields);
        Ok(())
    }

    /// Passes captured output on, line by line, as far as the budget goes: a toolchain's own
    /// chatter on standard output must not make a call fail.
    pub(super) fn write_output(&mut self, stream: &'static str, output: &[u8], whole: bool) {
        let fields = [("stream".to_owned(), stream.to_owned())];
        let text = String::from_utf8_lossy(output);
        let mut lines = text.lines();
        let fits = lines.all(|line| self.write(Level::INFO, line, &fields).is_ok());
        if !(fits && whole) {
            self.emit(Level::WARN, "the rest of the output was dropped", &fields);
        }
    }

    /// Bytes that may still be written.
    pub(super) fn bytes_left(&self) -> usize {
        self.bytes_limit.saturating_sub(self.bytes)
    }

    /// Remembers the first panic; a second one is a panic while unwinding and explains nothing.
    pub(super) fn panicked(&mut self, message: &str) {
        self.panic
            .get_or_insert_with(|| plain(cut(message, PANIC_BYTES)));
    }

    /// The panic's text.
    pub(super) fn panic(&self) -> Option<&str> {
        self.panic.as_deref()
    }

    fn emit(&self, level: Level, message: &str, fields: &[(String, String)]) {
        let plugin = self.plugin.as_str();
        let vm = self.vm.as_deref();
        // The message is the guest's datum, not a text of ours; so is each of its fields, whose
        // names tracing would want to know when tnvm is compiled.
        let message = plain(message);
        let fields = (!fields.is_empty()).then(|| {
            let texts: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{}={}", plain(key), plain(value)))
                .collect();
            texts.join(" ")
        });
        let fields = fields.as_deref();
        macro_rules! emit {
            ($level:ident) => {
                tracing::event!(target: "tnvm::plugin", Level::$level, plugin, vm, fields, "{message}")
            };
        }
        match level {
            Level::TRACE => emit!(TRACE),
            Level::DEBUG => emit!(DEBUG),
            Level::INFO => emit!(INFO),
            Level::WARN => emit!(WARN),
            _ => emit!(ERROR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(log_records: usize, log_bytes: usize) -> Logs {
        let limits = Limits {
            log_records,
            log_bytes,
            ..Limits::default()
        };
        Logs::new("disk", Some("worker01"), &limits)
    }

    #[test]
    fn exactly_the_budget_is_granted() {
        let mut logs = logs(2, 6);
        let field = [("k".to_owned(), "v".to_owned())];
        assert_eq!(logs.write(Level::INFO, "a", &field), Ok(()));
        assert_eq!(logs.write(Level::INFO, "b", &field), Ok(()));
        let over = logs.write(Level::INFO, "", &[]).unwrap_err();
        assert_eq!(over.unit, "records");
    }

    #[test]
    fn bytes_of_fields_count() {
        let over = logs(9, 3)
            .write(Level::INFO, "ab", &[("k".to_owned(), "v".to_owned())])
            .unwrap_err();
        assert_eq!((over.limit, over.unit), (3, "bytes"));
    }

    #[test]
    fn the_first_panic_is_kept_and_cut() {
        let mut logs = logs(1, 1);
        logs.panicked(&"x".repeat(PANIC_BYTES + 1));
        logs.panicked("second");
        assert_eq!(logs.panic().map(str::len), Some(PANIC_BYTES));
    }
}
