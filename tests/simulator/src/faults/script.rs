//! A script of faults: a list through which every call goes in order; the first entry that strikes
//! decides.

use serde::Deserialize;
use serde_json::{Value, json};

use super::effect::{Effect, call_error};

/// The name by which a script speaks of HTTP requests.
pub(super) const REQUEST: &str = "http";

/// One scripted fault.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The method, or the beginning of its name followed by `*`; `http` for HTTP requests.
    pub method: String,
    /// Text that the parameters must contain, written as JSON.
    #[serde(default)]
    pub params_contain: Option<String>,
    /// Which of the matching calls it strikes.
    #[serde(default)]
    pub occurrence: Occurrence,
    /// What happens.
    pub effect: Effect,
}

/// Which of the matching calls are struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Occurrence {
    /// The n-th, counted from 1; only that one.
    Nth(u32),
    /// The first so many.
    First(u32),
    /// The n-th, counted from 1, and all after it.
    From(u32),
    /// All of them.
    Every,
}

/// The script and how far it got.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    script: Vec<(Fault, u32)>,
}

impl Fault {
    /// The first matching call of a method is refused with an errno.
    pub fn fail(method: &str, errno: i32, text: &str) -> Self {
        let effect = Effect::Fail {
            code: call_error(),
            errno,
            text: text.to_owned(),
            attribute: None,
        };
        Self::on(method, effect)
    }

    /// An effect on the first call of a method.
    pub fn on(method: &str, effect: Effect) -> Self {
        Self {
            method: method.to_owned(),
            params_contain: None,
            occurrence: Occurrence::default(),
            effect,
        }
    }

    /// An effect on the first HTTP request whose `METHOD /path` contains this text; upgrades of a
    /// WebSocket are requests too.
    pub fn on_request(path: &str, effect: Effect) -> Self {
        Self::on(REQUEST, effect).containing(path)
    }

    /// Only calls whose parameters contain this text, written as JSON.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.params_contain = Some(text.to_owned());
        self
    }

    /// Strikes the n-th matching call, counted from 1.
    #[must_use]
    pub fn nth(mut self, occurrence: u32) -> Self {
        self.occurrence = Occurrence::Nth(occurrence);
        self
    }

    /// Strikes the first so many matching calls.
    #[must_use]
    pub fn first(mut self, count: u32) -> Self {
        self.occurrence = Occurrence::First(count);
        self
    }

    /// Strikes the n-th matching call, counted from 1, and all after it.
    #[must_use]
    pub fn onwards_from(mut self, occurrence: u32) -> Self {
        self.occurrence = Occurrence::From(occurrence);
        self
    }

    /// Strikes every matching call.
    #[must_use]
    pub fn every(mut self) -> Self {
        self.occurrence = Occurrence::Every;
        self
    }

    fn matches(&self, method: &str, params: &str) -> bool {
        let by_name = match self.method.strip_suffix('*') {
            Some(beginning) => method != REQUEST && method.starts_with(beginning),
            None => method == self.method,
        };
        by_name
            && self
                .params_contain
                .as_ref()
                .is_none_or(|text| params.contains(text.as_str()))
    }
}

impl Faults {
    /// Adds a fault at the end of the script.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.script.push((fault, 0));
    }

    /// Forgets the script.
    pub(crate) fn clear(&mut self) {
        self.script.clear();
    }

    /// What strikes this HTTP request, if anything.
    pub(crate) fn strike_request(&mut self, method: &str, path: &str) -> Option<Effect> {
        self.strike(REQUEST, &[json!(format!("{method} {path}"))])
    }

    /// What strikes this call, if anything. Every entry counts the calls that match it.
    pub(crate) fn strike(&mut self, method: &str, params: &[Value]) -> Option<Effect> {
        let params = json!(params).to_string();
        let mut struck = None;
        for (fault, seen) in &mut self.script {
            if !fault.matches(method, &params) {
                continue;
            }
            *seen += 1;
            let now = match fault.occurrence {
                Occurrence::Every => true,
                Occurrence::Nth(number) => *seen == number,
                Occurrence::First(count) => *seen <= count,
                Occurrence::From(number) => *seen >= number,
            };
            if now && struck.is_none() {
                struck = Some(fault.effect.clone());
            }
        }
        struck
    }
}

impl Default for Occurrence {
    fn default() -> Self {
        Self::Nth(1)
    }
}

impl TryFrom<Value> for Occurrence {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let number = |value: &Value| {
            value
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| *number > 0)
        };
        let only = value
            .as_object()
            .filter(|object| object.len() == 1)
            .and_then(|object| object.iter().next())
            .and_then(|(word, value)| Some((word.as_str(), number(value)?)));
        match (value.as_str(), number(&value), only) {
            (Some("every"), ..) => Ok(Self::Every),
            (_, Some(number), _) => Ok(Self::Nth(number)),
            (.., Some(("first", count))) => Ok(Self::First(count)),
            (.., Some(("from", number))) => Ok(Self::From(number)),
            _ => Err(format!(
                "occurrence must be a number from 1 on, `every`, `{{first: 3}}` or `{{from: 3}}`, not {value}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_nth_matching_call_once() {
        let mut faults = Faults::default();
        faults.add(Fault::fail("vm.*", 14, "no").containing("DISK").nth(2));
        let disk = [json!({"dtype": "DISK"})];
        assert_eq!(faults.strike("vm.device.create", &disk), None);
        assert_eq!(faults.strike("vm.device.create", &[json!("NIC")]), None);
        assert!(faults.strike("vm.device.create", &disk).is_some());
        assert_eq!(faults.strike("vm.device.create", &disk), None);
    }

    #[test]
    fn a_fault_strikes_a_beginning_an_end_or_all() {
        let struck = |fault: Fault| {
            let mut faults = Faults::default();
            faults.add(fault);
            let mut all = (0..4).map(|_| faults.strike("vm.start", &[]).is_some());
            std::array::from_fn::<bool, 4, _>(|_| all.next().unwrap())
        };
        let fault = || Fault::fail("vm.start", 14, "no");
        assert_eq!(struck(fault()), [true, false, false, false]);
        assert_eq!(struck(fault().first(2)), [true, true, false, false]);
        assert_eq!(struck(fault().onwards_from(3)), [false, false, true, true]);
        assert_eq!(struck(fault().every()), [true; 4]);
    }

    #[test]
    fn a_star_does_not_mean_requests_and_a_request_no_call() {
        let mut faults = Faults::default();
        faults.add(Fault::on("*", Effect::Ebusy).every());
        faults.add(Fault::on_request("/api/current", Effect::HttpStatus { status: 502 }).every());
        assert_eq!(faults.strike_request("GET", "/api/versions"), None);
        let status = Some(Effect::HttpStatus { status: 502 });
        assert_eq!(faults.strike_request("GET", "/api/current"), status);
        assert_eq!(faults.strike("vm.start", &[]), Some(Effect::Ebusy));
    }
}
