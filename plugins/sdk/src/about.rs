//! What a plugin says of itself. It does not know the config's schema, which comes from the type.

use crate::FactNeed;

/// What a plugin says of itself: the typed half of `describe`. The other half, the JSON Schema
/// of the config, is made from [`DevicePlugin::Config`](crate::DevicePlugin::Config).
#[derive(Clone, Debug)]
pub struct About {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) key: String,
    pub(crate) applies_by_default: bool,
    pub(crate) kinds: Vec<String>,
    pub(crate) facts: Vec<FactNeed>,
}

impl About {
    /// A device type with the short name `name` (letters, digits, `-`; at most 32), which also
    /// is the key it claims unless [`About::key`] says otherwise. `version` is
    /// `env!("CARGO_PKG_VERSION")`.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: String::new(),
            key: name.to_owned(),
            applies_by_default: false,
            kinds: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// One line for `tnvm plugin list`, without a full stop.
    pub fn summary(mut self, summary: &str) -> Self {
        self.summary = summary.to_owned();
        self
    }

    /// The key in a VM type that this plugin claims.
    pub fn key(mut self, key: &str) -> Self {
        self.key = key.to_owned();
        self
    }

    /// Calls `plan` also for a VM without the key. `key: true` then means the same as no key.
    pub fn applies_by_default(mut self) -> Self {
        self.applies_by_default = true;
        self
    }

    /// A kind of device (`dtype`) that the plugin may return.
    pub fn kind(mut self, kind: &str) -> Self {
        self.kinds.push(kind.to_owned());
        self
    }

    /// A read-only fact of the server that the plugin would like to see, and one sentence of why
    /// for the person who grants it.
    pub fn fact(mut self, kind: &str, reason: &str) -> Self {
        self.facts.push(FactNeed {
            kind: kind.to_owned(),
            reason: reason.to_owned(),
        });
        self
    }
}
