//! `filesystem.*`: whether files are where a config says.

use serde::Deserialize;
use serde_json::json;

use super::query::read;
use crate::truenas::client::Client;
use crate::truenas::error::CallError;
use crate::truenas::method::Method;

/// A file or directory on the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FileStat {
    /// The path with symbolic links resolved.
    pub realpath: String,
    /// `FILE`, `DIRECTORY`, `SYMLINK` or `OTHER`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bytes.
    pub size: u64,
    /// The POSIX mode with the bits of the file's kind.
    pub mode: u32,
    /// Owner, where the server knows a name.
    #[serde(default)]
    pub user: Option<String>,
    /// Group, where the server knows a name.
    #[serde(default)]
    pub group: Option<String>,
}

impl FileStat {
    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == "FILE"
    }
}

/// The file system that a path is on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FileSystem {
    /// The dataset.
    pub source: String,
    /// Where it is mounted.
    pub dest: String,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes that can still be written.
    pub avail_bytes: u64,
}

impl Client {
    /// What is at an absolute path, if anything.
    ///
    /// # Errors
    /// When the path is not absolute; as any call otherwise.
    pub async fn file_stat_opt(&self, path: &str) -> Result<Option<FileStat>, CallError> {
        match self.call(Method::FileStat, vec![json!(path)]).await {
            Ok(answer) => read(Method::FileStat, answer).map(Some),
            Err(CallError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file system that a path is on.
    ///
    /// # Errors
    /// [`CallError::NotFound`] when there is no such path; as any call otherwise.
    pub async fn statfs(&self, path: &str) -> Result<FileSystem, CallError> {
        let answer = self.call(Method::FileSystemStat, vec![json!(path)]).await?;
        read(Method::FileSystemStat, answer)
    }
}
