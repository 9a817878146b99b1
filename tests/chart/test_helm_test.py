"""`helm test`: exactly the pod that the chart renders, run against a real bridge."""

import json
import tomllib

import pytest

from conftest import GIVEN
from pod import Pod
from render import RELEASE, render
from servers import http, run, serving
from waiting import free_port


def pod_of(rendered):
    return rendered.one("Pod")["spec"]["containers"][0]


def payload(rendered):
    return json.loads(rendered.one("Pod")["metadata"]["annotations"]["scim-bridge/payload"])


def test_it_is_the_only_hook_and_leaves_nothing_but_its_log():
    """`helm test --logs` asks for the log of a pod for every hook: a second one of the same name prints it twice."""
    rendered = render()
    hooks = [it for it in rendered.objects if "helm.sh/hook" in it["metadata"].get("annotations", {})]
    assert hooks == [rendered.one("Pod")]
    assert hooks[0]["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation"
    spec = rendered.one("Pod")["spec"]
    assert spec["restartPolicy"] == "Never" and spec["activeDeadlineSeconds"] == 120
    assert render("defaults", {"test": {"enabled": False}}).none("Pod")


def test_by_default_it_changes_nobody():
    rendered = render()
    assert payload(rendered) == {"type": "scim-bridge.helm-test"}
    assert "--follow" not in pod_of(rendered)["args"]


def test_with_a_member_or_the_stand_in_it_follows_a_hire():
    rendered = render("everything")
    assert payload(rendered) == {
        "type": "employee.hired",
        "data": {"employee_id": "E-1001", "email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace"},
    }
    args = pod_of(rendered)["args"]
    assert "--follow" in args and "--timeout-s=60" in args
    assert "--url=http://bridge:80/webhooks/hr" in args and "--admin-url=http://bridge-admin:9090" in args
    assert "--follow" in pod_of(render("trial"))["args"]


def mounted(spec):
    [volume] = [it for it in spec["volumes"] if it["name"] == "secrets"]
    return {item["path"] for source in volume["projected"]["sources"] for item in source["secret"]["items"]}


def tokens(rendered):
    return tomllib.loads(rendered.toml())["server"].get("token", [])


def test_it_has_only_a_viewer_token():
    """With `--follow` it needs a read-only token, in a Secret of its own that the bridge's pods mount."""
    read = {"name": "helm-test", "role": "read_only", "token": {"file": "/run/secrets/scim-bridge/test-token"}}
    for values, secrets in (("defaults", {"source-hr-0"}), ("everything", {"source-hr-0", "source-hr-1", "test-token"}), ("trial", {"source-hr-0", "test-token"})):
        rendered = render(values)
        spec = rendered.one("Pod")["spec"]
        own = tomllib.loads(rendered.one("Pod")["metadata"]["annotations"]["scim-bridge/config"])["server"]
        assert mounted(spec) == secrets, values
        reads = "test-token" in secrets
        assert own == ({"admin_token": read["token"]} if reads else {}), values
        assert tokens(rendered) == ([read] if reads else []), values
        for deployment in rendered.bridges():
            assert ("test-token" in mounted(deployment["spec"]["template"]["spec"])) is reads, values
        made = {key for it in rendered.all("Secret") for key in it["data"]}
        assert ("test-token" in made) is reads, values


def test_its_token_is_given_or_made_and_never_the_admin_token():
    made = {key: value for it in render("trial").all("Secret") for key, value in it["data"].items()}
    assert len(made["test-token"]) >= 24 and made["test-token"] != made["admin-token"]
    given = render("trial", {"secrets": {"testToken": {"existingSecret": "readers", "key": "mine"}}})
    [volume] = [it for it in given.one("Pod")["spec"]["volumes"] if it["name"] == "secrets"]
    assert {"secret": {"name": "readers", "items": [{"key": "mine", "path": "test-token"}]}} in volume["projected"]["sources"]
    assert not [it for it in given.all("Secret") if "test-token" in it["data"]]


def test_given_tokens_stay_beside_its_own():
    auditor = {"name": "auditor", "token": {"env": "AUDITOR"}}
    assert [it["name"] for it in tokens(render("everything", {"config": {"server": {"token": [auditor]}}}))] == ["auditor", "helm-test"]
    assert tokens(render("everything", {"test": {"enabled": False}})) == []


def test_an_admin_token_in_the_environment_is_not_in_its_own():
    env = [{"name": "SCIM_BRIDGE__SERVER__ADMIN_TOKEN", "value": "x"}, {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]
    names = [it["name"] for it in pod_of(render("everything", {"extraEnv": env}))["env"]]
    assert "HTTPS_PROXY" in names and "SCIM_BRIDGE__SERVER__ADMIN_TOKEN" not in names


def test_a_source_with_a_mapping_of_its_own_needs_a_payload_of_its_own():
    source = {"source": [{"name": "hr", "mapping": {"type": "/event"}}]}
    assert render("defaults", {"config": source}).none("Pod")
    own = render("defaults", {"config": source, "test": {"payload": '{"event":"x"}'}})
    assert payload(own) == {"event": "x"} and "--follow" in pod_of(own)["args"]


GRACE = {"employeeId": "E-7", "email": "grace@example.com", "firstName": "Grace", "lastName": "Hopper"}
READS = "this-one-changes-nothing-at-all"


@pytest.fixture(scope="module")
def bridge(tmp_path_factory, postman):
    """Values that move all addresses to this machine, and a bridge that uses them."""
    folder = tmp_path_factory.mktemp("serve")
    server = {"listen": f"0.0.0.0:{free_port()}", "admin_listen": f"0.0.0.0:{free_port()}"}
    secrets = {"adminToken": {"value": "the-token-of-this-very-test"}, "testToken": {"value": READS}}
    more = {"config": {"server": server, "postman": {"base_url": postman}}, "secrets": secrets}
    rendered = render("embedded", more | {"test": {"person": GRACE}})
    pod = Pod(rendered, rendered.pod("Deployment", RELEASE + "-scim-bridge"), folder, GIVEN)
    with serving(pod.env(), *pod.args()[1:]):
        yield more, postman


def run_test(more, folder, given=GIVEN):
    """Runs the test's pod; a Service's name and port become this machine's."""
    rendered = render("embedded", more)
    pod = Pod(rendered, rendered.one("Pod")["spec"], folder, given)
    server = more["config"]["server"]
    services = {
        "http://rel-scim-bridge-admin:9090": "http://127.0.0.1:" + server["admin_listen"].split(":")[1],
        "http://rel-scim-bridge:80": "http://127.0.0.1:" + server["listen"].split(":")[1],
        "/test/": f"{folder}/test/",
    }
    args = []
    for arg in pod.args():
        for name, here in services.items():
            arg = arg.replace(name, here)
        args.append(arg)
    return run(args, pod.env())


def test_it_passes_and_its_delivery_was_ignored(bridge, tmp_path):
    more, postman = bridge
    before = http(postman.replace("/scim/v2", "/sim/journal"))[1]
    done = run_test(more, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200" in done.stdout and "ignored" in done.stdout
    assert http(postman.replace("/scim/v2", "/sim/journal"))[1] == before, "Postman was called"


def test_it_follows_a_hire_to_its_end(bridge, tmp_path):
    more, postman = bridge
    person = GRACE
    done = run_test(more | {"test": {"person": person}}, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hire of hr/E-7 done: created" in done.stdout
    # The token can read, and nothing else.
    rendered = render("embedded", more | {"test": {"person": person}})
    pod = Pod(rendered, rendered.one("Pod")["spec"], tmp_path / "again", GIVEN)
    env = pod.env() | {"SCIM_BRIDGE__SERVER__ADMIN_LISTEN": more["config"]["server"]["admin_listen"].replace("0.0.0.0", "127.0.0.1")}
    assert run(["status", "--json"], env).returncode in (0, 3)
    refused = run(["hold", "set"], env)
    assert refused.returncode == 1 and "read-only" in refused.stderr, refused
    # Once more, as on the next upgrade: the person is a member now, and stays unchanged.
    assert run_test(more | {"test": {"person": person}}, tmp_path).returncode == 0


def test_it_fails_with_another_secret(bridge, tmp_path):
    more, _ = bridge
    other = GIVEN | {"scim-bridge-hr": {"secret": "whsec_c29tZXRoaW5nLWVsc2UtYWx0b2dldGhlci1oZXJl"}}
    done = run_test(more, tmp_path, other)
    assert done.returncode == 1 and "401" in done.stdout


def test_it_fails_without_a_server(bridge, tmp_path):
    more, _ = bridge
    server = more["config"]["server"] | {"listen": f"0.0.0.0:{free_port()}"}
    done = run_test(more | {"config": more["config"] | {"server": server}}, tmp_path)
    assert done.returncode == 1 and "cannot be reached" in done.stdout + done.stderr
