"""Secrets: where they come from, how pods get them, and where they must never be."""

import base64
import re
import tomllib

import pytest
import yaml

from cluster import cluster, secret
from conftest import GIVEN, WHSEC
from pod import Pod
from render import CHART, MATRIX, ROOT, VALUES, Loader, helm, render


def decoded(secret):
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def data(rendered):
    """The contents of all of the chart's Secrets, by key."""
    return {key: value for secret in rendered.all("Secret") for key, value in decoded(secret).items()}


def sources(rendered, *deployments):
    """What the bridge's pods mount: those of these Deployments, or all."""
    names = deployments or [it["metadata"]["name"] for it in rendered.bridges()]
    return {
        item["path"]: (source["secret"]["name"], item["key"])
        for name in names
        for volume in rendered.pod("Deployment", name)["volumes"]
        if volume["name"] == "secrets"
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }


def test_your_own_secrets_are_mounted():
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


def test_the_chart_can_make_a_secret_from_values():
    rendered = render("everything")
    [made] = rendered.all("Secret")
    assert decoded(made) == {
        "postman-key": "PMAK-not-a-real-one",
        "admin-token": "not-a-real-token-but-long",
        "test-token": "one-that-reads-and-changes-nothing",
        "source-hr-0": "whsec_dHJ5LWl0LW91dC1hbmQtdGhlbi1tYWtlLXlvdXItb3du",
        "source-hr-1": "whsec_dGhlLW9uZS1iZWZvcmUtdGhhdC1ydW5zLW91dC1zb29u",
        "redis-password": "pass \"word\" \\ with 'marks'",
    }


def test_the_chart_s_secret_is_not_one_that_the_readme_creates():
    """The release is named `scim-bridge`, like one of the Secrets that are created by hand before it."""
    page = (ROOT / "README.md").read_text()
    made = set(re.findall(r"kubectl create secret generic (\S+)", page))
    assert made >= {"scim-bridge", "scim-bridge-hr", "redis"}
    done = helm("template", "scim-bridge", str(CHART), "--values", str(VALUES / "trial.yaml"))
    assert done.returncode == 0, done.stderr
    own = {it["metadata"]["name"] for it in yaml.load_all(done.stdout, Loader) if it and it["kind"] == "Secret"}
    generated = {f"scim-bridge-{it}" for it in ("admin-token", "test-token", "valkey-password")}
    assert own >= generated and not own & made
    [values] = own - generated
    assert re.fullmatch("scim-bridge-secrets-[0-9a-f]{10}", values)


def test_an_admin_token_is_made_if_none_is_given():
    made = [data(render("defaults"))["admin-token"] for _ in range(2)]
    assert all(len(it) == 40 and it.isalnum() for it in made)
    # `helm template` has no cluster that holds the old value: values.yaml says what that means for GitOps.
    assert made[0] != made[1]


@pytest.mark.parametrize(("token", "password"), [("admin-token", "valkey-password"), ("generated", "valkey")])
def test_generated_secrets_are_kept_on_an_upgrade(token, password, tmp_path):
    """Also if an earlier chart named the Secrets differently."""
    held = [
        secret(f"rel-scim-bridge-{token}", {"admin-token": "the-token-of-before"}),
        secret(f"rel-scim-bridge-{password}", {"redis-password": "the-password-of-before"}),
        secret("rel-scim-bridge-admin-token", {"admin-token": "somebody-else-s"}, namespace="others"),
    ]
    with cluster(tmp_path, held) as kubeconfig:
        rendered = render("trial", kubeconfig=kubeconfig)
    assert data(rendered)["admin-token"] == "the-token-of-before"
    assert data(rendered)["redis-password"] == "the-password-of-before"
    assert set(rendered.names("Secret")) & {"rel-scim-bridge-admin-token", "rel-scim-bridge-valkey-password"}


@pytest.mark.parametrize("values", MATRIX)
def test_every_configured_file_is_in_every_pod_that_reads_it(values, rendered, tmp_path):
    tls = {name: {key: "x" for key in ("ca.crt", "tls.crt", "tls.key")} for name in ("redis-tls", "redis-ca", "redis-client")}
    it = rendered(values)
    specs = [deployment["spec"]["template"]["spec"] for deployment in it.bridges()]
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
        role = pod.args()[-1] if "--role" in pod.args() else "all"
        others = {"intake": "postman-key", "worker": "source-"}.get(role, "\0")
        for file in named:
            is_others = file.rsplit("/", 1)[1].startswith(others)
            assert pod.path(file).exists() is not is_others, (role, file)


@pytest.mark.parametrize("values", MATRIX)
def test_secrets_are_mounted_as_updatable_files_and_never_as_environment(values):
    rendered = render(values)
    for labels, spec in rendered.pods():
        if labels["app.kubernetes.io/name"] == "scim-bridge-postman-sim":
            continue  # The stand-in takes its key as an argument, which the kubelet fills in.
        for container in spec["containers"]:
            assert not any("valueFrom" in variable for variable in container.get("env", []))
            assert values == "everything" or "envFrom" not in container
            for mount in container.get("volumeMounts", []):
                assert "subPath" not in mount
                assert mount.get("readOnly") or mount["name"] == "data"
        for volume in spec["volumes"]:
            if volume["name"] in ("secrets", "password"):
                assert (volume.get("projected") or volume["secret"])["defaultMode"] == 0o440
        assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]


@pytest.mark.parametrize("values", MATRIX)
def test_secrets_are_only_in_secret_objects(values):
    rendered = render(values)
    hidden = [it for secret in rendered.all("Secret") for it in decoded(secret).values()]
    hidden = [it for it in hidden if it != "sim-key"]
    elsewhere = "".join(str(it) for it in rendered.objects if it["kind"] != "Secret")
    assert not any(it in elsewhere or base64.b64encode(it.encode()).decode() in elsewhere for it in hidden)


CHANGES = [
    {"config": {"log": {"level": "debug"}}},
    {"secrets": {"postmanKey": {"value": "another"}}},
    {"secrets": {"adminToken": {"value": "another"}}},
    {"secrets": {"testToken": {"value": "another-that-reads-and-no-more"}}},
    {"redis": {"password": {"value": "another"}}},
]


def made(rendered):
    """What the chart creates for pods to mount, by kind and name: whether it may change, and its content."""
    mounted = rendered.mounted()
    return {
        (it["kind"], it["metadata"]["name"]): (it.get("immutable"), it["data"])
        for it in rendered.all("ConfigMap") + rendered.all("Secret")
        if it["metadata"]["name"] in mounted - {"presets"}
    }


@pytest.mark.parametrize("more", CHANGES)
def test_mounted_objects_never_change_and_a_change_makes_new_pods(more):
    before, after = render("everything"), render("everything", more)
    assert made(before) == made(render("everything")) and len(made(before)) == 2
    both = made(before).keys() & made(after).keys()
    assert len(both) == 1, "one of the two has another name"
    for it in both:
        assert made(before)[it] == made(after)[it]
    assert before.one("Deployment")["spec"]["template"] != after.one("Deployment")["spec"]["template"]


def test_a_change_to_your_own_secret_changes_no_rendered_object():
    """Its content changes under the same name: the bridge reads it again."""
    pods = [it["spec"]["template"]["spec"]["volumes"] for it in render("ha").bridges()]
    named = {source["secret"]["name"] for volumes in pods for volume in volumes for source in volume.get("projected", {}).get("sources", [])}
    assert named == {"scim-bridge", "scim-bridge-hr", "redis"}


@pytest.mark.parametrize("values", MATRIX)
def test_all_mounted_objects_of_the_chart_are_immutable(values):
    objects = made(render(values))
    assert objects and all(immutable is True for immutable, _ in objects.values())


def test_the_trial_s_valkey_gets_new_pods_for_a_new_configuration_or_password():
    def template(more):
        return render("trial", {"secrets": {"adminToken": {"value": "t"}}, "redis": {"password": {"value": "p"}}} | more).one("StatefulSet")["spec"]["template"]

    before = template({})
    assert before == template({})
    assert before != template({"valkey": {"maxmemory": "128mb"}}) and before != template({"redis": {"password": {"value": "q"}}})


def test_valkey_s_own_password_is_made_and_shared():
    rendered = render("trial")
    assert len(data(rendered)["redis-password"]) == 40
    assert sources(rendered)["redis-password"] == ("rel-scim-bridge-valkey-password", "redis-password")
    given = render("trial", {"redis": {"password": {"value": "mine"}}})
    name, key = sources(given)["redis-password"]
    assert decoded(given.one("Secret", name)) == {"redis-password": "mine"} and key == "redis-password"
    [volume] = [it for it in given.pod("StatefulSet", "rel-scim-bridge-valkey")["volumes"] if it["name"] == "password"]
    assert volume["secret"]["secretName"] == name


def test_a_source_may_have_several_secrets_each_with_an_expiry():
    [hr, people] = tomllib.loads(render("everything").toml())["source"]
    assert hr["secrets"] == [
        {"file": "/run/secrets/scim-bridge/source-hr-0"},
        {"file": "/run/secrets/scim-bridge/source-hr-1", "not_after": "2027-01-31T00:00:00Z"},
    ]
    assert people["secrets"] == [{"file": "/run/secrets/scim-bridge/source-people-0"}]


def test_a_secret_placed_by_the_configuration_is_left_alone():
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


def test_the_stand_in_and_the_bridge_share_a_key():
    rendered = render("trial")
    [container] = rendered.pod("Deployment", "rel-scim-bridge-postman-sim")["containers"]
    [key] = container["env"]
    reference = key["valueFrom"]["secretKeyRef"]
    assert sources(rendered)["postman-key"] == (reference["name"], reference["key"])
    assert "--key" in container["args"] and "$(POSTMAN_SCIM_KEY)" in container["args"]
    assert data(rendered)["postman-key"] == "sim-key"
    assert WHSEC not in rendered.text
