"""As much of a browser as forms without scripts need: cookies, redirects, hidden fields."""

from __future__ import annotations

import html
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

INPUT = re.compile(r"<input([^>]*)>")
FORM = re.compile(r'<form method="(\w+)" action="([^"]*)">(.*?)</form>', re.DOTALL)


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows all but those whose path has `stop_before` in it."""

    stop_before = ""

    def redirect_request(self, request, fp, code, msg, headers, newurl):
        if self.stop_before and self.stop_before in urllib.parse.urlsplit(newurl).path:
            return None
        return super().redirect_request(request, fp, code, msg, headers, newurl)


class Visitor:
    """Keeps cookies; `url`, `status` and `text` are those of the page it shows."""

    def __init__(self, authority: str | None = None) -> None:
        self.cookies = CookieJar()
        self.redirects = Redirects()
        cookies = urllib.request.HTTPCookieProcessor(self.cookies)
        believed = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority))
        self.opener = urllib.request.build_opener(cookies, self.redirects, believed)
        self.url = ""
        self.status = 0
        self.text = ""
        self.headers = None

    def open(self, url: str, data: dict[str, str] | None = None, **headers: str) -> Visitor:
        body = urllib.parse.urlencode(data).encode() if data is not None else None
        request = urllib.request.Request(urllib.parse.urljoin(self.url, html.unescape(url)), body, headers)
        try:
            answer = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            self.url, self.status, self.headers = answer.geturl(), answer.status, answer.headers
            self.text = answer.read().decode()
        return self

    def fields(self, action: str) -> dict[str, str]:
        """The fields of a form, with the values that they have."""
        for _, found, inner in FORM.findall(self.text):
            if found == action:
                attributes = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in INPUT.findall(inner)]
                return {field["name"]: html.unescape(field.get("value", "")) for field in attributes}
        raise AssertionError(f"no form {action} in {self.title!r}")

    def submit(self, action: str, **fields: str) -> Visitor:
        """Fills in the form with this action and sends it."""
        return self.open(action, {**self.fields(action), **fields}, origin=self.origin)

    @property
    def origin(self) -> str:
        parts = urllib.parse.urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def title(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.text)
        return html.unescape(found.group(1)) if found else ""

    @property
    def alert(self) -> str:
        found = re.search(r'role="alert">(.*?)</p>', self.text)
        return html.unescape(found.group(1)) if found else ""

    def cookie(self, name: str):
        return next((cookie for cookie in self.cookies if cookie.name == name), None)
