//! Compiled code on disk, trusted only after its digest was checked.
//!
//! Anything wrong with an entry is a miss, never an error: the code is compiled again. It knows
//! nothing of components but their bytes.

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::contract::Descriptor;
use super::engine::Engine;
use super::inspect::Surface;
use super::source::hex;

/// First bytes of an entry; the digit is the version of its layout.
const MAGIC: &[u8; 8] = b"tnvmpcc1";

/// Bytes of all entries together, beyond which the oldest go. 512 MiB: a dozen Python plugins of
/// 34 MB compiled, or two thousand in Rust.
const CAPACITY: u64 = 512 * 1024 * 1024;

/// Bytes of one entry that are read. 256 MiB: seven times what Python needs; a larger file is not
/// ours, and reading it would only take memory.
const LARGEST: u64 = 256 * 1024 * 1024;

/// How long a use is not noted anew. A day: "oldest" need not be exact, and a hit need not write.
const NOTED: Duration = Duration::from_secs(24 * 60 * 60);

/// The cache cannot be used; everything works without it, only slower.
#[derive(Debug, thiserror::Error)]
#[error(
    "the cache of compiled plugins is off, so every run compiles them: {} {problem}",
    path.display()
)]
pub struct CacheOff {
    /// The folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// What an entry holds.
#[derive(Debug)]
pub(super) struct Entry {
    /// What else was found out about the component.
    pub(super) about: About,
    /// Code as wasmtime serializes it.
    pub(super) code: Vec<u8>,
}

/// What is known of a component once it was loaded, kept so that listing runs no plugin.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct About {
    /// Its outside.
    pub(super) surface: Surface,
    /// Its checked answer to `describe`.
    pub(super) descriptor: Descriptor,
}

/// Identifies an entry: everything that decides whether its code may run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// For a component.
    pub(super) fn new(engine: &Engine, component: &[u8]) -> Self {
        let mut hasher = Blake3(blake3::Hasher::new());
        hasher.write(MAGIC);
        hasher.write(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.write(blake3::hash(component).as_bytes());
        engine.hash_compatibility(&mut hasher);
        Self(*hasher.0.finalize().as_bytes())
    }
}

/// Lets wasmtime's compatibility hash, which is a `Hash`, feed a hash that is the same everywhere.
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        hash.as_bytes()
            .first_chunk()
            .map_or(0, |first| u64::from_le_bytes(*first))
    }
}

/// The folder of entries.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Opens the folder, making it where it does not exist.
    ///
    /// Code in it will be run, so it must belong to the user and to nobody else.
    pub(super) fn open(dir: &Path) -> Result<Self, CacheOff> {
        let off = |problem: String| CacheOff {
            path: dir.to_owned(),
            problem,
        };
        make_private(dir).map_err(|error| off(format!("cannot be made: {error}")))?;
        match distrust(dir) {
            Ok(None) => Ok(Self {
                dir: dir.to_owned(),
            }),
            Ok(Some(problem)) => Err(off(problem)),
            Err(error) => Err(off(format!("cannot be looked at: {error}"))),
        }
    }

    /// The entry, if there is a whole one.
    pub(super) fn load(&self, key: Key) -> Option<Entry> {
        let path = self.path(key);
        let file = File::open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        if metadata.len() > LARGEST {
            return None;
        }
        // Read, not mapped: a mapped file can change, or shrink, after it was checked.
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
        (&file).take(LARGEST).read_to_end(&mut bytes).ok()?;
        let entry = decode(key, bytes)?;
        let noted = metadata.modified().ok()?;
        if noted.elapsed().is_ok_and(|age| age > NOTED) {
            // Only the order of eviction depends on it.
            let _ = File::options()
                .append(true)
                .open(&path)
                .and_then(|file| file.set_modified(SystemTime::now()));
        }
        Some(entry)
    }

    /// Takes the lock under which an entry is made, or `None` when another process makes it just
    /// now: then there is no point in writing it too, and waiting could last.
    pub(super) fn lock(&self, key: Key) -> Option<Lock> {
        let path = self.dir.join(format!("{}.lock", hex(&key.0)));
        let file = File::create(&path).ok()?;
        file.try_lock().ok()?;
        Some(Lock { _file: file, path })
    }

    /// Writes an entry. The lock says that nobody else does.
    pub(super) fn store(
        &self,
        key: Key,
        _lock: &Lock,
        about: &About,
        code: &[u8],
    ) -> io::Result<()> {
        let about = serde_json::to_vec(about)?;
        let length = u32::try_from(about.len()).map_err(io::Error::other)?;
        let mut body = Vec::with_capacity(about.len() + code.len() + 4);
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(&about);
        body.extend_from_slice(code);

        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&self.dir)?;
        file.write_all(MAGIC)?;
        file.write_all(&key.0)?;
        file.write_all(&(body.len() as u64).to_le_bytes())?;
        file.write_all(blake3::hash(&body).as_bytes())?;
        file.write_all(&body)?;
        // Else a crash after the rename could leave a file with the right name and no content.
        file.as_file().sync_all()?;
        file.persist(self.path(key)).map_err(|error| error.error)?;
        self.prune(CAPACITY)
    }

    /// Removes the longest unused entries until the rest fits.
    fn prune(&self, capacity: u64) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(&self.dir)?
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if total <= capacity {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total = total.saturating_sub(size);
            }
        }
        Ok(())
    }

    fn path(&self, key: Key) -> PathBuf {
        self.dir.join(format!("{}.bin", hex(&key.0)))
    }
}

/// Held while an entry is made.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A process that opened the file just before makes the entry once more, which is harmless.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes an entry apart, if it is whole and for this key.
fn decode(key: Key, mut bytes: Vec<u8>) -> Option<Entry> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (stored_key, rest) = rest.split_first_chunk::<32>()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (digest, body) = rest.split_first_chunk::<32>()?;
    let is_whole = magic == MAGIC
        && *stored_key == key.0
        && u64::from_le_bytes(*length) == body.len() as u64
        && blake3::hash(body) == *digest;
    if !is_whole {
        return None;
    }
    let (length, body) = body.split_first_chunk::<4>()?;
    let (about, code) =
        body.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let about = serde_json::from_slice(about).ok()?;
    let start = bytes.len() - code.len();
    bytes.drain(..start);
    Some(Entry { about, code: bytes })
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

/// Why the folder's content must not be run, if so.
#[cfg(unix)]
fn distrust(dir: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt as _;
    // Not following a link: whoever owns it decides where it leads tomorrow.
    let metadata = fs::symlink_metadata(dir)?;
    let owner = metadata.uid();
    let user = rustix::process::geteuid().as_raw();
    let open = metadata.mode() & 0o077;
    Ok(if !metadata.is_dir() {
        Some("is a link or a file, not a folder".to_owned())
    } else if owner != user {
        Some(format!("belongs to user {owner}, not to you ({user})"))
    } else if open != 0 {
        Some(format!(
            "is open to others (mode {:o}); run `chmod 700` on it",
            metadata.mode() & 0o777
        ))
    } else {
        None
    })
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Elsewhere nothing here can tell whom a folder belongs to.
#[cfg(not(unix))]
fn distrust(_dir: &Path) -> io::Result<Option<String>> {
    Ok(Some(
        "cannot be checked for its owner on this system".to_owned(),
    ))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const CODE: &[u8] = b"compiled code";

    fn about() -> About {
        About {
            surface: Surface {
                contract: semver::Version::new(1, 0, 0),
                wasi: false,
            },
            descriptor: Descriptor {
                name: "disk".into(),
                version: "0.1.0".into(),
                summary: "Disks".into(),
                key: "disk".into(),
                applies_by_default: false,
                config_schema: serde_json::json!({}),
                device_kinds: vec!["DISK".into()],
                facts: vec![],
            },
        }
    }

    /// A cache with one entry.
    fn filled() -> (tempfile::TempDir, Cache, Key) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("a/b")).unwrap();
        let key = Key([7; 32]);
        let lock = cache.lock(key).unwrap();
        cache.store(key, &lock, &about(), CODE).unwrap();
        (folder, cache, key)
    }

    #[track_caller]
    fn check_miss(spoil: impl FnOnce(&mut Vec<u8>)) {
        let (_folder, cache, key) = filled();
        let mut bytes = fs::read(cache.path(key)).unwrap();
        spoil(&mut bytes);
        fs::write(cache.path(key), bytes).unwrap();
        assert!(cache.load(key).is_none());
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let (_folder, cache, key) = filled();
        let entry = cache.load(key).unwrap();
        assert_eq!((entry.about, &*entry.code), (about(), CODE));
    }

    #[test]
    fn only_the_entry_stays_in_the_folder() {
        let (_folder, cache, _) = filled();
        assert_eq!(fs::read_dir(&cache.dir).unwrap().count(), 1);
    }

    #[test]
    fn every_flipped_byte_is_a_miss() {
        let (_folder, cache, key) = filled();
        let good = fs::read(cache.path(key)).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            fs::write(cache.path(key), bytes).unwrap();
            assert!(cache.load(key).is_none(), "byte {at}");
        }
    }

    #[test]
    fn every_truncated_file_is_a_miss() {
        let (_folder, cache, key) = filled();
        let good = fs::read(cache.path(key)).unwrap();
        for length in 0..good.len() {
            fs::write(cache.path(key), &good[..length]).unwrap();
            assert!(cache.load(key).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn bytes_after_the_end_are_a_miss() {
        check_miss(|bytes| bytes.push(0));
    }

    #[test]
    fn an_entry_under_another_name_is_a_miss() {
        let (_folder, cache, key) = filled();
        let other = Key([8; 32]);
        fs::copy(cache.path(key), cache.path(other)).unwrap();
        assert!(cache.load(other).is_none());
    }

    #[test]
    fn the_key_depends_on_the_component() {
        let engine = Engine::new().unwrap();
        assert_eq!(Key::new(&engine, b"aa"), Key::new(&engine, b"aa"));
        assert_ne!(Key::new(&engine, b"aa"), Key::new(&engine, b"ab"));
    }

    #[test]
    fn a_lock_is_held_once() {
        let (_folder, cache, key) = filled();
        let lock = cache.lock(key).unwrap();
        assert!(cache.lock(key).is_none());
        drop(lock);
        assert!(cache.lock(key).is_some());
    }

    #[test]
    fn the_longest_unused_entries_go_first() {
        let (_folder, cache, old) = filled();
        let new = Key([9; 32]);
        let lock = cache.lock(new).unwrap();
        cache.store(new, &lock, &about(), CODE).unwrap();
        drop(lock);
        File::options()
            .append(true)
            .open(cache.path(old))
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
        let size = fs::metadata(cache.path(new)).unwrap().len();
        cache.prune(size).unwrap();
        assert!(cache.load(old).is_none());
        assert!(cache.load(new).is_some());
    }

    #[test]
    fn a_folder_open_to_others_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let off = Cache::open(folder.path()).unwrap_err().to_string();
        assert!(
            off.contains("mode 750") && off.contains("chmod 700"),
            "{off}"
        );
    }

    #[test]
    fn a_link_to_a_folder_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        let off = Cache::open(&link).unwrap_err().to_string();
        assert!(off.contains("is a link"), "{off}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let off = Cache::open(&file.path().join("x")).unwrap_err();
        assert!(off.to_string().contains("cannot be made"), "{off}");
    }
}
