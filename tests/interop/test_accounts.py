"""Local accounts and the pages for people: sign up, log in, approve the login of a program."""

from __future__ import annotations

import json
import re
import subprocess

import jwt
import polyfn
import pytest
from runner.browser import Browser as Chromium
from runner.browser import program as browser_program
from runner.forms import Visitor
from runner.logins import ask
from runner.mail import Receiver
from runner.servers import ROOT_TOKEN, PolyfnServer, polyfn_binary
from runner.waiting import eventually

PASSWORD = "correct horse battery"
LOCAL = ("--enable-local-auth", "--database-uri", "sqlite::memory:")


def claims(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


@pytest.fixture(scope="module")
def server():
    running = PolyfnServer(arguments=LOCAL).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def service(server):
    return f"{server.url}/public/services/hypha-login"


@pytest.fixture(scope="module")
def ada(service):
    """An account: what sign-up and login answered."""
    made = ask(f"{service}/signup", name="Ada", email="Ada@example.org", password=PASSWORD)
    assert (
        made.items() >= {"success": True, "verification_required": False, "email": "ada@example.org"}.items()
    )
    return ask(f"{service}/login", email="ada@example.org", password=PASSWORD)


@pytest.fixture
def browser():
    return Visitor()


def signed_in(browser: Visitor, server, path: str = "/login") -> Visitor:
    browser.open(server.url + path)
    return browser.submit("sign-in", email="ada@example.org", password=PASSWORD)


def test_login_gives_a_token(ada):
    assert ada["success"]
    assert ada["email"] == "ada@example.org"
    assert ada["workspace"] == f"ws-user-{ada['user_id']}"
    found = claims(ada["token"])
    assert (found["sub"], found["scope"]) == (ada["user_id"], f"ws:{ada['workspace']}#a")
    assert found["exp"] - found["iat"] == 86_400


async def test_the_token_connects(server, ada):
    config = {"server_url": server.url, "token": ada["token"]}
    async with polyfn.connect_to_server(config) as client:
        assert client.config.workspace == ada["workspace"]
        assert client.config.user["email"] == "ada@example.org"


def test_refusals_have_the_words_of_the_reference(service, ada):
    def told(function, **arguments):
        answer = ask(f"{service}/{function}", **arguments)
        assert answer["success"] is False
        return answer["error"]

    assert told("signup", name="X", email="", password=PASSWORD) == "Name, email and password are required"
    assert (
        told("signup", name="X", email="x@y.z", password="short") == "Password must be at least 8 characters"
    )
    assert told("signup", name="X", email="ada@example.org", password=PASSWORD) == "Email already registered"
    for email in ("ada@example.org", "nobody@example.org"):
        assert told("login", email=email, password="wrong password") == "Invalid email or password"
    none = "No pending verification for this email"
    assert told("verify_email", email="x@y.z", code="1").startswith(none)
    assert told("resend_code", email="x@y.z").startswith(none)
    assert "Log in first" in told("update_profile", user_email="ada@example.org", name="Eve")


def test_only_its_user_changes_a_profile(service, ada):
    token = ada["token"]
    assert (
        ask(f"{service}/update_profile", token, user_email="other@example.org", name="x")["success"] is False
    )
    wrong = ask(f"{service}/update_profile", token, new_password="another one", current_password="no")
    assert wrong == {"success": False, "error": "Current password is incorrect"}
    done = ask(f"{service}/update_profile", token, user_email="ada@example.org", name="Ada L.")
    assert done == {"success": True, "message": "Profile updated successfully"}
    root = ask(f"{service}/update_profile", ROOT_TOKEN, user_email="ada@example.org", name="Eve")
    assert root["success"] is False


def test_a_login_for_a_workspace_completes_the_key_of_a_program(service, ada):
    started = ask(f"{service}/start", workspace=ada["workspace"], expires_in=500)
    login = {"email": "ada@example.org", "password": PASSWORD, "key": started["key"]}
    assert ask(f"{service}/login", **login)["success"]
    got = ask(f"{service}/check", key=started["key"], profile=True)
    assert got["email"] == "ada@example.org"
    assert got["email_verified"] is False
    assert got["name"].startswith("Ada")
    found = claims(got["token"])
    assert found["scope"] == f"ws:{ada['workspace']}#a wid:{ada['workspace']}"
    assert found["exp"] - found["iat"] == 500
    foreign = ask(f"{service}/login", **{**login, "workspace": "ws-user-other"})
    assert "Permission denied" in foreign["error"]


def test_the_first_admin_is_made_once_and_told_on_stderr_only(server):
    def told() -> list[str]:
        lines = [line for line in server.log if "first account" in line]
        assert len(lines) == 1
        return lines

    lines = eventually(told)
    password = re.search(r"with the password (\S+)", lines[0]).group(1)
    answer = ask(
        f"{server.url}/public/services/hypha-login/login", email="admin@localhost", password=password
    )
    assert claims(answer["token"])["https://amun.ai/roles"] == ["admin", "user"]


def test_accounts_outlive_the_server(tmp_path):
    arguments = ("--enable-local-auth", "--database-uri", f"sqlite:///{tmp_path}/p.db")
    first = PolyfnServer(arguments=arguments).start()
    service = f"{first.url}/public/services/hypha-login"
    assert ask(f"{service}/signup", name="Ada", email="a@b.c", password=PASSWORD)["success"]
    first.process.kill()
    first.process.wait()
    second = PolyfnServer(arguments=arguments).start()
    try:
        service = f"{second.url}/public/services/hypha-login"
        assert ask(f"{service}/login", email="a@b.c", password=PASSWORD)["success"]
        assert not [line for line in second.log if "first account" in line]
    finally:
        second.stop()


# -- pages ------------------------------------------------------------------------------------------


def test_a_person_logs_in_and_the_browser_is_known_everywhere(server, ada, browser):
    signed_in(browser, server)
    assert (browser.status, browser.title) == (200, "You are logged in")
    cookie = browser.cookie("access_token")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Lax"
    assert not cookie.secure, "not by http"
    browser.open("/assets/config.json")
    assert json.loads(browser.text)["user"]["email"] == "ada@example.org"
    browser.open("/public/apps/hypha-login/?logout=true&close=true")
    assert browser.title == "Log out?", "a link alone logs nobody out"
    browser.submit("sign-out")
    assert browser.title == "You are logged out"
    assert browser.cookie("access_token") is None


def test_a_login_is_approved_by_hand(server, service, ada, browser):
    started = ask(f"{service}/start")
    signed_in(browser, server, started["login_url"].removeprefix(server.url))
    assert browser.title == "Approve this login?"
    assert started["user_code"] in browser.text
    assert ask(f"{service}/check", key=started["key"], timeout=0) is None
    browser.submit("approve")
    assert "go back to your program" in browser.text
    assert claims(ask(f"{service}/check", key=started["key"]))["sub"] == ada["user_id"]
    assert browser.open(started["login_url"]).status == 404


def test_the_code_of_a_terminal_finds_its_login(server, service, ada, browser):
    started = ask(f"{service}/start")
    browser.open(f"{server.url}/login?code={started['user_code'].lower()}")
    assert browser.url.endswith(f"?key={started['key']}")
    assert browser.title == "Log in"
    browser.submit("token", token=ada["token"])
    assert browser.title == "Approve this login?"
    assert browser.open(f"{server.url}/login?code=BBBB-BBBB").status == 404


def test_forms_come_from_our_pages(server, service, ada, browser):
    started = ask(f"{service}/start")
    signed_in(browser, server, started["login_url"].removeprefix(server.url))
    fields = browser.fields("approve")
    page = f"{server.url}/public/apps/hypha-login/approve"
    assert browser.open(page, {**fields, "form": "x"}).status == 403
    assert browser.open(page, fields, origin="https://evil.example").status == 403
    browser.open(page, fields, **{"sec-fetch-site": "cross-site"})
    assert browser.status == 403
    stranger = Visitor()
    assert stranger.open(page, fields).status == 403, "another browser"
    assert ask(f"{service}/check", key=started["key"], timeout=0) is None
    assert "frame-ancestors 'none'" in browser.headers["content-security-policy"]


def test_pages_show_what_is_typed_as_text(server, browser):
    browser.open(f"{server.url}/login")
    browser.submit("sign-in", email='"><script>alert(1)</script>', password="wrong password")
    assert browser.alert == "Invalid email or password"
    assert "<script>" not in browser.text
    assert browser.fields("sign-in")["email"] == '"><script>alert(1)</script>'


def test_a_person_signs_up_and_changes_the_password(server, browser):
    browser.open(f"{server.url}/login").open("./?view=sign-up")
    browser.submit("sign-up", name="Bob", email="bob@example.org", password="short")
    assert browser.alert == "Password must be at least 8 characters"
    browser.submit("sign-up", password=PASSWORD)
    assert browser.title == "You are logged in"
    browser.open("profile").submit("password", current_password="no", new_password="another password")
    assert browser.alert == "Current password is incorrect"
    browser.submit("password", current_password=PASSWORD, new_password="another password")
    assert "Saved." in browser.text
    other = Visitor().open(f"{server.url}/login")
    assert other.submit("sign-in", email="bob@example.org", password=PASSWORD).status == 403
    assert other.submit("sign-in", password="another password").title == "You are logged in"


@pytest.mark.skipif(browser_program() is None, reason="there is no Chromium")
def test_the_page_is_usable_on_a_phone_and_by_its_labels(server):
    chromium = Chromium()
    try:
        chromium.show(f"{server.url}/login?view=sign-up", width=360, height=640, dark=True)
        chromium.until("document.querySelector('form')")
        assert chromium.value("document.documentElement.scrollWidth") <= 360
        unnamed = (
            "[...document.querySelectorAll('input:not([type=hidden])')].filter(i => !i.labels.length).length"
        )
        assert chromium.value(unnamed) == 0
        dark = (
            "getComputedStyle(document.body).colorScheme + matchMedia('(prefers-color-scheme: dark)').matches"
        )
        assert chromium.value(dark).endswith("true")
        fill = {"name": "Dan", "email": "dan@example.org", "password": PASSWORD}
        for field, text in fill.items():
            chromium.value(f"document.getElementById({field!r}).value = {text!r}")
        chromium.value("document.querySelector('form button').click()")
        chromium.until("document.querySelector('h1').innerText === 'You are logged in'")
        assert "access_token" not in chromium.value("document.cookie"), "scripts do not see it"
        assert chromium.complaints == []
    finally:
        chromium.stop()


# -- e-mail -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mailed():
    """A server that proves addresses, and its mail server."""
    receiver = Receiver()
    arguments = (*LOCAL, "--smtp-url", receiver.url, "--mail-from", "Tests <no-reply@example.org>")
    running = PolyfnServer(arguments=arguments).start()
    yield running, receiver
    running.stop()
    receiver.stop()


def code_of(receiver: Receiver, email: str) -> str:
    recipient, text = receiver.messages.get(timeout=20)
    assert recipient == email
    return re.search(r"Your code is (\d{6})", text).group(1)


def test_an_address_is_proven_by_a_code(mailed):
    server, receiver = mailed
    service = f"{server.url}/public/services/hypha-login"
    browser = Visitor().open(f"{server.url}/login").open("./?view=sign-up")
    browser.submit("sign-up", name="Cyd", email="cyd@example.org", password=PASSWORD)
    assert browser.title == "Check your e-mail"
    code = code_of(receiver, "cyd@example.org")
    assert ask(f"{service}/login", email="cyd@example.org", password=PASSWORD)["success"] is False
    assert browser.submit("resend").alert.startswith("Please wait ")
    browser.submit("verify", code="000000" if code != "000000" else "111111")
    assert browser.alert == "Incorrect code. 4 attempt(s) remaining."
    assert browser.submit("verify", code=code).title == "You are logged in"
    answer = ask(f"{service}/login", email="cyd@example.org", password=PASSWORD)
    assert answer["success"]

    # somebody else with the same address learns nothing; its owner is told
    again = ask(f"{service}/signup", name="Eve", email="cyd@example.org", password="another password")
    assert again == {"success": True, "verification_required": True, "email": "cyd@example.org"}
    recipient, text = receiver.messages.get(timeout=20)
    assert recipient == "cyd@example.org"
    assert "has an account already" in text
    texts = [ask(f"{service}/verify_email", email="cyd@example.org", code=code)["error"] for _ in range(5)]
    assert texts[0] == "Incorrect code. 4 attempt(s) remaining."
    assert texts[4] == "Too many incorrect attempts. Please sign up again."


def test_secrets_stay_out_of_the_log(mailed, server):
    for running in (server, mailed[0]):
        log = "\n".join(line for line in running.log if "first account" not in line)
        assert PASSWORD not in log
        assert "access_token" not in log


# -- terminals --------------------------------------------------------------------------------------


def test_a_terminal_logs_in_by_a_code(server, ada, browser, tmp_path):
    file = tmp_path / "token"
    command = [polyfn_binary(), "login", "--server-url", server.url, "--workspace", ada["workspace"]]
    for more in ([], ["--token-file", str(file)]):
        terminal = subprocess.Popen(
            [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        code = ""
        while not code:
            found = re.search(r"type the code (\S+)", terminal.stderr.readline())
            code = found.group(1) if found else ""
        browser.open(f"{server.url}/login?code={code}")
        if browser.title == "Log in":
            browser.submit("sign-in", email="ada@example.org", password=PASSWORD)
        browser.submit("approve")
        out, errors = terminal.communicate(timeout=30)
        assert terminal.returncode == 0, errors
        token = file.read_text() if more else out
        assert claims(token.strip())["scope"] == f"ws:{ada['workspace']}#a wid:{ada['workspace']}"
        assert ada["token"] not in errors
    assert file.stat().st_mode & 0o777 == 0o600
    assert out == "", "what is kept is not shown"


def test_a_terminal_is_told_why_it_cannot_log_in():
    command = [polyfn_binary(), "login", "--server-url", "http://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith("polyfn: 127.0.0.1: ")
