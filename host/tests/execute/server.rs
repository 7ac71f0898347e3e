//! A server that keeps VMs and datasets, and misbehaves on request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tnvm::truenas::{Allowed, Client, ConnectOptions, Credentials, Endpoint};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::tungstenite::Message;

/// The timeout of calls where every call is answered.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);

/// The timeout of calls where one is never answered: the test waits that long. Still a hundred
/// times what an answer takes here.
pub(crate) const IMPATIENT: Duration = Duration::from_millis(500);

/// What the server does with a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// What it should.
    Do,
    /// Says no, with an errno and a text.
    Refuse(i64, &'static str),
    /// Says yes and does nothing.
    Pretend,
    /// Does it and never answers.
    DoSilently,
    /// Neither does it nor answers.
    Ignore,
    /// Does it and cuts the connection.
    DoAndCut,
}

type Rule = Box<dyn FnMut(&str, &Value) -> Act + Send>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Vm {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) running: bool,
    pub(crate) devices: BTreeMap<u64, Value>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Dataset {
    pub(crate) mark: Option<String>,
    pub(crate) snapshots: usize,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) vms: BTreeMap<u64, Vm>,
    pub(crate) datasets: BTreeMap<String, Dataset>,
    /// Every call after login: method and parameters.
    pub(crate) calls: Vec<(String, Value)>,
    pub(crate) peak: usize,
    pub(crate) rule: Option<Rule>,
    running: usize,
    last_id: u64,
}

#[derive(Clone)]
pub(crate) struct Server {
    world: Arc<Mutex<World>>,
    pub(crate) client: Client,
}

impl Server {
    pub(crate) async fn start(rule: impl FnMut(&str, &Value) -> Act + Send + 'static) -> Self {
        Self::start_with(Duration::ZERO, PATIENT, rule).await
    }

    /// A server that takes `latency` for each of at most 10 calls at once, and a client that waits
    /// `timeout` for an answer.
    pub(crate) async fn start_with(
        latency: Duration,
        timeout: Duration,
        rule: impl FnMut(&str, &Value) -> Act + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("ws://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World::default()));
        tokio::spawn(accept(listener, Arc::clone(&world), latency));
        let credentials = Credentials::Password {
            username: "root".into(),
            password: "x".into(),
        };
        let options = ConnectOptions {
            call_timeout: Some(timeout),
            allowed: Allowed::everything(),
            ..ConnectOptions::default()
        };
        let endpoint = Endpoint::parse(&endpoint).unwrap();
        let client = Client::connect(&endpoint, &credentials, &options)
            .await
            .unwrap();
        let server = Self { world, client };
        server.world().calls.clear();
        server.world().rule = Some(Box::new(rule));
        server
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// How often a method was called.
    pub(crate) fn count(&self, method: &str) -> usize {
        let world = self.world();
        world
            .calls
            .iter()
            .filter(|(name, _)| name == method)
            .count()
    }

    pub(crate) fn vm_names(&self) -> Vec<String> {
        self.world()
            .vms
            .values()
            .map(|vm| vm.name.clone())
            .collect()
    }

    pub(crate) fn dataset_names(&self) -> Vec<String> {
        self.world().datasets.keys().cloned().collect()
    }
}

enum Out {
    Answer(Value),
    Cut,
}

async fn accept(listener: TcpListener, world: Arc<Mutex<World>>, latency: Duration) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(serve(socket, Arc::clone(&world), latency));
    }
}

async fn serve(socket: TcpStream, world: Arc<Mutex<World>>, latency: Duration) {
    let mut socket = tokio_tungstenite::accept_async(socket).await.unwrap();
    let (answers, mut outgoing) = mpsc::unbounded_channel();
    let ten = Arc::new(Semaphore::new(10));
    loop {
        tokio::select! {
            frame = socket.next() => {
                let Some(Ok(frame)) = frame else { return };
                let Message::Text(text) = frame else { continue };
                let call: Value = serde_json::from_str(&text).unwrap();
                let (world, answers, ten) = (Arc::clone(&world), answers.clone(), Arc::clone(&ten));
                world.lock().unwrap().enter();
                tokio::spawn(async move {
                    let _place = ten.acquire_owned().await.unwrap();
                    if latency.is_zero() {
                        // Lets calls meet, so that the peak tells how many were in flight.
                        for _ in 0..20 {
                            tokio::task::yield_now().await;
                        }
                    } else {
                        tokio::time::sleep(latency).await;
                    }
                    if let Some(out) = world.lock().unwrap().take(&call) {
                        let _ = answers.send(out);
                    }
                });
            }
            Some(out) = outgoing.recv() => match out {
                Out::Answer(answer) => {
                    if socket.send(Message::text(answer.to_string())).await.is_err() {
                        return;
                    }
                }
                Out::Cut => return,
            },
        }
    }
}

type Answer = Result<Value, (i64, Value)>;

fn refusal(errno: i64, reason: &str) -> Answer {
    let data =
        json!({"error": errno, "errname": "E", "reason": reason, "trace": null, "extra": null});
    Err((-32001, data))
}

fn missing(what: &str) -> Answer {
    let reason = format!("{what} does not exist");
    let extra = json!([[null, reason, 2]]);
    let data =
        json!({"error": 22, "errname": "EINVAL", "reason": reason, "trace": null, "extra": extra});
    Err((-32602, data))
}

impl World {
    pub(crate) fn add_vm(&mut self, vm: Vm) -> u64 {
        self.last_id += 1;
        self.vms.insert(self.last_id, vm);
        self.last_id
    }

    pub(crate) fn add_zvol(&mut self, name: &str, mark: Option<&str>, snapshots: usize) {
        let mark = mark.map(str::to_owned);
        self.datasets
            .insert(name.to_owned(), Dataset { mark, snapshots });
    }

    fn enter(&mut self) {
        self.running += 1;
        self.peak = self.peak.max(self.running);
    }

    fn take(&mut self, call: &Value) -> Option<Out> {
        self.running -= 1;
        let method = call["method"].as_str().unwrap().to_owned();
        let params = call["params"].clone();
        self.calls.push((method.clone(), params.clone()));
        let act = self
            .rule
            .as_mut()
            .map_or(Act::Do, |rule| rule(&method, &params));
        let answer = match act {
            Act::Do => self.answer(&method, &params),
            Act::Refuse(errno, reason) => refusal(errno, reason),
            Act::Pretend => Ok(json!(true)),
            Act::Ignore => return None,
            Act::DoSilently => {
                self.answer(&method, &params).unwrap();
                return None;
            }
            Act::DoAndCut => {
                self.answer(&method, &params).unwrap();
                return Some(Out::Cut);
            }
        };
        let id = &call["id"];
        Some(Out::Answer(match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err((code, data)) => json!({"jsonrpc": "2.0", "id": id,
                "error": {"code": code, "message": "no", "data": data}}),
        }))
    }

    fn answer(&mut self, method: &str, params: &Value) -> Answer {
        let (first, filter) = (&params[0], &params[0][0]);
        let id = first.as_u64().unwrap_or_default();
        Ok(match method {
            "auth.login_ex" => json!({"response_type": "SUCCESS"}),
            "system.version" => json!("TrueNAS-25.10.1"),
            "system.info" => json!({"hostname": "nas"}),
            "system.host_id" => json!("5f3c"),
            "vm.virtualization_details" => json!({"supported": true, "error": null}),
            "vm.query" => {
                let all = self.vms.iter();
                let kept = all.filter(|(id, vm)| match filter[0].as_str() {
                    Some("id") => filter[2] == **id,
                    Some("name") => filter[2] == *vm.name,
                    _ => true,
                });
                kept.map(|(id, vm)| vm.entry(*id)).collect()
            }
            "vm.create" => {
                let text = |key: &str| first[key].as_str().unwrap_or_default().to_owned();
                let (name, description) = (text("name"), text("description"));
                if self.vms.values().any(|vm| vm.name == name) {
                    return refusal(22, "vm_create.name: exists");
                }
                let id = self.add_vm(Vm {
                    name,
                    description,
                    ..Vm::default()
                });
                self.vms[&id].entry(id)
            }
            "vm.status" | "vm.start" | "vm.poweroff" | "vm.delete" => {
                let Some(vm) = self.vms.get_mut(&id) else {
                    return missing("VM");
                };
                match method {
                    "vm.status" => vm.status(),
                    "vm.delete" => {
                        self.vms.remove(&id);
                        json!(true)
                    }
                    _ => {
                        vm.running = method == "vm.start";
                        Value::Null
                    }
                }
            }
            "vm.device.create" => {
                self.last_id += 1;
                let device = json!({"id": self.last_id, "vm": first["vm"],
                    "order": first["order"], "attributes": first["attributes"]});
                let vm = self.vms.get_mut(&first["vm"].as_u64().unwrap()).unwrap();
                vm.devices.insert(self.last_id, device.clone());
                device
            }
            "vm.device.update" => {
                let devices = self.vms.values_mut();
                let Some(device) = devices.filter_map(|vm| vm.devices.get_mut(&id)).next() else {
                    return missing("VMDevice");
                };
                device["order"] = params[1]["order"].clone();
                device.clone()
            }
            "vm.device.delete" => {
                let gone = self.vms.values_mut().find_map(|vm| vm.devices.remove(&id));
                return gone.map_or_else(|| missing("VMDevice"), |_| Ok(json!(true)));
            }
            "vm.device.query" => {
                let all = self.vms.values().flat_map(|vm| vm.devices.values());
                let kept = all.filter(|device| device["attributes"]["path"] == filter[2]);
                kept.cloned().collect()
            }
            "pool.dataset.query" => {
                let all = self.datasets.iter();
                let kept = all.filter(|(name, _)| wanted(filter, name));
                kept.map(|(name, dataset)| dataset.entry(name)).collect()
            }
            "pool.dataset.create" => {
                let name = first["name"].as_str().unwrap();
                if self.datasets.contains_key(name) {
                    return refusal(14, "Failed to create dataset: exists");
                }
                let mark = first["user_properties"][0]["value"].as_str();
                self.add_zvol(name, mark, 0);
                json!({"id": name, "name": name, "type": "VOLUME"})
            }
            "pool.dataset.delete" => {
                let gone = self.datasets.remove(first.as_str().unwrap());
                return gone.map_or_else(|| missing("dataset"), |_| Ok(json!(true)));
            }
            "pool.snapshot.query" => {
                let name = filter[2].as_str().unwrap();
                let number = self.datasets.get(name).map_or(0, |one| one.snapshots);
                (0..number)
                    .map(|nth| json!({"id": format!("{name}@auto-{nth}")}))
                    .collect()
            }
            "vm.device.nic_attach_choices" => json!({"br0": "br0"}),
            "vm.device.bind_choices" => json!({"0.0.0.0": "0.0.0.0"}),
            "vm.get_available_memory" => json!(8_u64 << 30),
            "filesystem.stat" if first == "/mnt/tank/iso/a.iso" => json!({
                "realpath": first, "type": "FILE", "size": 1, "mode": 33188, "uid": 0, "gid": 0,
                "user": "root", "group": "root", "acl": false}),
            "filesystem.stat" => return refusal(2, "[ENOENT] Path not found"),
            other => panic!("the test server does not know {other}"),
        })
    }
}

fn wanted(filter: &Value, name: &str) -> bool {
    let value = filter[2].as_str().unwrap_or_default();
    match (filter[0].as_str(), filter[1].as_str()) {
        (Some("OR"), _) => {
            let any = filter[1].as_array().unwrap();
            any.iter().any(|one| wanted(one, name))
        }
        (_, Some("=")) => name == value,
        (_, Some("^")) => name.starts_with(value),
        _ => panic!("the test server does not know the filter {filter}"),
    }
}

impl Vm {
    fn status(&self) -> Value {
        let state = if self.running { "RUNNING" } else { "STOPPED" };
        json!({"state": state, "pid": null, "domain_state": state})
    }

    fn entry(&self, id: u64) -> Value {
        let devices: Vec<&Value> = self.devices.values().collect();
        json!({"id": id, "name": self.name, "description": self.description,
            "devices": devices, "status": self.status()})
    }
}

impl Dataset {
    fn entry(&self, name: &str) -> Value {
        let mut properties = Map::new();
        if let Some(mark) = &self.mark {
            let value = json!({"value": mark, "rawvalue": mark, "source": "LOCAL"});
            properties.insert("tnvm:owner".into(), value);
        }
        json!({"id": name, "type": "VOLUME", "user_properties": properties,
            "snapshot_count": self.snapshots})
    }
}
