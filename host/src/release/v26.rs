//! TrueNAS 26: interfaces for NICs by kind, active VMs deleted by force alone.
//! Source: 26.0.0-BETA.3 and the branch after it.

use super::default::Default::Bool;
use super::facts::{DeleteForce, Facts, Line, NicChoices};
use super::v25_10;

pub(super) const FACTS: Facts = Facts {
    line: Line::V26,
    name: "26",
    first: (26, 0, 0),
    adds: &[],
    drops: &[],
    // From BETA.3 on; the two betas before it still had `false`.
    defaults: &[("suspend_on_snapshot", Bool(true))],
    // Seen on 26.0.0-BETA.3.
    previews_forget_user_properties: true,
    delete_force: DeleteForce::Active,
    nic_choices: NicChoices::Lists,
    ..v25_10::FACTS
};
