//! Executing plans against a small server in this process: what is made, undone, kept and told.
//!
//! Most run against a server that keeps just enough state to tell right from wrong (VMs, devices,
//! zvols, snapshots) and misbehaves at will; `simulated` has what real servers check on top.

#[cfg(test)]
mod changing;
#[cfg(test)]
mod creating;
#[cfg(test)]
mod destroying;
#[cfg(test)]
mod large;
#[cfg(test)]
mod losing;
#[cfg(test)]
mod observing;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod restarting;
#[cfg(test)]
mod server;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod stopping;
