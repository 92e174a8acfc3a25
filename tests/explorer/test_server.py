"""The explorer's server: what it answers, what it refuses, stale requests, and the command."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from mpimpy.cli import main
from mpimpy.explorer import _command, _server, serve


class Computes:
    """A function that counts its calls, and computes as long as it is held."""

    def __init__(self):
        self.calls, self.started, self.free = [], threading.Event(), threading.Event()
        self.free.set()

    def __call__(self, settings, pictures, check):
        self.calls.append(settings)
        self.started.set()
        assert self.free.wait(60)
        check()
        if "error" in settings:
            raise {"value": ValueError("two\n lines"), "bug": KeyError("bug"), "empty": MemoryError()}[
                settings["error"]
            ]
        return {"settings": settings, "pictures": pictures}


@pytest.fixture
def server():
    with _server.Server(0, Computes()) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.compute.free.set()
        found.shutdown()
        thread.join()


def ask(server, method="POST", path="/run", body=None, **headers):
    given = {"Host": f"127.0.0.1:{server.server_port}"}
    if method == "POST":
        given["Content-Type"] = "application/json"
        body = json.dumps({"page": "p", "settings": {}} if body is None else body) if type(body) is not bytes else body
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request(method, path, body, given)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, answer.headers


def test_the_page_is_whole_and_closed_to_the_world(server):
    status, text, headers = ask(server, "GET", "/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "@" not in re.sub(r"@media", "", text)
    assert not re.search(r"https?://", text)
    # each control has a label and a text that explains it
    controls = re.findall(r'<(?:input|select) ?[^>]*\bid="(c-\w+)"[^>]*aria-describedby="(h-\w+)"', text)
    assert len(controls) == text.count("data-kind=") > 30
    for own, described in controls:
        assert f'<label for="{own}">' in text
        assert f'<p id="{described}">' in text
    assert ask(server, "GET", "/favicon.ico")[2]["Content-Type"].startswith("image/svg+xml")


def test_it_answers_its_own_page_alone(server):
    port = server.server_port
    for path in ("/x", "/../setup.cfg", "/run", "/?a"):
        assert ask(server, "GET", path)[0] == 404
    assert ask(server, path="/other")[0] == 404
    assert ask(server, "PUT", "/run")[0] == 501
    for method in ("GET", "POST"):
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}"):
            assert ask(server, method, "/" if method == "GET" else "/run", Host=host)[0] == 403
        assert ask(server, method, Origin="http://evil.example")[0] == 403
    assert ask(server, Content_Type="text/plain")[0] == 415
    assert ask(server, Content_Length="many")[0] == 411
    assert ask(server, Content_Length=str(10**9))[0] == 413
    assert server.compute.calls == []
    assert ask(server, Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


def test_answers_and_errors_are_json(server, capsys):
    status, text, headers = ask(server, body={"page": "p", "settings": {"radc": 64}})
    assert (status, json.loads(text)) == (200, {"settings": {"radc": 64}, "pictures": True})
    assert json.loads(ask(server, body={"page": "p", "settings": {}, "pictures": False})[1])["pictures"] is False
    assert headers["Cache-Control"] == "no-store"
    for body, message in (
        (b"{", "the request is not JSON"),
        (b"\xff", "the request is not JSON"),
        (b"[]", "the request must be"),
        (b"[" * 20_000, "the request is nested too deeply"),
        ({"page": "p", "settings": {"seed": 10**4000}}, "a whole number of 4001 digits is out of range"),
        ({"page": "p", "settings": {"device_file": "/etc/passwd"}}, "device_file: the page reads no files"),
        ({"page": 3, "settings": {}}, "the request must be"),
        ({"page": "p"}, "the request must be"),
        ({"page": "p", "settings": {"error": "value"}}, "two lines"),
        ({"page": "p", "settings": {"error": "empty"}}, "MemoryError"),
    ):
        status, text, _ = ask(server, body=body)
        assert status == 400
        assert json.loads(text)["error"].startswith(message)
    assert ask(server, body={"page": "p", "settings": {"error": "bug"}})[:2] == (500, '{"error": "KeyError: \'bug\'"}')
    assert "KeyError" in capsys.readouterr().err


def test_a_newer_request_of_a_page_makes_the_older_ones_stale(server):
    compute, statuses = server.compute, {}
    compute.free.clear()

    def later(name, page):
        before = server.newest._count

        def run():
            statuses[name] = ask(server, body={"page": page, "settings": {"name": name}})[0]

        thread = threading.Thread(target=run)
        thread.start()
        while server.newest._count == before:  # it has come in
            thread.join(0.001)
        return thread

    threads = [later("running", "p")]
    assert compute.started.wait(60)
    threads += [later("waiting", "p"), later("other page", "q"), later("newest", "p")]
    compute.free.set()
    for thread in threads:
        thread.join(60)
    assert statuses == {"running": 409, "waiting": 409, "other page": 200, "newest": 200}
    assert compute.calls[0]["name"] == "running"
    assert {settings["name"] for settings in compute.calls} == {"running", "other page", "newest"}


def test_few_pages_are_remembered(monkeypatch):
    monkeypatch.setattr(_server, "MAX_PAGES", 2)
    newest = _server._Newest()
    first = newest.enter("a")
    for name in "bc":
        newest.enter(name)
    first()  # forgotten, not stale
    assert len(newest._of) == 2


def test_a_port_in_use_is_told(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["explore", "--port", str(port), "--no-browser"]) == 2
    assert capsys.readouterr().err.startswith(f"mpimpy: port {port} is in use: give another, such as --port ")
    with pytest.raises(ValueError, match="port=65536 is out of range"):
        serve(65536)


@pytest.mark.parametrize(("words", "given"), [([], (8765, True)), (["--port", "0", "--no-browser"], (0, False))])
def test_the_command(words, given, monkeypatch):
    found = []
    monkeypatch.setattr(_server, "serve", lambda port, browser: found.append((port, browser)))
    assert main(["explore", *words]) == 0
    assert found == [given]
    assert _command.__all__ == ["add"]


def test_the_browser_is_opened_and_an_interrupt_ends_it(monkeypatch, capsys):
    opened = threading.Event()
    monkeypatch.setattr(_server.webbrowser, "open", lambda url: opened.set())

    def interrupted(self):
        assert opened.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(_server.Server, "serve_forever", interrupted)
    serve(0)
    out, err = capsys.readouterr()
    assert re.fullmatch(r"mpimpy explorer: http://127\.0\.0\.1:\d+/ \(Ctrl-C ends it\)\n", out)
    assert err == ""


@pytest.mark.slow
@pytest.mark.posix
def test_ctrl_c_is_quiet():
    command = [sys.executable, "-m", "mpimpy", "explore", "--port", "0", "--no-browser"]
    # a child of jobs in the background of a shell would ignore the signal, as they do
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        assert process.stdout.readline().startswith("mpimpy explorer: http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err) == (0, "", "")
