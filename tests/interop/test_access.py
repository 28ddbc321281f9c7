"""Who may reach functions and apps: every kind of visibility against every kind of token."""

from __future__ import annotations

import base64

import pytest
from runner import tokens
from runner.apps import Apps
from runner.web import get, request

OWNER = "access"
WORKSPACE = tokens.own_workspace(OWNER)

# What each token is worth, and the status for those that are worth nothing here.
VISIBLE = {"public": 200, "unlisted": 200, "protected": 404, "private": 404}


def token(**more) -> tokens.Token:
    return tokens.Token(**{"user": OWNER, "workspace": WORKSPACE, **more})


GOOD = {
    "of the workspace": lambda: token().sign(),
    "for reading": lambda: token(permission="r").sign(),
}
FOREIGN = {
    "of a foreign workspace": lambda: tokens.member("somebody-else"),
    "of no workspace": lambda: tokens.Token(user="somebody-else").sign(),
    "none": lambda: None,
}
BAD = {
    "no token": lambda: "x",
    "three parts of nothing": lambda: "a.b.c",
    "expired": lambda: token(lifetime=-10).sign(),
    "not valid yet": lambda: token(claims={"nbf": 4_000_000_000}).sign(),
    "signed by somebody else": lambda: token().sign(secret="another-secret-which-is-long-enough-to-sign"),
    "signed by nobody": lambda: token().sign(secret=None, algorithm="none"),
    "changed": lambda: changed(token().sign()),
    "of another issuer's audience": lambda: token(claims={"aud": "elsewhere"}).sign(),
}


def changed(text: str) -> str:
    """The same signature under other claims."""
    head, _, signature = text.split(".")
    return ".".join([head, token(user="root", roles=("admin",)).sign().split(".")[1], signature])


@pytest.fixture(scope="module")
def places(pool, polyfn_server):
    """URLs by kind and visibility: of a function and of an app."""
    owner = pool.peer("polyfn", "polyfn-python").connect(
        "access",
        polyfn_server.url,
        workspace=WORKSPACE,
        token=token(permission="a").sign(),
        client_id="guarded",
    )
    urls = {}
    with Apps() as apps:
        for visibility in VISIBLE:
            owner.register("echo", f"fn-{visibility}", visibility=visibility)
            urls["function", visibility] = f"{polyfn_server.url}/{WORKSPACE}/apps/fn-{visibility}/x"
            app = apps.app("raw.py", "polyfn-python", polyfn_server.url, f"{visibility}-raw")
            urls["app", visibility] = f"{app.url}/method"
        urls["app token"] = app.program.token
        yield urls
    owner.disconnect()


@pytest.mark.parametrize("visibility", VISIBLE)
@pytest.mark.parametrize("kind", ["function", "app"])
def test_visibility_against_tokens(places, kind, visibility):
    url = places[kind, visibility]
    # an app lives in a workspace of its own, whose token it has made
    good = GOOD if kind == "function" else {"of the workspace": lambda: places["app token"]}
    for name, make in good.items():
        assert get(url, token=make()).status == 200, name
    for name, make in FOREIGN.items():
        assert get(url, token=make()).status == VISIBLE[visibility], name
    for name, make in BAD.items():
        answer = get(url, token=make())
        assert (answer.status, answer.header("www-authenticate") is not None) == (401, True), name


@pytest.mark.parametrize("kind", ["function", "app"])
@pytest.mark.parametrize("visibility", ["private", "protected"])
def test_who_has_no_right_is_not_told_what_is_there(places, kind, visibility):
    url = places[kind, visibility]
    missing = url.replace(visibility, "no-such")
    for make in FOREIGN.values():
        there, not_there = get(url, token=make()), get(missing, token=make())
        assert (there.status, there.text.replace(visibility, "no-such")) == (404, not_there.text)
        assert sorted(name for name, _ in there.headers) == sorted(name for name, _ in not_there.headers)


def test_the_ways_of_a_token(places):
    url, good = places["function", "protected"], GOOD["of the workspace"]()
    basic = base64.b64encode(f"anybody:{good}".encode()).decode()
    for headers, status in (
        ({"Authorization": f"Bearer {good}"}, 200),
        ({"authorization": f"bearer {good}"}, 200),
        ({"Authorization": f"Basic {basic}"}, 200),
        ({"Authorization": good}, 200),
        ({"Cookie": f"a=b; access_token={good}"}, 200),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Basic !"}, 401),
        ({"Cookie": "access_token=x"}, 401),
        ({"X-Token": good}, 404),
    ):
        assert request("GET", url, headers=headers).status == status, headers
    for name in ("_token", "token", "access_token"):
        assert get(f"{url}?{name}={good}").status == 404, name


def test_a_token_for_something_else_opens_nothing(places):
    """A token for one client, or for one thing, is none for a workspace."""
    special = tokens.Token(user="somebody-else", words=("file:x",)).sign()
    assert get(places["function", "protected"], token=special).status in (401, 403)
