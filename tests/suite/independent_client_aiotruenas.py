"""Drives the simulator with aiotruenas, an asyncio client that nobody of this project wrote.

It logs in by key, waits for jobs and listens to events in its own way.

Usage: independent_client_aiotruenas.py ADDRESS API_KEY
    ADDRESS is host:port as in the first line of the simulator's ready file, API_KEY its `api_key`.
    Exit code 0 and a last line `ok` mean success.
"""

import asyncio
import sys

from aiotruenas import TrueNASAuthenticationError, TrueNASCallError, TrueNASClient


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")
    print(f"  {what}")


async def main(address, api_key):
    host, port = address.rsplit(":", 1)
    wrong = TrueNASClient(host, "1-" + "x" * 64, use_tls=False, port=int(port))
    try:
        await wrong.connect()
    except TrueNASAuthenticationError:
        check(True, "wrong key refused")
    else:
        raise SystemExit("failed: a wrong key was accepted")
    async with TrueNASClient(host, api_key, use_tls=False, port=int(port)) as client:
        check((await client.call("system.version")).startswith("TrueNAS-"), "version")
        before = {vm["name"] for vm in await client.call("vm.query")}
        subscription, events = await client.subscribe("vm.query")
        vm = await client.call("vm.create", [{"name": "aio", "memory": 512, "autostart": False}])
        try:
            check(vm["status"]["state"] == "STOPPED", "VM created")
            event = await asyncio.wait_for(events.get(), 10)
            check(event["params"]["collection"] == "vm.query", "its event heard")
            await client.unsubscribe(subscription)
            try:
                await client.call("vm.create", [{"name": "aio", "memory": 512}])
            except TrueNASCallError as error:
                check("vm_create.name" in str(error), "second VM of that name refused at its attribute")
            else:
                raise SystemExit("failed: a second VM of that name was accepted")
            await client.call("vm.start", [vm["id"]])
            check((await client.call("vm.status", [vm["id"]]))["state"] == "RUNNING", "VM started")
            await client.call("vm.stop", [vm["id"]], job=True)
            check((await client.call("vm.status", [vm["id"]]))["state"] == "STOPPED", "VM stopped by a job")
        finally:
            await client.call("vm.delete", [vm["id"], {"force": True}])
        check({vm["name"] for vm in await client.call("vm.query")} == before, "VM deleted")
    print("ok")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
