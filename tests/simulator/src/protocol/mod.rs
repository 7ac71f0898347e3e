//! JSON-RPC 2.0 as the server speaks it: reading frames and writing answers, nothing else. It knows
//! no methods and no sockets.
//!
//! Rules recorded on 25.10.7 at `/api/current`; limits by code reading of `utils/limits.py` and the
//! WebSocket handler, with the closing texts recorded.

mod frame;

pub(crate) use frame::{
    BINARY_REFUSED, Incoming, MAX_IN_FLIGHT, MAX_RUNNING, Request, failed, method_unknown, read,
    result, too_many,
};
