"""What `hypha_rpc.utils.serve` has: apps served through a server, also as `python -m polyfn.utils.serve`."""

import sys

from ..serve_app import main, register_asgi_service, serve_app

__all__ = ["main", "register_asgi_service", "serve_app"]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
