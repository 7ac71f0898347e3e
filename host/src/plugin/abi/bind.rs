//! What wasmtime generates from `wit/v1`.

#![allow(
    missing_docs,
    unreachable_pub,
    reason = "generated code, documented in the contract itself"
)]

wasmtime::component::bindgen!({
    path: "../wit/v1",
    world: "device-plugin",
    // A log over budget stops the guest.
    imports: { default: trappable },
});
