//! JSON pointers (RFC 6901) out of unescaped parts.

/// The JSON pointer to the member reached by `parts`: `pointer(&["a/b", "0"])` is `/a~1b/0`.
pub fn pointer(parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push('/');
        text.push_str(&part.replace('~', "~0").replace('/', "~1"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tilde_is_escaped_before_slash() {
        assert_eq!(pointer(&["a~/b", "0"]), "/a~0~1b/0");
        assert_eq!(pointer(&[]), "");
    }
}
