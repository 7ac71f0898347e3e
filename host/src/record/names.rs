//! Names, addresses and ids of the user's own, each replaced by the same stand-in wherever it
//! occurs, so that a recording still fits together.
//!
//! Knows members of the API by their names; knows nothing of secrets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

/// Stand-ins of one kind at most; a server has some thousand MAC addresses. Whatever comes after
/// them shares the last one.
const MOST: usize = 60_000;

/// Users that every TrueNAS has: they tell nothing, and a replay needs them.
const COMMON_USERS: [&str; 6] = ["root", "admin", "truenas_admin", "nobody", "daemon", ""];

/// Names that many hosts have.
const COMMON_HOSTS: [&str; 4] = ["truenas", "localhost", "local", ""];

/// What a member's text is, by the member's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    Host,
    /// Tells a machine or a person apart: ids, serials, keys for SSH, full names.
    Id,
    /// Words of the API, and versions, which look like addresses.
    Word,
    Text,
}

fn kind_of(member: &str) -> Kind {
    match member {
        "username" | "pw_name" | "user" | "login" => Kind::User,
        "hostname" | "hostname_b" | "hostname_virtual" | "domain" => Kind::Host,
        "host_id" | "boot_id" | "system_serial" | "license" | "login_id" | "session" | "email"
        | "full_name" | "pw_gecos" | "sid" | "sshpubkey" => Kind::Id,
        // Not `serial`: the only ones that tnvm asks for are those of virtual disks, made by chance.
        "version" | "method" | "state" | "dtype" | "type" | "errname" => Kind::Word,
        _ => Kind::Text,
    }
}

/// What stands for what.
#[derive(Debug, Default)]
pub(super) struct Names {
    users: StandIns,
    hosts: StandIns,
    ids: StandIns,
    v4: StandIns,
    v6: StandIns,
    macs: StandIns,
}

#[derive(Debug, Default)]
struct StandIns(HashMap<String, String>);

impl StandIns {
    /// The stand-in of a name; a new one is made from its number, counted from 1.
    fn of(&mut self, name: &str, make: impl Fn(usize) -> String) -> String {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let stand_in = make(self.0.len().min(MOST) + 1);
        if self.0.len() < MOST {
            self.0.insert(name.to_owned(), stand_in.clone());
        }
        stand_in
    }
}

impl Names {
    /// The stand-in of a user.
    pub(super) fn user(&mut self, name: &str) -> String {
        if COMMON_USERS.contains(&name) {
            return name.to_owned();
        }
        self.users.of(name, |number| format!("user-{number}"))
    }

    /// The stand-in of a host's name or address.
    pub(super) fn host(&mut self, name: &str) -> String {
        if COMMON_HOSTS.contains(&name) {
            return name.to_owned();
        }
        match address(name, self) {
            Some(address) => address,
            None => self.hosts.of(name, |number| format!("host-{number}")),
        }
    }

    /// The stand-in of an id.
    pub(super) fn id(&mut self, id: &str) -> String {
        if id.is_empty() {
            return String::new();
        }
        self.ids.of(id, |number| format!("id-{number}"))
    }

    /// Replaces whatever is the user's own in a value; `member` is its name in what it lies in.
    pub(super) fn replace(&mut self, value: &mut Value, member: &str) {
        match value {
            Value::String(text) => {
                *text = match kind_of(member) {
                    Kind::User => self.user(text),
                    Kind::Host => self.host(text),
                    Kind::Id => self.id(text),
                    Kind::Word => return,
                    Kind::Text => self.text(text),
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.replace(item, member);
                }
            }
            Value::Object(members) => {
                let mut renamed = Vec::new();
                for (name, value) in members.iter_mut() {
                    self.replace(value, name);
                    // Choices of addresses have them as names of members.
                    let shown = self.text(name);
                    if shown != *name {
                        renamed.push((name.clone(), shown));
                    }
                }
                for (name, shown) in renamed {
                    if let Some(value) = members.shift_remove(&name) {
                        members.insert(shown, value);
                    }
                }
            }
            _ => {}
        }
    }

    /// A text without addresses, and without the names known so far.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let token = rest.find(|c| !is_of_token(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(token);
            match address(word, self) {
                Some(address) => shown.push_str(&address),
                None => shown.push_str(word),
            }
            let next = after.find(is_of_token).unwrap_or(after.len());
            let (between, after) = after.split_at(next);
            shown.push_str(between);
            rest = after;
        }
        let names = self.hosts.0.iter().chain(self.users.0.iter());
        for (name, stand_in) in names {
            if shown.contains(name.as_str()) {
                shown = replace_word(&shown, name, stand_in);
            }
        }
        shown
    }
}

/// Whether a character can be a part of an address, or joins one to a longer word.
fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_')
}

/// The stand-in of an IP address, one with a port, or a MAC address.
fn address(word: &str, names: &mut Names) -> Option<String> {
    if word.len() < 2 || !word.contains(['.', ':']) {
        return None;
    }
    // The end of a sentence.
    let (word, dot) = match word.strip_suffix(['.', ':']) {
        Some(shorter) if !word.ends_with("::") => {
            (shorter, word.get(shorter.len()..).unwrap_or(""))
        }
        _ => (word, ""),
    };
    if let Ok(address) = word.parse::<IpAddr>() {
        return Some(names.ip(address) + dot);
    }
    if let Some((address, port)) = word.rsplit_once(':')
        && let (Ok(address), Ok(port)) = (address.parse::<Ipv4Addr>(), port.parse::<u16>())
    {
        return Some(format!("{}:{port}{dot}", names.ip(address.into())));
    }
    is_mac(word).then(|| {
        let mac = word.to_ascii_lowercase();
        let make =
            |number: usize| format!("02:00:00:00:{:02x}:{:02x}", number >> 8 & 255, number & 255);
        names.macs.of(&mac, make) + dot
    })
}

impl Names {
    /// Addresses that are the same everywhere stay.
    fn ip(&mut self, address: IpAddr) -> String {
        let common = match address {
            IpAddr::V4(v4) => {
                // Also masks, such as 255.255.255.0.
                v4.is_unspecified() || v4.is_loopback() || v4.octets().starts_with(&[255])
            }
            IpAddr::V6(v6) => v6.is_unspecified() || v6.is_loopback(),
        };
        let text = address.to_string();
        if common {
            return text;
        }
        match address {
            // 198.18.0.0/15 and 2001:db8::/32 belong to nobody.
            IpAddr::V4(_) => self.v4.of(&text, |number| {
                Ipv4Addr::from(0xC612_0000_u32 + u32::try_from(number).unwrap_or(0)).to_string()
            }),
            IpAddr::V6(_) => self.v6.of(&text, |number| {
                let last = u16::try_from(number).unwrap_or(u16::MAX);
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).to_string()
            }),
        }
    }
}

fn is_mac(word: &str) -> bool {
    let groups: Vec<&str> = word.split(':').collect();
    groups.len() == 6
        && groups
            .iter()
            .all(|group| group.len() == 2 && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Replaces a name where it stands alone, and not as a part of a longer one.
fn replace_word(text: &str, name: &str, stand_in: &str) -> String {
    let joins = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, found) = rest.split_at(at);
        let (found, after) = found.split_at(name.len());
        let whole = !before.chars().next_back().is_some_and(joins)
            && !after.chars().next().is_some_and(joins);
        shown.push_str(before);
        shown.push_str(if whole { stand_in } else { found });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(value: Value) -> Value {
        let mut value = value;
        let mut names = Names::default();
        names.host("nas.example.org");
        names.user("alice");
        names.replace(&mut value, "params");
        value
    }

    #[test]
    fn the_same_name_has_the_same_stand_in_everywhere() {
        let before = json!([{"hostname": "filer", "username": "bob"},
            {"note": "bob@filer, not bobby or my-filer", "hostname": "filer"}]);
        assert_eq!(
            shown(before),
            json!([{"hostname": "host-2", "username": "user-2"},
                {"note": "user-2@host-2, not bobby or my-filer", "hostname": "host-2"}])
        );
    }

    #[test]
    fn addresses_are_replaced_in_any_text_and_as_names_of_members() {
        for (before, after) in [
            ("10.1.2.3", "198.18.0.1"),
            ("10.1.2.3/24 and 10.1.2.4.", "198.18.0.1/24 and 198.18.0.2."),
            (
                "tcp to 10.1.2.3:6443 failed: x",
                "tcp to 198.18.0.1:6443 failed: x",
            ),
            ("[fe80::1]:80", "[2001:db8::1]:80"),
            ("00:A0:98:12:34:56", "02:00:00:00:00:01"),
            ("wss://nas.example.org:444/api", "wss://host-1:444/api"),
            ("/home/alice/x", "/home/user-1/x"),
        ] {
            assert_eq!(shown(json!([before])), json!([after]));
        }
        assert_eq!(
            shown(json!({"10.1.2.3": "10.1.2.3", "0.0.0.0": "0.0.0.0"})),
            json!({"0.0.0.0": "0.0.0.0", "198.18.0.1": "198.18.0.1"})
        );
    }

    #[test]
    fn what_tells_nothing_stays() {
        let value = json!({"a": "0.0.0.0", "b": "127.0.0.1:80", "c": "::1", "d": "255.255.255.0",
            "e": "TrueNAS-25.10.2.1", "version": "25.10.2.1", "f": "tank/vms/web-disk0", "g": "12:30:00",
            "username": "root", "hostname": "truenas", "h": "0000:02:00.0", "i": 7, "j": null,
            "k": "1.5", "l": ".", "m": ":"});
        assert_eq!(shown(value.clone()), value);
    }

    #[test]
    fn ids_of_machines_and_people_are_replaced() {
        let value = json!({"host_id": "5f3c", "system_serial": "X-1", "pw_gecos": "Alice A.", "license": null});
        assert_eq!(
            shown(value),
            json!({"host_id": "id-1", "system_serial": "id-2", "pw_gecos": "id-3", "license": null})
        );
    }

    #[test]
    fn there_is_no_end_of_addresses_and_of_memory() {
        let mut names = Names::default();
        for number in 0..MOST + 10 {
            let mac = format!(
                "00:a0:{:02x}:{:02x}:{:02x}:00",
                number >> 16,
                number >> 8 & 255,
                number & 255
            );
            names.text(&mac);
        }
        assert_eq!(names.macs.0.len(), MOST);
    }
}
