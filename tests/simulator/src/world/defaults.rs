//! The world one gets without asking for anything else: a plausible small server.

use std::collections::BTreeMap;

use super::host::{Interface, InterfaceKind, PciDevice, UsbDevice};
use super::logins::Logins;
use super::machine::{Pace, World};
use super::roles::Role;
use super::storage::{Dataset, Kind, Pool};
use super::users::{ApiKey, User};
use crate::random;
use crate::version::Version;

/// One GiB in bytes.
pub(super) const GIB: u64 = 1 << 30;

/// ISO files of the default world; the last lies in a pool's root dataset, where 25.10.1 and later
/// refuse it.
const ISOS: [&str; 5] = [
    "/mnt/tank/iso/metal-amd64.iso",
    "/mnt/tank/iso/talos.iso",
    "/mnt/storage/iso/metal-amd64.iso",
    "/mnt/storage/iso/debian-12.iso",
    "/mnt/storage/metal-amd64.iso",
];

impl World {
    /// A host with one administrator and nothing else on it: no pools, no interfaces, no VMs.
    pub fn bare(version: Version) -> Self {
        let memory = 128 * GIB;
        Self {
            swallow_destroy_errors: version.destroys_clones(),
            version,
            hostname: "truenas".into(),
            memory,
            memory_available: memory / 100 * 90,
            arc_size: 8 * GIB,
            arc_min: 4 * GIB,
            cores: 32,
            boot_id: random::uuid(),
            host_id: random::uuid().replace('-', ""),
            pools: Vec::new(),
            datasets: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            files: BTreeMap::new(),
            interfaces: Vec::new(),
            usb: Vec::new(),
            pci: Vec::new(),
            vms: BTreeMap::new(),
            devices: BTreeMap::new(),
            logins: Logins::default(),
            users: vec![User::new("truenas_admin", "secret", Role::FullAdmin)],
            api_keys: vec![ApiKey {
                id: 1,
                name: "tnvm".into(),
                user: "truenas_admin".into(),
                secret: random::alphanumeric(64),
                revoked: None,
                expired: false,
            }],
            tokens: BTreeMap::new(),
            pace: Pace::default(),
            rate_limit: true,
            events: Vec::new(),
            last_vm: 0,
            last_device: 0,
            last_pid: 100_000,
            last_txg: 1_000,
        }
    }

    /// The default world.
    pub fn example(version: Version) -> Self {
        let mut world = Self::bare(version);
        for (name, role) in [("viewer", Role::Readonly), ("limited", Role::Nothing)] {
            world.users.push(User::new(name, "secret", role));
        }
        world.add_pool("storage", 10 << 40);
        world.add_pool("tank", 4 << 40);
        for name in [
            "storage/VMs",
            "storage/iso",
            "tank/kubernetes",
            "tank/iso",
            "tank/vms",
        ] {
            world
                .datasets
                .insert(name.into(), Dataset::new(name, Kind::Filesystem));
        }
        for path in ISOS {
            world.files.insert(path.into(), 120 << 20);
        }
        world.interfaces = vec![
            interface("eno1", InterfaceKind::Physical, &[], &["192.168.1.50/24"]),
            interface("eno2", InterfaceKind::Physical, &[], &[]),
            interface("eno3", InterfaceKind::Physical, &[], &[]),
            interface(
                "br0",
                InterfaceKind::Bridge,
                &["eno2"],
                &["192.168.10.2/24"],
            ),
            interface(
                "br1",
                InterfaceKind::Bridge,
                &["eno3"],
                &["192.168.11.2/24"],
            ),
            interface(
                "br68",
                InterfaceKind::Bridge,
                &["vlan68"],
                &["192.168.69.2/24"],
            ),
            interface(
                "br110",
                InterfaceKind::Bridge,
                &["vlan110"],
                &["192.168.110.2/24"],
            ),
            interface("vlan68", InterfaceKind::Vlan, &["eno1"], &[]),
            interface("vlan110", InterfaceKind::Vlan, &["eno1"], &[]),
        ];
        world.usb = vec![UsbDevice {
            name: "usb_1_2".into(),
            vendor_id: "0x1050".into(),
            product_id: "0x0407".into(),
            vendor: "Yubico.com".into(),
            product: "Yubikey 4/5 OTP+U2F+CCID".into(),
        }];
        world.pci = vec![
            PciDevice {
                name: "pci_0000_01_00_0".into(),
                controller_type: "Ethernet controller".into(),
                vendor: "Intel Corporation".into(),
                product: "I350 Gigabit Network Connection".into(),
                available: true,
            },
            PciDevice {
                name: "pci_0000_00_17_0".into(),
                controller_type: "SATA controller".into(),
                vendor: "Intel Corporation".into(),
                product: "Cannon Lake PCH SATA AHCI Controller".into(),
                available: false,
            },
        ];
        world
    }

    /// Adds a pool with its root dataset; a pool of that name is resized.
    pub fn add_pool(&mut self, name: &str, size: u64) {
        if let Some(pool) = self.pools.iter_mut().find(|pool| pool.name == name) {
            pool.size = size;
            return;
        }
        let id = self.pools.iter().map(|pool| pool.id).max().unwrap_or(0) + 1;
        self.pools.push(Pool {
            id,
            name: name.to_owned(),
            size,
            zvol_block_size: "16K".into(),
            status: "ONLINE".into(),
        });
        self.datasets
            .entry(name.to_owned())
            .or_insert_with(|| Dataset::new(name, Kind::Filesystem));
    }
}

fn interface(name: &str, kind: InterfaceKind, members: &[&str], addresses: &[&str]) -> Interface {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    Interface {
        name: name.to_owned(),
        kind,
        members: owned(members),
        addresses: owned(addresses),
        dhcp_addresses: Vec::new(),
        description: String::new(),
    }
}
