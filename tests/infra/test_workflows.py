"""azure.yaml and GitHub's workflows: what is run when, by whom, and with how little."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import Borrow

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def read(path: Path) -> dict[Any, Any]:
    """Give a YAML file. The key `on` comes back as True, as YAML 1.1 has it."""
    content: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return content


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    """Give the steps of all jobs."""
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflows_are_ones_that_github_takes(borrow: Borrow) -> None:
    """A workflow with a mistake does not run, and nobody is told."""
    run = subprocess.run(
        [*borrow("check-jsonschema"), "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_commit(path: Path) -> None:
    """A tag can be moved to other code; the version stands beside it for people."""
    lines = [line.strip() for line in path.read_text("utf-8").splitlines() if "uses:" in line]

    assert lines
    assert [line for line in lines if not re.fullmatch(r"- uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_no_more_than_it_needs(path: Path) -> None:
    """It reads the repository, and the one that deploys asks for a token to sign in with; neither holds a secret."""
    workflow = read(path)
    granted = {job: each["permissions"] for job, each in workflow["jobs"].items() if "permissions" in each}

    assert workflow["permissions"] == {"contents": "read"}
    assert granted == ({"deploy": {"contents": "read", "id-token": "write"}} if path.stem == "deploy" else {})
    assert "secrets." not in path.read_text("utf-8")
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_that_others_write_ends_up_in_a_script(path: Path) -> None:
    """A branch can be named like a command."""
    assert [step["run"] for step in steps(read(path)) if "${{" in step.get("run", "")] == []


def test_continuous_integration_covers_every_python_and_system() -> None:
    """What is promised to run there is run there."""
    jobs = read(ROOT / ".github/workflows/ci.yml")["jobs"]
    pythons = [*jobs["older"]["strategy"]["matrix"]["python"], *jobs["check"]["strategy"]["matrix"]["python"]]

    assert pythons == ["3.11", "3.12", "3.13", "3.14"]
    assert jobs["unit"]["strategy"]["matrix"]["system"] == ["macos-latest", "windows-latest"]
    assert "make check" in jobs["check"]["steps"][-1]["run"]


def test_deploying_fills_in_every_parameter_that_azd_does_not_know_itself() -> None:
    """A variable that the workflow leaves out would be asked for, and there is nobody to answer."""
    given = read(ROOT / ".github/workflows/deploy.yml")["jobs"]["deploy"]["env"].keys()
    parameters = (ROOT / "infra/main.parameters.json").read_text("utf-8")

    assert set(re.findall(r"\$\{(\w+)", parameters)) - {"AZURE_PRINCIPAL_ID"} <= given


def test_azd_deploys_this_folder_as_the_function_and_builds_it_in_azure() -> None:
    """The conventions by which azd finds everything else."""
    project = read(ROOT / "azure.yaml")
    (service,) = project["services"].items()

    assert service == ("webhook", {"project": ".", "language": "python", "host": "function", "remoteBuild": True})
    assert re.fullmatch(r">= 1\.\d+\.\d+", project["requiredVersions"]["azd"])


def test_every_hook_is_there_for_both_systems() -> None:
    """A hook that is not there ends the deployment halfway."""
    hooks = read(ROOT / "azure.yaml")["hooks"]

    assert hooks.keys() == {"postprovision", "postdeploy"}
    for name, hook in hooks.items():
        assert {system: (each["shell"], each["run"]) for system, each in hook.items()} == {
            "posix": ("sh", f"infra/hooks/{name}.sh"),
            "windows": ("pwsh", f"infra/hooks/{name}.ps1"),
        }
        assert all((ROOT / each["run"]).exists() for each in hook.values())
        assert not [each for each in hook.values() if each.get("continueOnError")]


def test_no_file_of_infra_names_a_real_subscription_or_address() -> None:
    """What is published must not tell whose it was."""
    found = [
        (path.name, match)
        for path in (ROOT / "infra").rglob("*")
        if path.is_file()
        for match in re.findall(r"[\w.]+@[\w-]+\.\w+|/subscriptions/[0-9a-f-]{36}", path.read_text("utf-8"))
    ]

    assert found == []
    assert json.loads((ROOT / "infra/main.parameters.json").read_text("utf-8"))["parameters"]
