"""A TCP proxy that can cut every connection through it, as a network does, and sees what passes."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from urllib.parse import urlsplit

REFUSAL = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Proxy:
    """Listens on a free port and passes bytes on to `target`.

    `upgrades` says what becomes of websockets: `pass`, `refuse` (by an answer), `cut` (without one), `drop`
    (accepted, then cut) or `mute` (accepted, then nothing passes).
    """

    def __init__(self, target: str, upgrades: str = "pass"):
        self.upgrades = upgrades
        self.refused = 0
        self.delivered = bytearray()
        """What the target has sent; what clients send is masked by their websockets."""
        parts = urlsplit(target)
        self.target = (parts.hostname, parts.port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_) -> None:
        with contextlib.suppress(OSError):
            # to close it alone does not wake the thread that waits at it
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._acceptor.join()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            head = b"" if self.upgrades == "pass" else self._head(near)
            if b"upgrade: websocket" in head.lower():
                self.refused += 1
                return self._spoil(near, head)
            far = socket.create_connection(self.target)
            far.sendall(head)
        except OSError:
            near.close()
            return
        with self._lock:
            self._pairs.add((near, far))
        for source, sink, seen in ((near, far, None), (far, near, self.delivered)):
            threading.Thread(target=self._copy, args=(source, sink, seen), daemon=True).start()

    def _spoil(self, near: socket.socket, head: bytes) -> None:
        if self.upgrades == "refuse":
            near.sendall(REFUSAL)
        if self.upgrades in ("drop", "mute"):
            with socket.create_connection(self.target) as far:
                far.sendall(head)
                near.sendall(self._head(far))
        if self.upgrades == "mute":
            while near.recv(1 << 16):
                pass
        near.close()

    @staticmethod
    def _head(near: socket.socket) -> bytes:
        """The head of the first request, and what came with it."""
        head = b""
        while b"\r\n\r\n" not in head and (block := near.recv(1 << 16)):
            head += block
        return head

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket, seen: bytearray | None) -> None:
        try:
            while block := source.recv(1 << 16):
                if seen is not None:
                    seen += block
                sink.sendall(block)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self) -> int:
        """Resets every open connection, both ends; returns how many there were."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for end in pair:
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()
        return len(pairs)
