"""What a connection offers besides registering and calling."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess

import polyfn
import pytest
from polyfn import environment, options, urls
from polyfn.case import convert_case


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
async def public(owner):
    """A public service, and its URL."""
    service = {"id": "calc", "config": {"visibility": "public"}, "add": add, "deep_down": {"one_more": add}}
    await owner.register_service(service)
    return f"{owner.config.public_base_url}/{owner.workspace}/services/calc"


def make_certificates(folder):
    """An authority, and a certificate for localhost that it vouches for."""
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    leaf = "-subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=CA:FALSE"
    for more in (
        "-subj /CN=authority -keyout authority.key -out authority.pem",
        f"{leaf} -CA authority.pem -CAkey authority.key -keyout own.key -out own.pem",
    ):
        subprocess.run([*make.split(), *more.split()], check=True, capture_output=True, cwd=folder)


class TestRemoteServices:
    async def test_by_url(self, public, owner):
        async with polyfn.get_remote_service(public) as calc:
            assert await calc.add(1, 2) == 3
        calc = await polyfn.get_remote_service(public.replace("calc", f"{owner.client_id}:calc"))
        assert await calc.add(1) == 2

    async def test_by_http(self, public, server_url):
        async with polyfn.get_remote_service_http(public) as calc:
            assert await calc.add(1, 2) == 3
        async with polyfn.connect_to_server_http(server_url) as server:
            assert await server.echo(1) == 1

    async def test_options(self, public, owner):
        calc = await polyfn.get_remote_service(public, {"name": "me"}, case_conversion="camel")
        assert await calc.deepDown.oneMore(1, 2) == 3
        server_url = public.split("/ws-")[0]
        async with polyfn.get_remote_service(public, server_url=server_url + "/") as calc:
            assert await calc.add(1, 2) == 3

    async def test_bad_inputs(self, public):
        with pytest.raises(ValueError, match="no URL of a service"):
            polyfn.get_remote_service("http://localhost/calc")
        with pytest.raises(ValueError, match="leave it out"):
            polyfn.get_remote_service(public, server_url="http://other")
        with pytest.raises(TypeError, match="no option 'nam'"):
            polyfn.get_remote_service(public, nam=1)
        before = asyncio.all_tasks()
        with pytest.raises(polyfn.RpcError, match="Service not found"):
            await polyfn.get_remote_service(public.replace("calc", "nothing"))
        assert asyncio.all_tasks() == before

    @pytest.mark.parametrize(
        "url",
        ["", "https://", "https://host/ws/services/", "ftp://h/ws/services/a", "https://h/ws/services/a:b:c"],
    )
    def test_urls_that_are_none(self, url):
        with pytest.raises(ValueError, match="no URL of a service"):
            urls.parse_service_url(url)


class TestCase:
    @pytest.mark.parametrize("case", ["camel", "snake", "camel+snake", "snake+camel", None])
    async def test_get_service(self, caller, public, case):
        service = await caller.get_service("calc", case_conversion=case)
        names = {"camel": ["deepDown"], "snake": ["deep_down"], None: ["deep_down"]}.get(
            case, ["deepDown", "deep_down"]
        )
        assert sorted(name for name in service if name.lower().startswith("deep")) == sorted(names)
        name = "oneMore" if "camel" in str(case) else "one_more"
        function = service[names[0]][name]
        assert await function(1, 2) == 3
        assert function.__schema__["name"] == name
        assert function.__name__ == (name if case else "add")

    async def test_without_the_manager(self, caller, owner, public):
        service = await caller.rpc.get_remote_service(f"{owner.client_id}:calc", case_conversion="camel")
        assert service.id == f"{owner.client_id}:calc"
        assert await service.deepDown.oneMore(1, 2) == 3

    async def test_unknown(self, caller, public):
        with pytest.raises(polyfn.RpcError, match="case_conversion"):
            await caller.get_service("calc", case_conversion="kebab")
        with pytest.raises(ValueError, match="kebab"):
            convert_case({}, "kebab")

    def test_data(self):
        proxy = polyfn.ObjectProxy(a_b=polyfn.ObjectProxy(c_d=[{"e_f": 1}]))
        converted = convert_case(proxy, "camel")
        assert converted.aB.cD == [{"e_f": 1}]
        assert convert_case({1: {"x_y": 2}}, "camel") == {1: {"xY": 2}}
        assert convert_case("a_b", "camel") == "a_b"


class TestApps:
    async def test_export(self, owner, caller):
        class Robot:
            def move(self, x: int):
                return f"moved {x}"

        await owner.export(Robot())
        assert await (await caller.get_app(owner.client_id)).move(1) == "moved 1"
        assert await (await caller.get_app(f"{owner.workspace}/{owner.client_id}")).move(2) == "moved 2"
        apps = await caller.list_apps()
        assert [app.id for app in apps] == [f"{owner.workspace}/{owner.client_id}:default"]
        with pytest.raises(ValueError, match="leave out"):
            await caller.get_app("client:service")
        with pytest.raises(ValueError, match="leave out"):
            await caller.list_apps("ws:service")


class TestLocalServices:
    async def test_the_server_is_not_told(self, owner, caller):
        info = await owner.register_service({"id": "secret", "add": add}, notify=False)
        assert info.id == f"{owner.workspace}/{owner.client_id}:secret"
        assert not any("secret" in service.id for service in await caller.list_services())
        with pytest.raises(polyfn.RpcError, match="Service not found"):
            await caller.get_service("secret")
        direct = await caller.rpc.get_remote_service(f"{owner.client_id}:secret")
        assert await direct.add(1, 2) == 3
        await owner.unregister_service("secret")
        with pytest.raises(polyfn.RpcError, match="not found"):
            await direct.add(1, 2)

    async def test_add_service(self, owner, caller):
        owner.rpc.add_service({"id": "secret", "add": add})
        with pytest.raises(polyfn.ConflictError):
            owner.rpc.add_service({"id": "secret", "add": add})
        owner.rpc.add_service({"id": "secret", "add": lambda a: -a}, overwrite=True)
        assert await (await caller.rpc.get_remote_service(f"{owner.client_id}:secret")).add(1) == -1
        assert list(owner.rpc.get_all_local_services()) == ["secret"]
        assert owner.rpc.get_client_info() == {"id": owner.client_id, "services": []}

    async def test_taking_back_without_telling(self, owner, caller):
        await owner.register_service({"id": "quiet", "add": add})
        await owner.unregister_service("quiet", notify=False)
        assert any(service.id.endswith(":quiet") for service in await caller.list_services())
        with pytest.raises(polyfn.NotFoundError):
            await owner.unregister_service("quiet", notify=False)
        with pytest.raises(KeyError, match="quiet"):
            owner.rpc.get_local_service("quiet")


class TestServiceTypes:
    KIND = {  # noqa: RUF012
        "id": "calculator",
        "definition": {
            "add": {
                "type": "function",
                "function": {
                    "name": "add",
                    "description": "As the type says.",
                    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
                },
            }
        },
    }

    async def test_a_service_that_fits(self, owner, caller):
        await owner.register_service_type(self.KIND)
        assert (await owner.get_service_type("calculator")).definition == self.KIND["definition"]
        assert [kind.id for kind in await caller.list_service_types()] == ["calculator"]
        service = {"id": "c", "type": "calculator", "add": add}
        await owner.register_service(service, check_type=True)
        fitting = await caller.get_service("c")
        assert fitting.add.__schema__["description"] == "As the type says."
        assert await fitting.add(1) == 2

    async def test_services_that_do_not_fit(self, owner):
        await owner.register_service_type(self.KIND)
        for service, reason in [
            ({}, "needs 'add'"),
            ({"add": add, "sub": add}, "has no 'sub'"),
            ({"add": 3}, "is no function"),
        ]:
            with pytest.raises(TypeError, match=reason):
                await owner.register_service({"id": "c", "type": "calculator", **service}, check_type=True)
        with pytest.raises(polyfn.RpcError, match="unheard-of"):
            await owner.register_service({"id": "c", "type": "unheard-of", "add": add}, check_type=True)
        assert owner.rpc.get_all_local_services() == {}


class TestRpc:
    async def test_the_names_of_hypha_rpc(self, owner, caller):
        rpc = caller.rpc
        assert await rpc.ping(owner.client_id) == "pong"
        with pytest.raises(polyfn.RpcError):
            await rpc.ping("nobody")
        await rpc.register_service({"id": "own", "add": add})
        assert [info.id for info in rpc.get_client_info()["services"]] == [
            f"{caller.workspace}/{caller.client_id}:own"
        ]
        assert await (await rpc.get_remote_service("own")).add(1, 2) == 3
        assert await (await rpc.get_remote_service()).echo(5) == 5
        assert await (await rpc.get_manager_service({"case_conversion": "camel"})).listServices() != []
        assert rpc.get_local_service("own")["add"] is add
        assert rpc.get_session_stats()["total_sessions"] == 0
        await rpc.unregister_service("own")
        heard = []
        rpc.on("e", heard.append)
        rpc.emit({"type": "e"})
        rpc.reset()
        rpc.emit({"type": "e"})
        assert len(heard) == 1
        assert "wait_for" in dir(rpc)
        with pytest.raises(AttributeError, match="nonsense"):
            _ = rpc.nonsense
        with pytest.raises(ValueError, match="application other"):
            async with polyfn.connect_to_server(caller.config.public_base_url, app_id="mine") as other:
                await other.rpc.get_remote_service("own@other")

    async def test_close(self, server_url):
        server = await polyfn.connect_to_server(server_url)
        server.rpc.close()
        await asyncio.wait_for(server.serve(), 5)
        assert server.connection_state == "closed"


class TestLogin:
    """Against a login service that a client registered, as a server has one itself."""

    @pytest.fixture
    async def service(self, owner):
        asked = []

        async def start(**wishes):
            asked.append(wishes)
            return {"login_url": "http://login", "key": "k"}

        async def check(key, timeout=0, profile=False):
            assert (key, timeout) == ("k", 5.0)
            return {"token": "the token", "email": "ann@lab"} if profile else "the token"

        api = {"start": start, "check": check, "logout": lambda config: {"logout_url": "http://logout"}}
        info = await owner.register_service({"id": "in", "config": {"visibility": "public"}, **api})
        return {"server_url": owner.config.public_base_url, "login_service_id": info.id}, asked

    async def test_login(self, service, capsys):
        settings, asked = service
        assert await polyfn.login({**settings, "login_timeout": 5}) == "the token"
        assert "http://login" in capsys.readouterr().out
        shown = []

        async def show(context):
            shown.append(context.login_url)

        for callback in (show, lambda context: shown.append(context.login_url)):
            profile = await polyfn.login(
                settings, login_timeout=5, login_callback=callback, profile=True, workspace="w", expires_in=9
            )
            assert profile.email == "ann@lab"
        assert shown == ["http://login"] * 2
        assert asked == [{}, *[{"workspace": "w", "expires_in": 9}] * 2]

    @pytest.mark.parametrize("timeout", [0, -1, float("nan")])
    async def test_waiting_for_nobody(self, service, timeout):
        settings, asked = service
        with pytest.raises(ValueError, match="login_timeout must be a number of seconds above 0"):
            await polyfn.login(settings, login_timeout=timeout)
        assert not asked

    async def test_the_url_alone(self, service):
        settings, asked = service
        url = settings["server_url"]
        more = {"login_service_id": settings["login_service_id"]}
        assert await polyfn.login(url, login_timeout=5, login_callback=asked.append, **more) == "the token"
        assert (await polyfn.logout(url, logout_callback=asked.append, **more)).logout_url == "http://logout"

    async def test_logout(self, service, capsys):
        settings, _ = service
        assert (await polyfn.logout(settings)).logout_url == "http://logout"
        assert "http://logout" in capsys.readouterr().out
        shown = []
        await polyfn.logout(settings, logout_callback=shown.append)
        assert shown[0].logout_url == "http://logout"

    async def test_without_one(self, owner):
        with pytest.raises(polyfn.RpcError, match="Service not found"):
            await polyfn.login(
                {"server_url": owner.config.public_base_url, "login_service_id": "public/no-login"}
            )
        with pytest.raises(TypeError, match="no option 'passwort'"):
            await polyfn.login({"server_url": "http://x", "passwort": "p"})
        await owner.register_service({"id": "in", "config": {"visibility": "public"}, "start": add})
        with pytest.raises(RuntimeError, match="not supported by this server"):
            await polyfn.logout(
                server_url=owner.config.public_base_url, login_service_id=f"{owner.workspace}/in"
            )


class TestEnvironment:
    NAMES = ("SERVER_URL", "TOKEN", "CLIENT_ID", "WORKSPACE")

    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch, tmp_path):
        for name in self.NAMES:
            for prefix in ("HYPHA", "POLYFN"):
                monkeypatch.delenv(f"{prefix}_{name}", raising=False)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_names(self, monkeypatch):
        for name in self.NAMES:
            monkeypatch.setenv(f"HYPHA_{name}", f"old {name}")
        monkeypatch.setenv("POLYFN_TOKEN", "new TOKEN")
        assert environment.settings() == {
            "server_url": "old SERVER_URL",
            "token": "new TOKEN",
            "client_id": "old CLIENT_ID",
            "workspace": "old WORKSPACE",
        }

    def test_a_file_does_not_override(self, clean, monkeypatch):
        (clean / ".env").write_text("HYPHA_SERVER_URL=http://file\nHYPHA_TOKEN='from file'\n")
        below = clean / "deep" / "er"
        below.mkdir(parents=True)
        monkeypatch.chdir(below)
        monkeypatch.setenv("HYPHA_TOKEN", "from environment")
        assert environment.settings() == {"server_url": "http://file", "token": "from environment"}
        assert options.read(None, {})["token"] == "from environment"

    def test_no_file_beside_a_server_in_the_environment(self, clean, monkeypatch):
        (clean / ".env").write_text("HYPHA_TOKEN=meant for another server\n")
        monkeypatch.setenv("POLYFN_SERVER_URL", "http://here")
        assert environment.settings() == {"server_url": "http://here"}

    def test_not_with_options(self, monkeypatch):
        monkeypatch.setenv("HYPHA_TOKEN", "t")
        assert options.read("http://here", {}) == {"server_url": "http://here"}

    def test_nothing(self, clean):
        (clean / ".env").write_bytes(b"\xff\xfe")
        with pytest.raises(TypeError, match="HYPHA_SERVER_URL"):
            polyfn.connect_to_server()


@contextlib.asynccontextmanager
async def eavesdropper():
    """A server that notes the first request, and says nothing."""
    heard: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    async def serve(reader, writer):
        request = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if not heard.done():
            heard.set_result(request.split("\r\n"))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", heard


class TestTransport:
    async def test_headers(self):
        headers = {"X-Lab": "seven", "Cookie": "a=b"}
        async with eavesdropper() as (url, heard):
            with pytest.raises(polyfn.PeerGoneError):
                await polyfn.connect_to_server(url, transport="websocket", additional_headers=headers)
            assert {"x-lab: seven", "cookie: a=b"} <= set(await heard)

    async def test_headers_by_http(self):
        headers = {"X-Lab": "seven", "Authorization": "of the user"}
        async with eavesdropper() as (url, heard):
            with pytest.raises(polyfn.PeerGoneError):
                await polyfn.connect_to_server_http(url, token="t", additional_headers=headers)
            lines = await heard
        assert "x-lab: seven" in lines
        assert [line for line in lines if line.startswith("authorization")] == ["authorization: bearer t"]

    @pytest.mark.parametrize(
        "headers", [{"Host": "x"}, {"a b": "c"}, {"X": "a\nb"}, {"Sec-WebSocket-Key": ""}]
    )
    async def test_headers_that_cannot_be_sent(self, server_url, headers):
        with pytest.raises(polyfn.InvalidError, match="header"):
            await polyfn.connect_to_server(server_url, additional_headers=headers)

    async def test_tls(self, server_url, tmp_path):
        make_certificates(tmp_path)
        authority = tmp_path / "authority.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "own.pem", tmp_path / "own.key")
        port = int(server_url.rpartition(":")[2])

        async def forward(reader, writer):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))

        async def pipe(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()

        async with await asyncio.start_server(forward, "127.0.0.1", 0, ssl=context) as listener:
            url = f"https://localhost:{listener.sockets[0].getsockname()[1]}"
            with pytest.raises(polyfn.PeerGoneError, match="certificate"):
                await polyfn.connect_to_server(url)
            unchecked = ssl._create_unverified_context()
            trusting = ssl.create_default_context(cafile=str(authority))
            for trust in (False, unchecked, trusting, authority, str(authority)):
                async with polyfn.connect_to_server(url, ssl=trust) as server:
                    assert await server.echo(1) == 1
            async with polyfn.connect_to_server_http(url, ssl=authority) as server:
                assert await server.echo(1) == 1

    async def test_trust_that_makes_no_sense(self, server_url, tmp_path):
        (tmp_path / "empty.pem").write_text("")
        with pytest.raises(polyfn.InvalidError, match="no certificate"):
            await polyfn.connect_to_server(server_url, ssl=tmp_path / "empty.pem")
        with pytest.raises(TypeError, match="ssl must be"):
            polyfn.connect_to_server(server_url, ssl=7)
        with pytest.raises(FileNotFoundError):
            polyfn.connect_to_server(server_url, ssl="nothing.pem")


class TestProxy:
    def test_like_a_munch(self):
        proxy = polyfn.ObjectProxy.fromDict({"a": {"b": [{"c": 1}]}, "items": 3})
        assert proxy.a.b[0].c == 1
        assert proxy.items == 3
        plain = proxy.toDict()
        assert type(plain) is dict
        assert type(plain["a"]) is dict
        assert type(plain["a"]["b"][0]) is dict
        assert plain == {"a": {"b": [{"c": 1}]}, "items": 3}
        assert polyfn.ObjectProxy.toDict(proxy.a) == {"b": [{"c": 1}]}
        del proxy.a
        assert "a" not in proxy
        with pytest.raises(AttributeError):
            _ = proxy.a

    async def test_keys_win_over_methods(self, caller):
        received = await caller.echo({"toDict": 1, "fromDict": 2, "items": 3, "x": 4})
        assert (received.toDict, received.fromDict, received.items, received.x) == (1, 2, 3, 4)
