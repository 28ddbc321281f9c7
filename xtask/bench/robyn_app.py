"""The measured function on Robyn: `robyn_app.py --host HOST --port PORT`."""

from connections import arguments
from robyn import Robyn

app = Robyn(__file__)


@app.get("/hello")
async def hello(request):
    return "hello"


if __name__ == "__main__":
    place = arguments()
    app.start(host=place["host"], port=int(place["port"]))
