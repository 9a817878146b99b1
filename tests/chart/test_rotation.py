"""Every secret is replaced under a running bridge, as docs/deploy.md says, while webhooks keep coming.

The bridge is the binary, started as the chart would start it; the kubelet's part (a Secret's new content in
the mounted file) is played by `Pod.mount`.
"""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from conftest import GIVEN
from pod import Pod
from render import render
from servers import BINARY, http, resp, running, stand_in, valkey
from waiting import eventually, free_port
from test_redis import certificates

OLD, NEW = (f"whsec_{base64.b64encode(text).decode()}" for text in (b"the former secret", b"the secret from now on"))


class Bridge:
    def __init__(self, pod, log, ports):
        self.pod, self.log = pod, log
        self.webhooks, self.admin = (f"http://127.0.0.1:{port}" for port in ports)
        self.sent = 0

    def put(self, secret, **keys):
        """Changes a Secret; returns when the bridge has read the changed files."""
        before = self.seen()
        self.pod.secrets[secret].update(keys)
        self.pod.mount()
        eventually(lambda: self.seen() > before, "the bridge sees no changed secret")

    def seen(self):
        return sum("a secret changed" in line for line in self.log.read_text().splitlines())

    def post(self, secret, person=None):
        """Posts a hire, signed as in Standard Webhooks; returns the status."""
        self.sent += 1
        who = person or f"E-{self.sent}"
        body = json.dumps({"type": "employee.hired", "data": {"employee_id": who, "email": f"{who}@example.com", "first_name": "A"}})
        identity, now = f"msg_{self.sent}", str(int(time.time()))
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = hmac.new(key, f"{identity}.{now}.{body}".encode(), hashlib.sha256).digest()
        headers = {"content-type": "application/json", "webhook-id": identity, "webhook-timestamp": now, "webhook-signature": "v1," + base64.b64encode(mac).decode()}
        request = urllib.request.Request(f"{self.webhooks}/webhooks/hr", body.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code

    def api(self, path, token):
        return http(f"{self.admin}/api/v1/{path}", token)

    def ready(self):
        return http(f"{self.admin}/readyz")[0] == 200


@contextmanager
def started(folder, redis, base_url, over=None, secrets=None):
    """One process of `mode: all`, on Redis, with every secret in a file."""
    ports = (free_port(), free_port())
    more = {
        "mode": "all",
        "all": {"replicas": 2},
        "redis": {"host": "127.0.0.1", "port": redis},
        "config": {
            "server": {"listen": f"0.0.0.0:{ports[0]}", "admin_listen": f"0.0.0.0:{ports[1]}"},
            "store": {"durability": "written"},
            "postman": {"base_url": base_url},
        },
    }
    more["redis"] |= (over or {}).get("redis", {})
    rendered = render("ha", more)
    given = GIVEN | {"scim-bridge-hr": {"current": OLD, "next": OLD}} | (secrets or {})
    pod = Pod(rendered, rendered.pod("Deployment", "rel-scim-bridge"), folder / "pod", given)
    log = folder / "log"
    with log.open("wb") as stderr, running([BINARY, *pod.args()], env=pod.env(), stderr=stderr):
        bridge = Bridge(pod, log, ports)
        eventually(bridge.ready, log.read_text)
        yield bridge


@pytest.fixture
def bridge(tmp_path, redis, postman):
    with started(tmp_path, redis, postman) as it:
        yield it


@contextmanager
def webhooks_keep_coming(bridge, secret):
    """Posts one after the other, each with the current `secret()`; yields the list of answers."""
    answers, stop = [], threading.Event()

    def post():
        while not stop.is_set():
            answers.append(bridge.post(secret()))

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def test_a_source_s_secret_is_rotated_without_refusing_a_webhook(bridge):
    used = [OLD]
    with webhooks_keep_coming(bridge, lambda: used[0]) as answers:
        bridge.put("scim-bridge-hr", next=NEW)
        used[0] = NEW  # The HR system switches.
        before = len(answers)
        eventually(lambda: len(answers) > before + 5, "no webhooks arrive")
        bridge.put("scim-bridge-hr", current=NEW)
    assert set(answers) == {200} and len(answers) > 10
    assert bridge.post(OLD) == 401


def test_the_admin_token_is_rotated_without_a_restart(bridge):
    assert bridge.api("status", "the-admin-token-of-the-tests")[0] == 200
    bridge.put("scim-bridge", **{"admin-token": "another-token-of-the-tests"})
    assert bridge.api("status", "another-token-of-the-tests")[0] == 200
    assert bridge.api("status", "the-admin-token-of-the-tests")[0] == 401


def test_the_redis_password_is_rotated_without_refusing_a_webhook(bridge, redis):
    login = "AUTH redis-pass"
    with webhooks_keep_coming(bridge, lambda: OLD) as answers:
        assert resp(redis, login, "ACL SETUSER bridge >new-pass") == "+OK"
        bridge.put("redis", password="new-pass")
        assert resp(redis, login, "ACL SETUSER bridge <redis-pass") == "+OK"
        before = len(answers)
        eventually(lambda: len(answers) > before + 5, "no webhooks arrive")
    assert set(answers) == {200}
    # New connections log in with the new password: all current ones are closed.
    assert int(resp(redis, login, "CLIENT KILL USER bridge").removeprefix(":")) > 0
    eventually(lambda: bridge.post(OLD) == 200, "the bridge does not come back")
    assert "+OK" == resp(redis, "AUTH bridge new-pass") and resp(redis, "AUTH bridge redis-pass").startswith("-WRONGPASS")


def test_the_postman_key_is_rotated_and_waiting_work_goes_on(tmp_path, redis):
    port = free_port()
    with stand_in(port=port) as base_url:
        with started(tmp_path, redis, base_url) as bridge:
            assert bridge.post(OLD, "E-before") == 200

            def in_line(person):
                return json.loads(bridge.api(f"people/hr/{person}", "the-admin-token-of-the-tests")[1]).get("state") == "idle"

            eventually(lambda: in_line("E-before"), "the first hire is not done")
            options = urllib.request.Request(base_url.replace("/scim/v2", "/sim/options"), b'{"key": "the-new-key"}', method="PATCH")
            assert urllib.request.urlopen(options, timeout=5).status == 200
            assert bridge.post(OLD, "E-held") == 200
            eventually(lambda: "HOLD-KEY" in bridge.api("hold", "the-admin-token-of-the-tests")[1], "the old key causes no hold")
            bridge.put("scim-bridge", **{"postman-key": "the-new-key"})
            eventually(lambda: in_line("E-held"), "the held hire is not done")
            assert "HOLD-KEY" not in bridge.api("hold", "the-admin-token-of-the-tests")[1]


def test_redis_certificates_and_authorities_are_rotated_without_a_restart(tmp_path, postman):
    before, after = certificates(tmp_path / "before"), certificates(tmp_path / "after")
    context = ssl.create_default_context(cadata=before["ca.crt"] + after["ca.crt"])
    context.load_cert_chain(tmp_path / "before/tls.crt", tmp_path / "before/tls.key")

    def files(folder):
        return [("ca-cert", folder / "both.crt"), ("cert", folder / "tls.crt"), ("key", folder / "tls.key")]

    for folder in ("before", "after"):
        (tmp_path / folder / "both.crt").write_text(before["ca.crt"] + after["ca.crt"])
    args = ["--requirepass", "redis-pass"]
    for name, file in files(tmp_path / "before"):
        args += [f"--tls-{name}-file", file]
    with valkey(tmp_path / "redis", *args, ready=("AUTH redis-pass", "PING"), tls=context) as redis:
        tls = {"enabled": True, "ca": {"existingSecret": "redis-tls"}, "client": {"existingSecret": "redis-tls"}}
        more = {"redis": {"username": "", "tls": tls}}
        with started(tmp_path, redis, postman, more, {"redis-tls": dict(before)}) as bridge:

            def replace(**keys):
                bridge.pod.secrets["redis-tls"].update(keys)
                bridge.pod.mount()

            def cut():
                """Closes every connection but the test's own, so that new ones are made."""
                killed = resp(redis, "AUTH redis-pass", "CLIENT KILL TYPE normal", tls=context)
                assert int(killed.removeprefix(":")) > 0
                eventually(lambda: bridge.post(OLD) == 200, "the bridge does not come back")

            # Trust both, then let Redis use the new certificate, then use a new one ourselves, then trust only the new
            # one.
            replace(**{"ca.crt": before["ca.crt"] + after["ca.crt"]})
            shown = " ".join(f"tls-{name}-file {file}" for name, file in files(tmp_path / "after"))
            assert resp(redis, "AUTH redis-pass", f"CONFIG SET {shown}", tls=context) == "+OK"
            cut()
            replace(**after)
            cut()
            assert bridge.ready()
