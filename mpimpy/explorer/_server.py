"""The explorer's server: it gives one page, and answers its requests one at a time, on this machine only."""

import contextlib
import errno
import json
import os
import threading
import traceback
import webbrowser
from collections import OrderedDict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..checks import as_bool, as_int, fail
from ._explore import explore
from ._page import ICON, page

__all__ = ["PORT", "Server", "serve"]

HOST = "127.0.0.1"
PORT = 8765
MAX_BODY = 1 << 16  # bytes of a request
MOST_DIGITS = 64  # of a whole number
MAX_PAGES = 64  # pages whose newest request is known
PATIENCE_S = 10  # for the rest of a request, and at the end for the work in hand

_REFUSED = (ArithmeticError, ImportError, MemoryError, NotImplementedError, TypeError, ValueError)


class _Stale(Exception):
    """A newer request of the same page has come in."""


class _Newest:
    """The newest request of each page."""

    def __init__(self) -> None:
        self._lock, self._of = threading.Lock(), OrderedDict[str, int]()
        self._count = 0

    def enter(self, name: str) -> Callable[[], None]:
        """Note a request, and return a function that raises `_Stale` once there is a newer one."""
        with self._lock:
            self._count += 1
            mine = self._of[name] = self._count
            self._of.move_to_end(name)
            if len(self._of) > MAX_PAGES:
                self._of.popitem(last=False)

        def check() -> None:
            if self._of.get(name, mine) != mine:
                raise _Stale

        return check


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        fail(ValueError, f"a whole number of {len(text)} digits is out of range for every setting")
    return int(text)


class Server(ThreadingHTTPServer):
    """Server of the explorer's page on 127.0.0.1.

    Parameters
    ----------
    port : int
        0 takes a free one; see `url`.
    compute : function, optional
        As `explore`.
    """

    daemon_threads = True
    # elsewhere than on POSIX, two servers could share a port
    allow_reuse_address = os.name == "posix"

    def __init__(self, port: int = PORT, compute: Callable[..., dict[str, Any]] = explore) -> None:
        self.compute, self.newest = compute, _Newest()
        self.working = threading.Lock()  # one product, and one picture, at a time
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_port}/"

    def answer(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return the status and the answer to a request for a product."""
        try:
            asked = json.loads(body, parse_int=_whole)
        except RecursionError:
            return 400, {"error": "the request is nested too deeply: settings are numbers, texts and lists of them"}
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            return 400, {"error": f"the request is not JSON: {error}"}
        except ValueError as error:
            return 400, {"error": str(error)}
        if not isinstance(asked, dict) or not isinstance(asked.get("page"), str) or "settings" not in asked:
            return 400, {"error": 'the request must be {"page": text, "settings": {...}, "pictures": true or false}'}
        if isinstance(asked["settings"], dict) and "device_file" in asked["settings"]:
            # whoever reaches this port shall not read the files of its owner
            mend = 'in Python, mpimpy.explore({"device_file": ...}) does'
            return 400, {"error": f"device_file: the page reads no files: {mend}"}
        check = self.newest.enter(asked["page"])
        try:
            with self.working:
                check()
                return 200, self.compute(asked["settings"], pictures=asked.get("pictures") is not False, check=check)
        except _Stale:
            return 409, {"error": "stale: a newer request came in"}
        except _REFUSED as error:
            return 400, {"error": " ".join(str(error).split()) or type(error).__name__}
        except Exception as error:
            traceback.print_exc()
            return 500, {"error": f"{type(error).__name__}: {error}"}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has gone."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = PATIENCE_S

    def log_message(self, format: str, *args: Any) -> None:
        # the terminal is not for every request
        return

    def _send(self, status: int, kind: str, text: str, **headers: str) -> None:
        data = text.encode()
        self.send_response(status)
        more = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(data)), "Cache-Control": "no-store"}
        more |= {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        for name, value in (more | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, message: str) -> None:
        self._send(status, "text/plain", f"{message}\n")

    def _is_own(self) -> bool:
        # A page of another site may send requests here under a name of its own, which it lets point to this machine:
        # the name that the browser was given tells.
        port = self.server.server_port
        hosts = {f"{name}:{port}" for name in (HOST, "localhost")} | ({HOST, "localhost"} if port == 80 else set())
        origin = self.headers.get("Origin")
        return self.headers.get("Host") in hosts and (origin is None or origin.removeprefix("http://") in hosts)

    def do_GET(self) -> None:
        if not self._is_own():
            return self._refuse(403, "this server answers to 127.0.0.1 and localhost only")
        if self.path == "/":
            text, policy = page()
            return self._send(200, "text/html", text, Content_Security_Policy=policy)
        if self.path == "/favicon.ico":
            return self._send(200, "image/svg+xml", ICON)
        return self._refuse(404, "there is one page here: /")

    def do_POST(self) -> None:
        if not self._is_own():
            return self._refuse(403, "this server answers to its own page only")
        if self.path != "/run":
            return self._refuse(404, "products are asked for at /run")
        if self.headers.get_content_type() != "application/json":
            return self._refuse(415, "the content type must be application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            return self._refuse(411, "the request must say its length")
        if int(length) > MAX_BODY:
            return self._refuse(413, f"a request has at most {MAX_BODY} bytes")
        status, found = self.server.answer(self.rfile.read(int(length)))
        return self._send(status, "application/json", json.dumps(found, allow_nan=False))


def _open(port: int) -> Server:
    try:
        return Server(port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = f"give another, such as --port {port + 1 if port < 65535 else port - 1}, or --port 0 for a free one"
            msg = f"port {port} is in use: {other}"
        elif error.errno == errno.EACCES:
            msg = f"port {port} is not allowed to this user: give one from 1024 on, or --port 0 for a free one"
        else:
            msg = f"no server on {HOST}, port {port}: {error.strerror or error}"
        raise OSError(msg) from error


def serve(port: int = PORT, *, browser: bool = True) -> None:
    """Serve the explorer's page on 127.0.0.1 until Ctrl-C.

    Parameters
    ----------
    port : int
        0 to 65535; 0 takes a free one. The address is printed.
    browser : bool
        Open the page in a browser.

    Raises
    ------
    OSError
        If the port is in use, or not allowed.
    ValueError, TypeError
        If `port` is no port.

    Examples
    --------
    >>> serve(0)  # doctest: +SKIP
    mpimpy explorer: http://127.0.0.1:40123/ (Ctrl-C ends it)
    """
    port, browser = as_int("port", port, 0, 65535), as_bool("browser", browser)
    with _open(port) as server:
        with contextlib.suppress(KeyboardInterrupt):
            print(f"mpimpy explorer: {server.url} (Ctrl-C ends it)", flush=True)
            if browser:  # it may take its time, and requests wait until the server runs
                threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
            server.serve_forever()
        # no thread may be inside a kernel while Python ends
        with contextlib.suppress(KeyboardInterrupt):
            server.working.acquire(timeout=PATIENCE_S)
