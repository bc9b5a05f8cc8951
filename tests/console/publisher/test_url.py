"""`managedapps url`: exactly what is to be pasted, or no URL at all."""

import io
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from console.endpoint import Endpoint

SECRET = "s3cret & +ü=%2F#? of the app"

pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
pytest.importorskip("rich", reason="rich is not installed: the console is an optional extra")

from console.main import main  # noqa: E402 - see above


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("app", "origin"),
    [
        ("contoso-webhook", "https://contoso-webhook.azurewebsites.net"),
        ("Contoso", "https://contoso.azurewebsites.net"),
        (
            "contoso-a1b2c3d4e5f6g7h8.westeurope-01.azurewebsites.net",
            "https://contoso-a1b2c3d4e5f6g7h8.westeurope-01.azurewebsites.net",
        ),
        ("https://webhook.contoso.com/", "https://webhook.contoso.com"),
        ("https://webhook.contoso.com/api", "https://webhook.contoso.com"),
        ("gateway.contoso.com:8443", "https://gateway.contoso.com:8443"),
    ],
)
def test_the_value_leads_the_marketplace_to_the_function_with_its_secret(
    app: str, origin: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the secret holds: what arrives, decoded as the host does, is the secret."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(SECRET + "\n"))
    status = main(["url", "--app", app, "--secret-stdin"])
    (printed, said) = capsys.readouterr()
    called = urlsplit(Endpoint.parse(printed).url)

    assert status == 0
    assert ("shows another host" in said) == ("." not in app)
    assert printed.startswith(f"{origin}/api?secret=")
    assert called.path == "/api/resource"
    assert parse_qs(called.query) == {"secret": [SECRET]}
    assert Endpoint.parse(printed).warnings == ()


def test_a_secret_of_this_machine_is_used_with_a_warning(
    elsewhere: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pasting the local secret for the app in Azure would lose every event."""
    elsewhere.setenv("WEBHOOK_SECRET", "0123456789abcdef")
    assert main(["url", "--app", "contoso"]) == 0
    printed, said = capsys.readouterr()

    assert printed == "https://contoso.azurewebsites.net/api?secret=0123456789abcdef\n"
    assert "in the environment. If the app has another one, every notification is lost" in said


@pytest.mark.usefixtures("elsewhere")
def test_the_secret_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """For a screenshot or a ticket."""
    assert main(["url", "--app", "contoso", "--masked"]) == 0
    assert capsys.readouterr() == ("https://contoso.azurewebsites.net/api?secret=***\n", "")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "WEBHOOK_SECRET is not set"),
        ("", "what standard input gave is blank"),
        ("short", "what standard input gave is shorter than 16 characters"),
        ("@Microsoft.KeyVault(SecretUri=https://x)", "what standard input gave is a Key Vault reference"),
    ],
)
def test_a_secret_that_the_app_would_not_take_gives_no_url(
    given: str | None, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the way to get the right one."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(given or ""))
    status = main(["url", "--app", "contoso", *(["--secret-stdin"] if given is not None else [])])
    printed, line = capsys.readouterr()

    assert (status, printed, line.count("\n")) == (1, "", 1)
    assert line.startswith(f"managedapps: {said}")
    assert "az keyvault secret show" in line


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("app", ["", "-contoso", "contoso webhook", "contoso.com/webhook", "http://contoso.com", "a?b"])
def test_what_is_no_app_is_wrong_usage(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake here would be pasted."""
    assert main(["url", f"--app={app}", "--masked"]) == 2
    assert capsys.readouterr().out == ""
