"""Encryption from end to end: every package with every other, and a server that reads what it can."""

from __future__ import annotations

import itertools

import pytest
from runner import tokens
from runner.peers import Connection, PeerError, Service
from runner.proxy import Proxy

SECRET = "nobody on the way may read this"
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def wires(pool):
    """Ways to the servers on which everything that is delivered can be read."""
    proxies: dict[str, Proxy] = {}

    def wire(server_kind: str) -> Proxy:
        if server_kind not in proxies:
            proxies[server_kind] = Proxy(pool.server(server_kind).url)
        return proxies[server_kind]

    yield wire
    for proxy in proxies.values():
        proxy.__exit__()


def connect(pool, wires, server_kind: str, kind: str, role: str, **config) -> Connection:
    number = next(NUMBERS)
    return pool.peer(server_kind, kind).connect(
        f"sealed-{role}-{number}",
        wires(server_kind).url,
        workspace=tokens.own_workspace("matrix"),
        token=tokens.member("matrix"),
        client_id=f"sealed-{role}-{number}",
        **config,
    )


class Sealed:
    """A service whose owner encrypts, and a caller that knows the owner's key."""

    def __init__(self, pool, wires, server_kind: str, callee: str, caller: str):
        self.owner = connect(pool, wires, server_kind, callee, "owner", encryption=True)
        self.caller = connect(pool, wires, server_kind, caller, "caller", encryption=True)

    def register(self, what: str, **config) -> str:
        """The full id of a service of the owner's."""
        name = f"{what}-{next(NUMBERS)}"
        self.owner.register(what, name, **config)
        return f"{self.owner.client_id}:{name}"

    def service(self, what: str) -> Service:
        return self.caller.get(self.register(what), self.owner.public_key)

    def close(self) -> None:
        self.caller.disconnect()
        self.owner.disconnect()


@pytest.fixture(scope="module")
def sealed(pool, wires, server_kind, callee_kind, caller_kind):
    pair = Sealed(pool, wires, server_kind, callee_kind, caller_kind)
    yield pair
    pair.close()


def test_arguments_results_errors_and_callbacks_are_read_by_nobody(sealed, wires, server_kind):
    proxy = wires(server_kind)
    name = sealed.register("rpc")
    service = sealed.caller.get(name, sealed.owner.public_key)
    del proxy.delivered[:]
    assert service.call("echo", SECRET) == SECRET
    assert service.call("echo_later", SECRET) == SECRET
    with pytest.raises(PeerError) as caught:
        service.call("fail", SECRET)
    assert SECRET in caught.value.text
    assert service.call("apply", {"$callback": "double"}, 21) == 42
    assert service.call("multiplier", 2) == {"$then": 42}
    assert len(proxy.delivered) > 1000
    assert SECRET.encode() not in proxy.delivered
    plain = sealed.caller.get(name)
    assert plain.call("echo", SECRET) == SECRET, "without the key it is an ordinary call"
    if server_kind == "polyfn":
        assert SECRET.encode() in proxy.delivered, "the proxy sees what is not encrypted"


def test_the_owner_knows_the_key_of_its_caller(sealed):
    service = sealed.service("context")
    assert service.call("sealed_by", "x") == sealed.caller.public_key


def test_long_messages_are_encrypted(sealed):
    told = sealed.service("rpc").call("echo", {"$fill": 600_000})
    assert told["$length"] == 600_000


def test_items_of_generators_are_read_by_nobody(sealed, wires, server_kind, callee_kind):
    service = sealed.service("rpc")
    proxy = wires(server_kind)
    del proxy.delivered[:]
    assert service.call("kinds")["$items"][1] == "text"
    assert service.call("sum_stream", {"$stream": [1, 2, 3]}) == 6
    # Generators of hypha-rpc bring no key along, so what they give is not encrypted.
    if callee_kind.startswith("polyfn-"):
        assert b"\xa4text" not in proxy.delivered
    elif server_kind == "polyfn":
        assert b"\xa4text" in proxy.delivered


def test_only_trusted_keys_may_call(sealed, pool, wires, server_kind, caller_kind):
    name = sealed.register("context", trusted_keys=[sealed.caller.public_key])
    trusted = sealed.caller.get(name, sealed.owner.public_key)
    assert trusted.call("whoami", "x")["tag"] == "x"
    with pytest.raises(PeerError, match=r"Encryption required for method .*trusted_keys is set"):
        sealed.caller.get(name).call("whoami", "x")
    stranger = connect(pool, wires, server_kind, caller_kind, "stranger", encryption=True)
    with pytest.raises(PeerError, match="Caller's public key is not in the trusted keys list"):
        stranger.get(name, sealed.owner.public_key).call("whoami", "x")
    stranger.disconnect()


def test_a_given_key_is_the_one_that_is_used(pool, wires, polyfn_server, polyfn_kind):
    # Of this private key everybody can compute the public one, so it is for tests only.
    private = "11" * 32
    public = "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13"
    client = connect(
        pool, wires, "polyfn", polyfn_kind, "given", encryption=True, encryption_private_key=private
    )
    assert client.public_key == public
    client.disconnect()
    for wrong, text in (
        ({"encryption_private_key": private}, "`encryption` is not set"),
        ({"encryption": True, "encryption_private_key": "11"}, "64 hexadecimal digits"),
        (
            {"encryption": True, "encryption_private_key": private, "encryption_public_key": "22" * 32},
            "does not belong to the private key",
        ),
    ):
        with pytest.raises(PeerError, match=text):
            connect(pool, wires, "polyfn", polyfn_kind, "wrong", **wrong)


def test_one_who_does_not_encrypt_says_so(pool, wires, polyfn_server, polyfn_kind, caller_kind):
    caller = connect(pool, wires, "polyfn", caller_kind, "caller", encryption=True)
    owner = connect(pool, wires, "polyfn", polyfn_kind, "open")
    owner.register("rpc", "open")
    service = caller.get(f"{owner.client_id}:open", caller.public_key)
    with pytest.raises(PeerError, match="is encrypted, but its receiver is connected without encryption"):
        service.call("echo", "x")
    caller.disconnect()
    owner.disconnect()


def test_a_caller_without_keys_does_not_do_as_if(pool, wires, polyfn_server, polyfn_kind):
    owner = connect(pool, wires, "polyfn", polyfn_kind, "owner", encryption=True)
    owner.register("rpc", "guarded")
    caller = connect(pool, wires, "polyfn", polyfn_kind, "caller")
    with pytest.raises(PeerError, match="needs a connection with encryption"):
        caller.get(f"{owner.client_id}:guarded", owner.public_key)
    for client in (caller, owner):
        client.disconnect()
