"""Sets the version of crate, chart and image, and dates the changelog: VERSION, DAY in the environment."""

import os
import re
import sys
from pathlib import Path

VERSION, DAY = os.environ["VERSION"], os.environ["DAY"]


def replace(file, pattern, text):
    """Replaces the one place in the file that matches."""
    path = Path(file)
    changed, places = re.subn(pattern, text, path.read_text(), flags=re.M)
    if places != 1:
        sys.exit(f"release: {file} matches {pattern} {places} times, instead of once")
    path.write_text(changed)


def changelog():
    """What is unreleased becomes this version's; a version that is already there keeps its date."""
    path = Path("CHANGELOG.md")
    text = path.read_text()
    if re.search(rf"^## \[{re.escape(VERSION)}\] - \d", text, re.M):
        return
    _, begin, rest = text.partition("## [Unreleased]\n")
    if not begin or not rest.partition("\n## [")[0].strip():
        sys.exit("release: CHANGELOG.md says nothing under ## [Unreleased]")
    path.write_text(text.replace(begin, f"{begin}\n## [{VERSION}] - {DAY}\n", 1))


replace("Cargo.toml", r'\A(\[package\]\nname = "scim-bridge"\nversion = )"[^"]*"', rf'\1"{VERSION}"')
replace("Cargo.lock", r'^(name = "scim-bridge"\nversion = )"[^"]*"', rf'\1"{VERSION}"')
replace("Dockerfile", r"^ARG VERSION=.*$", f"ARG VERSION={VERSION}")
replace("helm/Chart.yaml", r"^version: .*$", f"version: {VERSION}")
replace("helm/Chart.yaml", r"^appVersion: .*$", f'appVersion: "{VERSION}"')
replace("helm/README.md", r"^docker build -t (\S+):\S+ \. && docker push \1:\S+$", rf"docker build -t \1:{VERSION} . \&\& docker push \1:{VERSION}".replace("\\&", "&"))
changelog()
