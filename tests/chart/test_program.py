"""Features that the chart waits for in the program (templates/_program.tpl), tested with the program itself."""

import re
import shutil
import tomllib

import pytest

from conftest import GIVEN
from pod import Pod
from render import CHART, ROOT, refused, render
from servers import BINARY, http, running
from waiting import eventually, free_port

# Configuration keys that the chart sets as soon as the program knows them.
WANTED = {"postman.team", "store.allow_plain"}


def reference():
    text = (ROOT / "config/scim-bridge.toml").read_text()
    return tomllib.loads(re.sub(r"^#(?=[^\s#])", "", text, flags=re.M))


def program(name):
    text = (CHART / "templates/_program.tpl").read_text()
    return re.search(rf'define "scim-bridge.program.{name}" -}}}}(.*?){{{{- end', text, re.S)[1].strip()


def with_program(folder, **answers):
    """The chart, as it will be for a program with these features."""
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    file = chart / "templates/_program.tpl"
    text = file.read_text()
    for name, answer in answers.items():
        text, n = re.subn(rf'(define "scim-bridge.program.{name}" -}}}}\n).*?({{{{- end)', rf"\g<1>{answer}\n\2", text, flags=re.S)
        assert n == 1
    file.write_text(text)
    return chart


def test_the_chart_sets_only_keys_of_the_program():
    """If this fails, update the list in `scim-bridge.program.keys`."""
    known = {key for key in WANTED if key.split(".")[1] in reference()[key.split(".")[0]]}
    named = {key for key in program("keys").split(",") if key}
    assert named == known


def test_a_store_s_owner_has_a_readable_name(tmp_path):
    assert tomllib.loads(render("trial").toml())["postman"]["team"] == "people/rel"
    assert "team" not in tomllib.loads(render("trial", chart=with_program(tmp_path, keys="")).toml())["postman"]


@pytest.mark.parametrize(
    ("host", "inside"),
    [("redis", True), ("redis.cache", True), ("redis-master.cache.svc", True), ("redis.cache.svc.cluster.local", True), ("127.0.0.1", True)]
    + [("redis.example.com", False), ("10.0.0.7", False), ("master.cache.use1.amazonaws.com", False)],
)
def test_redis_without_tls_is_only_for_the_cluster_network_unless_configured(host, inside):
    def of(more):
        return {"redis": {"host": host} | more.pop("redis", {}), **more}

    if inside:
        assert tomllib.loads(render(more=of({})).toml())["store"]["allow_plain"] is True
        assert tomllib.loads(render(more=of({"config": {"store": {"allow_plain": False}}})).toml())["store"]["allow_plain"] is False
    else:
        assert any(line.startswith("redis.tls.enabled: off, and " + host) for line in refused(more=of({})))
        assert tomllib.loads(render(more=of({"config": {"store": {"allow_plain": True}}})).toml())["store"]["allow_plain"] is True
        assert "allow_plain" not in tomllib.loads(render(more=of({"redis": {"tls": {"enabled": True}}})).toml())["store"]


def mounted(rendered, deployment):
    [volume] = [it for it in rendered.pod("Deployment", deployment)["volumes"] if it["name"] == "secrets"]
    return {item["path"] for source in volume["projected"]["sources"] for item in source["secret"]["items"]}


def test_each_pod_mounts_only_its_role_s_files(tmp_path):
    chart = with_program(tmp_path, readsByRole="true")
    split, everything = render("ha", chart=chart), render("everything", chart=chart)
    assert mounted(split, "rel-scim-bridge-intake") == {"admin-token", "redis-password", "source-hr-0", "source-hr-1"}
    assert mounted(split, "rel-scim-bridge-worker") == {"admin-token", "redis-password", "postman-key"}
    assert {"postman-key", "source-hr-0", "source-people-0"} <= mounted(everything, "bridge")


def test_the_test_s_pod_mounts_only_its_own_secrets():
    def of(values, more=None):
        [volume] = [it for it in render(values, more).one("Pod")["spec"]["volumes"] if it["name"] == "secrets"]
        return {item["path"] for source in volume["projected"]["sources"] for item in source["secret"]["items"]}

    assert of("ha") == {"source-hr-0", "source-hr-1"}
    # With `--follow`, it uses the API.
    assert of("everything") == {"source-hr-0", "source-hr-1", "test-token"}
    # One source's name may be a prefix of another's.
    more = {"config": {"source": [{"name": "hr"}, {"name": "hr-0"}]}, "secrets": {"sources": {"hr-0": [{"value": "x"}]}}}
    assert of("ha", more) == {"source-hr-0", "source-hr-1"}


def starts(folder, role, postman, redis):
    """Whether `serve --role` serves with what its role's pod mounts, and nothing else."""
    chart = with_program(folder, readsByRole="true")
    server = {"listen": f"0.0.0.0:{free_port()}", "admin_listen": f"0.0.0.0:{free_port()}"}
    more = {"redis": {"host": "127.0.0.1", "port": redis}, "config": {"server": server, "postman": {"base_url": postman}, "store": {"durability": "written"}}}
    rendered = render("ha", more, chart=chart)
    pod = Pod(rendered, rendered.pod("Deployment", f"rel-scim-bridge-{role}"), folder / "pod", GIVEN)
    with (folder / "log").open("w") as log, running([BINARY, *pod.args()], env=pod.env(), stderr=log) as process:

        def settled():
            ready = http(f"http://127.0.0.1:{server['admin_listen'].split(':')[1]}/readyz")[0] == 200
            return "ready" if ready else "ended" if process.poll() is not None else None

        return eventually(settled, "neither ready nor ended") == "ready"


@pytest.mark.parametrize("role", ["intake", "worker"])
def test_the_chart_leaves_out_secrets_exactly_if_the_program_starts_without_them(role, tmp_path, postman, redis):
    """If this fails, the program can do it now: set `scim-bridge.program.readsByRole` to `true`."""
    assert str(starts(tmp_path, role, postman, redis)).lower() == program("readsByRole")
