"""Functions over HTTP whose answers come bit by bit: generators of every client, as value and as body."""

from __future__ import annotations

import http.client
import json
import zlib
from urllib.parse import urlsplit

import pytest
from runner import tokens
from runner.waiting import eventually
from runner.web import get, request


@pytest.fixture
def streams(pool, polyfn_server, script_kind):
    owner = pool.connection("polyfn", script_kind, "callee")
    if ("polyfn", script_kind, "streams") not in pool.registered:
        owner.register("streams", "streams", visibility="public")
        pool.registered.add(("polyfn", script_kind, "streams"))
    return f"{polyfn_server.url}/{owner.workspace}/apps/{owner.client_id}:streams"


@pytest.mark.parametrize(
    ("member", "status", "content_type", "body"),
    [
        ("texts", 200, "text/plain; charset=utf-8", "grüße welt".encode()),
        ("bytes", 200, "application/octet-stream", b"\x00\xff\x01"),
        ("objects", 200, "application/x-ndjson", b'{"a":1}\n[null]\n'),
        ("events", 201, "text/event-stream", b'data: {"a":1}\n\ndata: text\n\n'),
        ("nothing", 200, None, b""),
    ],
)
def test_what_a_generator_gives_is_the_body(streams, member, status, content_type, body):
    answer = get(f"{streams}/{member}")
    assert (answer.status, answer.body) == (status, body)
    assert answer.header("content-type") == content_type
    assert answer.header("content-length") is None


def test_a_failure_before_the_first_item_is_an_answer(streams):
    answer = get(f"{streams}/fails")
    assert answer.status == 500
    assert answer.json()["code"] == "remote"


def test_a_failure_behind_it_cuts_the_connection(streams):
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(f"{streams}/breaks")
    assert caught.value.partial == b"some"
    with pytest.raises(http.client.HTTPException):
        get(f"{streams}/breaks", headers={"Accept-Encoding": "gzip"})


def test_an_http_error_has_its_status_until_something_was_given(streams, script_kind):
    if script_kind.startswith("hypha"):
        pytest.skip("HTTPError is ours")
    answer = get(f"{streams}/refuses")
    assert (answer.status, answer.media_type) == (409, "application/problem+json")
    assert answer.json()["detail"] == "not now: later"
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(f"{streams}/refuses_late")
    assert caught.value.partial == b"some"


@pytest.mark.parametrize(
    ("member", "told"),
    [
        ("nested", "a generator has no form in JSON: give it alone or as the `body` to have it streamed"),
        ("functions", "a function has no form in JSON: give what it returns"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_a_remedy(streams, member, told):
    answer = get(f"{streams}/{member}", token=tokens.member("matrix"))
    assert answer.status == 500
    place = {"nested": ".rows[0]", "functions": ".more"}[member]
    assert told in answer.json()["detail"]
    assert place in answer.json()["detail"]
    assert told not in get(f"{streams}/{member}").text, "strangers are told no text of an error"


def closed(streams: str) -> int:
    return int(get(f"{streams}/closed").body)


def test_who_leaves_early_closes_the_generator(streams):
    before, parts = closed(streams), urlsplit(streams)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request("GET", f"{parts.path}/endless")
    answer = connection.getresponse()
    assert answer.readline() == b'{"number":0}\n'
    answer.close()
    connection.close()

    def gone():
        assert closed(streams) == before + 1

    eventually(gone)


@pytest.mark.parametrize("size", [0, 200_000])
def test_who_leaves_before_the_answer_gives_up_the_function(streams, script_kind, size):
    if script_kind.startswith("hypha"):
        pytest.skip("is not told that a call was given up")
    begun, given_up = get(f"{streams}/stayed").json()["counts"]
    parts = urlsplit(streams)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request("POST", f"{parts.path}/stays", body=bytes(size))

    def counts(*expected: int) -> None:
        assert get(f"{streams}/stayed").json()["counts"] == list(expected)

    eventually(lambda: counts(begun + 1, given_up))
    connection.close()
    eventually(lambda: counts(begun + 1, given_up + 1))


def test_compressed_pieces_leave_as_they_come(streams):
    parts = urlsplit(streams)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request("GET", f"{parts.path}/waits", headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    assert (answer.getheader("content-encoding"), answer.getheader("vary")) == ("gzip", "accept-encoding")
    unpack, text = zlib.decompressobj(wbits=31), b""
    while text != b'{"number":0}\n':
        piece = answer.read1()
        assert piece, text
        text += unpack.decompress(piece)

    def goes_on():
        assert get(f"{streams}/goes_on").text == "True"

    eventually(goes_on)
    assert unpack.decompress(answer.read()) == b'{"number":1}\n'
    connection.close()


def test_nobody_reads_the_body_of_head(streams):
    answer = request("HEAD", f"{streams}/texts")
    assert (answer.status, answer.body) == (200, b"")


# -- called as services ------------------------------------------------------------------------


@pytest.fixture
def called(streams):
    """Calls a function of the service with a plain request, for an answer in the form that is accepted."""
    base = streams.replace("/apps/", "/services/")

    def call(member: str, accept: str = "*/*"):
        headers = {"Accept": accept, "Content-Type": "application/json"}
        return request("POST", f"{base}/{member}", headers=headers, body=b"[{}]")

    return call


@pytest.mark.parametrize(
    ("accept", "content_type", "body"),
    [
        ("*/*", "text/event-stream", b'data: {"a":1}\n\ndata: [null]\n\ndata: [DONE]\n\n'),
        ("application/x-ndjson", "application/x-ndjson", b'{"a":1}\n[null]\n'),
        ("application/msgpack", "application/msgpack", b"\x81\xa1a\x01\x91\xc0"),
    ],
)
def test_a_generator_of_a_service_is_streamed(called, accept, content_type, body):
    answer = called("objects", accept)
    assert (answer.status, answer.media_type, answer.body) == (200, content_type, body)


def test_bytes_of_a_generator_are_marked_in_json(called):
    assert (
        called("bytes", "application/x-ndjson").text.splitlines()[0] == '{"_rtype":"bytes","_rvalue":"AP8="}'
    )


def test_a_failure_of_a_generator_is_its_last_item(called):
    lines = called("breaks", "application/x-ndjson").text.splitlines()
    assert lines[0] == '"some"'
    assert "error" in json.loads(lines[1])
    assert len(lines) == 2
    assert called("breaks").text.endswith("data: [DONE]\n\n")


def test_a_generator_that_nobody_waits_for_is_closed(called, streams):
    before = int(get(f"{streams}/closed").text)
    parts = urlsplit(streams.replace("/apps/", "/services/"))
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request("POST", f"{parts.path}/endless", b"[{}]", {"Content-Type": "application/json"})
    assert connection.getresponse().read(10)
    connection.close()
    eventually(lambda: int(get(f"{streams}/closed").text) > before)
