//! The one trait a device type implements.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{About, Attributes, Device, Problem, Problems, Request};

/// A device type. All functions are pure: the same input gives the same answer.
pub trait DevicePlugin {
    /// The value under the plugin's key. Doc comments become descriptions in the JSON Schema, so
    /// write them for the user; `#[serde(deny_unknown_fields)]` catches misspelt keys.
    type Config: DeserializeOwned + JsonSchema;

    /// What the plugin says of itself.
    fn about() -> About;

    /// The devices of one VM.
    ///
    /// Findings go to `problems`, all of them, so that the user sees every mistake at once; one
    /// error among them and the host discards the devices.
    ///
    /// # Errors
    /// A problem after which going on makes no sense; it joins those already in `problems`.
    fn plan(
        request: &Request<Self::Config>,
        problems: &mut Problems,
    ) -> Result<Vec<Device>, Problem>;

    /// Attributes as the server reports them, brought to the form that [`plan`](Self::plan)
    /// gives. Every planned device passes through this too, so the two forms cannot part.
    /// Nulls are already gone: to the server, null and absent are the same.
    ///
    /// # Errors
    /// One sentence, when the attributes are of a shape this plugin does not know.
    fn normalize(attributes: Attributes) -> Result<Attributes, String> {
        Ok(attributes)
    }
}
