"""The API keeps to its own description, whatever the request: tested by schemathesis, from the description alone."""

import subprocess
import sys
from pathlib import Path

from rig import TOKEN, bridge

# What the description promises of every answer. Whether each odd value is refused is tested in tests/admin.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth,unsupported_method"


def test_answers_are_as_described(tmp_path):
    with bridge(tmp_path) as made:
        made.hire(1, "Ada", "Lovelace")
        made.settled()
        command = [
            Path(sys.executable).parent / "schemathesis", "run", f"{made.admin}/api/openapi.json",
            "--header", f"Authorization: Bearer {TOKEN}", "--checks", CHECKS, "--phases", "examples,coverage,fuzzing",
            "--max-examples", "5", "--seed", "1", "--generation-deterministic", "--no-color",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
