//! Executing plans against a small server in this process: what is made, undone, kept and told.
//!
//! The server keeps just enough state to tell right from wrong (VMs, devices, zvols, snapshots);
//! what real servers check is the simulator's part.

#[cfg(test)]
mod creating;
#[cfg(test)]
mod destroying;
#[cfg(test)]
mod observing;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod server;
#[cfg(test)]
mod stopping;
