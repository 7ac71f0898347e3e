//! The command line: options in, a running simulator, words out. It knows nothing of methods and
//! rules.

mod args;
mod conform;
mod output;
mod ready;
mod run;

pub(crate) use run::run;
