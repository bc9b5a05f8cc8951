"""azure-functions-doctor, asked about this app: nothing fails, and every warning has its explanation here."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

EXPLAINED = {
    "Application Insights configuration": "it looks at this machine; in Azure, infra/modules/function.bicep sets it",
    "Azure Functions Core Tools (func)": "not everywhere; `make run` serves without them",
    "Azure Functions Core Tools version": "the same",
    "Native dependency risk": "cryptography: the packages are installed in Azure (azure.yaml, remoteBuild)",
    "Virtual environment": "it asks for an activated one; `make test` runs in .venv without activating it",
    "extensionBundle": "the only trigger is HTTP: a bundle would only make cold starts longer",
    "extensionBundle v4 recommended": "the same",
    "local.settings.json": "holds the secret of one machine; `make run` makes it",
}


@pytest.mark.skipif(find_spec("azure_functions_doctor") is None, reason="azure-functions-doctor is not installed")
def test_the_doctor_finds_nothing_that_is_not_explained() -> None:
    """It knows what made other function apps fail in Azure."""
    asked = subprocess.run(
        [
            *(sys.executable, "-c", "from azure_functions_doctor.cli import main; main()", "doctor", "--path", ROOT),
            *("--target-python", "3.13", "--hosting-plan", "flex-consumption", "--format", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(asked.stdout)
    findings = {
        item["label"]: item["status"]
        for section in report["results"]
        for item in section["items"]
        if item["status"] not in ("pass", "skip")
    }

    assert asked.returncode == 0
    assert "fail" not in findings.values()
    assert findings.keys() <= EXPLAINED.keys()
