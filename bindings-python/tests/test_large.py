"""Large bytes: whole in both directions, while everything else goes on."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

LARGE = 40_000_000


def pattern(size: int, seed: int = 0) -> bytes:
    """Bytes in which every part is another."""
    return hashlib.shake_128(bytes([seed])).digest(4096 + 13) * (size // 4109) + bytes(size % 4109)


def described(data) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


async def soon(service, is_so) -> None:
    async def calls() -> None:
        while not is_so():
            await service.one()

    await asyncio.wait_for(calls(), 10)


@pytest.fixture
async def service(offer):
    return await offer(
        echo=lambda *values: values[0] if len(values) == 1 else list(values),
        described=lambda data: list(described(data)),
        make=pattern,
        one=lambda: 1,
    )


@pytest.mark.parametrize("direction", ["there", "back"])
async def test_small_calls_pass_large_bytes(service, direction):
    data = pattern(LARGE)
    large = asyncio.ensure_future(service.described(data) if direction == "there" else service.make(LARGE))
    passed = 0
    while not large.done():
        assert await service.one() == 1
        passed += 1
    # as many parts as there are, and none of the calls waits for more than a few of them
    assert passed > 20
    assert (tuple(await large) if direction == "there" else described(await large)) == described(data)


async def test_several_large_values_at_once(service):
    values = [pattern(3_000_000, seed) for seed in range(4)]
    assert await asyncio.gather(*map(service.echo, values)) == values
    assert await service.echo(*values, "small", values[0]) == [*values, "small", values[0]]
    assert await service.echo({"a": [values[0], {"b": values[1]}]}) == {"a": [values[0], {"b": values[1]}]}


async def test_what_is_looked_into_at_once_is_there(service):
    """Keys and members of sets are hashed while they are made."""
    first, second = pattern(2_000_000), pattern(2_000_000, 1)
    for value in ({first: 1}, {first, second}):
        answer = await service.echo(value)
        assert answer == value
        assert first in answer
    pairs = await service.echo([{"_rtype": "orderedmap", "_rvalue": [[first, second]]}, second])
    assert pairs[0][first] == second


async def test_arrays_at_any_place(service):
    np = pytest.importorskip("numpy")
    for dtype in ("u1", "<f4", "<f8"):
        array = np.frombuffer(pattern(4_000_000), dtype=dtype)
        for before in ("", "1", "12", "123"):
            _, answer = await service.echo(before, array)
            assert answer.dtype == array.dtype
            assert answer.tobytes() == array.tobytes()


@pytest.mark.parametrize("kind", ["bytearray", "memoryview", "numpy"])
async def test_memory_that_changes_after_the_call_is_sent_as_it_was(service, kind):
    memory = bytearray(pattern(LARGE))
    before = bytes(memory)
    if kind == "numpy":
        sent = pytest.importorskip("numpy").frombuffer(memory, dtype="u1")
    else:
        sent = memory if kind == "bytearray" else memoryview(memory)
    call = service.echo(sent)
    memory[:] = bytes(len(memory))
    answer = await call
    assert (answer.tobytes() if kind == "numpy" else bytes(answer)) == before


async def test_a_call_given_up_while_its_argument_arrives(owner, service, caller, at_rest):
    for delay in (0, 0.01, 0.05):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(service.described(pattern(LARGE)), delay)
    assert await service.one() == 1
    await at_rest(owner, caller)
    names = ("calls", "futures", "transfers")
    await soon(service, lambda: not any(caller.statistics()[name] for name in names))


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the memory in use from /proc")
async def test_memory_returns(owner, service, caller):
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    data = pattern(LARGE)
    assert described(await service.echo(data)) == described(data)
    before = resident()
    for _ in range(4):
        assert len(await service.echo(data)) == LARGE
    await soon(service, lambda: resident() < before + LARGE)


def test_a_loop_that_ends_while_large_bytes_arrive(program):
    ran = program("""
        import asyncio, os, polyfn

        async def main(rounds):
            server = await polyfn.connect_to_server(os.environ["SERVER_URL"])
            await server.register_service({"id": "s", "echo": lambda value: value, "one": lambda: 1})
            service = await server.get_service("s")
            large = asyncio.ensure_future(service.echo(bytes(30_000_000)))
            for _ in range(rounds):
                await service.one()
            large.cancel()

        for rounds in (0, 10, 40, 80, 120, 160):
            asyncio.run(main(rounds))
        print("done")
    """)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "done\n", "")
