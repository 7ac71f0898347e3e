//! What one call of a plugin may use, and the limiter that holds memory and tables to it.
//!
//! It knows nothing of components; `store` puts it into every store.

use std::time::Duration;

/// One mebibyte in bytes.
const MIB: usize = 1024 * 1024;

/// What one call may use. `Limits::default()` is what tnvm ships with; each default argues for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for `describe`. 1 s: a Rust plugin needs 20 µs, Python's start 1 ms.
    pub describe: Duration,
    /// Time for `plan` and for `normalize`, each. 2 s: a thousand times what the slowest plugin
    /// measured needs, and short enough that nobody takes a loop for work.
    pub plan: Duration,
    /// Bytes of linear memory, all memories of a call together. 128 MiB: ten times what Python
    /// needs, and 64 plans at once still fit into a small machine.
    pub memory: usize,
    /// Elements of one table. 32 768: StarlingMonkey (JavaScript) has 7 689, four times that.
    pub table_elements: usize,
    /// Core instances. 128: Python components have 40.
    pub instances: usize,
    /// Tables. 16: the shared-everything linking of Python makes a handful.
    pub tables: usize,
    /// Linear memories. 8: nothing seen has more than two.
    pub memories: usize,
    /// Bytes that one crossing of the border may copy, in wasmtime's accounting. 4 MiB: it must be
    /// more than `result`, whose strings are only a part of what is copied.
    pub host_call: usize,
    /// Bytes of text in one answer. 1 MiB: a thousand devices of 1 KiB each.
    pub result: usize,
    /// Log records per call. 256: what a person would still read.
    pub log_records: usize,
    /// Bytes of log per call. 64 KiB: a screenful per device of a large VM.
    pub log_bytes: usize,
    /// Bytes of a component file. 64 MiB: Python's 18 MiB, three times over. It also bounds
    /// compilation, which no other limit here contains: compiling happens in this process, and a
    /// file of 64 MiB made to be slow can take minutes. Files from strangers deserve a look first.
    pub component_file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            describe: Duration::from_secs(1),
            plan: Duration::from_secs(2),
            memory: 128 * MIB,
            table_elements: 32_768,
            instances: 128,
            tables: 16,
            memories: 8,
            host_call: 4 * MIB,
            result: MIB,
            log_records: 256,
            log_bytes: 64 * 1024,
            component_file: 64 * MIB as u64,
        }
    }
}

/// The environment variable whose text [`Limits::with`] reads; the caller looks it up.
pub const LIMITS_VARIABLE: &str = "TNVM_PLUGIN_LIMITS";

/// A text of limits that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{part}` is not a plugin limit: write NAME=VALUE, comma-separated, as in \
     `plan=5s,memory=256MiB`; the names are describe, plan, memory, result, host-call, \
     log-records, log-bytes, table-elements, component-file"
)]
pub struct LimitsError {
    /// The part that is wrong.
    pub part: String,
}

impl Limits {
    /// Changes limits by a text such as `plan=5s,memory=256MiB`.
    ///
    /// Times end in `s` or `ms`; sizes are bytes, or have a unit (`MiB`, `MB`).
    ///
    /// # Errors
    /// Where a part is no known limit or has no readable value.
    pub fn with(mut self, text: &str) -> Result<Self, LimitsError> {
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            self.set(part).ok_or_else(|| LimitsError {
                part: part.to_owned(),
            })?;
        }
        Ok(self)
    }

    fn set(&mut self, part: &str) -> Option<()> {
        let (name, value) = part.split_once('=')?;
        match name.trim() {
            "describe" => self.describe = duration(value)?,
            "plan" => self.plan = duration(value)?,
            "memory" => self.memory = size(value)?,
            "result" => {
                self.result = size(value)?;
                // Else the copy would fail first, and raising `result` alone would do nothing.
                self.host_call = self.host_call.max(self.result.saturating_mul(4));
            }
            "host-call" => self.host_call = size(value)?,
            "log-records" => self.log_records = size(value)?,
            "log-bytes" => self.log_bytes = size(value)?,
            "table-elements" => self.table_elements = size(value)?,
            "component-file" => self.component_file = size(value)? as u64,
            _ => return None,
        }
        Some(())
    }
}

fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, Duration::from_millis(1)),
        None => (text.strip_suffix('s')?, Duration::from_secs(1)),
    };
    unit.checked_mul(number.trim().parse().ok()?)
        .filter(|duration| !duration.is_zero())
}

fn size(text: &str) -> Option<usize> {
    parse_size::parse_size(text.trim())
        .ok()
        .and_then(|size| usize::try_from(size).ok())
}

/// What a store was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Linear memory: bytes asked for in all.
    Memory {
        /// Bytes of all memories together, had it been granted.
        asked: usize,
    },
    /// A table: elements asked for.
    Table {
        /// Elements of the one table.
        asked: usize,
    },
}

/// Holds one store to the limits and remembers what it refused, so that the error can name it.
#[derive(Debug)]
pub(super) struct Limiter {
    memory: usize,
    table_elements: usize,
    instances: usize,
    tables: usize,
    memories: usize,
    used: usize,
    refused: Option<Refused>,
}

/// The error that turns a refused growth into a trap, so that a guest cannot go on in a loop.
#[derive(Debug, thiserror::Error)]
#[error("over the limit of the sandbox")]
struct Over;

impl Limiter {
    /// For one store.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory: limits.memory,
            table_elements: limits.table_elements,
            instances: limits.instances,
            tables: limits.tables,
            memories: limits.memories,
            used: 0,
            refused: None,
        }
    }

    /// The first thing refused.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }
}

impl wasmtime::ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The memory's own maximum: it will not grow, and must not be counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        // wasmtime asks per memory; the limit is for all of them together.
        let asked = self.used.saturating_add(desired.saturating_sub(current));
        if asked > self.memory {
            self.refused.get_or_insert(Refused::Memory { asked });
            return Err(Over.into());
        }
        self.used = asked;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.table_elements {
            self.refused
                .get_or_insert(Refused::Table { asked: desired });
            return Err(Over.into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::ResourceLimiter;

    fn limiter(memory: usize) -> Limiter {
        Limiter::new(&Limits {
            memory,
            ..Limits::default()
        })
    }

    #[test]
    fn exactly_the_maximum_is_granted() {
        assert!(limiter(MIB).memory_growing(0, MIB, None).unwrap());
    }

    #[test]
    fn memories_are_summed_and_the_refusal_is_remembered() {
        let mut limiter = limiter(MIB);
        assert!(limiter.memory_growing(0, MIB / 2, None).unwrap());
        assert!(limiter.memory_growing(0, MIB, None).is_err());
        assert_eq!(
            limiter.refused(),
            Some(Refused::Memory {
                asked: MIB + MIB / 2
            })
        );
    }

    #[test]
    fn growth_that_the_memory_itself_forbids_is_not_counted() {
        let mut limiter = limiter(MIB);
        assert!(!limiter.memory_growing(0, MIB, Some(MIB / 2)).unwrap());
        assert!(limiter.memory_growing(0, MIB, None).unwrap());
        assert_eq!(limiter.refused(), None);
    }

    #[test]
    fn a_text_changes_limits() {
        let limits = Limits::default()
            .with("plan=5s, memory=256MiB,describe=250ms")
            .unwrap();
        assert_eq!(limits.plan, Duration::from_secs(5));
        assert_eq!(limits.memory, 256 * MIB);
        assert_eq!(limits.describe, Duration::from_millis(250));
        assert_eq!(limits.result, Limits::default().result);
    }

    #[test]
    fn a_larger_result_raises_what_may_be_copied() {
        let limits = Limits::default().with("result=8MiB").unwrap();
        assert!(limits.host_call >= 8 * MIB);
    }

    #[test]
    fn what_is_no_limit_is_named() {
        for part in ["plans=5s", "plan=5", "plan=0s", "memory=lots", "plan"] {
            assert_eq!(Limits::default().with(part).unwrap_err().part, part);
        }
    }
}
