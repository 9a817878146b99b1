"""The parts of a release: versions, the changelog, the chart's README, and its notes."""

import re
import shutil
import subprocess
import tomllib

import kubernetes_validate
import pytest
import yaml

from render import CHART, MATRIX, NAMESPACE, RELEASE, ROOT, VALUES, Loader, helm

CHART_YAML = yaml.safe_load((CHART / "Chart.yaml").read_text())
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]


def test_the_chart_s_app_version_is_the_crate_s():
    assert CHART_YAML["version"] == CHART_YAML["appVersion"] == CARGO["version"]
    assert CHART_YAML["name"] == CARGO["name"]


def test_the_changelog_has_the_released_version():
    """https://keepachangelog.com/en/1.1.0/"""
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[(.*)\]", text, re.M)[1] == "Unreleased"
    dated = re.findall(r"^## \[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d$", text, re.M)
    assert len(dated) == len(re.findall(r"^## ", text, re.M)) - 1, "each version has a date"
    numbers = [tuple(map(int, it)) for it in dated]
    assert numbers == sorted(numbers, reverse=True)
    assert all(it <= tuple(map(int, CARGO["version"].split("."))) for it in numbers)
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_readme_s_table_matches_values_yaml(tmp_path):
    """`target/chart-tools/node_modules/.bin/readme-generator --values helm/values.yaml --readme helm/README.md`"""
    shutil.copy(CHART / "README.md", tmp_path)
    generator = ROOT / "target/chart-tools/node_modules/.bin/readme-generator"
    done = subprocess.run([generator, "--values", CHART / "values.yaml", "--readme", tmp_path / "README.md"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "README.md").read_text() == (CHART / "README.md").read_text(), "run the command in the docstring"
    assert "| `intake.replicas`" in (CHART / "README.md").read_text()


def values_in(text):
    """YAML blocks of a page that are values of the chart."""
    return re.findall(r"```yaml\n# values.yaml\n(.*?)```", text, re.S)


@pytest.mark.parametrize("page", ["helm/README.md", "README.md", "docs/deploy.md"])
def test_values_shown_in_pages_are_accepted(page):
    shown = values_in((ROOT / page).read_text())
    assert shown, "the page shows none"
    jobs = []
    for values in shown:
        done = helm("template", "x", str(CHART), "--values", str(VALUES / "defaults.yaml"), "--values", "-", stdin=values)
        assert done.returncode == 0, done.stderr
        jobs += [it for it in yaml.load_all(done.stdout, Loader) if it and it["kind"] in ("Job", "CronJob")]
    for it in jobs:
        kubernetes_validate.validate(it, "1.34", strict=True)
        template = it["spec"].get("jobTemplate", it)["spec"]["template"]
        assert template["metadata"]["labels"]["app.kubernetes.io/name"] == "scim-bridge-job"
        [container] = template["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] and container["args"][0] == "store"
        volumes = [volume["name"] for volume in template["spec"]["volumes"]]
        assert sorted(volumes) == sorted(mount["name"] for mount in container["volumeMounts"])
    assert len(jobs) == (2 if page == "docs/deploy.md" else 0)


def test_values_named_in_pages_exist():
    schema_paths = set()

    def collect(values, path=()):
        for key, value in values.items():
            schema_paths.add(".".join((*path, key)))
            if isinstance(value, dict):
                collect(value, (*path, key))

    collect(yaml.safe_load((CHART / "values.yaml").read_text()))
    top = {path for path in schema_paths if "." not in path}
    for page in ("helm/README.md", "docs/deploy.md", "docs/upgrade.md", "CHANGELOG.md"):
        for named in re.findall(r"`([a-zA-Z]+(?:\.[a-zA-Z_]+)+)(?:: [^`]*)?`", (ROOT / page).read_text()):
            if named.endswith(".db"):
                continue  # a file
            known = named in schema_paths or named.startswith("config.") or named.startswith("secrets.sources.")
            assert known or named.split(".")[0] not in top, f"{page} names {named}"


def notes(folder, values, more=None):
    """`helm template` leaves the notes out: a copy of the chart renders them as an object."""
    chart = folder / "chart"
    if not chart.exists():
        shutil.copytree(CHART, chart)
        (chart / "templates/notes.yaml").write_text(
            'kind: Notes\nnotes: |\n  {{- include (print $.Template.BasePath "/NOTES.txt") . | nindent 2 }}\n'
        )
    args = ["template", RELEASE, str(chart), "--namespace", NAMESPACE, "--values", str(VALUES / f"{values}.yaml"), "--values", "-"]
    done = helm(*args, "--show-only", "templates/notes.yaml", stdin=yaml.safe_dump(more or {}))
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)["notes"]


@pytest.mark.parametrize("values", MATRIX)
def test_the_notes_say_the_next_three_steps(values, tmp_path):
    text = notes(tmp_path, values)
    assert re.findall(r"^(\d)\. ", text, re.M) == ["1", "2", "3"]
    assert "-- scim-bridge check" in text and "/webhooks/hr" in text and "helm -n people test rel --logs" in text
    assert not re.search(r"[ \t]$", text, re.M) and "\n\n\n" not in text


def test_the_notes_name_what_was_installed(tmp_path):
    assert "https://hooks.example.com/webhooks/hr" in notes(tmp_path, "ha")
    assert "get secret scim-bridge " in notes(tmp_path, "ha")
    assert "https://hooks.example.com/webhooks/hr" in notes(tmp_path, "embedded")
    assert "http://rel-scim-bridge.people.svc:80/webhooks/hr" in notes(tmp_path, "defaults")
    assert "deployment/rel-scim-bridge-intake" in notes(tmp_path, "defaults")
    assert "exec deployment/rel-scim-bridge-worker -- scim-bridge check --role worker\n" in notes(tmp_path, "defaults")
    assert "get secret rel-scim-bridge-admin-token " in notes(tmp_path, "defaults")
    assert "helm" not in notes(tmp_path, "defaults", {"test": {"enabled": False}}).split("3. ")[1]


def test_the_trial_s_file_says_how_to_install_it():
    first = (VALUES / "trial.yaml").read_text()
    assert "helm install trial ./helm -f tests/chart/values/trial.yaml --wait && helm test trial --logs" in first


def test_instructions_wait_for_a_release_before_testing_it():
    """The test's pod sends once: a pod that is not ready yet would fail it."""
    pages = [ROOT / "README.md", CHART / "README.md", *sorted((ROOT / "docs").glob("*.md")), VALUES / "trial.yaml"]
    commands = [line for page in pages for line in page.read_text().splitlines() if re.search(r"\bhelm (install|upgrade) \S+ \./helm", line)]
    assert len(commands) >= 5
    for command in commands:
        assert re.search(r" --wait( |$)", command), command
