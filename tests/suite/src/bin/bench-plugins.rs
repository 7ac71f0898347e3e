//! Measures loading the built-in plugins and calling one; prints rows as JSON. For `cargo xtask bench`.
#![expect(clippy::print_stdout, reason = "its rows are its output")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tnvm::plugin::{PlanRequest, PluginSet, PluginSources, VmIdentity, builtin};

fn main() {
    let cache = std::env::args_os().nth(1).map(PathBuf::from);
    if let Some(folder) = &cache {
        // Cold means cold: what an earlier run compiled must not count.
        let _ = std::fs::remove_dir_all(folder);
    }
    let cold = load(cache.clone()).0;
    let mut warm: Vec<Duration> = (0..50).map(|_| load(cache.clone()).0).collect();
    let plugins = load(cache).1;
    let mut rows = vec![
        row("load four built-ins, cold cache", &mut [cold], 1),
        row("load four built-ins, warm cache", &mut warm, 5_000),
    ];
    for plugin in plugins.iter() {
        let request = request(&plugin.descriptor().name);
        let mut calls: Vec<Duration> = (0..2_000)
            .map(|_| {
                let began = Instant::now();
                let planned = plugin.plan(&request);
                let took = began.elapsed();
                assert!(planned.is_ok(), "{planned:?}");
                took
            })
            .collect();
        let what = format!("plan by {}, fresh store", plugin.descriptor().name);
        rows.push(row(&what, &mut calls, 100));
    }
    println!("{}", Value::from(rows));
}

fn load(cache: Option<PathBuf>) -> (Duration, PluginSet) {
    let began = Instant::now();
    let (plugins, problems) = PluginSet::load(PluginSources {
        builtin: builtin(),
        cache_dir: cache,
        ..PluginSources::default()
    });
    let took = began.elapsed();
    assert!(problems.is_empty(), "{problems:?}");
    (took, plugins)
}

fn request(plugin: &str) -> PlanRequest {
    let config = match plugin {
        "disk" => Some(json!({"system": 15, "storage": "600GiB"})),
        "nic" => Some(json!({"system": "br68", "storage": "br110"})),
        _ => None,
    };
    PlanRequest {
        vm: VmIdentity {
            name: "worker01".into(),
            vm_type: "worker".into(),
            type_index: 1,
            index: 1,
            count: 3,
            group: "bench".into(),
        },
        config,
        template: json!({"attributes": {}}),
        storage: json!({"pool_path": "tank/vms", "cdrom_path": "/mnt/tank/iso/a.iso"}),
        target_version: "25.10.7".into(),
        facts: Vec::new(),
        context: json!({}),
    }
}

fn row(what: &str, times: &mut [Duration], goal_us: u32) -> Value {
    times.sort_unstable();
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    let us = |time: Duration| (time.as_secs_f64() * 10_000_000.0).round() / 10.0;
    json!({
        "what": what,
        "median_us": us(at(50)),
        "p95_us": us(at(95)),
        "min_us": us(at(0)),
        "goal_us": goal_us,
    })
}
