import asyncio
import os

from fastapi import FastAPI, UploadFile
from package import connect_to_server, ready

# ---- as in the seed, but for the import and the server's URL ----
app = FastAPI()


@app.post("/upload/")
async def upload_file(file: UploadFile):
    return {"filename": file.filename}


# ---- end of the seed ----
fastapi_admin_app = FastAPI()


@fastapi_admin_app.get("/dashboard")
async def dashboard():
    return {"dashboard": "of the admin"}


async def main():
    # ---- as in the seed ----
    # Deploy as ASGI service
    api = await connect_to_server({"server_url": os.environ["SERVER_URL"]})
    await api.register_service({"id": "file-service", "type": "asgi", "serve": app})

    # ASGI for complex web interface
    await api.register_service({"id": "admin-panel", "type": "asgi", "serve": fastapi_admin_app})
    # ---- end of the seed ----
    await ready(api)


asyncio.run(main())
