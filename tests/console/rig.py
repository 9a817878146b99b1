"""A bridge with a Postman stand-in, and an HR system's webhooks: real processes, on free ports."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from waiting import eventually, free_port

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("BRIDGE_BIN", ROOT / "target/debug/scim-bridge"))
SECRET = base64.b64encode(b"a secret of the console's tests").decode()
KEY = "sim-key"
TOKEN = "the-admin-token-of-the-tests"
LOOKER = "the-token-that-may-only-look"


def ask(url, method="GET", body=None, headers=()):
    """Status, headers and body of any answer."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, method=method, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def start(arguments, folder):
    with open(folder / f"{arguments[0]}.log", "ab") as log:
        return subprocess.Popen([str(BINARY), *arguments], stdout=log, stderr=log, cwd=folder)


def stop(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(arguments, folder):
    process = start(arguments, folder)
    try:
        yield process
    finally:
        stop(process)


class Bridge:
    """A running bridge and its stand-in."""

    def __init__(self, folder, admin, listen, sim, words):
        self.admin, self.listen, self.sim = (f"http://127.0.0.1:{port}" for port in (admin, listen, sim))
        self.folder, self.words, self.process, self.others = folder, words, None, []
        self.config = folder / "scim-bridge.toml"
        self.sent = 0

    def serve(self):
        """Starts it with its configuration, and waits until it serves."""
        self.process = start(["serve", "--config", str(self.config), *self.words], self.folder)

        def is_ready():
            assert self.process.poll() is None, (self.folder / "serve.log").read_text()
            try:
                return ask(f"{self.admin}/readyz")[0] == 200 and ask(f"{self.sim}/sim/stats")[0] == 200
            except OSError:
                return False
        eventually(is_ready, "it serves")

    def change(self, old, new):
        """The same bridge again, with another configuration."""
        text = self.config.read_text()
        assert old in text, old
        self.config.write_text(text.replace(old, new))
        stop(self.process)
        self.serve()

    def append(self, toml):
        last = self.config.read_text()
        self.change(last, last + toml)

    def another(self, role):
        """One more process on the same store, until the end."""
        config = self.folder / f"{role}.toml"
        text = self.config.read_text()
        for url in (self.admin, self.listen):
            text = text.replace(url.removeprefix("http://"), f"127.0.0.1:{free_port()}")
        config.write_text(text)
        self.others.append(start(["serve", "--config", str(config), "--role", role], self.folder))

    def api(self, path, method="GET", body=None, token=TOKEN):
        status, _, text = ask(f"{self.admin}{path}", method, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        assert status == 200, (path, status, text)
        return json.loads(text)

    def deliver(self, payload, secret=SECRET, source="hr"):
        """Signs a payload as in Standard Webhooks, and posts it."""
        self.sent += 1
        name, now = f"msg_{self.sent}", str(int(time.time()))
        body = payload if isinstance(payload, str) else json.dumps(payload)
        mac = hmac.new(base64.b64decode(secret), f"{name}.{now}.{body}".encode(), hashlib.sha256).digest()
        signature = "v1," + base64.b64encode(mac).decode()
        headers = {"Content-Type": "application/json", "webhook-id": name, "webhook-timestamp": now, "webhook-signature": signature}
        return ask(f"{self.listen}/webhooks/{source}", "POST", body, headers)

    def hire(self, number, given, family, email=None, kind="employee.hired", secret=SECRET):
        email = email or f"{given}.{family}@example.com".lower().replace(" ", "")
        data = {"employee_id": f"E-{number}", "email": email, "first_name": given, "last_name": family}
        return self.deliver({"type": kind, "data": data}, secret)

    def leave(self, number):
        return self.deliver({"type": "employee.left", "data": {"employee_id": f"E-{number}"}})

    def control(self, path, method="POST", body=None):
        status, _, text = ask(f"{self.sim}/sim{path}", method, body)
        assert status == 200, (path, status, text)
        return text

    def settled(self):
        """Whether nobody is waiting or being worked on."""
        def is_settled():
            jobs = self.api("/api/v1/status")["jobs"]
            return jobs["waiting"] == 0 and jobs["running"] == 0
        eventually(is_settled, "all has been worked on")

    def dead(self, query=""):
        return self.api(f"/api/v1/dead?{query}")["dead"]


@contextmanager
def bridge(folder, store=None, words=()):
    admin, listen, sim = free_port(), free_port(), free_port()
    made = Bridge(folder, admin, listen, sim, words)
    made.config.write_text(f"""
[server]
listen = "127.0.0.1:{listen}"
admin_listen = "127.0.0.1:{admin}"
admin_token = "{TOKEN}"
[[server.token]]
name = "looker"
role = "read_only"
token = "{LOOKER}"
[store]
url = "{store or f'embedded:{folder}/store'}"
[postman]
base_url = "http://127.0.0.1:{sim}/scim/v2"
key = "{KEY}"
writes_per_minute = 6000
reads_per_minute = 6000
[[source]]
name = "hr"
preset = "standard-webhooks"
secrets = ["whsec_{SECRET}"]
""")
    with running(["postman-sim", "--listen", f"127.0.0.1:{sim}", "--writes", "0", "--reads", "0"], folder):
        try:
            made.serve()
            yield made
        finally:
            for process in filter(None, [made.process, *made.others]):
                stop(process)


def people(made):
    """Some people, most of them in sync, and some problems of each kind."""
    elsewhere = [{"user_name": f"{name}@example.com", "standing": "other_team"} for name in ("alan.turing", "grace.hopper", "mary.shelley")]
    made.control("/members", body=elsewhere)
    for number, given, family in [
        (1001, "Ada", "Lovelace"), (1002, "Katherine", "Johnson"), (1003, "Hedy", "Lamarr"), (1004, "Emmy", "Noether"),
        (1005, "Alan", "Turing"), (1006, "Grace", "Hopper"), (1007, "Mary", "Shelley"),
    ]:
        assert made.hire(number, given, family)[0] == 200
    for number in range(1, 4):
        assert made.hire(2000 + number, "No", "Address", email=f"nobody{number}#example.com")[0] == 200
    made.settled()
    made.hire(1001, "Ada", "King", email="ada.lovelace@example.com", kind="employee.renamed")
    made.leave(1003)
    made.deliver({"type": "payroll.run", "data": {}})
    assert made.deliver({"type": "employee.left", "data": {"employee_id": "E-1004"}}, secret=base64.b64encode(b"another").decode())[0] == 401
    made.settled()
