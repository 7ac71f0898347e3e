//! `vm.device.*_choices`: what devices may attach to.

use serde_json::Value;

use crate::truenas::client::Client;
use crate::truenas::error::CallError;
use crate::truenas::method::Method;
use crate::truenas::profile;

impl Client {
    /// Names of the interfaces that a NIC may attach to, bridges first where the server tells
    /// them apart.
    ///
    /// # Errors
    /// As any call.
    pub async fn nic_choices(&self) -> Result<Vec<String>, CallError> {
        let answer = self.call(Method::NicChoices, Vec::new()).await?;
        profile::nic_choices(&answer).ok_or_else(|| {
            CallError::protocol(Method::NicChoices, "the answer is not a map of interfaces")
        })
    }

    /// Addresses that a display may listen on.
    ///
    /// # Errors
    /// As any call.
    pub async fn bind_choices(&self) -> Result<Vec<String>, CallError> {
        match self.call(Method::BindChoices, Vec::new()).await? {
            Value::Object(map) => Ok(map.into_iter().map(|(address, _)| address).collect()),
            _ => Err(CallError::protocol(
                Method::BindChoices,
                "the answer is not a map of addresses",
            )),
        }
    }

    /// USB devices that can be passed through, as the server shows them.
    ///
    /// # Errors
    /// As any call.
    pub async fn usb_choices(&self) -> Result<Value, CallError> {
        self.call(Method::UsbChoices, Vec::new()).await
    }

    /// PCI devices that can be passed through, as the server shows them.
    ///
    /// # Errors
    /// As any call.
    pub async fn pci_choices(&self) -> Result<Value, CallError> {
        self.call(Method::PciChoices, Vec::new()).await
    }

    /// Zvols that a disk may use, as the server shows them: those of other VMs are among them.
    ///
    /// # Errors
    /// As any call.
    pub async fn disk_choices(&self) -> Result<Value, CallError> {
        self.call(Method::DiskChoices, Vec::new()).await
    }
}
