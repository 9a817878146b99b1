"""The rendered configuration, given to the program itself."""

import functools
import json
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

import pytest

from conftest import GIVEN, WHSEC
from pod import Pod
from render import CHART, MATRIX, ROOT, render
from servers import run

OWN = {
    "server": {"listen", "admin_listen", "admin_hosts", "admin_token"},
    "store": {"url", "password", "key_prefix", "allow_plain"},
    "postman": {"key", "team"},
}


def toml(more=None, values="defaults"):
    return tomllib.loads(render(values, more).toml())


def reference():
    text = (ROOT / "config/scim-bridge.toml").read_text()
    return tomllib.loads(re.sub(r"^#(?=[^\s#])", "", text, flags=re.M))


def test_without_values_only_required_keys_are_rendered():
    config = toml()
    assert {section: set(keys) for section, keys in config.items() if section in OWN} == OWN | {
        "server": OWN["server"] | {"workers", "connections_max"}
    }
    assert config.keys() == OWN.keys() | {"log", "source"}
    assert config["source"] == [
        {"name": "hr", "preset": "standard-webhooks", "secrets": [{"file": "/run/secrets/scim-bridge/source-hr-0"}]}
    ]


@functools.cache
def pem():
    """A certificate and its key."""
    with tempfile.TemporaryDirectory() as folder:
        out = ["-keyout", f"{folder}/key", "-out", f"{folder}/certificate"]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=redis", *out],
            check=True, capture_output=True,
        )
        return Path(f"{folder}/certificate").read_text(), Path(f"{folder}/key").read_text()


def test_every_key_of_the_reference_file_can_be_given(tmp_path):
    given = reference()
    # Those that name files or variables: what they name must exist, and no secret may be in plain text.
    files = {key: str(tmp_path / key) for key in ("ca_file", "cert_file", "key_file", "token", "preset_file")}
    for path in files.values():
        open(path, "w").write("a-token-of-the-tests-0123")
    certificate, key = pem()
    for name, content in (("ca_file", certificate), ("cert_file", certificate), ("key_file", key)):
        (tmp_path / name).write_text(content)
    (tmp_path / "preset_file").write_text((ROOT / "config/presets/standard-webhooks.toml").read_text())
    given["server"] |= {"listen": "0.0.0.0:8080", "admin_listen": "0.0.0.0:9090", "admin_token": {"file": files["token"]}}
    given["store"] |= {"url": "rediss://redis.internal:6379/1", "password": {"file": files["token"]}, "sentinel_password": {"file": files["token"]}}
    given["store"] |= {key: files[key] for key in ("ca_file", "cert_file", "key_file")}
    given["postman"] |= {"ca_file": files["ca_file"], "key": {"file": files["token"]}}
    given["source"][0] |= {"preset_file": files["preset_file"], "secrets": [{"env": "HR_SECRET"}]}
    del given["source"][0]["preset"]  # One or the other; the default has this one.
    # Keys that exclude each other, or go with another target.
    del given["source"][0]["signature"]
    given["source"][0]["mapping"]["facts"] = {"department": "/data/department"}
    given["target"]["kind"] = "generic-scim"
    given["postman"]["base_url"] = "https://scim.example.com/v2"
    rendered = render(None, {"config": given, "image": {"repository": "r/b"}, "intake": {"resources": {"limits": {"memory": "2Gi"}}}})
    assert tomllib.loads(rendered.toml()) == given
    config = tmp_path / "scim-bridge.toml"
    config.write_text(rendered.toml())
    env = {"HR_SECRET": WHSEC, "SCIM_BRIDGE_CONFIG": str(config)}
    payload = tmp_path / "payload.json"
    payload.write_text('{"type":"employee.hired","data":{"employee_id":"E-1","email":"a@example.com","first_name":"A"}}')
    done = run(["explain", "--source", "hr", "--file", str(payload)], env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hire of hr/E-1" in done.stdout
    # The test must be able to fail: a wrong key is reported.
    config.write_text(rendered.toml().replace("timeout_s", "timeout_z"))
    assert run(["explain", "--source", "hr", "--file", str(payload)], env).returncode == 64


def test_texts_lists_and_tables_are_rendered_unchanged():
    odd = 'a "b" \\ c\nd\té ü < > & \U0001f600'
    more = {
        "config": {
            "postman": {"locale": odd, "x_api_key": True, "timeout_s": 1234567},
            "source": [
                {
                    "name": "hr",
                    "mapping": {"hire": ["00123", "true", odd], "occurred_at": []},
                    "signature": {"value": {"pairs": {"separator": ",", "key": "v1"}}, "handshake": [{"ping": {"when": {"from": {"header": "x"}, "equals": odd}}}]},
                }
            ],
        }
    }
    config = toml(more)
    assert (config["postman"]["locale"], config["postman"]["timeout_s"], config["postman"]["x_api_key"]) == (odd, 1234567, True)
    [source] = config["source"]
    assert source["mapping"] == {"hire": ["00123", "true", odd], "occurred_at": []}
    assert source["signature"] == more["config"]["source"][0]["signature"]


def test_sections_unknown_to_the_chart_are_rendered(tmp_path):
    """In every form that the program gets: tables, and lists of tables."""
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    (chart / "values.schema.json").unlink()
    more = {"guard": {"leaves_max": 5}, "alert": [{"url": "https://a", "secret": {"file": "/a"}}, {"url": "https://b"}]}
    more |= {"server": {"token": [{"name": "ci", "role": "read_only"}]}, "source": [{"name": "hr", "fetch": {"base_url": "https://c", "values": {"subdomain": "d"}}}]}
    config = tomllib.loads(render("defaults", {"config": more}, chart=chart).toml())
    assert (config["guard"], config["alert"]) == (more["guard"], more["alert"])
    assert config["server"]["token"] == more["server"]["token"] and config["source"][0]["fetch"] == more["source"][0]["fetch"]


def test_a_key_in_config_wins_over_the_chart_s():
    config = toml({"config": {"log": {"format": "human"}, "server": {"workers": None}, "store": {"username": "me"}}})
    assert config["log"] == {"format": "human"}
    assert "workers" not in config["server"]
    assert config["store"]["username"] == "me"


@pytest.mark.parametrize("values", MATRIX)
def test_the_environment_of_the_image_does_not_win(values, rendered, tmp_path):
    """The image sets listeners and store by variables, which override any file: the chart's must come last."""
    it = rendered(values)
    config = tomllib.loads(it.toml())
    for deployment in it.bridges():
        env = {variable["name"]: variable["value"] for variable in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
        assert env["SCIM_BRIDGE_CONFIG"] == "/etc/scim-bridge/scim-bridge.toml"
        assert env["SCIM_BRIDGE__SERVER__LISTEN"] == config["server"]["listen"]
        assert env["SCIM_BRIDGE__SERVER__ADMIN_LISTEN"] == config["server"]["admin_listen"]
        assert env["SCIM_BRIDGE__STORE__URL"] == config["store"]["url"]


@pytest.mark.parametrize("values", MATRIX)
def test_the_program_accepts_every_configuration_of_the_matrix(values, rendered, tmp_path):
    """In every rendered pod, including `helm test`'s; without connections."""
    it = rendered(values)
    certificate, key = pem()
    tls = {name: {"ca.crt": certificate, "tls.crt": certificate, "tls.key": key} for name in ("redis-tls", "redis-ca", "redis-client")}
    payload = tmp_path / "payload.json"
    payload.write_text('{"type":"employee.hired","data":{"employee_id":"E-1","email":"a@example.com","first_name":"A"}}')
    for n, spec in enumerate([deployment["spec"]["template"]["spec"] for deployment in it.bridges()] + [it.one("Pod")["spec"]]):
        pod = Pod(it, spec, tmp_path / str(n), GIVEN | tls)
        done = run(["explain", "--source", "hr", "--file", str(payload)], pod.env())
        assert done.returncode == 0 and "hire of hr/E-1" in done.stdout, done.stdout + done.stderr


def checked(rendered, folder, given=None):
    """`scim-bridge check` in the worker's pod; each check by its name."""
    pod = Pod(rendered, rendered.bridges()[-1]["spec"]["template"]["spec"], folder / "pod", given or GIVEN)
    done = run(["check", *pod.args()[1:], "--json"], pod.env())
    assert done.stdout, done.stderr
    return {it["what"]: (it["ok"], it["found"]) for it in json.loads(done.stdout)["checks"]}


def test_the_embedded_configuration_passes_check(tmp_path, postman):
    rendered = render("embedded", {"config": {"postman": {"base_url": postman}}})
    results = checked(rendered, tmp_path)
    assert all(ok for ok, _ in results.values()), results
    assert (tmp_path / "pod/data/store.db").exists(), "the store is on the volume"


@pytest.mark.parametrize("values", ["defaults", "ha"])
def test_the_redis_configuration_passes_check(values, tmp_path, postman, redis):
    more = {"redis": {"host": "127.0.0.1", "port": redis}, "config": {"postman": {"base_url": postman}, "store": {"durability": "written"}}}
    results = checked(render(values, more), tmp_path)
    assert all(ok for ok, _ in results.values()), results
    wrong = checked(render(values, more), tmp_path, GIVEN | {"redis": {"redis-password": "wrong", "password": "wrong"}})
    assert not wrong["store"][0] and "STORE-AUTH" in wrong["store"][1]
