//! The guards of a run, in words for the user: read-only.

use super::exit::Failure;

/// The refusal of a run that has something to change but must not.
pub(super) fn read_only() -> Failure {
    Failure::Refused {
        message: "nothing was changed: this run is read-only".to_owned(),
        help: "leave `--read-only` away and unset TNVM_READ_ONLY to do what is shown above"
            .to_owned(),
    }
}
