//! The cells of the table of effects that are no plain attribute: what is done to a whole, what is
//! refused, what is secret. Each is tried on a VM that is off and on one that runs, on lines of
//! TrueNAS that differ.

use serde_json::{Value, json};
use tnvm::plan::Effect;
use tnvm::plan::effects::{Of, table};
use tnvm_simulator::{DeviceView, Version, WorldBuilder};
use tnvm_suite::{Lab, Ran};

use super::effects::{changes, config, only_vm, said, takes};

const LINES: [&str; 3] = ["25.04.2", "25.10.7", "26"];

/// One state in which a cell is tried.
struct Case {
    version: Version,
    starts: bool,
}

/// A cell: what takes effect when while the VM is off, and while it runs, up to the line that fixes
/// it; and what shows that.
struct Cell(&'static str, &'static str, Effect, Effect, fn(&Case));

use Effect::{Live, NextStart, Recreate, Refused, Restart};

const CELLS: [Cell; 10] = [
    Cell("VM", "name", Refused, Refused, another_name_is_another_vm),
    Cell("VM", "uuid", Refused, Refused, the_machines_id_is_fixed),
    Cell("VM", "bootloader_ovmf", Live, NextStart, firmware),
    Cell("VM", "enable_secure_boot", Live, NextStart, secure_boot),
    Cell("DISPLAY", "password", Live, NextStart, a_password),
    Cell("any", "order", Live, NextStart, the_order),
    Cell("any", "zvol shrinks", Refused, Refused, a_smaller_zvol),
    Cell(
        "any",
        "device is added",
        Live,
        NextStart,
        a_device_that_comes,
    ),
    Cell(
        "any",
        "device is removed",
        Live,
        Restart,
        a_device_that_goes,
    ),
    Cell(
        "any",
        "device is replaced",
        Recreate,
        Recreate,
        a_device_in_the_place_of_another,
    ),
];

#[test]
fn every_cell_that_is_no_plain_attribute_is_as_the_table_says() {
    for line in LINES {
        for starts in [false, true] {
            let version: Version = line.parse().unwrap();
            let case = Case { version, starts };
            for Cell(.., check) in CELLS {
                check(&case);
            }
        }
    }
}

#[test]
fn no_cell_of_the_table_is_without_a_test_and_all_say_the_same() {
    for row in table() {
        let of = match row.of {
            Of::Vm => "VM",
            Of::Device(kind) => kind,
            Of::Whole => "any",
        };
        let here = CELLS
            .iter()
            .find(|one| (one.0, one.1) == (of, row.attribute));
        let here = here.map(|Cell(_, _, off, running, _)| (*off, *running));
        // A plain attribute is stored at once, and of a VM that is off nothing waits.
        let plain = takes(of, row.attribute).map(|running| (Live, running));
        let told = plain.or(here);
        assert_eq!(told, Some((row.off, row.running)), "{of} {}", row.attribute);
    }
}

impl Case {
    /// A server on which this config was created.
    fn created(&self, types: &str) -> Lab {
        self.created_in(types, |world| world)
    }

    fn created_in(&self, types: &str, change: impl FnOnce(WorldBuilder) -> WorldBuilder) -> Lab {
        let lab = Lab::on(self.version.clone(), change);
        let _ = lab.config(types).tnvm(&["create"]).ended(0);
        lab
    }

    fn config(&self, line: &str) -> String {
        config(line, self.starts)
    }

    fn said(&self, of: &str, attribute: &str, restart: bool) -> Effect {
        said(of, attribute, &self.version, self.starts, restart)
    }

    /// Fails unless an apply of `config.yaml` is refused with these words, and nothing is sent.
    #[track_caller]
    fn refused(&self, lab: &Lab, options: &[&str], says: &[&str]) {
        let before = (lab.view(), lab.mutations());
        self.plan(lab, options, 4).says(says);
        let apply = [&["apply", "--yes"], options].concat();
        lab.tnvm(&apply).ended(4).says(&says[1..]);
        assert_eq!((lab.view(), lab.mutations()), before);
    }

    #[track_caller]
    fn plan(&self, lab: &Lab, options: &[&str], code: i32) -> Ran {
        lab.tnvm(&[&["plan"], options].concat()).ended(code)
    }

    /// The devices of the only VM in a plan as JSON.
    #[track_caller]
    fn devices(&self, lab: &Lab, options: &[&str]) -> Vec<Value> {
        let options = [&["-o", "json"], options].concat();
        let plan = self.plan(lab, &options, 0).json();
        plan["plan"]["vms"][0]["devices"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// The devices that the domain has, while there is one.
    fn active(&self, lab: &Lab) -> Option<Vec<DeviceView>> {
        let active = only_vm(lab).active;
        assert_eq!(active.is_some(), self.starts);
        active.map(|one| one.devices)
    }
}

fn effect(value: &Value) -> Effect {
    serde_json::from_value(value.clone()).unwrap_or_else(|_| panic!("no effect: {value}"))
}

fn paths(devices: &[DeviceView], kind: &str) -> Vec<String> {
    let mut devices: Vec<&DeviceView> = devices
        .iter()
        .filter(|one| one.attributes["dtype"] == kind)
        .collect();
    devices.sort_by_key(|one| one.order);
    let paths = devices.iter().map(|one| one.attributes["path"].as_str());
    paths.map(|path| path.unwrap().to_owned()).collect()
}

fn another_name_is_another_vm(case: &Case) {
    assert_eq!(case.said("VM", "name", false), Refused);
    let named = |name: &str| {
        let start = case.starts;
        format!("web: {{names: [{name}], start: {start}, memory: 512MiB, disk: {{a: 1}}}}\n")
    };
    let lab = case.created(&named("one"));
    let id = only_vm(&lab).id;
    let from = lab.journal().calls().len();
    let _ = lab.converge(&named("two"), &[]);
    assert_eq!(lab.view().vm_names(), ["two"]);
    assert_ne!(only_vm(&lab).id, id);
    let renamed = |(method, params): &(String, Vec<Value>)| {
        method == "vm.update" && params[1].get("name").is_some()
    };
    assert!(!changes(&lab, from).iter().any(renamed));
    // Nor is a name given back that somebody changed: that VM is nobody's then.
    lab.change(|world| {
        let id = world.vm_named("two").unwrap();
        let vm = world.vms.get_mut(&id).unwrap();
        vm.config.insert("name".into(), json!("three"));
    });
    case.refused(&lab, &[], &["two", "is in use by the VM `three`"]);
}

fn the_machines_id_is_fixed(case: &Case) {
    assert_eq!(case.said("VM", "uuid", false), Refused);
    let lab = Lab::on(case.version.clone(), |world| world);
    let template = |uuid: &str| {
        let text = include_str!("../../../../templates/vms/vm.json");
        let mut template: Value = serde_json::from_str(text).unwrap();
        template["uuid"] = uuid.into();
        lab.write("templates/vms/vm.json", &template.to_string());
    };
    let templates = ["--templates-dir", "templates"];
    template("6a1e3f62-0000-4000-8000-000000000001");
    let create = [&["create"][..], &templates].concat();
    let _ = lab.config(&case.config("cpu: 1")).tnvm(&create).ended(0);
    template("6a1e3f62-0000-4000-8000-000000000002");
    let says = [
        "(refused)",
        "`uuid` is",
        "cannot be changed once the VM is made",
    ];
    case.refused(&lab, &templates, &says);
}

fn firmware(case: &Case) {
    fixed_or_stored(
        case,
        "bootloader_ovmf",
        ["OVMF_CODE_4M.fd", "OVMF_CODE_4M.secboot.fd"],
    );
}

fn secure_boot(case: &Case) {
    fixed_or_stored(case, "enable_secure_boot", ["false", "true"]);
}

fn fixed_or_stored(case: &Case, field: &str, [from, to]: [&str; 2]) {
    // Secure boot wants this machine type (`vm.update`, all versions).
    let machine = "  arch_type: x86_64\n  machine_type: q35\n";
    let with = |value: &str| format!("{}{machine}", case.config(&format!("{field}: {value}")));
    let lab = case.created(&with(from));
    let expected = case.said("VM", field, false);
    let old = only_vm(&lab).config[field].clone();
    lab.config(&with(to));
    if expected == Refused {
        case.refused(
            &lab,
            &[],
            &["(refused)", "cannot be changed once the VM is made"],
        );
        return;
    }
    let plan = case.plan(&lab, &["-o", "json"], 0).json();
    let changes = plan["plan"]["vms"][0]["changes"]
        .as_array()
        .unwrap()
        .clone();
    let change = changes.iter().find(|one| one["attribute"] == field);
    assert_eq!(effect(&change.unwrap()["effect"]), expected, "{field}");
    let _ = lab.apply(&[]).ended(0);
    let vm = only_vm(&lab);
    assert_ne!(vm.config[field], old);
    if let Some(active) = vm.active {
        assert_eq!(active.config[field], old);
    }
    let _ = lab.plan(&[]).ended(0);
}

fn a_password(case: &Case) {
    let mut lab = case.created(&case.config("cpu: 1"));
    lab.secret("NewLab43").set("VNC_PASSWORD", "NewLab43");
    let devices = case.devices(&lab, &[]);
    let changes = devices
        .iter()
        .flat_map(|one| one["changes"].as_array().unwrap());
    let change = changes
        .into_iter()
        .find(|one| one["attribute"] == "password");
    let expected = case.said("DISPLAY", "password", false);
    assert_eq!(effect(&change.unwrap()["effect"]), expected);
    let ran = lab.apply(&[]).ended(0);
    ran.says(&["password: (secret) → another (secret)"]);
    let password = |devices: &[DeviceView]| {
        let display = devices
            .iter()
            .find(|one| one.attributes["dtype"] == "DISPLAY");
        display.unwrap().attributes["password"].clone()
    };
    assert_eq!(password(&only_vm(&lab).devices), "NewLab43");
    if let Some(active) = case.active(&lab) {
        assert_eq!(password(&active), "VncLab42");
    }
    let _ = lab.plan(&[]).ended(0);
}

fn the_order(case: &Case) {
    let lab = case.created(&case.config("boot: [disk]"));
    let boots = |devices: &[DeviceView]| {
        let mut devices: Vec<&DeviceView> = devices
            .iter()
            .filter(|one| one.attributes.get("path").is_some())
            .collect();
        devices.sort_by_key(|one| one.order);
        let kinds = devices.iter().map(|one| one.attributes["dtype"].clone());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(boots(&only_vm(&lab).devices), ["DISK", "CDROM"]);
    lab.config(&case.config("boot: [cdrom, disk.a]"));
    let devices = case.devices(&lab, &[]);
    let changes = devices
        .iter()
        .flat_map(|one| one["changes"].as_array().unwrap());
    let orders: Vec<&Value> = changes.filter(|one| one["attribute"] == "order").collect();
    assert!(!orders.is_empty());
    let expected = case.said("any", "order", false);
    for order in orders {
        assert_eq!(effect(&order["effect"]), expected);
    }
    let _ = lab.apply(&[]).ended(0);
    assert_eq!(boots(&only_vm(&lab).devices), ["CDROM", "DISK"]);
    if let Some(active) = case.active(&lab) {
        assert_eq!(boots(&active), ["DISK", "CDROM"]);
    }
    let _ = lab.plan(&[]).ended(0);
    let wrong = lab
        .config(&case.config("boot: [network]"))
        .plan(&[])
        .ended(1);
    wrong.says(&["it has no `network` to boot from"]);
}

fn a_smaller_zvol(case: &Case) {
    assert_eq!(case.said("any", "zvol shrinks", false), Refused);
    let lab = case.created(&case.config("disk: {a: 2}"));
    lab.config(&case.config("disk: {a: 1}"));
    case.refused(&lab, &[], &["(refused)", "would shrink", "cuts off data"]);
    case.refused(&lab, &["--restart"], &["(refused)", "would shrink"]);
}

const DISKS: [&str; 2] = ["disk: {a: 1}", "disk: {a: 1, b: 1}"];

fn a_device_that_comes(case: &Case) {
    for restart in [false, true] {
        let options: &[&str] = if restart { &["--restart"] } else { &[] };
        let lab = case.created(&case.config(DISKS[0]));
        let from = lab.journal().calls().len();
        lab.config(&case.config(DISKS[1]));
        let devices = case.devices(&lab, options);
        let comes = devices.iter().find(|one| one["name"] == "disk.b").unwrap();
        let expected = case.said("any", "device is added", restart);
        assert_eq!(effect(&comes["effect"]), expected);
        let _ = lab.apply(options).ended(0);
        assert_eq!(paths(&only_vm(&lab).devices, "DISK").len(), 2);
        let restarts = case.starts && restart;
        if let Some(active) = case.active(&lab) {
            assert_eq!(paths(&active, "DISK").len(), if restarts { 2 } else { 1 });
        }
        let calls = changes(&lab, from);
        let stops = calls.iter().any(|(method, _)| method == "vm.stop");
        assert_eq!(stops, restarts, "{calls:#?}");
        let _ = lab.plan(&[]).ended(0);
    }
}

fn a_device_that_goes(case: &Case) {
    let lab = case.created(&case.config(DISKS[1]));
    lab.config(&case.config(DISKS[0]));
    if case.starts {
        // The server would refuse it in the middle.
        let says = [
            "(restart now)",
            "disk.b cannot be removed from a VM that runs",
        ];
        case.refused(&lab, &[], &says);
    }
    let options: &[&str] = if case.starts { &["--restart"] } else { &[] };
    let devices = case.devices(&lab, options);
    let goes = devices.iter().find(|one| one["name"] == "disk.b").unwrap();
    let expected = case.said("any", "device is removed", case.starts);
    assert_eq!(effect(&goes["effect"]), expected);
    let _ = lab.apply(options).ended(0);
    assert_eq!(paths(&only_vm(&lab).devices, "DISK").len(), 1);
    assert_eq!(lab.view().zvols.len(), 1);
    if let Some(active) = case.active(&lab) {
        assert_eq!(paths(&active, "DISK").len(), 1);
    }
    let _ = lab.plan(&[]).ended(0);
}

fn a_device_in_the_place_of_another(case: &Case) {
    let on = |zvol: &str| case.config(&format!("disk: {{a: {{path: tank/vms/{zvol}}}}}"));
    let lab = case.created_in(&on("one"), |world| {
        world
            .zvol("tank/vms/one", 1, &[])
            .zvol("tank/vms/two", 1, &[])
    });
    let id_of = |lab: &Lab| {
        let devices = only_vm(lab).devices;
        let disk = devices.iter().find(|one| one.attributes["dtype"] == "DISK");
        disk.unwrap().id
    };
    let id = id_of(&lab);
    lab.config(&on("two"));
    if case.starts {
        let says = ["(made anew)", "cannot be removed from a VM that runs"];
        case.refused(&lab, &[], &says);
    }
    let options: &[&str] = if case.starts { &["--restart"] } else { &[] };
    let devices = case.devices(&lab, options);
    let disk = devices.iter().find(|one| one["name"] == "disk.a").unwrap();
    assert_eq!(disk["action"], "replace");
    let expected = case.said("any", "device is replaced", case.starts);
    assert_eq!(effect(&disk["changes"][0]["effect"]), expected);
    let _ = lab.apply(options).ended(0);
    assert_ne!(id_of(&lab), id);
    assert_eq!(
        paths(&only_vm(&lab).devices, "DISK"),
        ["/dev/zvol/tank/vms/two"]
    );
    if let Some(active) = case.active(&lab) {
        assert_eq!(paths(&active, "DISK"), ["/dev/zvol/tank/vms/two"]);
    }
    // Neither was ever tnvm's.
    assert_eq!(lab.view().zvol_names(), ["tank/vms/one", "tank/vms/two"]);
    let _ = lab.plan(&[]).ended(0);
}

#[test]
fn sector_sizes_that_the_config_says_no_more_go_back() {
    for line in LINES {
        let case = Case {
            version: line.parse().unwrap(),
            starts: false,
        };
        let sizes = "disk: {a: {size: 1, logical_sectorsize: 512, physical_sectorsize: 4096}}";
        let lab = case.created(&case.config(sizes));
        let ran = lab.converge(&case.config("disk: {a: 1}"), &[]);
        ran.says(&[
            "logical_sectorsize: 512 → none",
            "physical_sectorsize: 4096 → none",
        ]);
        let disk = only_vm(&lab)
            .devices
            .into_iter()
            .find(|one| one.attributes["dtype"] == "DISK");
        let disk = disk.unwrap().attributes;
        assert_eq!(disk["logical_sectorsize"], Value::Null);
        lab.settled(&[]);
    }
}
