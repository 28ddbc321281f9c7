"""A domain of Auth0 of one's own, played by the issuer of the tests over TLS."""

from __future__ import annotations

import jwt
import polyfn
import pytest
from runner import issuer as oidc
from runner import tokens
from runner.forms import Visitor
from runner.servers import PolyfnServer
from runner.web import get

NAMESPACE = "https://names.example.org/"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return oidc.Certificate(tmp_path_factory.mktemp("auth0"))


@pytest.fixture(scope="module")
def auth0(certificate):
    running = oidc.Issuer(certificate)
    running.claims = {"sub": "auth0|5f00", "name": "Ada", f"{NAMESPACE}email": "ada@example.org"}
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(auth0, certificate):
    settings = {
        "AUTH0_DOMAIN": auth0.url.removeprefix("https://"),
        "AUTH0_CLIENT_ID": oidc.CLIENT_ID,
        "AUTH0_AUDIENCE": oidc.AUDIENCE,
        "AUTH0_NAMESPACE": NAMESPACE,
        "AUTH0_ISSUER": "https://our-own.example.org/",
        "SSL_CERT_FILE": str(certificate.authority),
    }
    running = PolyfnServer(environment=settings).start()
    yield running
    running.stop()


def user_of(server, token: str):
    answer = get(f"{server.url}/assets/config.json", token=token)
    return answer.json()["user"] if answer.status == 200 else answer.status


def test_the_settings_are_told(server, auth0):
    """The five values are in the public settings, as pages and clients look for them there."""
    told = get(f"{server.url}/assets/config.json").json()
    domain = auth0.url.removeprefix("https://")
    assert (told["auth0_domain"], told["auth0_client_id"]) == (domain, oidc.CLIENT_ID)
    assert (told["auth0_audience"], told["auth0_issuer"]) == (oidc.AUDIENCE, "https://our-own.example.org/")


async def test_its_access_tokens_say_who_comes_and_what_they_may(server, auth0):
    more = {f"{NAMESPACE}roles": ["user", "curator"], "scope": "openid profile ws:lab-one#rw"}
    user = user_of(server, auth0.access_token(**more))
    assert (user["id"], user["email"], user["roles"]) == (
        "auth0|5f00",
        "ada@example.org",
        ["user", "curator"],
    )
    assert user["scope"]["workspaces"] == {"lab-one": "rw", "ws-user-auth0|5f00": "a"}
    assert user["scope"]["extra_scopes"] == []
    token = auth0.access_token(**more)
    async with polyfn.connect_to_server({"server_url": server.url, "token": token}) as client:
        assert client.config.workspace == "ws-user-auth0|5f00"
        made = await client.generate_token({"permission": "read"})
    claims = jwt.decode(made, options={"verify_signature": False})
    assert (claims["iss"], claims["aud"]) == ("https://our-own.example.org/", oidc.AUDIENCE)
    assert claims[f"{NAMESPACE}parent"] == "auth0|5f00"
    async with polyfn.connect_to_server(
        {"server_url": server.url, "token": token, "workspace": "lab-one"}
    ) as client:
        assert client.config.workspace == "lab-one"


def test_its_administrators_are_ours(server, auth0):
    user = user_of(server, auth0.access_token(**{f"{NAMESPACE}roles": ["admin"]}))
    assert user["scope"]["workspaces"]["*"] == "a"


def test_other_tokens_are_refused(server, auth0):
    refused = {
        "expired": auth0.access_token(exp=1),
        "for others": auth0.access_token(aud="somebody-else"),
        "of others": auth0.access_token(iss=auth0.url),
        "with names of others": tokens.member("ada"),
        "signed with the public key": jwt.encode({"iss": auth0.name, "sub": "root"}, "x" * 40, "HS256"),
    }
    assert {why: user_of(server, token) for why, token in refused.items()} == dict.fromkeys(refused, 401)


def test_people_log_in_there(server, certificate):
    browser = Visitor(str(certificate.authority))
    browser.open(f"{server.url}/login")
    link = next(part for part in browser.text.split('"') if part.startswith("oidc?"))
    browser.open(link)
    assert browser.title == "You are logged in"
    user = user_of(server, browser.cookie("access_token").value)
    assert user["id"] == "auth0|5f00"


def test_whoever_is_not_vouched_for_is_not_believed(auth0):
    domain = auth0.url.removeprefix("https://")
    other = PolyfnServer(environment={"AUTH0_DOMAIN": domain, "AUTH0_AUDIENCE": oidc.AUDIENCE}).start()
    try:
        assert user_of(other, auth0.access_token()) == 401
    finally:
        other.stop()
