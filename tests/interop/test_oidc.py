"""Logging in at an OpenID Connect issuer, and its access tokens as tokens of the server."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request

import jwt
import polyfn
import pytest
from runner import issuer as oidc
from runner.forms import Visitor
from runner.logins import ask
from runner.servers import PolyfnServer


@pytest.fixture(scope="module")
def issuer():
    running = oidc.Issuer()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(issuer):
    arguments = ["--database-uri", "sqlite::memory:", "--oidc-issuer", issuer.url]
    arguments += ["--oidc-client-id", oidc.CLIENT_ID, "--oidc-client-secret", oidc.CLIENT_SECRET]
    running = PolyfnServer(arguments=(*arguments, "--oidc-audience", oidc.AUDIENCE)).start()
    yield running
    running.stop()


@pytest.fixture
def browser(issuer):
    issuer.lies = {}
    return Visitor()


def user_of(server, token: str):
    """Who the server takes the bearer for; a refusal is its status."""
    request = urllib.request.Request(f"{server.url}/assets/config.json")
    request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["user"]
    except urllib.error.HTTPError as error:
        return error.code


def name_of(issuer, subject: str = "ada-1") -> str:
    return f"127-0-0-1-{issuer.server.server_address[1]}|{subject}"


def through_issuer(browser: Visitor, server, path: str = "/login") -> Visitor:
    browser.open(server.url + path)
    link = next(part for part in browser.text.split('"') if part.startswith("oidc?"))
    return browser.open(link)


def test_a_person_logs_in_at_the_issuer(server, issuer, browser):
    through_issuer(browser, server)
    assert (browser.status, browser.title) == (200, "You are logged in")
    assert "ada@example.org" in browser.text
    found = jwt.decode(browser.cookie("access_token").value, options={"verify_signature": False})
    assert found["sub"] == name_of(issuer)
    assert found["scope"] == f"ws:ws-user-{name_of(issuer)}#a"
    assert found["https://amun.ai/roles"] == ["user"]


def test_a_program_gets_its_token_by_way_of_the_issuer(server, issuer, browser):
    service = f"{server.url}/public/services/hypha-login"
    started = ask(f"{service}/start")
    through_issuer(browser, server, started["login_url"].removeprefix(server.url))
    assert browser.title == "Approve this login?"
    browser.submit("approve")
    got = ask(f"{service}/check", key=started["key"], profile=True)
    assert (got["user_id"], got["email"]) == (name_of(issuer), "ada@example.org")


LIES = {
    "another nonce": {"nonce": "x"},
    "for another client": {"aud": "somebody-else"},
    "of another issuer": {"iss": "https://evil.example.org"},
    "expired": {"exp": 1},
}


@pytest.mark.parametrize("lie", LIES)
def test_what_the_issuer_signs_is_checked(server, issuer, browser, lie):
    issuer.lies = LIES[lie]
    through_issuer(browser, server)
    assert (browser.status, browser.cookie("access_token")) == (403, None)
    assert browser.alert == "The login provider did not confirm this login. Please try again."


def test_a_login_ends_in_the_browser_in_which_it_began(server, issuer, browser):
    browser.open(f"{server.url}/login")
    link = next(part for part in browser.text.split('"') if part.startswith("oidc?"))
    browser.redirects.stop_before = "oidc-callback"
    browser.open(link)
    back = browser.headers["location"]
    victim = Visitor().open(f"{server.url}/login").open(back)
    assert (victim.status, victim.cookie("access_token")) == (403, None)
    assert browser.open(back).status == 403, "the state is used up by the first who comes with it"
    assert browser.open(f"{server.url}/public/apps/hypha-login/oidc-callback?error=x").status == 403


def test_an_address_that_is_not_proven_is_not_believed(server, issuer, browser):
    issuer.lies = {"email_verified": False}
    through_issuer(browser, server)
    found = jwt.decode(browser.cookie("access_token").value, options={"verify_signature": False})
    assert found["https://amun.ai/email"] is None


async def test_access_tokens_of_the_issuer_are_taken(server, issuer):
    token = issuer.access_token(scope="openid read:all", **{"https://amun.ai/roles": ["admin"]})
    user = user_of(server, token)
    assert (user["id"], user["email"], user["roles"]) == (name_of(issuer), "ada@example.org", ["user"])
    assert user["scope"]["workspaces"] == {f"ws-user-{name_of(issuer)}": "a"}
    async with polyfn.connect_to_server({"server_url": server.url, "token": token}) as client:
        assert client.config.workspace == f"ws-user-{name_of(issuer)}"


def test_other_tokens_are_not(server, issuer):
    for subject in ("root", "anonymouz-http"):
        assert user_of(server, issuer.access_token(sub=subject))["id"] == name_of(issuer, subject)
    good = issuer.access_token()
    refused = {
        "expired": issuer.access_token(exp=1),
        "for others": issuer.access_token(aud="somebody-else"),
        "of others": issuer.access_token(iss="https://evil.example.org"),
        "another secret": jwt.encode({"sub": "root"}, "of somebody else" * 4, "HS256"),
        "no signature": jwt.encode({"iss": issuer.url, "sub": "root"}, None, "none"),
        "another's signature": good.rsplit(".", 1)[0] + "." + issuer.access_token(sub="b").rsplit(".", 1)[1],
    }
    assert {why: user_of(server, token) for why, token in refused.items()} == dict.fromkeys(refused, 401)


def test_unknown_keys_are_fetched_now_and_then_only(server, issuer):
    assert user_of(server, issuer.access_token())["id"] == name_of(issuer)
    before = issuer.keys_fetched
    for number in range(20):
        assert user_of(server, issuer.sign({"aud": oidc.AUDIENCE, "sub": "x"}, kid=f"k{number}")) == 401
    assert issuer.keys_fetched <= before + 1


def test_new_keys_of_the_issuer_are_found_at_a_login(server, issuer, browser):
    through_issuer(browser, server)
    issuer.new_key()
    assert through_issuer(Visitor(), server).title == "You are logged in"
