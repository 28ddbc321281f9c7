import asyncio
import json
import os

from package import connect_to_server, ready


async def main():
    api = await connect_to_server({"server_url": os.environ["SERVER_URL"]})

    users = {"41": "ann"}

    async def get_users():
        return list(users.values())

    async def create_user(user):
        users[user["id"]] = user["name"]
        return {"created": user["id"]}

    async def delete_user(user_id):
        return {"deleted": user_id if users.pop(user_id, None) else False}

    # Simple REST API
    async def list_(event):
        return {"users": await get_users()}

    async def create(event):
        return await create_user(json.loads(event["body"]))

    async def delete(event):
        return await delete_user(event["path"].split("/")[3])

    await api.register_service(
        {
            "id": "user-api",
            "type": "functions",
            "users": {
                "list": list_,
                "create": create,
                "delete": delete,
            },
        }
    )

    # Functions for simple APIs
    async def health(event):
        return {"status": "ok"}

    async def version(event):
        return {"version": "1.0.0"}

    await api.register_service(
        {
            "id": "simple-api",
            "type": "functions",
            "health": health,
            "version": version,
        }
    )

    await ready(api)


asyncio.run(main())
