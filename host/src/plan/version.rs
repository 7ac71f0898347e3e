//! The server's version as the planner compares it.

/// `25.10.7` as numbers; what is missing counts as 0.
pub(super) fn version_of(text: &str) -> (u32, u32, u32) {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok());
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}
