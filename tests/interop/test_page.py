"""The page at `/` and `/{workspace}/`: what runs here, as far as the viewer may see it."""

from __future__ import annotations

import contextlib
import json
import socket
import urllib.parse

import pytest
from runner import browser, tokens
from runner.sockets import RawClient
from runner.web import get, request

OWN = tokens.own_workspace("pages")
POLICY = "default-src 'none'; script-src 'self'"


@pytest.fixture(scope="module")
def member():
    return tokens.member("pages")


@pytest.fixture(scope="module")
def owner(polyfn_server, member):
    """A client with a public and a protected service."""
    with RawClient(polyfn_server.ws_url, client_id="owner", token=member, workspace=OWN) as client:
        client.register_builtin()
        register(client, "shop", "public")
        register(client, "vault", "protected")
        yield client


def register(client: RawClient, name: str, visibility: str) -> None:
    info = client.service_info(name, visibility=visibility)
    info["service_schema"] = {"buy": {"type": "function"}, "in": {"stock": {"type": "function"}}}
    client.call_manager("register_service", info)


def seen(answer) -> set[str]:
    return {service["id"] for service in answer.json()["services"]}


def test_a_stranger_sees_what_is_public(polyfn_server, owner):
    told = get(f"{polyfn_server.url}/{OWN}/overview")
    assert seen(told) == {"owner:shop"}
    assert told.json()["services"][0]["functions"] == ["buy", "in.stock"]
    assert not told.json()["workspace"]["reads"]
    assert "clients" not in told.json()
    assert OWN not in {
        workspace["id"] for workspace in get(f"{polyfn_server.url}/overview").json()["workspaces"]
    }


def test_a_member_sees_all(polyfn_server, owner, member):
    told = get(f"{polyfn_server.url}/{OWN}/overview", token=member)
    assert seen(told) == {"owner:shop", "owner:vault"}
    assert [client["id"] for client in told.json()["clients"]] == ["owner"]
    assert told.header("cache-control") == "private, no-cache"
    workspaces = get(f"{polyfn_server.url}/overview", token=member).json()["workspaces"]
    assert {"id": OWN, "clients": 1, "services": 2}.items() <= {
        key: value for one in workspaces if one["id"] == OWN for key, value in one.items()
    }.items()


@pytest.mark.parametrize("path", ["overview", f"{OWN}/overview", "overview/events", f"{OWN}/overview/events"])
def test_a_bad_token_is_refused(polyfn_server, path):
    for token in ("x.y.z", tokens.Token(user="pages", workspace=OWN, lifetime=-60).sign()):
        assert get(f"{polyfn_server.url}/{path}", token=token).status == 401


def test_a_foreign_member_is_a_stranger(polyfn_server, owner):
    foreign = tokens.member("elsewhere")
    assert seen(get(f"{polyfn_server.url}/{OWN}/overview", token=foreign)) == {"owner:shop"}
    # nor is told whether there is such a workspace
    nowhere, other = (
        get(f"{polyfn_server.url}/{name}/overview", token=foreign).json()
        for name in ("no-where", "ws-user-hidden")
    )
    assert nowhere.keys() == other.keys()


@pytest.mark.parametrize("path", ["/", f"/{OWN}/"])
def test_the_page_is_asked_for_once(polyfn_server, path):
    page = get(polyfn_server.url + path)
    assert (page.status, page.media_type) == (200, "text/html")
    assert page.header("content-security-policy").startswith(POLICY)
    known = {"if-none-match": page.header("etag")}
    assert request("GET", polyfn_server.url + path, headers=known).status == 304
    for asset in ("page.js", "view.js", "page.css", "icon.svg"):
        file = get(f"{polyfn_server.url}/assets/page/{asset}")
        assert (file.status, bool(file.header("etag"))) == (200, True)
    assert get(f"{polyfn_server.url}/assets/page/other.js").status == 404


def test_names_and_files_are_told_apart(polyfn_server):
    redirected = get(f"{polyfn_server.url}/{OWN}?a=b")
    assert (redirected.status, redirected.header("location")) == (307, f"/{OWN}/?a=b")
    for path in ("favicon.ico", "robots.txt", "nothing"):
        assert get(f"{polyfn_server.url}/{path}").status == 404


def events(url: str):
    """The server-sent events of a URL, as they come."""
    place = urllib.parse.urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(f"GET {place.path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        for line in connection.makefile("rb"):
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


def test_changes_are_told_as_they_happen(polyfn_server, owner):
    with contextlib.closing(events(f"{polyfn_server.url}/{OWN}/overview/events")) as told:
        assert next(told)["services_total"] == 1
        register(owner, "kiosk", "public")
        assert next(told)["services_total"] == 2
        owner.call_manager("unregister_service", f"{owner.address}:kiosk")
        assert next(told)["services_total"] == 1


@pytest.fixture(scope="module")
def page():
    if browser.program() is None:
        pytest.skip("there is no Chromium here")
    shown = browser.Browser()
    yield shown
    shown.stop()


# what one touches and is less than a thumb wide or high
TINY = """[...document.querySelectorAll('a, button, input, summary')].filter(element => {
    const place = element.getBoundingClientRect();
    return place.width > 0 && place.right > 0 && (place.width < 44 || place.height < 43.9);
}).map(element => element.outerHTML)"""


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_in_a_browser(polyfn_server, owner, member, page, width, dark):
    page.complaints.clear()
    page.show(f"{polyfn_server.url}/{OWN}/", width=width, dark=dark, token=member)
    page.until("document.getElementById('state').textContent === 'live'")
    for text in ("shop", "vault", "in.stock", "owner", "pages"):
        assert text in page.text()
    assert page.value("document.documentElement.scrollWidth") <= width
    links = page.value("[...document.querySelectorAll('#services a')].map(a => a.pathname)")
    assert f"/{OWN}/services/owner:shop/docs" in links
    assert width > 500 or page.value(TINY) == []
    back = page.value("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (sum(back[:3]) < 300) == dark
    assert page.complaints == []


def test_the_page_is_live(polyfn_server, owner, page):
    page.show(f"{polyfn_server.url}/{OWN}/")
    page.until("document.body.innerText.includes('shop')")
    assert "vault" not in page.text()
    assert "Sign in" in page.text()
    register(owner, "bakery", "public")
    page.until("document.body.innerText.includes('bakery')")
    owner.call_manager("unregister_service", f"{owner.address}:bakery")
    page.until("!document.body.innerText.includes('bakery')")


def test_what_services_say_of_themselves_is_text(polyfn_server, owner, page):
    info = owner.service_info("evil", visibility="public")
    info["name"] = "<img src=x onerror=document.title='broken'>"
    owner.call_manager("register_service", info)
    page.show(f"{polyfn_server.url}/{OWN}/")
    page.until("document.body.innerText.includes('<img src=x')")
    assert page.value("document.querySelectorAll('main img').length") == 0
    owner.call_manager("unregister_service", f"{owner.address}:evil")


def test_the_page_of_the_server(polyfn_server, owner, member, page):
    page.complaints.clear()
    page.show(polyfn_server.url + "/", width=360, token=member)
    page.until("document.getElementById('state').textContent === 'live'")
    assert OWN in page.text()
    assert "connect_to_server" in page.text()
    assert page.value("document.documentElement.scrollWidth") <= 360
    assert page.value(TINY) == []
    assert page.complaints == []
