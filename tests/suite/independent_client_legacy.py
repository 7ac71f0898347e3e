"""Drives the simulator over its older protocol with a client that nobody of this project wrote.

aiotruenas-client was made against TrueNAS hosts that spoke nothing else. It knows existing VMs, so
this script makes one with the client's own way to call any method, then lets it run the VM.

Usage: independent_client_legacy.py ADDRESS API_KEY
    ADDRESS is host:port as in the first line of the simulator's ready file, API_KEY its `api_key`.
    Exit code 0 and a last line `ok` mean success.
"""

import asyncio
import sys

from aiotruenas_client import CachingMachine
from aiotruenas_client.virtualmachine import VirtualMachineState


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")
    print(f"  {what}")


async def main(address, api_key):
    machine = await CachingMachine.create(host=address, api_key=api_key, secure=False)
    try:
        check((await machine.get_system_info())["hostname"], "logged in by key")
        check({pool.name for pool in await machine.get_pools()} >= {"tank"}, "pools listed")
        check(len(await machine.get_datasets()) > 3, "datasets listed")
        made = await machine.invoke_method("vm.create", [{"name": "older", "memory": 512}])
        vm = next(vm for vm in await machine.get_vms() if vm.name == "older")
        check(vm.id == made["id"] and vm.status == VirtualMachineState.STOPPED, "VM created and listed")
        await vm.start()
        await machine.get_vms()
        check(vm.status == VirtualMachineState.RUNNING, "VM started")
        check(await vm.restart(), "VM restarted by a job")
        check(await vm.stop(), "VM stopped by a job")
        check(vm.status == VirtualMachineState.STOPPED, "VM stopped")
        await machine.invoke_method("vm.delete", [vm.id])
        await machine.get_vms()
        check(not vm.available, "VM deleted")
    finally:
        await machine.close()
    print("ok")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
