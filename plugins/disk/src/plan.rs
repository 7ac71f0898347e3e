//! From the config to zvols and DISK devices.

use tnvm_plugin::{
    About, Attributes, BootOrder, Device, DevicePlugin, KIB, Problem, Problems, Request, Short,
    Volume, json, pointer,
};

use crate::config::{Disk, Disks, TemplateAttributes};

/// The block sizes that `pool.dataset.create` takes: 512 bytes to 128K, powers of two.
const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 512..=128 * KIB;

/// The longest dataset name that `pool.dataset.create` takes, in characters.
const MAX_DATASET: usize = 200;

/// Where the server shows zvols as block devices.
const ZVOLS: &str = "/dev/zvol/";

/// The device type `disk`.
pub struct DiskPlugin;

impl DevicePlugin for DiskPlugin {
    type Config = Disks;

    fn about() -> About {
        About::new("disk", env!("CARGO_PKG_VERSION"))
            .summary("Disks on zvols")
            .kind("DISK")
    }

    fn plan(request: &Request<Disks>, problems: &mut Problems) -> Result<Vec<Device>, Problem> {
        let Some(Disks(disks)) = &request.config else {
            return Ok(Vec::new());
        };
        let template: TemplateAttributes = request.template.read(
            "DISK",
            &TemplateAttributes::KNOWN,
            &TemplateAttributes::IGNORED,
            problems,
        );
        if template.path.is_some() {
            problems.push(
                Problem::template(
                    "/attributes/path",
                    "a path in the template would give all VMs the same zvol",
                )
                .help("Write `path` under the disk of the one VM that uses it."),
            );
        }
        let mut devices = Vec::new();
        for (index, (name, disk)) in (0..).zip(disks) {
            let planned = plan_disk(request, &template, index, name, disk, problems);
            devices.extend(problems.note(planned));
        }
        Ok(devices)
    }

    fn normalize(attributes: Attributes) -> Result<Attributes, String> {
        Ok(attributes
            .without(&TemplateAttributes::IGNORED)
            // What 24.10 may leave out, with that version's defaults.
            .or_set("type", "AHCI")
            .or_set("iotype", "THREADS"))
    }
}

fn plan_disk(
    request: &Request<Disks>,
    template: &TemplateAttributes,
    index: u32,
    name: &str,
    disk: &Short<Disk>,
    problems: &mut Problems,
) -> Result<Device, Problem> {
    if name.is_empty() {
        return Err(Problem::config(pointer(&[name]), "a disk needs a name"));
    }
    let (dataset, volume) = match &disk.path {
        Some(path) => (existing(path, name, disk)?, None),
        None => {
            let volume = new_volume(request, index, name, disk)?;
            (volume.dataset.clone(), Some(volume))
        }
    };
    let attributes = Attributes::new("DISK")
        .over(json!({"type": "VIRTIO", "iotype": "THREADS"}))
        .over(template)
        .over(json!({
            "type": disk.bus,
            "iotype": disk.iotype,
            "logical_sectorsize": disk.logical_sectorsize,
            "physical_sectorsize": disk.physical_sectorsize,
        }))
        // As the server writes paths of datasets with spaces.
        .set("path", format!("{ZVOLS}{}", dataset.replace(' ', "+")));
    if let Err(message) = check_sectors(&attributes) {
        problems.push(Problem::config(
            disk.pointer(&[name], "physical_sectorsize"),
            message,
        ));
    }
    let place = match disk.path {
        Some(_) => disk.pointer(&[name], "path"),
        None => pointer(&[name]),
    };
    let order = match request.template.order {
        Some(first) => BootOrder::Fixed(first.saturating_add(index)),
        None => BootOrder::Disk,
    };
    let device = Device::new(name, attributes)
        .boot_order(order)
        .claim("dataset", dataset, place);
    Ok(match volume {
        Some(volume) => device.volume(volume),
        None => device,
    })
}

/// The zvol that is to be made. Sparse by default: a VM's disk is sized for what may come, and a
/// thick one takes all of that from the pool, and from its snapshots, on the first day.
fn new_volume(
    request: &Request<Disks>,
    index: u32,
    name: &str,
    disk: &Short<Disk>,
) -> Result<Volume, Problem> {
    let size = disk.size.ok_or_else(|| {
        Problem::config(pointer(&[name]), format!("the disk `{name}` has no size"))
            .help("Write `size: 15GiB`, or `path` for a zvol that exists.")
    })?;
    let block_size = disk.block_size.map(|size| size.bytes());
    if let Some(bytes) = block_size
        && !(BLOCK_SIZES.contains(&bytes) && bytes.is_power_of_two())
    {
        let place = disk.pointer(&[name], "block_size");
        return Err(Problem::config(place, "no block size that ZFS has")
            .help("Use a power of two from 512 to 128K; 16K suits most disks."));
    }
    // Which block size the pool recommends is not known here: a multiple of the largest is a
    // multiple of any. Whole GiB always are.
    let unit = block_size.unwrap_or(*BLOCK_SIZES.end());
    if !size.bytes().is_multiple_of(unit) {
        let place = disk.pointer(&[name], "size");
        let problem = Problem::config(
            place,
            format!("{size} is not a multiple of the block size, {unit} bytes"),
        );
        return Err(match size.bytes().checked_next_multiple_of(unit) {
            Some(next) => problem.help(format!(
                "The next size that fits is {}KiB.",
                next.div_ceil(KIB)
            )),
            None => problem,
        });
    }
    let dataset = format!("{}/{}-disk{index}", pool_path(request)?, request.vm.name);
    if dataset.chars().count() > MAX_DATASET {
        let message =
            format!("the name of its zvol, `{dataset}`, has more than {MAX_DATASET} characters");
        return Err(Problem::config(pointer(&[name]), message)
            .help("Shorten `storage.pool_path` or the name of the VM type."));
    }
    Ok(Volume {
        dataset,
        size: size.bytes(),
        sparse: disk.sparse.unwrap_or(true),
        block_size: block_size.map(in_servers_spelling),
    })
}

fn pool_path(request: &Request<Disks>) -> Result<&str, Problem> {
    let path = request.storage.pool_path.as_deref().unwrap_or_default();
    if path.is_empty() {
        return Err(Problem::config(
            "",
            "where to make the zvols is not said: `storage.pool_path` is missing",
        )
        .help("Add `storage: {pool_path: POOL/DATASET}` to the config."));
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.starts_with('/') || path.split('/').any(str::is_empty) {
        return Err(Problem::config(
            "",
            format!("`storage.pool_path` is `{path}`, which is not the name of a dataset"),
        )
        .help("Write it as ZFS does, without `/mnt/`: `tank/kubernetes`."));
    }
    Ok(path)
}

/// The dataset of an existing zvol.
fn existing(path: &str, name: &str, disk: &Short<Disk>) -> Result<String, Problem> {
    for (field, given) in [
        ("size", disk.size.is_some()),
        ("sparse", disk.sparse.is_some()),
        ("block_size", disk.block_size.is_some()),
    ] {
        if given {
            let message = format!("`{field}` is for a new zvol, but `path` names one that exists");
            return Err(Problem::config(disk.pointer(&[name], field), message)
                .help(format!("Remove `{field}` or `path`.")));
        }
    }
    let dataset = path.strip_prefix(ZVOLS).unwrap_or(path);
    let named = dataset.contains('/') && !dataset.split('/').any(str::is_empty);
    if !named {
        let message = format!("`{path}` does not name a zvol");
        return Err(Problem::config(disk.pointer(&[name], "path"), message)
            .help("Write `POOL/DATASET` or `/dev/zvol/POOL/DATASET`."));
    }
    Ok(dataset.replace('+', " "))
}

/// The rules of `vm.device.create`; that logical is at most physical is one of 26 and newer, and
/// makes sense before.
fn check_sectors(attributes: &Attributes) -> Result<(), &'static str> {
    let get = |key| attributes.get(key).and_then(tnvm_plugin::Value::as_u64);
    let (logical, physical) = (get("logical_sectorsize"), get("physical_sectorsize"));
    let known = |size: Option<u64>| size.is_none_or(|size| size == 512 || size == 4096);
    if !known(logical) || !known(physical) {
        return Err("a sector size is 512 or 4096");
    }
    match (logical, physical) {
        (None, Some(_)) => Err("`physical_sectorsize` needs `logical_sectorsize`"),
        (Some(logical), Some(physical)) if logical > physical => {
            Err("`logical_sectorsize` is more than `physical_sectorsize`")
        }
        _ => Ok(()),
    }
}

/// `16K` for 16384, `512` for 512.
fn in_servers_spelling(bytes: u64) -> String {
    if bytes.is_multiple_of(KIB) {
        format!("{}K", bytes / KIB)
    } else {
        bytes.to_string()
    }
}
