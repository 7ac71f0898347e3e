//! Compiled code on disk, seen from outside: used when whole, compiled again when not.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers fail as loudly as the tests that call them"
)]
#![cfg(unix)]

mod plugin_support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use plugin_support::*;
use serde_json::json;
use tnvm::plugin::{Limits, LoadProblem, PluginSet};

/// Loads one small plugin with this cache, and calls it.
#[track_caller]
fn run(cache: &Path, limits: Limits) -> (bool, Vec<LoadProblem>) {
    let mut sources = builtins(&[Guest::default()]);
    sources.cache_dir = Some(cache.to_owned());
    sources.limits = limits;
    let (set, problems) = PluginSet::load(sources);
    let plugin = set.claiming("tiny").unwrap();
    assert!(plugin.plan(&request(json!({}))).unwrap().devices.is_empty());
    (plugin.was_cached(), problems)
}

#[track_caller]
fn is_hit(cache: &Path) -> bool {
    let (was_cached, problems) = run(cache, Limits::default());
    assert!(problems.is_empty(), "{problems:?}");
    was_cached
}

fn only_entry(cache: &Path) -> PathBuf {
    let mut files = fs::read_dir(cache).unwrap();
    let path = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    path
}

#[test]
fn the_second_run_compiles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    assert!(!is_hit(&cache));
    assert!(is_hit(&cache));
}

#[test]
fn limits_are_not_part_of_what_is_cached() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    run(&cache, Limits::default());
    let limits = Limits {
        memory: 65536 * 4,
        ..Limits::default()
    };
    assert!(run(&cache, limits).0);
}

#[test]
fn a_damaged_entry_is_compiled_again_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cache = &folder.path().join("cache");
    assert!(!is_hit(cache));
    let entry = only_entry(cache);
    let good = fs::read(&entry).unwrap();
    let middle = good.len() / 2;
    let flipped: Vec<u8> = good
        .iter()
        .enumerate()
        .map(|(at, byte)| byte ^ u8::from((middle..middle + 64).contains(&at)))
        .collect();
    for damaged in [&flipped[..], &good[..middle], &[], b"not a cache entry"] {
        fs::write(&entry, damaged).unwrap();
        assert!(!is_hit(cache));
        assert_eq!(only_entry(cache), entry);
        assert!(is_hit(cache));
    }
}

#[test]
fn an_entry_that_is_a_folder_is_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let cache = &folder.path().join("cache");
    is_hit(cache);
    let entry = only_entry(cache);
    fs::remove_file(&entry).unwrap();
    fs::create_dir(&entry).unwrap();
    assert!(!is_hit(cache));
}

#[test]
fn the_entry_of_another_plugin_is_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let cache = &folder.path().join("cache");
    is_hit(cache);
    let mine = only_entry(cache);
    let bytes = fs::read(&mine).unwrap();
    fs::remove_file(&mine).unwrap();
    let mut sources = builtins(&[Guest::named("other", "other")]);
    sources.cache_dir = Some(cache.to_owned());
    load(sources.clone());
    fs::write(only_entry(cache), bytes).unwrap();
    let set = load(sources);
    assert!(!set.claiming("other").unwrap().was_cached());
}

#[test]
fn a_folder_open_to_others_turns_the_cache_off_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (was_cached, problems) = run(folder.path(), Limits::default());
    assert!(!was_cached);
    let [LoadProblem::CacheOff(off)] = &problems[..] else {
        panic!("{problems:?}");
    };
    assert!(off.to_string().contains("open to others"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
