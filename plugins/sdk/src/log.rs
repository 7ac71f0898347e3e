//! Log records and the text of panics, handed to the host. Natively they go nowhere.

pub use crate::bindings::tnvm::device::log::Level;

/// Writes one record. Use the macros [`trace!`](crate::trace), [`debug!`](crate::debug),
/// [`info!`](crate::info), [`warn!`](crate::warn) and [`error!`](crate::error).
#[cfg_attr(
    not(target_family = "wasm"),
    expect(unused_variables, reason = "there is no host to hand them to")
)]
pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
    #[cfg(target_family = "wasm")]
    crate::bindings::tnvm::device::log::log(level, message, fields);
}

/// From now on a panic tells the host its text and place. A component without WASI has no other
/// way: the host would only see `unreachable`.
pub fn tell_panics() {
    #[cfg(target_family = "wasm")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|panic| {
                crate::bindings::tnvm::device::log::panicked(&panic.to_string());
            }));
        });
    }
}

/// Writes one record: a constant message, then fields as `name = value`.
#[macro_export]
macro_rules! log {
    ($level:ident, $message:literal $(, $field:ident = $value:expr)* $(,)?) => {
        $crate::write(
            $crate::Level::$level,
            $message,
            &[$((stringify!($field).to_owned(), ($value).to_string())),*],
        )
    };
}

/// Writes one record of level trace: `trace!("constant message", field = value)`.
#[macro_export]
macro_rules! trace { ($($rest:tt)*) => { $crate::log!(Trace, $($rest)*) }; }

/// Writes one record of level debug: `debug!("constant message", field = value)`.
#[macro_export]
macro_rules! debug { ($($rest:tt)*) => { $crate::log!(Debug, $($rest)*) }; }

/// Writes one record of level info: `info!("constant message", field = value)`.
#[macro_export]
macro_rules! info { ($($rest:tt)*) => { $crate::log!(Info, $($rest)*) }; }

/// Writes one record of level warn: `warn!("constant message", field = value)`.
#[macro_export]
macro_rules! warn { ($($rest:tt)*) => { $crate::log!(Warn, $($rest)*) }; }

/// Writes one record of level error: `error!("constant message", field = value)`.
#[macro_export]
macro_rules! error { ($($rest:tt)*) => { $crate::log!(Error, $($rest)*) }; }
