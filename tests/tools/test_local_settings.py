"""local.settings.json: made from the example, read as Core Tools reads it."""

import os
import shutil
from pathlib import Path

import pytest

from tools import local_settings
from tools.azurite import ROOT
from tools.problem import Problem

EXAMPLE = ROOT / "local.settings.json.example"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the example alone."""
    shutil.copy(EXAMPLE, tmp_path)
    return tmp_path


def test_the_copy_has_a_secret_of_its_own(folder: Path) -> None:
    """A secret that stands in a public repository is none; every machine gets another one."""
    secrets = set()
    for _ in range(2):
        assert local_settings.create(folder)
        settings = local_settings.values(folder / "local.settings.json")
        assert {**settings, "WEBHOOK_SECRET": ""} == {**local_settings.values(EXAMPLE), "WEBHOOK_SECRET": ""}
        secrets.add(settings["WEBHOOK_SECRET"])
        (folder / "local.settings.json").unlink()

    assert len(secrets) == 2
    assert min(map(len, secrets)) >= 32
    assert local_settings.values(EXAMPLE)["WEBHOOK_SECRET"] not in secrets


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
def test_the_copy_is_for_its_owner_alone(folder: Path) -> None:
    """It holds a secret."""
    local_settings.create(folder)

    assert (folder / "local.settings.json").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_stays_as_it_is(folder: Path) -> None:
    """What a developer wrote is never overwritten."""
    (folder / "local.settings.json").write_text("mine", "utf-8")

    assert not local_settings.create(folder)
    assert (folder / "local.settings.json").read_text("utf-8") == "mine"


def test_the_example_lacks_nothing_but_the_secret() -> None:
    """A secret that everybody can read would sooner or later guard an endpoint; without one, the app says so."""
    settings = local_settings.values(EXAMPLE)

    assert settings["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert settings["WEBHOOK_SECRET"] == ""
    assert local_settings.uses_development_storage(settings)


def test_comments_are_allowed_as_in_core_tools(tmp_path: Path) -> None:
    """Core Tools reads a file with comments, so people write them; an address in a value is no comment."""
    file = tmp_path / "local.settings.json"
    file.write_text('{\n // why\n "Values": {"A": "https://a//b", /* not\n now */ "B": "\\"/*x*/"}}', "utf-8-sig")

    assert local_settings.values(file) == {"A": "https://a//b", "B": '"/*x*/'}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  // one\n  "Values": {"A" "1"}\n}', "line 3, column 18"),
        ("[]", "must be a JSON object"),
        ('{"Values": []}', '"Values" must be an object'),
        ('{"Values": {"A": 1}}', '"A" in "Values" must be a string'),
        ('{"IsEncrypted": true, "Values": {"A": "CfDJ8"}}', "func settings decrypt"),
    ],
    ids=["no JSON", "no object", "Values", "a number", "encrypted"],
)
def test_an_unusable_file_is_said_to_be_so_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    """A developer sees where to look; no value is quoted, since it may be a secret."""
    file = tmp_path / "local.settings.json"
    file.write_text(text, "utf-8")

    with pytest.raises(Problem) as caught:
        local_settings.values(file)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "CfDJ8" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    """So is one that is not there."""
    (tmp_path / "latin").write_bytes(b'{"Values": {"A": "\xe4"}}')

    with pytest.raises(Problem, match=r"cannot read .*No such file"):
        local_settings.values(tmp_path / "absent")
    with pytest.raises(Problem, match=r"cannot read .*not UTF-8"):
        local_settings.values(tmp_path / "latin")


DEVELOPMENT = "UseDevelopmentStorage=true"
REAL = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=aw==;EndpointSuffix=core.windows.net"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"STATE_STORAGE": DEVELOPMENT}, True),
        ({"STATE_STORAGE": "usedevelopmentstorage=TRUE;"}, True),
        ({"AzureWebJobsStorage": DEVELOPMENT}, True),
        ({"STATE_STORAGE": "", "AzureWebJobsStorage": DEVELOPMENT}, True),
        ({"STATE_STORAGE": REAL, "AzureWebJobsStorage": DEVELOPMENT}, False),
        ({"STATE_STORAGE__tableServiceUri": "https://a", "AzureWebJobsStorage": DEVELOPMENT}, False),
        ({"STATE_STORAGE__accountName": "a"}, False),
        ({"AzureWebJobsStorage": REAL}, False),
        ({}, False),
    ],
)
def test_azurite_is_wanted_only_where_the_settings_mean_it(*, settings: dict[str, str], expected: bool) -> None:
    """A developer who names a real account does not get an Azurite that nothing uses, and the other way round."""
    assert local_settings.uses_development_storage(settings) is expected
