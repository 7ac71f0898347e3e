//! One VM made on a server with thousands of VMs and zvols of others: what looking costs.

use std::fmt::Write;

use anyhow::Context;
use serde::Serialize;

use super::Programs;
use super::provision::{How, create};

/// One size.
#[derive(Serialize)]
pub(super) struct Row {
    foreign_vms: u32,
    /// Whole process, from start to end; most of it is the simulated server.
    wall_ms: f64,
    calls: u64,
    mib_received: f64,
    peak_mib: f64,
}

pub(super) fn run(programs: &Programs) -> anyhow::Result<Vec<Row>> {
    create(programs, 1, &How::at(0))?; // Fills the cache of compiled plugins.
    [0, 300, 3000]
        .into_iter()
        .map(|foreign_vms| {
            let file = programs.folder.join(format!("world-{foreign_vms}.yaml"));
            std::fs::write(&file, world(foreign_vms)?).context("cannot write a world")?;
            let how = How {
                world: Some(&file),
                ..How::at(0)
            };
            let created = create(programs, 1, &how)?;
            #[expect(clippy::cast_precision_loss, reason = "bytes of an answer fit")]
            let mib_received = created.bytes_received as f64 / f64::from(1 << 20);
            Ok(Row {
                foreign_vms,
                wall_ms: created.wall_ms,
                calls: created.calls,
                mib_received,
                peak_mib: created.peak_mib,
            })
        })
        .collect()
}

/// A world file with so many VMs, each with a zvol, a disk and a NIC.
fn world(vms: u32) -> anyhow::Result<String> {
    let (mut zvols, mut rows) = (String::from("zvols:\n"), String::from("vms:\n"));
    for nth in 0..vms {
        let zvol = format!("tank/kubernetes/foreign{nth:04}");
        writeln!(zvols, "- {{name: {zvol}, size_gib: 1, sparse: true}}")?;
        writeln!(
            rows,
            "- {{name: foreign{nth:04}, memory: 256, devices: [{{dtype: DISK, path: /dev/zvol/{zvol}}}, \
             {{dtype: NIC, type: VIRTIO, nic_attach: br0, mac: \"00:a0:98:01:{:02x}:{:02x}\"}}]}}",
            nth / 256,
            nth % 256
        )?;
    }
    Ok(if vms == 0 {
        "{}\n".to_owned()
    } else {
        zvols + &rows
    })
}
