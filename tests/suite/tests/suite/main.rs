//! All end-to-end tests, in one program to be linked once.

mod create;
mod destroy;
mod failures;
mod independent;
mod input;
mod interrupt;
mod layers;
mod login;
mod original;
mod plugins;
mod secrets;
