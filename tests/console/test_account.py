"""Where the tables are: by the app's settings, or as the command line says; and what to do where they are not."""

import json
from pathlib import Path

import pytest

from console import UsageError, account
from console.account import AccountError
from tests.console.conftest import SECRET, Run

KEY = "TWFyazNyLWtleQ=="


def string(name: str) -> str:
    """Give a connection string."""
    return f"DefaultEndpointsProtocol=https;AccountName={name};AccountKey={KEY}"


def test_the_settings_of_the_app_are_used(elsewhere: pytest.MonkeyPatch) -> None:
    """The same file, the same order: the environment before the file, STATE_STORAGE before AzureWebJobsStorage."""
    values = {"AzureWebJobsStorage": string("file"), "WEBHOOK_SECRET": SECRET}
    Path("local.settings.json").write_text(json.dumps({"Values": values}), "utf-8")
    assert account.find().connection_string == string("file")
    assert account.origin("WEBHOOK_SECRET") == "local.settings.json"

    elsewhere.setenv("AzureWebJobsStorage", string("environment"))
    assert account.find().connection_string == string("environment")
    assert account.origin("AzureWebJobsStorage") == "the environment"

    elsewhere.setenv("STATE_STORAGE__accountName", "state")
    assert account.find().table_service_uri == "https://state.table.core.windows.net"
    assert account.origin("NO_SUCH_SETTING") is None


def test_the_command_line_goes_before_the_settings(elsewhere: pytest.MonkeyPatch) -> None:
    """A connection string, the name of a setting, an account or its URL."""
    elsewhere.setenv("STATE_STORAGE", string("state"))
    elsewhere.setenv("PRODUCTION", string("production"))
    elsewhere.setenv("OTHER__tableServiceUri", "https://other.table.core.usgovcloudapi.net")

    assert account.find(string("given")).connection_string == string("given")
    assert account.find("PRODUCTION").connection_string == string("production")
    assert account.find("OTHER").table_service_uri == "https://other.table.core.usgovcloudapi.net"
    assert account.find(None, "named").table_service_uri == "https://named.table.core.windows.net"
    uri = "https://named.table.core.chinacloudapi.cn"
    assert account.find(None, f"{uri}/").table_service_uri == uri


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("connection", "name", "message"),
    [
        (None, None, "STATE_STORAGE or AzureWebJobsStorage is not set. Run it in the folder of local.settings.json"),
        ("NOWHERE", None, "NOWHERE is not set. Run it in the folder"),
        (f"AccountName=a;AccountKey={KEY}x", None, "--connection has an AccountKey that is not Base64"),
        (None, "no account", "--account is not the name of a storage account"),
        (None, "http://a.table.core.windows.net", "--account is not an https:// address without a query"),
    ],
)
def test_what_is_no_account_is_said_without_its_value(connection: str | None, name: str | None, message: str) -> None:
    """By the name of the option, not of some setting; keys are not repeated."""
    with pytest.raises(AccountError) as error:
        account.find(connection, name)

    assert str(error.value).startswith(f"the tables cannot be found: {message}")
    assert KEY not in str(error.value)


def test_two_accounts_at_once_are_wrong_usage() -> None:
    """Nobody should have to know which of them counts."""
    with pytest.raises(UsageError, match=r"^--connection and --account exclude each other"):
        account.find("A", "b")


def test_what_the_identity_says_does_not_flood_the_terminal(elsewhere: pytest.MonkeyPatch, managedapps: Run) -> None:
    """Each of a dozen ways to sign in explains itself at length; one line says what to do."""
    for name in ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
        elsewhere.delenv(name, raising=False)
    elsewhere.setenv("PATH", "")  # no az, no azd, no pwsh
    elsewhere.setenv("AZURE_TOKEN_CREDENTIALS", "dev")
    done = managedapps("list", "--account", "contosostate")

    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "the identity got no token" in done.err
    assert done.err.endswith("Sign in, with `az login` for one\n")
