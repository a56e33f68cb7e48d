"""A TCP proxy on loopback that cuts what goes through it after a number of bytes, as a network may."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK_BYTES = 4096
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: the peer gets a reset instead of an end


class CuttingProxy:
    """Passes bytes between clients and a server, until as many as allowed have passed in both directions together.

    Then every connection is cut at that byte, by an end or by a reset, and while it stays `down` new ones are too.
    """

    def __init__(self, server_port: int) -> None:
        self._server = ("127.0.0.1", server_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed = 0
        self.cuts = 0
        self._bytes_left: int | None = None
        self._is_reset = False
        self._is_down = False
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut_after(self, count: int, *, reset: bool, stays_down: bool) -> None:
        """Cuts once, after so many more bytes."""
        with self._lock:
            self._bytes_left, self._is_reset, self._is_down = count, reset, False
            self._stays_down = stays_down

    def mend(self) -> None:
        """Lets everything pass again."""
        with self._lock:
            self._bytes_left, self._is_down = None, False

    def close(self) -> None:
        """Ends the proxy and every connection through it."""
        self._closing.set()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        self._listener.settimeout(0.05)
        while not self._closing.is_set():
            with suppress(TimeoutError, OSError):
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, selectors.DefaultSelector() as selector:
            client.settimeout(5)
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            with suppress(OSError):
                while not self._closing.is_set() and self._pass_on(selector):
                    pass
            if self._is_reset:
                for end in (client, server):
                    with suppress(OSError):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def _pass_on(self, selector: selectors.DefaultSelector) -> bool:
        """Passes what has come; False when the connection is at its end."""
        for key, _ in selector.select(timeout=0.05):
            source, target = key.fileobj, key.data
            assert isinstance(source, socket.socket)
            content = source.recv(_CHUNK_BYTES)
            allowed = self._allow(len(content))
            target.sendall(content[:allowed])
            if not content or allowed < len(content):
                return False
        return not self._is_down

    def _allow(self, count: int) -> int:
        """How many of these bytes may pass."""
        with self._lock:
            if self._is_down:
                return 0
            if self._bytes_left is None or count <= self._bytes_left:
                self.passed += count
                self._bytes_left = None if self._bytes_left is None else self._bytes_left - count
                return count
            allowed, self._bytes_left = self._bytes_left, None
            self._is_down = self._stays_down
            self.passed += allowed
            self.cuts += 1
            return allowed


@contextmanager
def cutting_proxy(server_port: int) -> Iterator[CuttingProxy]:
    """A proxy in front of a server on loopback, until the end of the block."""
    proxy = CuttingProxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
