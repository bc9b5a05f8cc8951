"""azure.yaml and GitHub's workflows: what is run when, by whom, and with how little."""

import json
import os
import re
import shutil
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

    assert hooks.keys() == {"preprovision", "postprovision", "postdeploy"}
    for name, hook in hooks.items():
        assert {system: (each["shell"], each["run"]) for system, each in hook.items()} == {
            "posix": ("sh", f"infra/hooks/{name}.sh"),
            "windows": ("pwsh", f"infra/hooks/{name}.ps1"),
        }
        assert all((ROOT / each["run"]).exists() for each in hook.values())
        assert not [each for each in hook.values() if each.get("continueOnError")]


def test_what_a_hook_prints_stays_on_the_screen() -> None:
    """Of other hooks, azd clears the output, or swallows it: the value to paste, and the reason of a failure."""
    hooks = read(ROOT / "azure.yaml")["hooks"]

    assert {each.get("interactive") for hook in hooks.values() for each in hook.values()} == {True}


def options() -> set[str]:
    """Give the variables that the parameters are filled in from, and a person sets."""
    return set(re.findall(r"\$\{(WEBHOOK_\w+)", (ROOT / "infra/main.parameters.json").read_text("utf-8")))


def test_azd_carries_every_option_over_to_github() -> None:
    """What it leaves behind would be reset by the first run of the workflow."""
    assert set(read(ROOT / "azure.yaml")["pipeline"]["variables"]) == options()


def deploying() -> list[dict[str, Any]]:
    """Give the steps of the workflow that deploys."""
    return steps(read(ROOT / ".github/workflows/deploy.yml"))


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_deploying_with_a_variable_missing_resets_nothing() -> None:
    """It ends before anybody signs in, and names what is missing: a default would undo what was chosen."""
    check, *others = deploying()
    variables = {
        name for name in read(ROOT / ".github/workflows/deploy.yml")["jobs"]["deploy"]["env"] if name in check["run"]
    }
    given = dict.fromkeys(variables, "x")

    def run(**changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-c", check["run"]],  # noqa: S607 - as a runner of GitHub's finds it
            env={"PATH": os.environ["PATH"], **given, **changed},
            capture_output=True,
            text=True,
            check=False,
        )

    assert options() | {"AZURE_CLIENT_ID", "AZURE_ENV_NAME", "AZURE_LOCATION"} <= variables
    assert run().returncode == 0
    for name in variables:
        assert run(**{name: ""}).returncode == 1
        assert f": {name}." in run(**{name: ""}).stdout
    assert "uses" in others[0]
    text = (ROOT / ".github/workflows/deploy.yml").read_text("utf-8")
    assert re.findall(r"vars\.WEBHOOK_\w+ \|\| '(?!')", text) == []  # no default behind the check's back


def test_the_token_for_the_vault_is_fetched_while_githubs_own_is_valid() -> None:
    """It lives for 5 minutes, provisioning takes longer, and the first hook after it wants the vault."""
    each = deploying()
    login = next(i for i, step in enumerate(each) if step.get("uses", "").startswith("azure/login@"))

    assert (
        each[login + 1]["run"] == "az account get-access-token --scope https://vault.azure.net/.default --output none"
    )
    assert login + 1 < next(i for i, step in enumerate(each) if step.get("run", "").startswith("azd provision"))


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
