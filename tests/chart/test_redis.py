"""The chart's connections to Redis: one server, TLS, Sentinel, Cluster, and the trial's Valkey. All are real."""

import shutil
import ssl
import subprocess
import tomllib
from contextlib import ExitStack

import pytest

from conftest import GIVEN
from render import ROOT, render
from servers import VALKEY, resp, running, valkey, answers
from waiting import free_port, eventually
from test_config import checked

PASS = ["--requirepass", "redis-pass", "--masterauth", "redis-pass"]
READY = ("AUTH redis-pass", "PING")


@pytest.mark.parametrize(
    ("values", "more", "url"),
    [
        ("defaults", {}, "redis://redis.internal:6379/0"),
        ("defaults", {"redis": {"port": 7000, "database": 4}}, "redis://redis.internal:7000/4"),
        ("redis-tls", {}, "rediss://redis.internal:6379/0"),
        ("sentinel", {}, "redis+sentinel://sentinel-0.redis:26379,sentinel-1.redis:26379,sentinel-2.redis:26379/bridge/0"),
        ("sentinel", {"redis": {"tls": {"enabled": True}}}, "rediss+sentinel://sentinel-0.redis:26379,sentinel-1.redis:26379,sentinel-2.redis:26379/bridge/0"),
        ("cluster", {}, "redis-cluster://redis-0.redis:6379,redis-1.redis:6379,redis-2.redis:6379"),
        ("cluster", {"redis": {"tls": {"enabled": True}}}, "rediss-cluster://redis-0.redis:6379,redis-1.redis:6379,redis-2.redis:6379"),
        ("trial", {}, "redis://rel-scim-bridge-valkey:6379/0"),
        ("embedded", {}, "embedded:/data"),
        ("defaults", {"redis": {"host": ""}, "config": {"store": {"url": "redis://mine/1"}}}, "redis://mine/1"),
    ],
)
def test_the_url_says_which_redis(values, more, url):
    assert tomllib.loads(render(values, more).toml())["store"]["url"] == url


def test_the_login_is_beside_the_url():
    store = tomllib.loads(render("sentinel", {"redis": {"username": "u", "sentinel": {"username": "s"}}}).toml())["store"]
    assert (store["username"], store["sentinel_username"]) == ("u", "s")
    assert store["password"] == {"file": "/run/secrets/scim-bridge/redis-password"}
    assert store["sentinel_password"] == {"file": "/run/secrets/scim-bridge/sentinel-password"}
    assert "password" not in tomllib.loads(render("defaults", {"redis": {"password": {"existingSecret": ""}}}).toml())["store"]


def certificates(folder):
    """A certificate authority, and a certificate for this machine."""
    folder.mkdir()

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True, timeout=60)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-subj", f"/CN=authority {folder.name}", "-days", "2")
    openssl("req", *curve, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=here")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tls.crt", "-days", "2", "-extfile", "names")
    return {name: (folder / name).read_text() for name in ("ca.crt", "tls.crt", "tls.key")}


def test_tls_with_an_authority_and_a_certificate_of_our_own(tmp_path, postman):
    files = certificates(tmp_path / "tls")
    folder = tmp_path / "tls"
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    args = [*PASS, "--user", *"bridge on >redis-pass ~* &* +@all".split()]
    for name, file in (("ca-cert", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key")):
        args += [f"--tls-{name}-file", folder / file]
    with valkey(tmp_path / "valkey", *args, ready=READY, tls=context) as port:
        more = {"redis": {"host": "127.0.0.1", "port": port}, "config": {"postman": {"base_url": postman}}}
        given = GIVEN | {"redis-ca": files, "redis-client": files}
        results = checked(render("redis-tls", more), tmp_path, given)
        assert all(ok for ok, _ in results.values()), results
        # The server asks for a client certificate, and refuses connections without one.
        alone = checked(render("redis-tls", more | {"redis": more["redis"] | {"tls": {"client": {"existingSecret": ""}}}}), tmp_path / "alone", given)
        assert not alone["store"][0]


def test_the_primary_is_found_through_sentinels(tmp_path, postman):
    with ExitStack() as stack:
        primary = stack.enter_context(valkey(tmp_path / "primary", *PASS, ready=READY))
        port = free_port()
        conf = tmp_path / "sentinel.conf"
        conf.write_text(
            f"sentinel monitor bridge 127.0.0.1 {primary} 1\nsentinel auth-pass bridge redis-pass\nrequirepass sentinel-pass\n"
        )
        stack.enter_context(
            valkey(tmp_path / "sentinel", "--sentinel", port=port, conf=conf, ready=("AUTH sentinel-pass", "PING"))
        )
        more = {"redis": {"nodes": [f"127.0.0.1:{port}"]}, "config": {"postman": {"base_url": postman}}}
        results = checked(render("sentinel", more), tmp_path)
        assert all(ok for ok, _ in results.values()), results


def test_a_cluster(tmp_path, postman):
    # By default the bus port is 10,000 higher, which may be above the largest port.
    args = [*PASS, "--cluster-enabled", "yes", "--cluster-port", free_port()]
    with valkey(tmp_path / "node", *args, ready=READY) as port:
        assert resp(port, "AUTH redis-pass", "CLUSTER ADDSLOTSRANGE 0 16383") == "+OK"
        eventually(lambda: answers(port, "AUTH redis-pass", "CLUSTER INFO", wanted="cluster_state:ok"), "the cluster is not healthy")
        more = {"redis": {"nodes": [f"127.0.0.1:{port}"]}, "config": {"postman": {"base_url": postman}}}
        results = checked(render("cluster", more), tmp_path)
        assert all(ok for ok, _ in results.values()), results


def valkey_conf(rendered):
    [it] = [it for it in rendered.all("ConfigMap") if "valkey.conf" in it["data"]]
    return it["data"]["valkey.conf"]


def test_the_trial_s_valkey_runs_the_official_image_with_a_volume():
    rendered = render("trial")
    it = rendered.one("StatefulSet")
    assert it["spec"]["replicas"] == 1
    [container] = it["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "docker.io/valkey/valkey:9.1.2"
    [claim] = it["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert {"name": "data", "mountPath": "/data"} in container["volumeMounts"]
    assert "readinessProbe" in container and "livenessProbe" in container
    assert "redis-password" not in str(container.get("env"))
    conf = valkey_conf(rendered).splitlines()
    for line in ("appendonly yes", "maxmemory-policy noeviction", "dir /data", "maxmemory 256mb"):
        assert line in conf
    assert render("defaults").none("StatefulSet")


@pytest.mark.parametrize(("durability", "flushes"), [("written", "everysec"), ("fsynced", "always"), ("replicated", "always")])
def test_the_trial_s_valkey_always_flushes_if_deliveries_wait_for_it(durability, flushes):
    conf = valkey_conf(render("trial", {"config": {"store": {"durability": durability}}}))
    assert f"appendfsync {flushes}" in conf.splitlines()


@pytest.mark.parametrize("password", ["plain", "with \"marks\" and \\ and 'blanks'", "$(date) `id` $HOME"])
def test_the_trial_s_valkey_starts_as_rendered_and_accepts_the_bridge(password, tmp_path, postman):
    """Exactly the command of the StatefulSet, with `/etc`, `/run` and `/data` below a folder."""
    port = free_port()
    more = {"redis": {"password": {"value": password}}}
    rendered = render("trial", more)
    [container] = rendered.pod("StatefulSet", "rel-scim-bridge-valkey")["containers"]
    for folder in ("etc/valkey", "run/secrets/valkey", "data", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "bin/valkey-server").symlink_to(VALKEY)
    (tmp_path / "bin/valkey-cli").symlink_to(shutil.which("redis-cli"))
    conf = valkey_conf(rendered)
    conf = conf.replace("dir /data", f"dir {tmp_path}/data").replace("port 6379", f"port {port}").replace("bind * -::*", "bind 127.0.0.1")
    (tmp_path / "etc/valkey/valkey.conf").write_text(conf)
    (tmp_path / "run/secrets/valkey/redis-password").write_text(password)

    def here(command):
        return [part.replace("/etc/valkey", f"{tmp_path}/etc/valkey").replace("/run/secrets", f"{tmp_path}/run/secrets") for part in command]

    env = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "HOME": "/nonexistent"}
    ping = here(container["readinessProbe"]["exec"]["command"])
    ping[-1] = ping[-1].replace("valkey-cli", f"valkey-cli -p {port}")
    with running(here(container["command"]), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        eventually(lambda: subprocess.run(ping, env=env, capture_output=True, timeout=10).returncode == 0, "the readiness probe never passes")
        # The shell was replaced by the server, so that signals reach it; and no argument contains the password.
        command_line = (ROOT / f"/proc/{process.pid}/cmdline").read_bytes().decode()
        assert "valkey-server" in command_line and password not in command_line
        assert resp(port, "CONFIG GET appendonly").startswith("-NOAUTH")
        direct = {"valkey": {"enabled": False}, "postmanSim": {"enabled": False}}
        bridge = render("trial", direct | {"redis": {"host": "127.0.0.1", "port": port, "password": {"value": password}}, "secrets": {"postmanKey": {"value": "sim-key"}}, "config": {"postman": {"base_url": postman}}})
        results = checked(bridge, tmp_path)
        assert all(ok for ok, _ in results.values()), results
