import asyncio
import os

from package import connect_to_server, ready


async def main():
    server = await connect_to_server({"server_url": os.environ["SERVER_URL"]})

    def check_readiness():
        return {"status": "ok"}

    def check_liveness():
        return {"status": "ok"}

    await server.register_probes({"readiness": check_readiness, "liveness": check_liveness})

    async def register_worker_service(token, app_id, number):
        worker = await connect_to_server(
            {
                "server_url": os.environ["SERVER_URL"],
                "token": token,
                "workspace": server.config["workspace"],
                "client_id": f"worker-{number}",
            }
        )

        def process_task(task_data):
            return f"Task completed: {task_data}"

        def get_status():
            return {"status": "ready", "load": 0.5, "number": number}

        def get_load():
            if number == 3:
                raise RuntimeError("this one does not know")
            return number / 2

        await worker.register_service(
            {
                "id": f"worker-service-instance-{number}",
                "name": f"Worker Service Instance {number}",
                "type": "compute",
                "app_id": app_id,
                "config": {"visibility": "public"},
                "process_task": process_task,
                "get_status": get_status,
                "get_load": get_load,
            }
        )
        return worker

    token = await server.generate_token()
    workers = [await register_worker_service(token, "my-distributed-app", number) for number in (1, 2, 3)]
    # probes of several programs in one workspace
    await workers[0].register_probes({"readiness": check_readiness})

    await ready(server)
    for worker in workers:
        await worker.disconnect()


asyncio.run(main())
