"""Drives the simulator with a client that nobody of this project wrote.

If pytruenas, made against real TrueNAS hosts, can log in, list, create and delete a VM, then the
simulator speaks the protocol and not merely tnvm's idea of it.

Usage: independent_client.py ADDRESS API_KEY [CA_FILE]
    ADDRESS is host:port as in the first line of the simulator's ready file, API_KEY its `api_key`.
    With CA_FILE the connection uses TLS. Exit code 0 and a last line `ok` mean success.
"""

import sys

from pytruenas import APIKeyAuth, JobFailed, TrueNASClient, ValidationErrors


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")
    print(f"  {what}")


def main(address, api_key, ca_file=None):
    scheme = "wss" if ca_file else "ws"
    client = TrueNASClient(
        f"{scheme}://{address}",
        credentials=APIKeyAuth(api_key, username="truenas_admin"),
        verify=ca_file or False,
    )
    api = client.api

    check(api.core.ping() == "pong", "ping")
    check(api.system.version().startswith("TrueNAS-"), "version")
    check(api.auth.me()["pw_name"] == "truenas_admin", "logged in by key")

    before = {vm["name"] for vm in api.vm.query()}
    vm = api.vm.create({"name": "independent", "memory": 512, "autostart": False})
    try:
        check(vm["status"]["state"] == "STOPPED", "VM created")
        disk = api.vm.device.create(
            {
                "vm": vm["id"],
                "attributes": {
                    "dtype": "DISK",
                    "type": "VIRTIO",
                    "create_zvol": True,
                    "zvol_name": "tank/independent-disk0",
                    "zvol_volsize": 1 << 30,
                },
            }
        )
        check(disk["attributes"]["path"] == "/dev/zvol/tank/independent-disk0", "disk created with its zvol")
        names = {vm["name"] for vm in api.vm.query([["name", "=", "independent"]], {"select": ["name"]})}
        check(names == {"independent"}, "VM listed")

        try:
            api.vm.create({"name": "independent", "memory": 512})
        except ValidationErrors as error:
            check("vm_create.name" in str(error), "second VM of that name refused at its attribute")
        else:
            raise SystemExit("failed: a second VM of that name was accepted")

        api.vm.start(vm["id"])
        check(api.vm.status(vm["id"])["state"] == "RUNNING", "VM started")
        try:
            client.wait(api.vm.stop(vm["id"]))
        except JobFailed as error:
            raise SystemExit(f"failed: vm.stop: {error}") from error
        check(api.vm.status(vm["id"])["state"] == "STOPPED", "VM stopped by a job")
    finally:
        api.vm.delete(vm["id"], {"zvols": True, "force": True})
    check({vm["name"] for vm in api.vm.query()} == before, "VM deleted")
    zvols = api.pool.dataset.query([["id", "=", "tank/independent-disk0"]])
    check(zvols == [], "its zvol too")
    print("ok")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
