//! A frame of either protocol without its secrets and without what is the user's own.
//!
//! Knows where logins and a few answers carry what no name announces; keeps what is needed to know
//! which call an answer is to, and no more.

use std::collections::HashMap;

use serde_json::Value;

use super::names::Names;
use crate::redact::{Redaction, Secrets};
use crate::truenas::Direction;

/// Members of a frame that are of the protocol.
const ENVELOPE: [&str; 10] = [
    "jsonrpc",
    "id",
    "msg",
    "method",
    "name",
    "collection",
    "version",
    "support",
    "features",
    "subs",
];

/// Calls without an answer that are remembered; more than that can only be a fault.
const MOST_ASKED: usize = 10_000;

/// What is known of a session so far.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) redaction: Redaction,
    pub(super) secrets: Secrets,
    pub(super) names: Names,
    /// The methods of calls without an answer, by connection and id.
    asked: HashMap<(u64, String), String>,
    /// What the server calls its version, once it has said so.
    pub(super) server: Option<String>,
}

impl Frames {
    /// Cleans a frame.
    pub(super) fn clean(&mut self, connection: u64, direction: Direction, frame: &mut Value) {
        let id = frame
            .get("id")
            .filter(|id| !id.is_null())
            .map(ToString::to_string);
        let named = frame
            .get("method")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let method = match (direction, id, named) {
            (Direction::ToServer, id, Some(method)) => {
                if let Some(id) = id
                    && self.asked.len() < MOST_ASKED
                {
                    self.asked.insert((connection, id), method.clone());
                }
                method
            }
            (Direction::FromServer, Some(id), None) => {
                self.asked.remove(&(connection, id)).unwrap_or_default()
            }
            (_, _, named) => named.unwrap_or_default(),
        };
        let Value::Object(members) = frame else {
            // No frame of either protocol, so nobody knows what it is.
            *frame = Value::String("(no object)".to_owned());
            return;
        };
        for (name, value) in members.iter_mut() {
            if ENVELOPE.contains(&name.as_str()) {
                continue;
            }
            if name == "result" && method == "system.version" {
                self.server = value.as_str().map(str::to_owned).or(self.server.take());
                continue;
            }
            self.by_method(&method, name, value);
            self.redaction.hide(value, &mut self.secrets);
            self.names.replace(value, name);
        }
    }

    /// The connection has ended: its calls get no answer any more.
    pub(super) fn forget(&mut self, connection: u64) {
        self.asked.retain(|(of, _), _| *of != connection);
    }

    /// What only the method tells.
    fn by_method(&mut self, method: &str, member: &str, value: &mut Value) {
        match (method, member) {
            (_, "params") if method.starts_with("auth.") => self.login(method, value),
            // Preferences of the web UI, of whatever kind.
            ("auth.me", "result") => {
                if let Some(attributes) = value.get_mut("attributes") {
                    *attributes = Value::Object(serde_json::Map::new());
                }
            }
            ("system.host_id" | "system.boot_id", "result") => {
                if let Value::String(id) = value {
                    *id = self.names.id(id);
                }
            }
            (_, "result") if method.starts_with("auth.") => {
                // A token.
                if value.is_string() {
                    self.secrets.take(value);
                }
                self.scram(value);
            }
            _ => {}
        }
    }

    /// Positions of a login carry secrets without a name; only the first of `auth.login` is a user's.
    fn login(&mut self, method: &str, params: &mut Value) {
        for (position, param) in params.as_array_mut().into_iter().flatten().enumerate() {
            match param {
                Value::String(name) if method == "auth.login" && position == 0 => {
                    *name = self.names.user(name);
                }
                Value::String(_) | Value::Number(_) => self.secrets.take(param),
                _ => self.scram(param),
            }
        }
    }

    /// A message of SCRAM holds the user and proofs.
    fn scram(&mut self, login: &mut Value) {
        if let Some(message) = login.get_mut("rfc_str") {
            self.secrets.take(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::truenas::Direction::{FromServer, ToServer};

    #[track_caller]
    fn check(frames: &mut Frames, direction: Direction, before: Value, after: Value) {
        let mut frame = before;
        frames.clean(1, direction, &mut frame);
        assert_eq!(frame, after);
    }

    #[test]
    fn no_form_of_a_login_shows_its_secret() {
        for (method, params, shown) in [
            (
                "auth.login_ex",
                json!([{"mechanism": "PASSWORD_PLAIN", "username": "joe", "password": "Hunter22"}]),
                json!([{"mechanism": "PASSWORD_PLAIN", "username": "user-1", "password": "(secret)"}]),
            ),
            (
                "auth.login_ex",
                json!([{"mechanism": "API_KEY_PLAIN", "username": "root", "api_key": "1-abcdef"}]),
                json!([{"mechanism": "API_KEY_PLAIN", "username": "root", "api_key": "(secret)"}]),
            ),
            (
                "auth.login_ex",
                json!([{"mechanism": "SCRAM", "scram_type": "CLIENT_FIRST_MESSAGE", "rfc_str": "n,,n=joe:1,r=abc"}]),
                json!([{"mechanism": "SCRAM", "scram_type": "CLIENT_FIRST_MESSAGE", "rfc_str": "(secret)"}]),
            ),
            (
                "auth.login_ex_continue",
                json!([{"mechanism": "OTP_TOKEN", "otp_token": "123456"}]),
                json!([{"mechanism": "OTP_TOKEN", "otp_token": "(secret)"}]),
            ),
            (
                "auth.login",
                json!(["joe", "Hunter22", "123456"]),
                json!(["user-1", "(secret)", "(secret)"]),
            ),
            (
                "auth.login_with_api_key",
                json!(["1-abcdef"]),
                json!(["(secret)"]),
            ),
            (
                "auth.login_with_token",
                json!(["abcdef"]),
                json!(["(secret)"]),
            ),
        ] {
            check(
                &mut Frames::default(),
                ToServer,
                json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
                json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": shown}),
            );
        }
    }

    #[test]
    fn answers_are_cleaned_by_what_was_asked() {
        for (method, result, shown) in [
            ("auth.generate_token", json!("abcdef"), json!("(secret)")),
            ("system.host_id", json!("5f3c99"), json!("id-1")),
            (
                "auth.login_ex",
                json!({"response_type": "SCRAM_RESPONSE", "rfc_str": "r=abc,s=def"}),
                json!({"response_type": "SCRAM_RESPONSE", "rfc_str": "(secret)"}),
            ),
            (
                "auth.me",
                json!({"pw_name": "joe", "attributes": {"x": "y"}}),
                json!({"pw_name": "user-1", "attributes": {}}),
            ),
            ("system.version", json!("25.10.2.1"), json!("25.10.2.1")),
            ("vm.query", json!("5f3c99"), json!("5f3c99")),
        ] {
            // Both protocols; the older one has texts for ids.
            for id in [json!(7), json!("7")] {
                let mut frames = Frames::default();
                let mut asked = json!({"id": id, "method": method, "params": []});
                frames.clean(1, ToServer, &mut asked);
                // Another connection has ids of its own.
                frames.clean(2, FromServer, &mut json!({"id": id, "result": 1}));
                check(
                    &mut frames,
                    FromServer,
                    json!({"id": id, "result": result}),
                    json!({"id": id, "result": shown}),
                );
            }
        }
    }

    #[test]
    fn a_secret_that_was_sent_is_hidden_in_whatever_comes_back() {
        let mut frames = Frames::default();
        let call = json!({"id": 1, "method": "vm.device.create", "params": [{"attributes": {"password": "Hunter22"}}]});
        frames.clean(1, ToServer, &mut call.clone());
        check(
            &mut frames,
            FromServer,
            json!({"id": 1, "error": {"code": -32602, "message": "bad", "data": {"reason": "not Hunter22"}}}),
            json!({"id": 1, "error": {"code": -32602, "message": "bad", "data": {"reason": "not (secret)"}}}),
        );
        check(
            &mut frames,
            FromServer,
            json!({"msg": "added", "collection": "x", "fields": {"a": ["Hunter22"]}}),
            json!({"msg": "added", "collection": "x", "fields": {"a": ["(secret)"]}}),
        );
    }

    #[test]
    fn what_is_no_object_is_not_shown() {
        check(
            &mut Frames::default(),
            FromServer,
            json!(["Hunter22"]),
            json!("(no object)"),
        );
    }

    #[test]
    fn calls_of_an_ended_connection_are_forgotten() {
        let mut frames = Frames::default();
        frames.clean(
            1,
            ToServer,
            &mut json!({"id": 1, "method": "vm.query", "params": []}),
        );
        frames.clean(
            2,
            ToServer,
            &mut json!({"id": 1, "method": "vm.query", "params": []}),
        );
        frames.forget(1);
        assert_eq!(frames.asked.len(), 1);
    }
}
