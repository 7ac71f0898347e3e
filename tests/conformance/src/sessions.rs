//! Runs the session that calls every method on every version and checks what it gave.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tnvm_simulator::conform::shape::Shapes;
use tnvm_simulator::conform::{self, Called, Session, VERSIONS};
use tnvm_simulator::{Options, Simulator, Version};

use crate::agree;
use crate::replays::own_folder;
use crate::report::{SchemaReport, SessionReport};
use crate::schemas::Schemas;

/// A session that ran.
pub(crate) struct Ran {
    pub(crate) report: SessionReport,
    transcript: String,
}

/// Runs it on every version, with the schemas of a folder if there is one.
pub(crate) async fn run(schemas: Option<&Path>) -> Result<Vec<Ran>, Box<dyn Error>> {
    let mut all = Vec::new();
    for version in VERSIONS {
        let version: Version = version.parse()?;
        let official = match schemas {
            Some(folder) => Some(Schemas::of(folder, &version)?),
            None => None,
        };
        let world = conform::session_world(version.clone())?;
        let running = Simulator::start(Options::with_world(world)).await?;
        let session = conform::session(&running, &version).await?;
        running.stop().await;
        let shapes = Shapes::of(&version)?;
        let report = check(&version, &session, &shapes, official.as_ref())?;
        all.push(Ran {
            report,
            transcript: session.transcript,
        });
    }
    Ok(all)
}

/// Writes each session down as a transcript; of betas none, since the release is like them.
pub(crate) fn record(sessions: &[Ran]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let folder = own_folder();
    std::fs::create_dir_all(&folder)?;
    let mut written = Vec::new();
    for ran in sessions
        .iter()
        .filter(|ran| !ran.report.version.contains("BETA"))
    {
        let file = folder.join(format!("everything-{}.jsonl", ran.report.version));
        std::fs::write(&file, &ran.transcript)?;
        written.push(file);
    }
    Ok(written)
}

fn check(
    version: &Version,
    session: &Session,
    shapes: &Shapes,
    official: Option<&Schemas>,
) -> Result<SessionReport, Box<dyn Error>> {
    let mut wrong = session.problems.clone();
    for call in &session.calls {
        let found = shapes.check_call(call);
        wrong.extend(found.iter().map(|what| format!("{}: {what}", shown(call))));
    }
    let methods: BTreeSet<&str> = session
        .calls
        .iter()
        .map(|call| call.method.as_str())
        .collect();
    let schemas = official.map(|official| {
        let mut report = SchemaReport {
            api_version: official.api_version.clone(),
            ..SchemaReport::default()
        };
        for call in &session.calls {
            if let Some(found) = official.check(call) {
                report.validated += 1;
                let found = found.iter().map(|what| format!("{}: {what}", shown(call)));
                report.invalid.extend(found);
            }
        }
        for (name, method) in shapes.methods() {
            if let Some(schema) = official.method(name) {
                report.compared += 1;
                let found = agree::method(shapes, method, schema);
                let found = found.iter().map(|what| format!("{name}: {what}"));
                report.disagreeing.extend(found);
            }
        }
        report
    });
    Ok(SessionReport {
        version: version.short().to_owned(),
        calls: session.calls.len(),
        methods: methods.len(),
        wrong,
        schemas,
    })
}

fn shown(call: &Called) -> String {
    let params = Value::from(call.params.clone()).to_string();
    let begin: String = params.chars().take(100).collect();
    format!("{} {begin}", call.method)
}
