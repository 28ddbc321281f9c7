"""Who calls: the context, which the caller cannot forge."""

import asyncio
import os

from polyfn import connect_to_server

SERVER = os.environ.get("POLYFN_SERVER_URL", "http://localhost:9527")


def whoami(context):
    return {"user": context["user"]["id"], "client": context["from"].split("/")[1]}


async def main():
    async with connect_to_server({"server_url": SERVER}) as owner:
        config = {"visibility": "public", "require_context": True}
        await owner.register_service({"id": "door", "config": config, "whoami": whoami})
        async with connect_to_server({"server_url": SERVER, "client_id": "reader"}) as caller:
            door = await caller.get_service(f"{owner.config.workspace}/door")
            me = await door.whoami()
            known = me["user"] == caller.config.user["id"]
            print(f"called by {me['client']}: {str(known).title()}")


asyncio.run(main())
