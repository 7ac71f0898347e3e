//! From the config, the `storage` section or the template to CDROM devices.

use serde::Deserialize;
use tnvm_plugin::{About, Attributes, BootOrder, Device, DevicePlugin, Problem, Problems, Request};

use crate::config::{Cdroms, Drive};

/// The device type `cdrom`.
pub struct CdromPlugin;

/// What a CD-ROM template may set.
#[derive(Debug, Default, Deserialize)]
struct TemplateAttributes {
    path: Option<String>,
}

impl DevicePlugin for CdromPlugin {
    type Config = Cdroms;

    fn about() -> About {
        About::new("cdrom", env!("CARGO_PKG_VERSION"))
            .summary("CD-ROM drives with image files of the server")
            .applies_by_default()
            .kind("CDROM")
    }

    fn plan(request: &Request<Cdroms>, problems: &mut Problems) -> Result<Vec<Device>, Problem> {
        let template: TemplateAttributes = request.template.read("CDROM", &["path"], &[], problems);
        let default;
        let drives = match &request.config {
            Some(Cdroms(drives)) => &drives.0,
            None => {
                default = default_drive(request, &template);
                &default
            }
        };
        let mut devices = Vec::new();
        for (index, drive) in (0..).zip(drives) {
            problems.note(check_path(drive));
            let earlier = drives
                .iter()
                .take_while(|other| !std::ptr::eq(*other, drive));
            if earlier.clone().any(|other| other.path == drive.path) {
                problems.push(twice(drive, "shows the same image as an earlier drive"));
            }
            if earlier.clone().any(|other| other.name == drive.name) {
                problems.push(twice(drive, "has the name of an earlier drive"));
            }
            warn_of_root_dataset(request, drive, problems);
            let order = match request.template.order {
                Some(first) => BootOrder::Fixed(first.saturating_add(index)),
                None => BootOrder::Cdrom,
            };
            let attributes = Attributes::new("CDROM").set("path", drive.path.as_str());
            devices.push(Device::new(&drive.name, attributes).boot_order(order));
        }
        Ok(devices)
    }
}

/// Without a word in the VM type: `storage.cdrom_path`, else the template's path, else no drive.
fn default_drive(request: &Request<Cdroms>, template: &TemplateAttributes) -> Vec<Drive> {
    let stored = request.storage.cdrom_path.as_ref();
    let path = stored.or(template.path.as_ref());
    path.into_iter()
        .map(|path| Drive::unnamed(0, path, String::new()))
        .collect()
}

/// The pattern of 24.10 and 25.04.2 is `^/mnt/[^{}]*$`. Newer servers drop the prefix from the
/// pattern, but look for the pool in the path, which comes to the same.
fn check_path(drive: &Drive) -> Result<(), Problem> {
    let path = &drive.path;
    let refuse = |reason: &str, help: &str| {
        Err(Problem::config(
            drive.place.as_str(),
            format!("the CD-ROM's path `{path}` {reason}"),
        )
        .help(help))
    };
    if path.contains(['{', '}']) {
        return refuse("has a brace, which the server refuses", "Rename the file.");
    }
    let Some(below) = path.strip_prefix("/mnt/") else {
        return refuse(
            "is not below /mnt/",
            "Give the absolute path on the server: /mnt/POOL/DATASET/name.iso.",
        );
    };
    let mut steps = below.split('/');
    if steps.clone().count() < 2 || steps.any(|step| matches!(step, "" | "." | "..")) {
        return refuse(
            "names no file in a pool",
            "Give the plain path on the server: /mnt/POOL/DATASET/name.iso.",
        );
    }
    Ok(())
}

/// From 25.10.1 the server wants an image in a dataset below the pool's own. Only a warning: what
/// is a dataset and what a folder is not known here, and the host sees the server's answer.
fn warn_of_root_dataset(request: &Request<Cdroms>, drive: &Drive, problems: &mut Problems) {
    let refuses = (
        request.target.major,
        request.target.minor,
        request.target.patch,
    ) >= (25, 10, 1);
    // "", "mnt", the pool, the file.
    if refuses && drive.path.split('/').count() == 4 {
        let message = format!(
            "`{}` lies in the pool's root dataset, which TrueNAS {} refuses",
            drive.path, request.target
        );
        problems.push(
            Problem::config(drive.place.as_str(), message)
                .help("Move the image to a dataset of its own, such as /mnt/POOL/iso/.")
                .warning(),
        );
    }
}

fn twice(drive: &Drive, what: &str) -> Problem {
    let message = format!("the CD-ROM drive `{}` {what}", drive.name);
    Problem::config(drive.place.as_str(), message).help("Remove one of the two.")
}
