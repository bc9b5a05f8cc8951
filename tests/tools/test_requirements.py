"""requirements.txt, requirements-dev.txt and Azurite's lock: compiled from the ranges, and agreeing with them."""

import json
import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tools.azurite import ROOT

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def project() -> dict[str, Any]:
    """Give pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def pins(name: str, python: str) -> dict[str, str]:
    """Give the exact versions that a compiled file installs under a Python on Linux."""
    lines = [line for line in (ROOT / name).read_text("utf-8").splitlines() if re.match(r"\w", line)]
    found = [Requirement(line) for line in lines]
    for requirement in found:
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), f"{requirement} is not an exact version"
    return {
        requirement.name: str(requirement.specifier).removeprefix("==")
        for requirement in found
        if _applies(requirement, python)
    }


def _applies(requirement: Requirement, python: str) -> bool:
    linux = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    return requirement.marker is None or requirement.marker.evaluate(linux)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("file", "groups"), [("requirements.txt", []), ("requirements-dev.txt", ["dev"])], ids=["deployed", "dev"]
)
def test_every_range_has_a_pin_that_satisfies_it(file: str, groups: list[str], python: str) -> None:
    """A range that was changed without compiling anew would let the tests run on other versions than it promises."""
    wanted = [*project()["project"]["dependencies"]]
    for group in groups:
        wanted += project()["dependency-groups"][group]
    pinned = pins(file, python)

    for requirement in map(Requirement, wanted):
        if _applies(requirement, python):
            assert requirement.specifier.contains(pinned[requirement.name], prereleases=True), requirement


@pytest.mark.parametrize("python", PYTHONS)
def test_the_tests_run_on_the_versions_that_are_deployed(python: str) -> None:
    """What was tested is what is deployed."""
    deployed, tested = pins("requirements.txt", python), pins("requirements-dev.txt", python)

    assert deployed.items() <= tested.items()


def test_tools_of_development_are_not_deployed() -> None:
    """A deployed package of the app holds what the app imports, and starts the faster for it."""
    tools = {Requirement(line).name for line in project()["dependency-groups"]["dev"]}

    assert not tools & {name for python in PYTHONS for name in pins("requirements.txt", python)}


def test_every_supported_python_is_one_that_the_project_names() -> None:
    """The oldest Python of the pins is the oldest that the project says it supports."""
    supported = SpecifierSet(project()["project"]["requires-python"])

    assert [supported.contains(python) for python in ("3.10", *PYTHONS)] == [False, True, True, True, True]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "tools/azurite/package-lock.json"])
def test_no_registry_is_named(name: str) -> None:
    """Whoever installs chooses the registry, or has a mirror that must be used."""
    text = (ROOT / name).read_text("utf-8")

    assert "index-url" not in text
    assert '"resolved"' not in text
    assert not re.search(r"https?://[^\s\"]*(pypi|registry|pythonhosted)", text)


def test_azurite_is_pinned_down_to_the_last_byte() -> None:
    """Every npm package has an exact version and a checksum, and Azurite is the version that package.json names."""
    lock = json.loads((ROOT / "tools" / "azurite" / "package-lock.json").read_text("utf-8"))
    wanted = json.loads((ROOT / "tools" / "azurite" / "package.json").read_text("utf-8"))["dependencies"]
    packages = {path: package for path, package in lock["packages"].items() if path}

    assert packages["node_modules/azurite"]["version"] == wanted["azurite"]
    assert [path for path, package in packages.items() if not package.get("integrity")] == []
