//! Texts that come from a plugin, made harmless for a terminal and a log.
//!
//! It knows nothing of where they are shown.

/// The text with control characters written out, so that a plugin can neither move the cursor nor
/// forge a line of tnvm's own.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() || is_reordering(char) {
            plain.extend(char.escape_default());
        } else {
            plain.push(char);
        }
    }
    plain
}

/// At most `limit` bytes of the text, cut at a character.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// Marks that make a terminal show the characters after them in another order.
fn is_reordering(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_line_breaks_are_written_out() {
        assert_eq!(
            plain("a\u{1b}[2Jb\nc\u{202e}d ü"),
            r"a\u{1b}[2Jb\nc\u{202e}d ü"
        );
    }

    #[test]
    fn a_cut_keeps_whole_characters() {
        assert_eq!(cut("aü", 2), "a");
        assert_eq!(cut("aü", 9), "aü");
    }
}
