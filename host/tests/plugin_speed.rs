//! Measures what every run of tnvm pays for its plugins. Run it alone and optimized:
//! `cargo test --release -p tnvm --test plugin_speed -- --ignored --nocapture`.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers fail as loudly as the tests that call them"
)]

mod plugin_support;

use std::time::{Duration, Instant};

use plugin_support::*;
use serde_json::json;
use tnvm::plugin::{PlanError, PluginSources, builtin};

/// The middle of many runs.
fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..101)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    times.sort();
    times[50]
}

#[test]
#[ignore = "measures time, which only means something in an optimized build on an idle machine"]
fn a_warm_start_and_a_call_are_fast() {
    assert!(
        !builtin().is_empty(),
        "run `cargo xtask build-plugins` first"
    );
    let folder = tempfile::tempdir().unwrap();
    let sources = || PluginSources {
        builtin: builtin(),
        cache_dir: Some(folder.path().join("cache")),
        ..sources()
    };
    let started = Instant::now();
    let set = load(sources());
    println!(
        "cold: {:?} for {} plugins",
        started.elapsed(),
        builtin().len()
    );
    let warm = median(|| assert!(load(sources()).iter().all(|plugin| plugin.was_cached())));
    println!("warm: {warm:?}");
    let tiny = load(builtins(&[Guest::default()]));
    let tiny = tiny.claiming("tiny").unwrap();
    let call = median(|| assert!(tiny.plan(&request(json!({}))).is_ok()));
    println!("call of a tiny guest: {call:?}");
    for plugin in &set {
        let name = &plugin.descriptor().name;
        let call = median(|| {
            // Whether the empty config is right is no matter here, so long as the plugin answers.
            let answer = plugin.plan(&request(json!({})));
            assert!(!matches!(answer, Err(PlanError::Failed(_))), "{answer:?}");
        });
        println!("call of {name}: {call:?}");
    }
    if !cfg!(debug_assertions) {
        assert!(warm <= Duration::from_millis(5), "{warm:?}");
        assert!(call <= Duration::from_micros(100), "{call:?}");
    }
}
