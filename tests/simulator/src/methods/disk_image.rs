//! Disk images: in and out of zvols. An image has no content here; its file's size counts as the size of
//! the disk in it. Parameters by schema (24.10, 25.04.2, 25.10.5), errors by code reading with texts of
//! ours.

use serde_json::{Value, json};

use super::method::{Context, Method, Progress, Step};
use crate::errors::{EBUSY, EEXIST, ENOENT, ENOSPC, Failure};
use crate::json::{Object, object, text};
use crate::rules::{is_running_from, zvol_of};
use crate::schema::{Field, Model, NONEMPTY, TEXT, Type};
use crate::version::Line;
use crate::world::{Kind, World};

/// Suffixes that make a path one of an image.
const FORMATS: [&str; 6] = ["qcow2", "qed", "raw", "vdi", "vhdx", "vmdk"];

macro_rules! model {
    ($name:literal, $($field:literal),+) => {
        Model::closed($name, &[$(Field::required($field, NONEMPTY)),+])
    };
}

static IMPORT: Model = model!("VMImportDiskImage", "diskimg", "zvol");
static EXPORT: Model = model!("VMExportDiskImage", "format", "directory", "zvol");
static CONVERT: Model = model!("VMDeviceConvert", "source", "destination");
static VIRTUAL_SIZE: Model = Model::closed("VMDeviceVirtualSize", &[Field::required("path", TEXT)]);
static IMPORT_PARAMS: &[Field] = &[Field::required(
    "vm_import_disk_image",
    Type::Object(&IMPORT),
)];
static EXPORT_PARAMS: &[Field] = &[Field::required(
    "vm_export_disk_image",
    Type::Object(&EXPORT),
)];
static OLD_IMPORT_PARAMS: &[Field] = &[Field::required("vm_info", Type::Object(&IMPORT))];
static OLD_EXPORT_PARAMS: &[Field] = &[Field::required("vm_info", Type::Object(&EXPORT))];
static CONVERT_PARAMS: &[Field] = &[Field::required("vm_convert", Type::Object(&CONVERT))];
static VIRTUAL_SIZE_PARAMS: &[Field] = &[Field::required(
    "vm_virtual_size",
    Type::Object(&VIRTUAL_SIZE),
)];

pub(super) const METHODS: &[Method] = &[
    Method::steps(
        "vm.import_disk_image",
        &["VM_WRITE"],
        IMPORT_PARAMS,
        |context, params, _| Step::Done(import(&mut context.state.world, &object(params, 0))),
    )
    .job(|_| None)
    .old(OLD_IMPORT_PARAMS)
    .until(Line::V25_10),
    Method::steps(
        "vm.export_disk_image",
        &["VM_WRITE"],
        EXPORT_PARAMS,
        |context, params, _| Step::Done(export(&mut context.state.world, &object(params, 0))),
    )
    .job(|_| None)
    .old(OLD_EXPORT_PARAMS)
    .until(Line::V25_10),
    // One conversion is queued at a time (code reading).
    Method::steps(
        "vm.device.convert",
        &["VM_DEVICE_WRITE"],
        CONVERT_PARAMS,
        convert,
    )
    .job(|_| Some("vm_convert".to_owned()))
    .since(Line::V25_10),
    Method::read(
        "vm.device.virtual_size",
        &["VM_DEVICE_READ"],
        VIRTUAL_SIZE_PARAMS,
        virtual_size,
    )
    .since(Line::V25_10),
];

/// The zvol must be there; whether it is big enough nobody asks.
fn import(world: &mut World, data: &Object) -> Result<Value, Failure> {
    image(world, text(data, "diskimg"))?;
    volume(world, text(data, "zvol"))?;
    Ok(json!(true))
}

fn export(world: &mut World, data: &Object) -> Result<Value, Failure> {
    let zvol = text(data, "zvol");
    let size = volume(world, zvol)?;
    let directory = text(data, "directory").trim_end_matches('/');
    if !world.is_directory(directory) {
        return Err(Failure::call(
            ENOENT,
            format!("Directory {directory} does not exist"),
        ));
    }
    let name = zvol.replace('/', "_");
    let path = format!("{directory}/vmdisk-{name}.{}", text(data, "format"));
    world.files.insert(path, size);
    Ok(json!(true))
}

fn convert(context: &mut Context<'_>, params: &[Value], _: &mut Progress) -> Step {
    let data = object(params, 0);
    let (source, destination) = (text(&data, "source"), text(&data, "destination"));
    let world = &mut context.state.world;
    let outcome = match (is_image(source), is_image(destination)) {
        (true, false) => from_image(world, source, destination),
        (false, true) => to_image(world, source, destination),
        _ => Err(Failure::invalid(
            "vm_convert.source",
            "Exactly one of source and destination must be a disk image",
        )),
    };
    Step::Done(outcome.map(|()| json!(true)))
}

fn from_image(world: &mut World, path: &str, zvol: &str) -> Result<(), Failure> {
    let size = image(world, path)?;
    let name = name_of(zvol);
    if volume(world, &name)? < size {
        return Err(Failure::call(
            ENOSPC,
            format!("{zvol} is smaller than the disk in {path}"),
        ));
    }
    if is_running_from(world, &name) {
        return Err(Failure::call(EBUSY, format!("{zvol} is in use by a VM")));
    }
    Ok(())
}

fn to_image(world: &mut World, zvol: &str, path: &str) -> Result<(), Failure> {
    let name = name_of(zvol);
    let size = volume(world, &name)?;
    if world.files.contains_key(path) {
        return Err(Failure::call(EEXIST, format!("{path} already exists")));
    }
    if is_running_from(world, &name) {
        return Err(Failure::call(EBUSY, format!("{zvol} is in use by a VM")));
    }
    world.files.insert(path.to_owned(), size);
    Ok(())
}

fn virtual_size(context: &mut Context<'_>, params: &[Value]) -> Result<Value, Failure> {
    let data = object(params, 0);
    image(&context.state.world, text(&data, "path")).map(|size| json!(size))
}

fn is_image(path: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, suffix)| FORMATS.contains(&suffix))
}

/// A zvol may be named by its device or by its dataset.
fn name_of(zvol: &str) -> String {
    zvol_of(zvol).unwrap_or_else(|| zvol.trim_start_matches("zvol/").to_owned())
}

fn image(world: &World, path: &str) -> Result<u64, Failure> {
    let size = world.files.get(path).copied();
    size.ok_or_else(|| Failure::call(ENOENT, format!("{path} does not exist")))
}

fn volume(world: &World, name: &str) -> Result<u64, Failure> {
    match world.datasets.get(name).map(|dataset| dataset.kind) {
        Some(Kind::Volume { size, .. }) => Ok(size),
        _ => Err(Failure::call(ENOENT, format!("zvol {name} does not exist"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;
    use crate::world::WorldBuilder;

    fn bench(version: &str) -> Bench {
        let world = WorldBuilder::example(version.parse().unwrap())
            .zvol("tank/z", 1, &[])
            .file("/mnt/tank/iso/cloud.qcow2", 2 << 30);
        Bench::in_world(world.build())
    }

    #[test]
    fn an_image_must_fit_its_zvol_where_the_server_looks() {
        let from = "/mnt/tank/iso/cloud.qcow2";
        let data = json!([{"diskimg": from, "zvol": "tank/z"}]);
        assert_eq!(bench("24.10").ok("vm.import_disk_image", data), true);
        let mut bench = bench("25.10");
        assert_eq!(
            bench.ok("vm.device.virtual_size", json!([{"path": from}])),
            2_u64 << 30
        );
        let convert = json!([{"source": from, "destination": "/dev/zvol/tank/z"}]);
        assert_eq!(bench.refused("vm.device.convert", convert.clone()).1, 28);
        bench.ok(
            "pool.dataset.update",
            json!(["tank/z", {"volsize": 2_u64 << 30}]),
        );
        assert_eq!(bench.ok("vm.device.convert", convert), true);
    }

    #[test]
    fn an_export_writes_a_file_named_after_the_zvol() {
        let mut bench = bench("25.04.2");
        let data = json!([{"format": "qcow2", "directory": "/mnt/tank/iso", "zvol": "tank/z"}]);
        bench.ok("vm.export_disk_image", data);
        let files = bench.state.world.view().files;
        assert!(files.contains(&"/mnt/tank/iso/vmdisk-tank_z.qcow2".to_owned()));
    }
}
