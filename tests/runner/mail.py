"""A mail server that keeps what it gets: as much of SMTP as a sender needs."""

from __future__ import annotations

import quopri
import socketserver
import threading
from queue import Queue


class Receiver:
    """Listens on a free port; `messages` holds (recipient, text) pairs."""

    def __init__(self) -> None:
        messages: Queue[tuple[str, str]] = Queue()
        self.messages = messages

        class Session(socketserver.StreamRequestHandler):
            def say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            def handle(self) -> None:
                self.say("220 test")
                recipient = ""
                while line := self.rfile.readline().decode().strip():
                    verb = line[:4].upper()
                    if verb == "RCPT":
                        recipient = line.split("<")[1].split(">")[0]
                    if verb == "DATA":
                        self.say("354 go on")
                        text = ""
                        while (part := self.rfile.readline().decode()) != ".\r\n":
                            text += part
                        messages.put((recipient, quopri.decodestring(text).decode()))
                    if verb == "QUIT":
                        self.say("221 bye")
                        return
                    self.say("250 fine")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
