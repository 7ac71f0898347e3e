//! Reads wasmtime's errors: which limit, trap or panic was it?
//!
//! It knows nothing of contracts; types are compared, texts only where wasmtime hides the type.

use wasmtime::Trap;

use super::error::{PluginErrorKind, chain};
use super::limits::Refused;
use super::logs::OverBudget;
use super::store::{Context, State};

/// How wasmtime says that a copy over the border passed `host_call`. Its type is private (48.0), so
/// this is the one text compared; a test crosses the limit and would notice another wording.
const COPY_REFUSED: &str = "too much data is being copied between the host and the guest";

/// What the error means, given what the store remembers.
pub(super) fn explain(
    context: Context<'_>,
    state: &State,
    what: &'static str,
    error: &wasmtime::Error,
) -> PluginErrorKind {
    if let Some(over) = error.downcast_ref::<OverBudget>() {
        return (*over).into();
    }
    // A refused growth is the cause of whatever trap or panic followed.
    match state.limiter.refused() {
        Some(Refused::Memory { asked }) => {
            return PluginErrorKind::Memory {
                asked,
                limit: context.limits.memory,
            };
        }
        Some(Refused::Table { asked }) => {
            return PluginErrorKind::Table {
                asked,
                limit: context.limits.table_elements,
            };
        }
        None => {}
    }
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return PluginErrorKind::Exited { code: exit.0 };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => PluginErrorKind::TimedOut {
            limit: context.time(),
        },
        Some(trap) => match state.logs.panic() {
            Some(message) => PluginErrorKind::Panicked {
                message: message.to_owned(),
            },
            None => PluginErrorKind::Trapped {
                meaning: meaning(*trap),
                trap: *trap,
            },
        },
        None => {
            let chain = chain(error);
            if chain.contains(COPY_REFUSED) {
                PluginErrorKind::CopyRefused {
                    limit: context.limits.result,
                }
            } else {
                PluginErrorKind::Sandbox { what, chain }
            }
        }
    }
}

/// What a trap usually means, for someone who did not write the plugin.
fn meaning(trap: Trap) -> &'static str {
    match trap {
        Trap::StackOverflow => "its stack overflowed: most often a recursion without end",
        // Rust, C and Zig keep a second stack in linear memory, which ends at address 0.
        Trap::MemoryOutOfBounds => {
            "it reached beyond its memory: often a stack overflow in the plugin"
        }
        Trap::UnreachableCodeReached => {
            "it gave up without saying why: a panic or abort, or a failed allocation"
        }
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => {
            "it made an arithmetic mistake"
        }
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature => {
            "it called a function that does not exist: it was built or linked wrongly"
        }
        Trap::InvalidChar
        | Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::InvalidDiscriminant
        | Trap::UnalignedPointer => "it answered with a value that is no value of the contract",
        _ => "it broke a rule of WebAssembly",
    }
}
