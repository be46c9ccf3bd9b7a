"""Waitress on loopback in a thread of its own, which also ends it: closed from another one, its loop and the
workers that still answer would use sockets that are gone.
"""

import threading

from flask import Flask
from waitress import wasyncore
from waitress.server import create_server

THREADS = 16
"""Every page that follows the desk holds one for as long as nothing changes."""

TURN_S = 1.0
ANSWER_S = 0.5


class Listener:
    """Bound when made, serving when started. `turns` grows as long as it works."""

    def __init__(self, app: Flask, port: int) -> None:
        """OSError when the port is taken."""
        self._sockets: dict[int, object] = {}
        self._server = create_server(
            app,
            map=self._sockets,
            host="127.0.0.1",
            port=port,
            threads=THREADS,
            ident="",
            clear_untrusted_proxy_headers=True,
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kiosk", daemon=True)
        self.turns = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Nothing new is taken; what is being answered has half a second."""
        self._stopping.set()
        if self._thread.is_alive():
            self._server.trigger.pull_trigger()
            self._thread.join(TURN_S + 2 * ANSWER_S)
        else:
            self._end()

    def _work(self) -> None:
        while not self._stopping.is_set():
            wasyncore.loop(timeout=TURN_S, use_poll=True, map=self._sockets, count=1)
            self.turns += 1
        self._end()

    def _end(self) -> None:
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=ANSWER_S)
        if not self._server.task_dispatcher.threads:  # else one of them would write to what we close
            wasyncore.close_all(self._sockets, ignore_all=True)
