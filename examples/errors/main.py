"""What a caller gets when a function fails, and when there is none."""

import asyncio
import os

from polyfn import NotFoundError, RpcError, connect_to_server

SERVER = os.environ.get("POLYFN_SERVER_URL", "http://localhost:9527")


def buy(thing):
    raise ValueError(f"out of {thing}")


async def main():
    async with connect_to_server({"server_url": SERVER}) as owner:
        await owner.register_service({"id": "cheeses", "config": {"visibility": "public"}, "buy": buy})
        async with connect_to_server({"server_url": SERVER}) as caller:
            cheeses = await caller.get_service(f"{owner.config.workspace}/cheeses")
            try:
                await cheeses.buy("cheese")
            except RpcError as error:
                print(f"{error.code}: {error}")
            try:
                await caller.get_service(f"{owner.config.workspace}/hams")
            except NotFoundError as error:
                print(error.code)


asyncio.run(main())
