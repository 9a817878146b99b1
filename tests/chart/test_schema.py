"""values.schema.json: everything is described, nothing unknown is accepted, and it matches the chart."""

import json
import re
import subprocess
import tomllib

import pytest
import yaml

from render import CHART, MATRIX, ROOT, VALUES, template

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
# Types of Kubernetes, which Kubernetes validates: labels, selectors, resources, …
FREE = {
    "affinity", "resources", "podSecurityContext", "containerSecurityContext", "global", "tolerations", "extraEnv",
    "extraVolumes", "extraVolumeMounts", "tls", "parentRefs", "relabelings", "metricRelabelings", "extraRules",
    "extraManifests", "intakeFrom", "adminFrom", "kedaFrom", "dnsTo", "redisTo", "httpsTo", "extraEgress",
    "commonLabels", "commonAnnotations", "podLabels", "podAnnotations", "nodeSelector", "annotations", "labels",
    "alertLabels", "dnsConfig", "facts", "initContainers", "extraContainers", "envFrom", "#resources", "#selector", "matchLabels",
    "requests", "limits",
}  # fmt: skip


def nodes(schema, path=()):
    """Every nested schema, with its path of names."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, (*path, name))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], (*path, "*"))
    for name, inner in schema.get("definitions", {}).items():
        yield from nodes(inner, (f"#{name}",))


def test_it_is_a_schema():
    done = subprocess.run(
        ["check-jsonschema", "--check-metaschema", str(CHART / "values.schema.json")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout


def test_every_value_is_described():
    for path, schema in nodes(SCHEMA):
        for name, inner in schema.get("properties", {}).items():
            assert len(inner.get("description", "")) > 5, (*path, name)


def test_no_object_accepts_unknown_keys():
    for path, schema in nodes(SCHEMA):
        kinds = schema.get("type", [])
        if "object" in ([kinds] if isinstance(kinds, str) else kinds):
            closed = schema.get("additionalProperties") is False
            # A map whose keys users choose, but whose values have a schema.
            shaped = isinstance(schema.get("additionalProperties"), dict) and path[-1] == "sources"
            assert closed or shaped or FREE & set(path), path


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"intaek": {}}, "intaek"),
        ({"intake": {"replica": 1}}, "replica"),
        ({"config": {"server": {"listn": "0.0.0.0:1"}}}, "listn"),
        ({"config": {"servers": {}}}, "servers"),
        ({"config": {"source": [{"name": "hr", "preset_fil": "a"}]}}, "preset_fil"),
        ({"config": {"source": [{"name": "hr", "mapping": {"e_mail": "/a"}}]}}, "e_mail"),
        ({"config": {"source": [{"name": "hr", "signature": {"value": {"single": {"prefx": "a"}}}}]}}, "prefx"),
        ({"secrets": {"sources": {"hr": [{"existingSecrets": "a"}]}}}, "existingSecrets"),
        ({"redis": {"tls": {"ca": {"secret": "a"}}}}, "secret"),
        ({"test": {"person": {"name": "a"}}}, "name"),
        ({"intake": {"replicas": "two"}}, "integer"),
        ({"mode": "both"}, "mode"),
        ({"store": "sqlite"}, "store"),
        ({"redis": {"port": 70000}}, "65535"),
        ({"redis": {"nodes": ["redis://a"]}}, "nodes"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"intake": {"podAntiAffinity": "maybe"}}, "podAntiAffinity"),
        ({"prometheusRule": {"disabled": ["ScimBridgeGone"]}}, "disabled"),
        ({"config": {"store": {"durability": "hopeful"}}}, "durability"),
        ({"config": {"log": {"level": "verbose"}}}, "level"),
        ({"config": {"log": {"level": "info,verbose"}}}, "level"),
        ({"config": {"log": {"level": ""}}}, "level"),
        ({"intake": {"resources": {"limits": {"memory": "256mb"}}}}, "memory"),
        ({"worker": {"resources": {"requests": {"cpu": "a lot"}}}}, "cpu"),
        ({"all": {"resources": {"limit": {"memory": "1Gi"}}}}, "limit"),
        ({"networkPolicy": {"intakeFrom": [{"namespaceSelector": {"matchLabel": {"a": "b"}}}]}}, "matchLabel"),
        ({"networkPolicy": {"adminFrom": [{"cidr": "10.0.0.0/8"}]}}, "cidr"),
        ({"networkPolicy": {"redisTo": [{"ipBlock": {"cidr": "10.0.0.0"}}]}}, "cidr"),
        ({"networkPolicy": {"redisTo": [{"ipBlock": {"cidr": "10.0.0.256/8"}}]}}, "cidr"),
        ({"networkPolicy": {"redisTo": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}}, "cidr"),
        ({"networkPolicy": {"httpsTo": [{"ipBlock": {"except": ["10.0.0.0/8"]}}]}}, "cidr"),
        ({"networkPolicy": {"httpsTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}}, "httpsTo"),
        ({"networkPolicy": {"dnsTo": [{}]}}, "dnsTo"),
        ({"networkPolicy": {"extraEgress": [{"ports": [{"port": 70000}]}]}}, "65535"),
        ({"networkPolicy": {"intakeExtraEgress": [{"from": []}]}}, "from"),
        ({"hostAliases": [{"hostnames": ["a"]}]}, "ip"),
        ({"dnsConfig": {"nameserver": ["10.0.0.1"]}}, "nameserver"),
    ],
)
def test_helm_refuses_values_unknown_to_the_schema(more, message):
    done = template("defaults", more)
    assert done.returncode != 0 and "schema" in done.stderr and message in done.stderr, done.stderr


@pytest.mark.parametrize("level", ["info", "WARN", "off", "2", "scim_bridge=debug", "info,scim_bridge::worker=debug", "warn, hyper=off", "scim_bridge", "[attempt{job=1}]=trace"])
def test_log_levels_of_every_form_are_accepted(level):
    assert template("defaults", {"config": {"log": {"level": level}}}).returncode == 0


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "10.1.2.3/32", "192.168.255.0/24", "::/0", "fd00:1::/64", "::ffff:10.0.0.0/104"])
def test_addresses_of_every_form_are_accepted(cidr):
    assert template("defaults", {"networkPolicy": {"redisTo": [{"ipBlock": {"cidr": cidr}}]}}).returncode == 0


def test_helm_s_own_global_is_accepted():
    assert template("defaults", {"global": {"imageRegistry": "x"}}).returncode == 0


@pytest.mark.parametrize("values", [None, *MATRIX])
def test_the_defaults_and_the_matrix_fit(values):
    file = VALUES / f"{values}.yaml" if values else CHART / "values.yaml"
    done = subprocess.run(
        ["check-jsonschema", "--schemafile", str(CHART / "values.schema.json"), str(file)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout


def leaves(values, path=()):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def test_every_default_is_in_the_schema_and_every_key_of_the_schema_has_a_default():
    def known(path):
        schema = SCHEMA
        for name in path:
            for inner in schema.get("allOf", []):
                schema = SCHEMA["definitions"][inner["$ref"].rsplit("/", 1)[1]]
            if schema.get("additionalProperties"):
                return
            schema = schema.get("properties", {}).get(name)
            assert schema is not None, path

    for path in leaves(DEFAULTS):
        known(path)

    def defaulted(schema, values, path=()):
        for name, inner in schema.get("properties", {}).items():
            free = path[-1:] in (("dnsConfig",),)
            if free or (*path, name) == ("global",) or path[:1] in (("config",), ("probes",)) or path == ("test", "person"):
                continue
            assert name in values, (*path, name)
            defaulted(inner, values[name], (*path, name))

    defaulted(SCHEMA, DEFAULTS)


def reference():
    """Every key of config/scim-bridge.toml, by section."""
    text = (ROOT / "config/scim-bridge.toml").read_text()
    return tomllib.loads(re.sub(r"^#(?=[^\s#])", "", text, flags=re.M))


def test_the_configuration_s_keys_are_those_of_the_reference_file():
    config = SCHEMA["properties"]["config"]["properties"]
    known = reference()
    assert config.keys() == known.keys()
    for section in known.keys() - {"source"}:
        of_schema, keys = config[section], known[section]
        if isinstance(keys, list):
            of_schema, [keys] = of_schema["items"], keys
        assert of_schema["properties"].keys() == keys.keys(), section
    [source] = known["source"]
    mapping = source.pop("mapping")
    schema = config["source"]["items"]["properties"]
    # The reference file leaves the signature's keys to docs/configuration.md.
    assert schema.keys() == source.keys() | {"signature", "mapping", "fetch"}
    assert schema["mapping"]["properties"].keys() == mapping.keys()


def test_the_signature_s_keys_are_those_of_the_presets():
    signature = SCHEMA["properties"]["config"]["properties"]["source"]["items"]["properties"]["signature"]["properties"]
    seen = set()
    for preset in (ROOT / "config/presets").glob("*.toml"):
        seen |= tomllib.loads(preset.read_text())["signature"].keys()
    assert seen and seen <= signature.keys()
