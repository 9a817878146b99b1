"""`helm test`: the very pod that the chart renders, run against a real bridge."""

import json

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


def test_by_default_it_touches_nobody():
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


def test_a_source_with_a_mapping_of_its_own_needs_a_payload_of_its_own():
    source = {"source": [{"name": "hr", "mapping": {"type": "/event"}}]}
    assert render("defaults", {"config": source}).none("Pod")
    own = render("defaults", {"config": source, "test": {"payload": '{"event":"x"}'}})
    assert payload(own) == {"event": "x"} and "--follow" in pod_of(own)["args"]


@pytest.fixture(scope="module")
def bridge(tmp_path_factory, postman):
    """Values that make all addresses this machine's, and a bridge that serves by them."""
    folder = tmp_path_factory.mktemp("serve")
    server = {"listen": f"0.0.0.0:{free_port()}", "admin_listen": f"0.0.0.0:{free_port()}"}
    more = {"config": {"server": server, "postman": {"base_url": postman}}, "secrets": {"adminToken": {"value": "the-token-of-this-very-test"}}}
    rendered = render("embedded", more)
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


def test_it_passes_and_what_it_sent_was_ignored(bridge, tmp_path):
    more, postman = bridge
    before = http(postman.replace("/scim/v2", "/sim/journal"))[1]
    done = run_test(more, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200" in done.stdout and "ignored" in done.stdout
    assert http(postman.replace("/scim/v2", "/sim/journal"))[1] == before, "Postman was called"


def test_it_follows_a_hire_to_its_end(bridge, tmp_path):
    more, postman = bridge
    person = {"employeeId": "E-7", "email": "grace@example.com", "firstName": "Grace", "lastName": "Hopper"}
    done = run_test(more | {"test": {"person": person}}, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hire of hr/E-7 done: created" in done.stdout
    # Once more, as on the next upgrade: they are a member now, and stay as they are.
    assert run_test(more | {"test": {"person": person}}, tmp_path).returncode == 0


def test_it_fails_where_the_secret_is_another(bridge, tmp_path):
    more, _ = bridge
    other = GIVEN | {"scim-bridge-hr": {"secret": "whsec_c29tZXRoaW5nLWVsc2UtYWx0b2dldGhlci1oZXJl"}}
    done = run_test(more, tmp_path, other)
    assert done.returncode == 1 and "401" in done.stdout


def test_it_fails_where_nobody_serves(bridge, tmp_path):
    more, _ = bridge
    server = more["config"]["server"] | {"listen": f"0.0.0.0:{free_port()}"}
    done = run_test(more | {"config": more["config"] | {"server": server}}, tmp_path)
    assert done.returncode == 1 and "cannot be reached" in done.stdout + done.stderr
