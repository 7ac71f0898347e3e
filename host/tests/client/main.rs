//! The TrueNAS client over real sockets, against a small server that follows a script.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod guard;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod legacy_server;
#[cfg(test)]
mod login;
#[cfg(test)]
mod otp;
#[cfg(test)]
mod scram;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod updates;
#[cfg(test)]
mod zvols;
