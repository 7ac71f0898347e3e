//! `tnvm login`: tests the way to the servers, the credentials and the roles; changes nothing.

use serde::Serialize;

use super::args::Global;
use super::exit::{Exit, Failure};
use super::fleet::{Absent, Fleet, Member, Target};
use super::output::{Meaning, Output, TableCell, cell, meant};
use super::prepare::{Part, Reach, prepare};
use super::scope::{Known, known};
use super::session::{Opening, Session};
use crate::truenas::{Account, CallError, Involved, Method, Purpose, Roles, Trusted, needed_roles};

/// What `-o json` gives. Members are added, never renamed.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    servers: &'a [Row],
    unreachable: Vec<Unreachable>,
    /// Whether every command can be run everywhere.
    success: bool,
}

/// One server.
#[derive(Debug, Serialize)]
struct Row {
    /// Its name in the config, where that names hosts.
    host: Option<String>,
    endpoint: String,
    /// The address that answers: the server's, or the proxy's.
    address: Option<String>,
    proxy: Option<String>,
    hostname: String,
    host_id: Option<String>,
    version: String,
    certificate: Option<CertificateRow>,
    username: String,
    mechanism: String,
    second_factor: bool,
    /// None where the server does not tell.
    roles: Option<Vec<String>>,
    commands: Vec<CommandRow>,
}

#[derive(Debug, Serialize)]
struct CertificateRow {
    sha256: String,
    trusted: String,
    verified: bool,
}

/// What a command needs.
#[derive(Debug, Serialize)]
struct CommandRow {
    command: &'static str,
    needs: Vec<&'static str>,
    /// None where the roles are not known.
    missing: Option<Vec<MissingRow>>,
}

#[derive(Debug, Serialize)]
struct MissingRow {
    role: &'static str,
    methods: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Unreachable {
    host: Option<String>,
    message: String,
    help: Option<String>,
}

/// Runs the command.
pub(super) async fn login(global: &Global, output: &Output) -> Result<Exit, Failure> {
    let Known {
        environment,
        servers,
        config,
    } = known(global, output)?;
    let parts = match config {
        Some(_) => prepare(global, Reach::Offline, output)?.parts,
        None => Vec::new(),
    };
    let targets = servers.chosen.into_iter().map(|host| {
        let part = parts.iter().find(|part| part.host.name == host.name);
        let part = part.map_or(Involved::EVERYTHING, involved);
        let vms = Vec::new();
        Target { host, vms, part }
    });
    let opening = Opening {
        global,
        environment: &environment,
        vms_at_once: None,
        purpose: Purpose::Look,
        output,
    };
    let ask = async |session: &Session, part| Ok((session.client.account().await, part));
    let fleet = Fleet::open(&opening, targets.collect(), Vec::new(), ask).await?;
    let rows: Vec<Row> = fleet.members.iter().map(row).collect();
    if output.is_json() {
        output.json(&Printed {
            success: fleet.absent.is_empty() && !rows.iter().any(Row::lacks_something),
            unreachable: fleet.absent.iter().map(unreachable).collect(),
            servers: &rows,
        });
    } else {
        for row in &rows {
            print(row, output);
        }
    }
    for member in &fleet.members {
        if let (Err(error), _) = &member.goal {
            let prefix = member.session.prefix();
            output.note(&format!("{prefix}the roles are not known: {error}"));
        }
    }
    for absent in &fleet.absent {
        absent.tell(output);
    }
    let reached_all = fleet.absent.is_empty();
    fleet.close().await;
    Ok(if !reached_all {
        Exit::Connection
    } else if rows.iter().any(Row::lacks_something) {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// What the VMs of a config make the commands do.
fn involved(part: &Part) -> Involved {
    let devices = || part.desired.vms.iter().flat_map(|vm| &vm.devices);
    Involved {
        volumes: devices().any(|device| device.volume.is_some()),
        files: devices().any(|device| {
            let kind = device.attributes.get("dtype");
            kind.is_some_and(|kind| kind == "CDROM")
        }),
    }
}

fn row(member: &Member<(Result<Account, CallError>, Involved)>) -> Row {
    let client = &member.session.client;
    let (account, involved) = &member.goal;
    let account = account.as_ref().ok();
    let (server, transport, login) = (client.server(), client.transport(), client.login());
    let commands = Purpose::ALL.map(|purpose| {
        let roles = account.map(|account| &account.roles);
        command(purpose, *involved, roles)
    });
    Row {
        host: member.place.name.clone(),
        endpoint: client.endpoint().to_string(),
        address: transport.address.map(|address| address.to_string()),
        proxy: transport.proxy.clone(),
        hostname: server.hostname.clone(),
        host_id: server.host_id.clone(),
        version: server.version.to_string(),
        certificate: transport.certificate.as_ref().map(|one| CertificateRow {
            sha256: one.fingerprint.to_string(),
            trusted: one.trusted.to_string(),
            verified: one.trusted != Trusted::Unverified,
        }),
        username: account.map_or_else(|| client.username().to_owned(), |one| one.name.clone()),
        mechanism: login.mechanism.to_string(),
        second_factor: login.second_factor,
        roles: account.map(|one| one.roles.names().map(str::to_owned).collect()),
        commands: commands.into(),
    }
}

fn command(purpose: Purpose, involved: Involved, held: Option<&Roles>) -> CommandRow {
    let needed = needed_roles(purpose, involved);
    let missing = held.map(|held| {
        let lacking = needed.iter().filter(|(role, _)| !held.cover(role));
        let missing = lacking.map(|(role, methods)| MissingRow {
            role,
            methods: methods.iter().copied().map(Method::name).collect(),
        });
        missing.collect()
    });
    CommandRow {
        command: match purpose {
            Purpose::Look => "plan",
            other => other.name(),
        },
        needs: needed.into_keys().collect(),
        missing,
    }
}

fn unreachable(absent: &Absent) -> Unreachable {
    Unreachable {
        host: absent.place.name.clone(),
        message: absent.message.clone(),
        help: absent.help.clone(),
    }
}

impl Row {
    fn lacks_something(&self) -> bool {
        let missing = self.commands.iter().filter_map(|one| one.missing.as_ref());
        missing.into_iter().any(|missing| !missing.is_empty())
    }

    /// `nas (192.0.2.5:443)`, or through what.
    fn way(&self) -> String {
        let address = self.address.as_deref().unwrap_or("address unknown");
        match &self.proxy {
            None => format!("{} ({address})", self.endpoint),
            Some(proxy) => format!("{} through the proxy {proxy} ({address})", self.endpoint),
        }
    }

    /// The roles that count here; an administrator has them all.
    fn held(&self) -> String {
        let Some(roles) = &self.roles else {
            return "not known".to_owned();
        };
        if roles.iter().any(|one| one == "FULL_ADMIN") {
            return "FULL_ADMIN, which includes all others".to_owned();
        }
        let asked = |role: &&String| {
            let needs = self.commands.iter().flat_map(|one| &one.needs);
            *role == "READONLY_ADMIN" || needs.into_iter().any(|need| need == role)
        };
        let held: Vec<&str> = roles.iter().filter(asked).map(String::as_str).collect();
        match held.as_slice() {
            [] => format!("none of those that tnvm asks for, {} others", roles.len()),
            some => some.join(", "),
        }
    }
}

fn print(row: &Row, output: &Output) {
    if let Some(host) = &row.host {
        output.line(host);
    }
    let factor = if row.second_factor {
        " and one-time code"
    } else {
        ""
    };
    let mut lines = vec![
        (
            "server",
            cell(format!("{}, TrueNAS {}", row.hostname, row.version)),
        ),
        ("address", cell(row.way())),
    ];
    match &row.certificate {
        Some(one) => {
            let meaning = if one.verified {
                Meaning::Good
            } else {
                Meaning::Bad
            };
            lines.push(("certificate", cell(format!("SHA-256 {}", one.sha256))));
            lines.push(("", meant(&one.trusted, meaning)));
        }
        None => lines.push((
            "certificate",
            meant("none: this is not encrypted", Meaning::Attention),
        )),
    }
    lines.push((
        "login",
        cell(format!("{} by {}{factor}", row.username, row.mechanism)),
    ));
    lines.push(("roles", cell(row.held())));
    let lines: Vec<Vec<TableCell>> = lines
        .into_iter()
        .map(|(name, value)| vec![cell(name), value])
        .collect();
    output.table(&[], &lines);
    output.line("");
    let rows: Vec<Vec<TableCell>> = row.commands.iter().flat_map(command_cells).collect();
    output.table(&["COMMAND", "ROLES", "FOR"], &rows);
    if row.certificate.as_ref().is_some_and(|one| !one.verified) {
        let sha256 = row.certificate.as_ref().map(|one| one.sha256.as_str());
        output.note(&format!(
            "to pin this certificate, compare it with the server's, then use --fingerprint {} in place of --insecure",
            sha256.unwrap_or_default()
        ));
    }
}

fn command_cells(row: &CommandRow) -> Vec<Vec<TableCell>> {
    let Some(missing) = &row.missing else {
        return vec![vec![
            cell(row.command),
            meant("not known", Meaning::Attention),
            cell(""),
        ]];
    };
    if missing.is_empty() {
        return vec![vec![
            cell(row.command),
            meant("all there", Meaning::Good),
            cell(""),
        ]];
    }
    let lines = missing.iter().enumerate().map(|(number, one)| {
        let command = if number == 0 { row.command } else { "" };
        let role = meant(format!("missing {}", one.role), Meaning::Bad);
        vec![cell(command), role, cell(one.methods.join(", "))]
    });
    lines.collect()
}
