//! A server that is away for a while.

use std::time::Duration;

use tokio::time::sleep;

use super::shared::Shared;
use crate::rules::power;
use crate::state::State;

/// What whoever comes during a restart meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    /// The connection is cut as soon as it is made.
    Cut,
    /// nginx is there and answers 502.
    BadGateway,
}

/// Restarts the middleware, or the host: connections are cut, calls and jobs that did not commit
/// never will, and nobody is let in for `pause`.
pub(super) async fn restart(shared: &Shared, pause: Duration, outage: Outage, reboot: bool) {
    shared.with(|state| {
        if reboot {
            power::reboot(&mut state.world);
        }
        state.down = Some(outage);
        State::lose_memory(state);
    });
    shared.release_held();
    sleep(pause).await;
    shared.with(|state| state.down = None);
}
