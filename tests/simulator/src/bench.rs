//! A workbench for tests of rules: methods are called on a state without sockets and without time.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use crate::errors::Failure;
use crate::faults::Faults;
use crate::methods::{self, Context, Progress, Run, Step};
use crate::protocol::Protocol;
use crate::state::{ConnectionId, State};
use crate::world::{World, WorldBuilder};

/// A state with one connection on which an administrator is logged in.
pub(crate) struct Bench {
    pub(crate) state: State,
    connection: ConnectionId,
}

impl Bench {
    /// The default world of a version.
    pub(crate) fn new(version: &str) -> Self {
        Self::in_world(WorldBuilder::example(version.parse().unwrap()).build())
    }

    pub(crate) fn in_world(world: World) -> Self {
        let mut state = State::new(world, Faults::default());
        let (link, _) = unbounded_channel();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = state.connect(peer, false, Protocol::JsonRpc, link);
        let mut bench = Self { state, connection };
        bench.ok("auth.login", json!(["truenas_admin", "secret"]));
        bench
    }

    /// Calls a method to its end.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        let version = self.state.world.version.clone();
        let method = methods::find(&version, method).unwrap();
        let params = method.check(&version, params.as_array().unwrap())?;
        let mut context = Context {
            state: &mut self.state,
            connection: self.connection,
        };
        let mut progress = Progress::default();
        loop {
            let step = match method.run {
                Run::Now(run) => Step::Done(run(&mut context, &params)),
                Run::Steps(run) => run(&mut context, &params, &mut progress),
            };
            match step {
                Step::Done(outcome) => return outcome,
                Step::Wait(_) => progress.step += 1,
            }
        }
    }

    /// Calls a method that must work.
    pub(crate) fn ok(&mut self, method: &str, params: Value) -> Value {
        let shown = params.to_string();
        self.call(method, params)
            .unwrap_or_else(|failure| panic!("{method} {shown}: {}", failure.reason()))
    }

    /// Calls a method that must fail; answers code, errno of the first line or of the whole, attribute
    /// of the first line, and text.
    pub(crate) fn refused(&mut self, method: &str, params: Value) -> (i64, i64, String, String) {
        let error = self.call(method, params).unwrap_err().to_json(false);
        let data = &error["data"];
        let code = error["code"].as_i64().unwrap();
        match data["extra"].get(0) {
            Some(line) => (
                code,
                line[2].as_i64().unwrap(),
                line[0].as_str().unwrap_or_default().to_owned(),
                line[1].as_str().unwrap().to_owned(),
            ),
            None => (
                code,
                data["error"].as_i64().unwrap(),
                String::new(),
                data["reason"].as_str().unwrap().to_owned(),
            ),
        }
    }

    /// Makes a VM with 512 MiB and answers its id.
    pub(crate) fn vm(&mut self, name: &str) -> i64 {
        self.ok("vm.create", json!([{"name": name, "memory": 512}]))["id"]
            .as_i64()
            .unwrap()
    }

    /// Adds a device and answers its id.
    pub(crate) fn device(&mut self, vm: i64, attributes: Value) -> i64 {
        self.ok(
            "vm.device.create",
            json!([{"vm": vm, "attributes": attributes}]),
        )["id"]
            .as_i64()
            .unwrap()
    }
}
