"""Waiting, for the Python tests of the chart and of the console."""

import socket
import time

PATIENCE_S = 30


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def eventually(what, described, patience_s=PATIENCE_S):
    """Polls until the condition holds; fails after a while."""
    deadline = time.monotonic() + patience_s
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, f"it did not happen in time: {described() if callable(described) else described}"
        time.sleep(0.05)
