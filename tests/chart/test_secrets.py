"""Secrets: where they come from, how the pods get them, and where they never are."""

import base64
import re
import tomllib

import pytest
import yaml

from cluster import cluster
from conftest import GIVEN, WHSEC
from pod import Pod
from render import CHART, MATRIX, ROOT, VALUES, Loader, Rendered, helm, render


def data(rendered, name="rel-scim-bridge-generated"):
    return {key: base64.b64decode(value).decode() for key, value in rendered.one("Secret", name)["data"].items()}


def sources(rendered, deployment="rel-scim-bridge-intake"):
    [volume] = [it for it in rendered.pod("Deployment", deployment)["volumes"] if it["name"] == "secrets"]
    return {
        item["path"]: (source["secret"]["name"], item["key"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }


def test_secrets_of_yours_are_mounted_from_where_they_are():
    assert sources(render("ha")) == {
        "postman-key": ("scim-bridge", "postman-key"),
        "admin-token": ("scim-bridge", "admin-token"),
        "source-hr-0": ("scim-bridge-hr", "current"),
        "source-hr-1": ("scim-bridge-hr", "next"),
        "redis-password": ("redis", "password"),
    }
    assert render("ha").none("Secret")
    assert sources(render("sentinel"))["sentinel-password"] == ("redis", "sentinel-password")
    tls = sources(render("redis-tls"))
    assert tls["redis-ca.crt"] == ("redis-ca", "ca.crt")
    assert (tls["redis-client.crt"], tls["redis-client.key"]) == (("redis-client", "tls.crt"), ("redis-client", "tls.key"))


def test_or_the_chart_makes_a_secret_of_values():
    assert data(render("everything"), "bridge-generated") == {
        "postman-key": "PMAK-not-a-real-one",
        "admin-token": "not-a-real-token",
        "source-hr-0": "whsec_dHJ5LWl0LW91dC1hbmQtdGhlbi1tYWtlLXlvdXItb3du",
        "source-hr-1": "whsec_dGhlLW9uZS1iZWZvcmUtdGhhdC1ydW5zLW91dC1zb29u",
        "redis-password": "pass \"word\" \\ with 'marks'",
    }


def test_the_chart_s_secret_is_no_other_one_that_readme_has_made():
    """Its release is `scim-bridge`, and so is one of the Secrets that are made by hand before it."""
    page = (ROOT / "README.md").read_text()
    made = set(re.findall(r"kubectl create secret generic (\S+)", page))
    assert made >= {"scim-bridge", "scim-bridge-hr", "redis"}
    done = helm("template", "scim-bridge", str(CHART), "--values", str(VALUES / "trial.yaml"))
    assert done.returncode == 0, done.stderr
    own = {it["metadata"]["name"] for it in yaml.load_all(done.stdout, Loader) if it and it["kind"] == "Secret"}
    assert own == {"scim-bridge-generated", "scim-bridge-valkey"} and not own & made


def test_an_admin_token_is_made_where_none_is_given():
    made = [data(render("defaults"))["admin-token"] for _ in range(2)]
    assert all(len(it) == 40 and it.isalnum() for it in made)
    # `helm template` sees no cluster to keep it from: values.yaml says what that means for GitOps.
    assert made[0] != made[1]


def test_what_was_made_is_kept_on_an_upgrade(tmp_path):
    held = {
        "people/rel-scim-bridge-generated": {"admin-token": "the-token-of-before"},
        "people/rel-scim-bridge-valkey": {"redis-password": "the-password-of-before"},
        "others/rel-scim-bridge-generated": {"admin-token": "somebody-else-s"},
    }
    with cluster(tmp_path, held) as kubeconfig:
        args = ["template", "rel", str(CHART), "--namespace", "people", "--values", str(VALUES / "trial.yaml")]
        done = helm(*args, "--dry-run=server", "--kubeconfig", str(kubeconfig))
    assert done.returncode == 0, done.stderr
    rendered = Rendered(done.stdout, [it for it in yaml.load_all(done.stdout, Loader) if it])
    assert data(rendered)["admin-token"] == "the-token-of-before"
    assert data(rendered, "rel-scim-bridge-valkey")["redis-password"] == "the-password-of-before"


@pytest.mark.parametrize("values", MATRIX)
def test_every_file_that_the_configuration_names_is_in_every_pod(values, rendered, tmp_path):
    tls = {name: {key: "x" for key in ("ca.crt", "tls.crt", "tls.key")} for name in ("redis-tls", "redis-ca", "redis-client")}
    it = rendered(values)
    specs = [deployment["spec"]["template"]["spec"] for deployment in it.bridges()] + [pod["spec"] for pod in it.all("Pod")]
    named = set()

    def collect(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                named.add(inner) if key in ("file", "ca_file", "cert_file", "key_file") else collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)

    collect(tomllib.loads(it.toml()))
    assert "/run/secrets/scim-bridge/postman-key" in named and "/run/secrets/scim-bridge/admin-token" in named
    for n, spec in enumerate(specs):
        pod = Pod(it, spec, tmp_path / str(n), GIVEN | tls)
        for file in named:
            assert pod.path(file).read_text(), file


@pytest.mark.parametrize("values", MATRIX)
def test_secrets_are_files_that_follow_a_change_and_never_environment(values):
    rendered = render(values)
    for labels, spec in rendered.pods():
        if labels["app.kubernetes.io/name"] == "scim-bridge-postman-sim":
            continue  # The stand-in takes its key as an argument, which the kubelet fills in.
        for container in spec["containers"]:
            assert not any("valueFrom" in variable for variable in container.get("env", []))
            assert "envFrom" not in container
            for mount in container["volumeMounts"]:
                assert "subPath" not in mount
                assert mount.get("readOnly") or mount["name"] == "data"
        for volume in spec["volumes"]:
            if volume["name"] in ("secrets", "password"):
                assert (volume.get("projected") or volume["secret"])["defaultMode"] == 0o440
        assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]


@pytest.mark.parametrize("values", MATRIX)
def test_no_secret_is_anywhere_but_in_secrets(values):
    rendered = render(values)
    hidden = [it for secret in rendered.all("Secret") for it in data(rendered, secret["metadata"]["name"]).values()]
    hidden = [it for it in hidden if it != "sim-key"]
    elsewhere = "".join(str(it) for it in rendered.objects if it["kind"] != "Secret")
    assert not any(it in elsewhere or base64.b64encode(it.encode()).decode() in elsewhere for it in hidden)


def test_a_changed_configuration_restarts_and_a_changed_secret_does_not():
    def template(more):
        it = render("everything", more).one("Deployment")["spec"]["template"]
        return it

    before = template({})
    assert template({}) == before
    secret = {"secrets": {"postmanKey": {"value": "another"}, "adminToken": {"value": "another"}}, "redis": {"password": {"value": "another"}}}
    assert template(secret) == before
    changed = template({"config": {"log": {"level": "debug"}}})
    assert changed["metadata"]["annotations"]["checksum/config"] != before["metadata"]["annotations"]["checksum/config"]


def test_valkey_s_own_password_is_made_and_shared():
    rendered = render("trial")
    assert len(data(rendered, "rel-scim-bridge-valkey")["redis-password"]) == 40
    assert sources(rendered)["redis-password"] == ("rel-scim-bridge-valkey", "redis-password")
    given = render("trial", {"redis": {"password": {"value": "mine"}}})
    assert data(given, "rel-scim-bridge-valkey") == {"redis-password": "mine"}
    assert "redis-password" not in data(given)


def test_a_source_may_have_several_secrets_and_each_its_end():
    [hr, people] = tomllib.loads(render("everything").toml())["source"]
    assert hr["secrets"] == [
        {"file": "/run/secrets/scim-bridge/source-hr-0"},
        {"file": "/run/secrets/scim-bridge/source-hr-1", "not_after": "2027-01-31T00:00:00Z"},
    ]
    assert people["secrets"] == [{"file": "/run/secrets/scim-bridge/source-people-0"}]


def test_a_secret_that_the_configuration_places_is_left_to_it():
    more = {
        "config": {"postman": {"key": {"env": "KEY"}}, "server": {"admin_token": {"file": "/mine/token"}}},
        "secrets": {"postmanKey": {"existingSecret": ""}},
        "redis": {"password": {"existingSecret": ""}},
    }
    rendered = render("defaults", more)
    config = tomllib.loads(rendered.toml())
    assert config["postman"]["key"] == {"env": "KEY"} and config["server"]["admin_token"] == {"file": "/mine/token"}
    assert sources(rendered) == {"source-hr-0": ("scim-bridge-hr", "secret")}
    assert rendered.none("Secret")


def test_the_stand_in_s_key_is_the_bridge_s():
    rendered = render("trial")
    [container] = rendered.pod("Deployment", "rel-scim-bridge-postman-sim")["containers"]
    [key] = container["env"]
    reference = key["valueFrom"]["secretKeyRef"]
    assert sources(rendered)["postman-key"] == (reference["name"], reference["key"])
    assert "--key" in container["args"] and "$(POSTMAN_SCIM_KEY)" in container["args"]
    assert data(rendered)["postman-key"] == "sim-key"
    assert WHSEC not in rendered.text
