//! A stage with several servers: a lab whose config names them `nas1`, `nas2`, …

use std::net::SocketAddr;

use serde_json::Value;
use tnvm_simulator::{Options, Running, Simulator, Version, World, WorldBuilder};

use crate::lab::{Lab, own_password};
use crate::ran::Ran;

/// Several servers and a folder for one test.
pub struct Hosts {
    /// The folder and the first server, `nas1`.
    pub lab: Lab,
    /// The others; none where one has been stopped.
    others: Vec<Option<Running>>,
    addresses: Vec<SocketAddr>,
    /// What the config says of each besides its address.
    settings: Vec<String>,
}

impl Hosts {
    /// So many servers, each with the default world, without a limit of logins.
    pub fn new(count: usize) -> Self {
        let world = || {
            let world = WorldBuilder::example(Version::default());
            Options::with_world(world.rate_limit(false).build())
        };
        Self::with((0..count).map(|_| world()).collect())
    }

    /// These servers, at least one.
    ///
    /// # Panics
    /// When one cannot be started, or there is none.
    pub fn with(mut servers: Vec<Options>) -> Self {
        let mut lab = Lab::with(servers.remove(0));
        lab.unset("TRUENAS_HOST");
        let mut addresses = vec![lab.server().address()];
        let mut others = Vec::new();
        for mut options in servers {
            own_password(&mut options);
            let server = lab.block_on(Simulator::start(options)).unwrap();
            lab.secret(server.api_key());
            addresses.push(server.address());
            others.push(Some(server));
        }
        Self {
            settings: vec![String::new(); addresses.len()],
            lab,
            others,
            addresses,
        }
    }

    /// The server `nas1`, `nas2`, … by its number from 1.
    ///
    /// # Panics
    /// When it has been stopped.
    #[track_caller]
    pub fn server(&self, number: usize) -> &Running {
        match number {
            1 => self.lab.server(),
            _ => self.others.get(number - 2).unwrap().as_ref().unwrap(),
        }
    }

    /// Stops a server other than the first; gives its world. Its address stays in the config, and
    /// nobody answers there.
    ///
    /// # Panics
    /// When it has been stopped already.
    pub fn stop(&mut self, number: usize) -> World {
        let server = self.others.get_mut(number - 2).unwrap().take().unwrap();
        let world = server.change(|world| world.clone());
        self.lab.block_on(server.stop());
        world
    }

    /// Starts it again, at its address.
    ///
    /// # Panics
    /// When somebody else has its address by now.
    pub fn start(&mut self, number: usize, world: World) {
        let options = Options {
            listen: *self.addresses.get(number - 1).unwrap(),
            ..Options::with_world(world)
        };
        let server = self.lab.block_on(Simulator::start(options)).unwrap();
        *self.others.get_mut(number - 2).unwrap() = Some(server);
    }

    /// Says more of a host in the configs from here on: `storage: {pool_path: tank/vms}`.
    ///
    /// # Panics
    /// When there is no such host.
    pub fn setting(&mut self, number: usize, more: &str) -> &mut Self {
        *self.settings.get_mut(number - 1).unwrap() = format!(", {more}");
        self
    }

    /// Writes `config.yaml`: the usual storage, all hosts, then this.
    pub fn config(&self, types: &str) -> &Self {
        let hosts: Vec<String> = self
            .addresses
            .iter()
            .zip(&self.settings)
            .enumerate()
            .map(|(nth, (address, more))| {
                format!("nas{}: {{host: \"ws://{address}\"{more}}}", nth + 1)
            })
            .collect();
        let hosts = hosts.join(", ");
        self.lab
            .config(&format!("truenas: {{hosts: {{{hosts}}}}}\n{types}"));
        self
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn tnvm(&self, arguments: &[&str]) -> Ran {
        self.lab.tnvm(arguments)
    }

    /// The names of the VMs of each server that runs.
    pub fn vms(&self) -> Vec<Vec<String>> {
        self.running()
            .map(|server| {
                server
                    .view()
                    .vm_names()
                    .iter()
                    .map(ToString::to_string)
                    .collect()
            })
            .collect()
    }

    /// How many calls of each server that runs may have changed something.
    pub fn mutations(&self) -> Vec<usize> {
        self.running()
            .map(|server| server.journal().mutating().len())
            .collect()
    }

    /// Runs what must end so and change nothing on any server.
    ///
    /// # Panics
    /// When it ends otherwise, or changes something.
    #[track_caller]
    pub fn unchanged(&self, arguments: &[&str], code: i32, says: &[&str]) -> Ran {
        let state = || {
            let views: Vec<_> = self.running().map(Running::view).collect();
            (views, self.mutations())
        };
        let before = state();
        let ran = self.tnvm(arguments).ended(code);
        ran.says(says);
        assert!(state() == before, "something changed\n{}", ran.shown());
        ran
    }

    /// Fails unless planning again finds nothing to do and touches nothing.
    ///
    /// # Panics
    /// When there is something to do.
    #[track_caller]
    pub fn settled(&self) {
        self.unchanged(&["create"], 0, &["No changes"]);
        self.unchanged(&["plan", "--detailed-exitcode"], 0, &["No changes"]);
    }

    /// The JSON of a run.
    #[track_caller]
    pub fn json(&self, arguments: &[&str], code: i32) -> Value {
        let ran = self
            .tnvm(&[arguments, &["-o", "json"]].concat())
            .ended(code);
        ran.json()
    }

    fn running(&self) -> impl Iterator<Item = &Running> {
        std::iter::once(self.lab.server()).chain(self.others.iter().flatten())
    }
}
