"""Shared fixtures."""

import pytest

from render import ROOT, render
from servers import BINARY, stand_in, valkey

# Secrets that a user has created: for every name in the matrix, any key that may be read.
WHSEC = "whsec_dGhpcy1pcy1uby1zZWNyZXQtb2YtYW55Ym9keQ=="
GIVEN = {
    "scim-bridge": {"postman-key": "sim-key", "admin-token": "the-admin-token-of-the-tests"},
    "scim-bridge-postman": {"postman-key": "sim-key"},
    "scim-bridge-hr": {"secret": WHSEC, "current": WHSEC, "next": WHSEC},
    "people": {"secret": "the-secret-of-people"},
    "redis": {"redis-password": "redis-pass", "password": "redis-pass", "sentinel-password": "sentinel-pass"},
}


@pytest.fixture(scope="session")
def rendered():
    """Renders a file of the matrix once."""
    kept = {}

    def of(values):
        return kept.setdefault(values, None) or kept.update({values: render(values)}) or kept[values]

    return of


@pytest.fixture(scope="session", autouse=True)
def tools():
    assert BINARY.exists(), "no binary: cargo build"
    assert (ROOT / "target/chart-tools/bin/helm").exists(), "no tools: script/setup"


@pytest.fixture(scope="session")
def postman():
    """The base URL of a Postman stand-in that accepts `sim-key`."""
    with stand_in() as base_url:
        yield base_url


@pytest.fixture
def redis(tmp_path):
    """The port of a Valkey with the password `redis-pass`, and the user `bridge` with the same."""
    args = ["--requirepass", "redis-pass", "--user", *"bridge on >redis-pass ~* &* +@all".split()]
    with valkey(tmp_path / "valkey", *args, ready=("AUTH redis-pass", "PING")) as port:
        yield port
