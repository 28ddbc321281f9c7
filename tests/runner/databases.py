"""A PostgreSQL server of the tests' own, from the system's package."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from .servers import free_port


def programs() -> Path | None:
    """The folder of the newest PostgreSQL that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3].zfill(3))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


class Postgres:
    """A running server with databases of its own; it keeps its files in a temporary folder."""

    def __init__(self, bin_folder: Path, folder: Path):
        self.bin, self.folder, self.port = bin_folder, folder, free_port()
        self.numbers = itertools.count(1)

    @classmethod
    def start(cls) -> Postgres | None:
        """A fresh server; nothing when PostgreSQL is not installed."""
        bin_folder = programs()
        if bin_folder is None:
            return None
        database = cls(bin_folder, Path(tempfile.mkdtemp(prefix="polyfn-pg-")))
        if os.geteuid() == 0:
            # PostgreSQL does not run as root
            owner = pwd.getpwnam("postgres")
            os.chown(database.folder, owner.pw_uid, owner.pw_gid)
        data = str(database.folder / "data")
        database.run("initdb", "--pgdata", data, "--auth=trust", "--username=polyfn", "--no-sync")
        options = f"-p {database.port} -h 127.0.0.1 -k {database.folder}"
        database.run("pg_ctl", "start", "--pgdata", data, "--wait", "--log", f"{data}/log", "-o", options)
        return database

    def run(self, program: str, *arguments: str) -> None:
        as_root = os.geteuid() == 0
        subprocess.run(
            [str(self.bin / program), *arguments],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user="postgres" if as_root else None,
            group="postgres" if as_root else None,
            extra_groups=[] if as_root else None,
        )

    def create(self) -> str:
        """The URI of a new, empty database."""
        name = f"db{next(self.numbers)}"
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "polyfn", name)
        return f"postgresql://polyfn@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "--pgdata", str(self.folder / "data"), "--mode=immediate", "--wait")
        shutil.rmtree(self.folder, ignore_errors=True)
