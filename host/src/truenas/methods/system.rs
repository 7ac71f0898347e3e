//! What the machine can do and has left.

use serde::Deserialize;
use serde_json::json;

use super::query::read;
use crate::truenas::client::Client;
use crate::truenas::error::CallError;
use crate::truenas::method::Method;

#[derive(Deserialize)]
struct Virtualization {
    supported: bool,
    #[serde(default)]
    error: Option<String>,
}

impl Client {
    /// Why the machine can run no VMs, in the server's words; none where it can.
    ///
    /// # Errors
    /// As any call.
    pub async fn missing_virtualization(&self) -> Result<Option<String>, CallError> {
        let method = Method::VmVirtualization;
        let found: Virtualization = read(method, self.call(method, Vec::new()).await?)?;
        let why = || found.error.unwrap_or_else(|| "KVM is not there".to_owned());
        Ok((!found.supported).then(why))
    }

    /// Bytes of memory that VMs can still be started with, without overcommitting.
    ///
    /// # Errors
    /// As any call.
    pub async fn available_memory(&self) -> Result<u64, CallError> {
        let answer = self
            .call(Method::VmAvailableMemory, vec![json!(false)])
            .await?;
        // Promised memory may exceed what there is; less than nothing is nothing.
        answer
            .as_u64()
            .or_else(|| answer.as_i64().map(|_| 0))
            .or_else(|| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the cast saturates, and a fraction of a byte is no matter"
                )]
                answer.as_f64().map(|bytes| bytes as u64)
            })
            .ok_or_else(|| {
                CallError::protocol(Method::VmAvailableMemory, "the answer is not a number")
            })
    }
}
