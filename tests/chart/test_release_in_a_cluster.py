"""How an upgrade treats existing objects: names by content, the store's prefix, a change of mode, replicas."""

import pytest
import tomllib

from cluster import cluster, installed
from render import render

# The objects of an earlier chart: one ConfigMap under the release's name, and no prefix in it.
BEFORE = {"metadata": {"name": "rel-scim-bridge", "namespace": "people"}, "apiVersion": "v1", "kind": "ConfigMap"}


def upgraded(folder, objects, values="defaults", more=None):
    folder.mkdir(exist_ok=True)
    with cluster(folder, objects) as kubeconfig:
        return render(values, more, kubeconfig=kubeconfig)


def prefix(rendered):
    return tomllib.loads(rendered.toml())["store"].get("key_prefix")


def of_an_earlier_chart(toml, values="defaults"):
    """The chart before it named objects by their content."""
    objects = installed(render(values).objects)
    for it in objects:
        if it["kind"] in ("Deployment", "ReplicaSet"):
            template = it["spec"]["template"]
            template["metadata"]["labels"].pop("scim-bridge/takes-webhooks", None)
            for volume in template["spec"]["volumes"]:
                if volume["name"] == "config":
                    volume["configMap"]["name"] = "rel-scim-bridge"
    objects = [it for it in objects if not (it["kind"] == "ConfigMap" and "-config-" in it["metadata"]["name"])]
    return objects + installed([BEFORE | {"data": {"scim-bridge.toml": toml}}])


# --- the store belongs to the release


def test_two_releases_on_one_redis_have_separate_stores():
    assert prefix(render()) == "scim-bridge:people:rel"
    assert prefix(render(release="staging")) == "scim-bridge:people:staging"
    assert prefix(render("embedded")) is None


@pytest.mark.parametrize("release", ["r" * 53, "a.b-c"])
def test_the_program_accepts_a_default_prefix(release):
    first = prefix(render(release=release))
    assert len(first) <= 64 and set(first) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.:")
    assert release not in ("r" * 53,) or first != prefix(render(release="r" * 52 + "s"))


def test_a_given_prefix_is_used(tmp_path):
    more = {"config": {"store": {"key_prefix": "mine"}}}
    assert prefix(render("defaults", more)) == "mine"
    assert prefix(upgraded(tmp_path, installed(render().objects), more=more)) == "mine"


def test_an_upgrade_keeps_the_existing_prefix(tmp_path):
    for before in ({}, {"config": {"store": {"key_prefix": "mine"}}}, {"config": {"store": {"key_prefix": "mine"}}, "mode": "all"}):
        held = render("defaults", before)
        assert prefix(upgraded(tmp_path, installed(held.objects), more={"config": {"log": {"level": "debug"}}})) == prefix(held)


def test_a_release_of_an_earlier_chart_keeps_the_program_s_own_prefix(tmp_path):
    assert prefix(upgraded(tmp_path, of_an_earlier_chart('[store]\nurl = "redis://redis.internal:6379/0"'))) == "scim-bridge"
    assert prefix(upgraded(tmp_path, of_an_earlier_chart('[store]\nkey_prefix = "bridge:prod"\nurl = "redis://a"'))) == "bridge:prod"


def test_a_move_from_the_embedded_store_has_a_prefix_of_its_own(tmp_path):
    assert prefix(upgraded(tmp_path, installed(render("embedded").objects))) == "scim-bridge:people:rel"


# --- an old pod keeps the configuration that it was started with


def test_objects_that_old_pods_read_stay_unchanged(tmp_path):
    before = render("everything")
    after = upgraded(tmp_path, installed(before.objects), "everything", {"config": {"log": {"level": "debug"}}, "redis": {"password": {"value": "b"}}})
    for kind in ("ConfigMap", "Secret"):
        old = next(it for it in before.all(kind) if it["metadata"]["name"].startswith(("bridge-config-", "bridge-secrets-")))
        kept = after.one(kind, old["metadata"]["name"])
        assert (kept["data"], kept["immutable"]) == (old["data"], True)
        assert len([it for it in after.all(kind) if it["metadata"]["name"].startswith(("bridge-config-", "bridge-secrets-"))]) == 2
    assert after.config()["metadata"]["name"] != before.config()["metadata"]["name"]


def test_without_a_change_nothing_is_duplicated(tmp_path):
    before = render("everything")
    after = upgraded(tmp_path, installed(before.objects), "everything")
    assert sorted((it["kind"], it["metadata"]["name"]) for it in after.objects) == sorted((it["kind"], it["metadata"]["name"]) for it in before.objects)


def test_objects_that_no_replica_set_names_are_removed(tmp_path):
    before = installed(render("everything").objects)
    held = [it for it in before if it["kind"] != "ReplicaSet"]
    after = upgraded(tmp_path, held, "everything", {"config": {"log": {"level": "debug"}}})
    assert len([it for it in after.all("ConfigMap") if "scim-bridge.toml" in it["data"]]) == 1


def test_secrets_of_yours_and_of_other_releases_are_left_alone(tmp_path):
    held = installed(render("ha").objects)
    theirs = [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "people"}, "data": {}} for name in ("scim-bridge", "redis")]
    theirs += installed([theirs[0] | {"metadata": {"name": "scim-bridge-hr", "namespace": "people"}}], release="other")
    assert upgraded(tmp_path, held + theirs, "ha", {"config": {"log": {"level": "debug"}}}).none("Secret")


def test_objects_of_an_earlier_chart_stay_for_its_pods(tmp_path):
    toml = '[store]\nurl = "redis://redis.internal:6379/0"'
    after = upgraded(tmp_path, of_an_earlier_chart(toml))
    old = after.one("ConfigMap", "rel-scim-bridge")
    assert old["data"] == {"scim-bridge.toml": toml} and "immutable" not in old


# --- a change of mode, and of the scaling


def selector(rendered):
    return rendered.one("Service", rendered.fullname())["spec"]["selector"]


def names(rendered):
    return sorted(it["metadata"]["name"] for it in rendered.bridges())


SPLIT, ALL = ["rel-scim-bridge-intake", "rel-scim-bridge-worker"], ["rel-scim-bridge"]


@pytest.mark.parametrize(("old", "new", "mode"), [(SPLIT, ALL, "all"), (ALL, SPLIT, "split")])
def test_a_change_of_mode_keeps_the_old_pods_until_the_new_ones_are_ready(old, new, mode, tmp_path):
    before = render("defaults", {"mode": "split" if mode == "all" else "all"})
    first = upgraded(tmp_path, installed(before.objects), more={"mode": mode})
    assert names(first) == sorted(old + new)
    # One selector for both, so that no endpoint is removed before another exists.
    assert selector(before) == selector(first)
    for it in first.bridges():
        labels = it["spec"]["template"]["metadata"]["labels"]
        assert (selector(first).items() <= labels.items()) is (labels["app.kubernetes.io/component"] != "worker")
    # As long as the new ones are not ready, none is removed; then the old ones are.
    not_yet = installed(before.objects) + [it for it in installed(first.objects, ready=False) if it["metadata"]["name"] in new]
    assert names(upgraded(tmp_path, not_yet, more={"mode": mode})) == sorted(old + new)
    assert names(upgraded(tmp_path, installed(first.objects), more={"mode": mode})) == new


def test_a_worker_scaled_to_zero_does_not_block_a_change_of_mode(tmp_path):
    held = installed(render("cluster").objects) + installed(render("cluster", {"mode": "all"}).objects)
    for it in held:
        if it["kind"] == "Deployment" and it["metadata"]["name"] == "rel-scim-bridge-worker":
            it["spec"]["replicas"], it["status"] = 0, {}
    assert names(upgraded(tmp_path, held, "cluster")) == SPLIT


def test_pods_of_an_earlier_chart_are_selected_until_replaced(tmp_path):
    """They lack the label that the Service now selects: one upgrade adds it, the next one selects by it."""
    first = upgraded(tmp_path, of_an_earlier_chart("[store]"))
    assert selector(first)["app.kubernetes.io/component"] == "intake"
    assert "app.kubernetes.io/component" not in selector(upgraded(tmp_path, installed(first.objects)))


@pytest.mark.parametrize("scaler", ["autoscaling", "keda"])
def test_a_new_autoscaler_starts_from_the_existing_replicas(scaler, tmp_path):
    held = installed(render("defaults", {"worker": {"replicas": 3}}).objects)
    after = upgraded(tmp_path, held, more={"worker": {scaler: {"enabled": True}}})
    assert after.one("Deployment", "rel-scim-bridge-worker")["spec"]["replicas"] == 3
    # Off again: the number in the values.
    assert upgraded(tmp_path, held).one("Deployment", "rel-scim-bridge-worker")["spec"]["replicas"] == 2
    # Without a cluster no number is rendered: otherwise each rendering would set it back.
    assert "replicas" not in render("defaults", {"worker": {scaler: {"enabled": True}}}).one("Deployment", "rel-scim-bridge-worker")["spec"]


def test_the_test_s_pod_is_removed_with_the_release(tmp_path):
    pod = upgraded(tmp_path, installed(render().objects)).one("Pod")
    [owner] = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Service", "rel-scim-bridge", "uid-of-Service-rel-scim-bridge")
    assert "ownerReferences" not in render().one("Pod")["metadata"]
