//! Limits of the server's sockets, kept on our side so that no connection is lost to them.
//!
//! Source: middleware 25.04.2 to 27, `utils/limits.py` and the JSON-RPC handler.

/// Characters of a frame before login; one more and the server closes with 1007.
pub(super) const FRAME_BEFORE_LOGIN: usize = 8192;

/// Characters of a frame after login; one more and the server closes with 1009.
pub(super) const FRAME_AFTER_LOGIN: usize = 65_536;

/// Calls of ours in flight. The server runs 10 per connection, lets 10 more wait and refuses the
/// 21st. Four of ours wait there, so that the next one begins the moment a slot is free and not a
/// round trip later; more would gain nothing, would count against their timeouts while they wait,
/// and would take the room up to 20 from calls that we gave up on and that still run.
pub(super) const CALLS: usize = 14;

/// Calls that the server runs at once on a connection. Where more are wanted, another connection
/// runs as many again.
pub(super) const RUNNING: usize = 10;

/// Connections of a client at most. The middleware runs all calls on one machine: with more, calls
/// only wait there instead of here, and the logins after a restart come near [`LOGINS`].
pub(super) const CONNECTIONS: usize = 8;

/// Login calls of a client within a minute, over all its connections. The server refuses the 21st
/// of an address; four are left to a browser or another tnvm behind the same address.
pub(super) const LOGINS: usize = 16;

/// Bytes of a frame that we accept. Answers have no limit of their own: 10 000 VMs with devices
/// are about 30 MiB. More than this is a fault and must not eat the machine's memory.
pub(super) const INCOMING: usize = 64 << 20;

/// How often a call is sent again that the server refused to take up; with doubling pauses from
/// 0.1 s that is 6.3 s in all.
pub(super) const RETRIES: u32 = 6;

/// How often a call that changes nothing is asked again when the connection was lost before its
/// answer. More than that, and it may be the call itself that ends the connection.
pub(super) const READS_AGAIN: u32 = 3;

/// VM rows per page: about 1.5 MiB with devices. One page is enough for nearly everybody.
pub(super) const VM_PAGE: usize = 500;

/// Dataset rows per page: about 3 MiB. Every page makes the server walk ZFS again, so few.
pub(super) const DATASET_PAGE: usize = 5000;

/// How often a query of several pages begins anew because rows came or went between two of them.
pub(super) const PAGES_ANEW: u32 = 3;

/// Rows of one query at most; the largest server has some ten thousand datasets. More are a fault,
/// and must not eat the machine's memory.
pub(super) const ROWS: usize = 200_000;

/// Dataset names per query, so that the frame stays below [`FRAME_AFTER_LOGIN`]: two filters of a
/// name of at most 255 characters each are 0.6 KiB.
pub(super) const DATASETS_PER_QUERY: usize = 50;

/// Whether a frame may be sent. The server counts characters, not bytes.
pub(super) fn check_frame(frame: &str, logged_in: bool) -> Result<(), TooLarge> {
    let limit = if logged_in {
        FRAME_AFTER_LOGIN
    } else {
        FRAME_BEFORE_LOGIN
    };
    // Counting is only needed where the cheap bound does not decide.
    if frame.len() <= limit {
        return Ok(());
    }
    let size = frame.chars().count();
    if size <= limit {
        Ok(())
    } else {
        Err(TooLarge { size, limit })
    }
}

/// A frame that the server would close the connection for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge {
    /// Characters it has.
    pub(super) size: usize,
    /// Characters allowed.
    pub(super) limit: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_allowed_character_is_allowed() {
        assert_eq!(check_frame(&"x".repeat(FRAME_BEFORE_LOGIN), false), Ok(()));
        assert_eq!(check_frame(&"x".repeat(FRAME_AFTER_LOGIN), true), Ok(()));
    }

    #[test]
    fn one_more_is_refused() {
        let refused = check_frame(&"x".repeat(FRAME_BEFORE_LOGIN + 1), false);
        assert_eq!(
            refused,
            Err(TooLarge {
                size: FRAME_BEFORE_LOGIN + 1,
                limit: FRAME_BEFORE_LOGIN
            })
        );
    }

    #[test]
    fn characters_count_not_bytes() {
        assert_eq!(check_frame(&"é".repeat(FRAME_AFTER_LOGIN), true), Ok(()));
    }
}
