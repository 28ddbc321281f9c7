import asyncio
import os

from package import connect_to_server, ready


def handler_function(context):
    request = context["request"]
    query, body, headers, method = (request[name] for name in ("query", "body", "headers", "method"))
    return {
        "query": query,
        "body": body,
        "header_1": headers.get("header_1"),
        "method": method,
        "event": context.get("event"),
    }


def log(context):
    # the logger is that of our package
    logger = context.get("log")
    for level in ("info", "warn", "error"):
        if logger:
            getattr(logger, level)(f"said by {level}")
    return {"ours": bool(logger)}


async def main():
    api = await connect_to_server({"server_url": os.environ["SERVER_URL"]})
    for name, exported in (("function", handler_function), ("handle", {"handle": handler_function})):
        members = {"handle": exported} if callable(exported) else exported
        config = {"visibility": "public", "signature": "context"}
        await api.register_service(
            {"id": f"exported-as-{name}", "type": "functions", "config": config, **members}
        )
    await api.register_service({"id": "logs", "type": "functions", "config": config, "handle": log})
    await ready(api)


asyncio.run(main())
