"""The hooks and rotate-secret, run: with a vault of the tests for Azure, and real HTTP to servers on this machine.

What stands in for `az`, `azd` and `sleep` records what it is given. curl is the real one, sent to 127.0.0.1. Scripts
for PowerShell are only read here: nothing on this machine runs them.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import AzSays, Borrow
from tools.stack import served
from webhook import secret as secrets
from webhook.settings import SECRET, SECRET_PREVIOUS, Settings

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
SCRIPTS = (INFRA / "secret.sh", INFRA / "rotate-secret", *sorted((INFRA / "hooks").glob("*.sh")))
PREPARE, PROVISION, DEPLOY, ROTATE = (
    *("hooks/preprovision.sh", "hooks/postprovision.sh", "hooks/postdeploy.sh"),
    "rotate-secret",
)
PRIVATE = {"WEBHOOK_PRIVATE_NETWORKING": "true"}
ENVIRONMENT = {
    "AZURE_SUBSCRIPTION_ID": "00000000-1111-2222-3333-444444444444",
    "AZURE_RESOURCE_GROUP": "rg-tests",
    "AZURE_KEY_VAULT_NAME": "kv-tests",
    "SERVICE_WEBHOOK_NAME": "func-tests",
    "SERVICE_WEBHOOK_HOSTNAME": "func-tests.azurewebsites.net",
}
OLD, NEW = "the-secret-of-last-year", "the-secret-of-this-year"

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the scripts for Windows are others"),
    pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="needs curl and bash"),
]


@dataclass
class Cloud:
    """What the scripts find when they look for Azure.

    Attributes:
        folder: where it keeps itself.
        address: where the app is reached, on this machine.
        said: everything that scripts printed.
    """

    folder: Path
    address: str = "http://127.0.0.1:9"  # nothing listens there
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Put the programs in place."""
        self.programs.mkdir()
        refusal = "(Forbidden) Caller is not authorized to perform action on resource."
        self.change(
            secrets={},
            commands=[],
            refusing=0,
            refusal=refusal,
            broken="",
            app={},
            stale=0,
            failing=0,
            provider="Registered",
        )
        python, curl = shlex.quote(sys.executable), shlex.quote(shutil.which("curl") or "")
        stand_in = shlex.quote(str(ROOT / "tests/infra/az_of_the_tests.py"))
        self._program("az", f'exec {python} {stand_in} {shlex.quote(str(self._state))} "$@"')
        self._program("azd", 'eval "printf \'%s\\n\' \\"\\$IN_AZD_$3\\""')
        self._program("sleep", f'echo "$1" >> {shlex.quote(str(self.folder / "slept"))}')
        host = ENVIRONMENT["SERVICE_WEBHOOK_HOSTNAME"]
        self._program(
            "curl",
            f'for each; do shift; case $each in https://{host}/*) each="$ADDRESS/${{each#https://{host}/}}";; esac;'
            f' set -- "$@" "$each"; done; exec {curl} "$@"',
        )

    @property
    def programs(self) -> Path:
        """Where the programs are."""
        return self.folder / "bin"

    @property
    def _state(self) -> Path:
        return self.folder / "state.json"

    def _program(self, name: str, line: str) -> None:
        program = self.programs / name
        program.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
        program.chmod(0o755)

    def state(self) -> dict[str, Any]:
        """Give what there is, and what was asked."""
        state: dict[str, Any] = json.loads(self._state.read_text("utf-8"))
        return state

    def change(self, **changes: Any) -> None:  # noqa: ANN401 - JSON
        """Change what there is."""
        before = self.state() if self._state.exists() else {}
        self._state.write_text(json.dumps(before | changes), "utf-8")

    def hold(self, *values: str, hours: float = 11, previous: str | None = None) -> None:
        """Have the vault hold these versions of the secret, the last so many hours old, and the app know them."""
        created = f"{datetime.now(UTC) - timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}+00:00"
        current = [{"value": value, "created": created} for value in values]
        before = [{"value": previous or values[-1], "created": created}]
        self.change(
            secrets={"webhook-secret": current, "webhook-secret-previous": before},
            app={SECRET: len(current), SECRET_PREVIOUS: 1},
        )

    def values(self) -> tuple[str | None, str | None]:
        """Give the current and the previous secret."""
        held = self.state()["secrets"]
        current, previous = (
            held.get(name, [{}])[-1].get("value") for name in ("webhook-secret", "webhook-secret-previous")
        )
        return current, previous

    def accepts(self, secret: str) -> bool:
        """Tell whether the app, with what it has read of the vault, lets a call in."""
        state = self.state()
        held = {
            SECRET: state["secrets"]["webhook-secret"],
            SECRET_PREVIOUS: state["secrets"]["webhook-secret-previous"],
        }
        settings = Settings.from_mapping({name: each[state["app"][name] - 1]["value"] for name, each in held.items()})
        return secrets.accepts(secret, settings.secrets)

    def slept(self) -> list[str]:
        """Give how long the scripts waited, each time, in seconds."""
        file = self.folder / "slept"
        return file.read_text("utf-8").split() if file.exists() else []

    def asked(self) -> list[str]:
        """Give the commands that were given, without their options."""
        return [" ".join(each).split(" --")[0] for each in self.state()["commands"]]

    def run(
        self, script: str, *arguments: str, shell: str = "bash", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script as azd does, or as a person in a terminal."""
        run = subprocess.run(
            [shell, INFRA / script, *arguments],
            env={
                "PATH": f"{self.programs}:{os.environ['PATH']}",
                "ADDRESS": self.address,
                **(environment or ENVIRONMENT),
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        self.said += [run.stdout, run.stderr]
        return run


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """Give an Azure without any secret, and an app that nobody reaches."""
    return Cloud(tmp_path)


@dataclass
class App:
    """A server that gives these answers in turn, the last of them again and again.

    Attributes:
        answers: the statuses.
        heard: the headers of the calls that came.
    """

    answers: list[int]
    heard: list[dict[str, str]] = field(default_factory=list)

    def answer(self, headers: dict[str, str]) -> int:
        """Give the next status."""
        self.heard.append(headers)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def listening(cloud: Cloud, *answers: int) -> Iterator[App]:
    """Have the app answer with these statuses."""
    app = App(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(app.answer({name.lower(): value for name, value in self.headers.items()}))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    cloud.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield app
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def revealed(cloud: Cloud) -> list[str]:
    """Give whatever shows a secret: a line that was printed, or an argument of a program."""
    values = {version["value"] for versions in cloud.state()["secrets"].values() for version in versions}
    shown = [*cloud.said, *(argument for command in cloud.state()["commands"] for argument in command)]
    return [text for text in shown for value in values if value in text]


# --- the subscription is prepared


@pytest.mark.parametrize("state", ["NotRegistered", "Registering", "Unregistered"])
def test_private_networking_registers_the_provider_of_its_subnet(cloud: Cloud, state: str) -> None:
    """No template does: in a fresh subscription the app could not join its network."""
    cloud.change(provider=state)
    run = cloud.run(PREPARE, **ENVIRONMENT, **PRIVATE)
    (command,) = [each for each in cloud.state()["commands"] if each[:2] == ["provider", "register"]]

    assert run.returncode == 0, run.stderr
    assert command[command.index("--namespace") + 1] == "Microsoft.App"
    assert command[command.index("--subscription") + 1] == ENVIRONMENT["AZURE_SUBSCRIPTION_ID"]
    assert "--wait" in command


@pytest.mark.parametrize("given", ["True", "TRUE"])
def test_private_networking_may_be_asked_for_in_capitals(cloud: Cloud, given: str) -> None:
    """PowerShell's `-ne` takes it, too: the same environment must do the same from either."""
    cloud.change(provider="NotRegistered")
    run = cloud.run(PREPARE, **ENVIRONMENT, WEBHOOK_PRIVATE_NETWORKING=given)

    assert run.returncode == 0, run.stderr
    assert "provider register" in cloud.asked()


def test_a_provider_that_is_registered_is_left_alone(cloud: Cloud) -> None:
    """Registering takes a right on the subscription that not everybody has."""
    run = cloud.run(PREPARE, **ENVIRONMENT, **PRIVATE)

    assert run.returncode == 0, run.stderr
    assert cloud.asked() == ["account show", "provider show"]


@pytest.mark.parametrize("given", [{}, {"WEBHOOK_PRIVATE_NETWORKING": "false"}, {"WEBHOOK_PRIVATE_NETWORKING": ""}])
def test_without_private_networking_nothing_is_prepared(cloud: Cloud, given: dict[str, str]) -> None:
    """Nobody is asked to sign in for what is not needed."""
    run = cloud.run(PREPARE, **ENVIRONMENT, **given)

    assert run.returncode == 0, run.stderr
    assert cloud.asked() == []


def test_a_subscription_that_is_not_known_yet_does_not_stop_anybody(cloud: Cloud) -> None:
    """It may well be registered there; what to do if it is not is said."""
    run = cloud.run(PREPARE, **PRIVATE)

    assert run.returncode == 0, run.stderr
    assert "az provider register --namespace Microsoft.App" in run.stdout
    assert cloud.asked() == []


# --- the secret is made


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_provisioning_makes_a_secret_where_there_is_none(cloud: Cloud, shell: str) -> None:
    """256 random bits, in characters that need no encoding; both names resolve, and the app is told to read them."""
    run = cloud.run(PROVISION, shell=shell)
    current, previous = cloud.values()

    assert run.returncode == 0, run.stderr
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", current or "")
    assert previous == current
    assert cloud.asked()[-1] == "rest"
    assert cloud.accepts(current or "")
    assert Settings.from_mapping({SECRET: current or "", "STATE_STORAGE": "UseDevelopmentStorage=true"}).problems == ()
    assert revealed(cloud) == []


def test_every_secret_is_another_one(cloud: Cloud, tmp_path: Path) -> None:
    """A secret that a second publisher has, too, is none."""
    (tmp_path / "other").mkdir()
    other = Cloud(tmp_path / "other")
    cloud.run(PROVISION)
    other.run(PROVISION)

    assert cloud.values() != other.values()


def test_provisioning_again_changes_nothing(cloud: Cloud) -> None:
    """The secret is in Partner Center by then: another one would lose every event."""
    cloud.hold(NEW, previous=OLD)
    run = cloud.run(PROVISION)

    assert run.returncode == 0, run.stderr
    assert cloud.values() == (NEW, OLD)
    assert set(cloud.asked()) == {"account show", "keyvault secret list", "rest"}


def test_provisioning_always_has_the_app_read_the_vault_again(cloud: Cloud) -> None:
    """What was read before the app's role counted stays unresolved for a day, and answers every event with 500."""
    cloud.hold(NEW, previous=OLD)
    cloud.change(app={})
    run = cloud.run(PROVISION)

    assert run.returncode == 0, run.stderr
    assert cloud.accepts(NEW)


def test_provisioning_waits_for_a_role_that_does_not_count_yet(cloud: Cloud) -> None:
    """A new role takes minutes; a deployment that fails for it would frighten every newcomer."""
    cloud.change(refusing=3)
    run = cloud.run(PROVISION)

    assert run.returncode == 0, run.stderr
    assert cloud.slept() == ["15"] * 3
    assert cloud.values()[0]
    assert run.stderr.count("(Forbidden)") == 1  # the first says what it is that is waited for


def test_provisioning_gives_up_after_ten_minutes_and_says_what_is_missing(cloud: Cloud) -> None:
    """Whoever is not signed in, or as somebody else, has to be told."""
    cloud.change(refusing=1_000)
    run = cloud.run(PROVISION)

    assert run.returncode == 1
    assert "Key Vault Secrets Officer" in run.stderr
    assert cloud.values() == (None, None)


def test_provisioning_does_not_wait_for_a_sign_in_that_has_expired(cloud: Cloud) -> None:
    """GitHub's token lives for 5 minutes: after them no other token is given, however long one waits."""
    cloud.change(refusing=1_000, refusal="AADSTS700024: Client assertion is not within its valid time range.")
    run = cloud.run(PROVISION)

    assert run.returncode == 1
    assert "AADSTS700024" in run.stderr
    assert "waiting does not help" in run.stderr
    assert cloud.slept() == []


def test_provisioning_does_not_wait_for_somebody_who_is_not_signed_in(cloud: Cloud) -> None:
    """No time makes that right; azd's own sign-in is another one."""
    cloud.change(broken="account show")
    run = cloud.run(PROVISION)

    assert run.returncode == 1
    assert "az login" in run.stderr
    assert cloud.asked() == ["account show"]


@pytest.mark.parametrize("after", [2, 3, 4])
def test_a_vault_that_fails_midway_never_gets_a_second_secret(cloud: Cloud, after: int) -> None:
    """A listing that failed must not be taken for an empty vault: the new secret would shut the Marketplace out."""
    cloud.hold(NEW)
    az = cloud.programs / "az"
    fails_later = f"n=$(cat n 2>/dev/null || echo 0); n=$((n + 1)); echo $n > n; [ $n -le {after} ] || exit 1\n"
    az.write_text(az.read_text("utf-8").replace("#!/bin/sh\n", f"#!/bin/sh\n{fails_later}"), "utf-8")
    run = cloud.run(PROVISION)

    assert (run.returncode == 0) == (after > 3)
    assert cloud.values() == (NEW, NEW)
    assert "keyvault secret set" not in cloud.asked()


# --- the deployment is checked


def test_a_deployment_ends_with_what_to_paste(cloud: Cloud) -> None:
    """The exact value, with the secret masked, and the command that shows it."""
    cloud.hold(NEW)
    with listening(cloud, 401):
        run = cloud.run(DEPLOY)
    (command,) = re.findall(r"^  (echo .*)$", run.stdout, re.MULTILINE)
    shown = subprocess.run(  # the command, as a person pastes it
        ["bash", "-c", command],  # noqa: S607 - found above
        env={"PATH": f"{cloud.programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.returncode == 0, run.stderr
    assert "https://func-tests.azurewebsites.net/api?secret=********\n" in run.stdout
    assert shown.stdout == f"https://func-tests.azurewebsites.net/api?secret={NEW}\n"
    assert revealed(cloud) == []


def test_a_deployment_waits_until_the_app_is_up(cloud: Cloud) -> None:
    """A cold start, and a secret that is being read, take a while."""
    with listening(cloud, 503, 404, 500, 401):
        run = cloud.run(DEPLOY)

    assert run.returncode == 0, run.stderr
    assert cloud.slept() == ["15"] * 5  # three until it is well, and two until it is sure


def test_a_deployment_does_not_take_the_instance_of_before_for_the_app(cloud: Cloud) -> None:
    """For a while it may answer beside the new ones: only three good answers in a row are the new app's."""
    with listening(cloud, 401, 401, 404, 401, 404) as app:
        run = cloud.run(DEPLOY)

    assert run.returncode == 1
    assert "Was it built with another Python" in run.stderr
    assert len(app.heard) > 20


def test_a_deployment_whose_app_has_no_secret_yet_has_it_read_again(cloud: Cloud) -> None:
    """A reference that could not be resolved is not tried again for a day."""
    with listening(cloud, 500, 503, 500, 401):
        run = cloud.run(DEPLOY)

    assert run.returncode == 0, run.stderr
    assert cloud.asked() == ["rest", "rest"]


def test_how_long_is_waited_between_two_looks_can_be_said(cloud: Cloud) -> None:
    """Whoever tries the scripts on something quicker than Azure does not wait for Azure."""
    with listening(cloud, 401):
        run = cloud.run(DEPLOY, **ENVIRONMENT, CHECK_PAUSE="2")

    assert run.returncode == 0, run.stderr
    assert cloud.slept() == ["2", "2"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "Was it built with another Python"),
        (500, "settings are missing or unusable"),
        (503, "answers 503 instead of 401"),
        (200, "answers 200 instead of 401"),
    ],
)
def test_a_deployment_that_is_not_well_fails_and_says_why(cloud: Cloud, status: int, said: str) -> None:
    """A package built with another Python deploys without an error, and answers 404 to every event."""
    with listening(cloud, status):
        run = cloud.run(DEPLOY)

    assert run.returncode == 1
    assert said in run.stderr
    assert "Notification Endpoint URL" not in run.stdout


def test_a_deployment_that_nobody_reaches_fails(cloud: Cloud) -> None:
    """No connection is no answer."""
    run = cloud.run(DEPLOY)

    assert run.returncode == 1
    assert "answers 000 instead of 401" in run.stderr


def test_the_check_can_be_told_from_a_lost_event(cloud: Cloud) -> None:
    """Its call carries the trace ID that the queries leave out, in both languages."""
    (left_out,) = re.findall(r"OperationId == '(\w+)'", (INFRA / "queries/calls.kql").read_text("utf-8"))
    with listening(cloud, 401) as app:
        cloud.run(DEPLOY)

    assert re.fullmatch(rf"00-{left_out}-[0-9a-f]{{16}}-01", app.heard[0]["traceparent"])
    assert f"$CheckTrace = '{left_out}'" in (INFRA / "secret.ps1").read_text("utf-8")


@pytest.mark.skipif(find_spec("azure_functions_runtime") is None, reason="azure-functions-runtime is not installed")
@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"WEBHOOK_SECRET": NEW, "STATE_STORAGE": "UseDevelopmentStorage=true"}, 0),
        ({"WEBHOOK_SECRET": "@Microsoft.KeyVault(SecretUri=x)", "STATE_STORAGE": "UseDevelopmentStorage=true"}, 1),
    ],
    ids=["well", "without its secret"],
)
def test_the_check_understands_the_real_app(cloud: Cloud, settings: dict[str, str], status: int) -> None:
    """What it takes for well is what the app answers when it is."""
    with served(settings) as host:
        cloud.address = f"http://127.0.0.1:{host.port}"
        run = cloud.run(DEPLOY)

    assert run.returncode == status, run.stderr


# --- the secret is rotated


def test_a_rotation_makes_a_new_secret_and_keeps_the_old_one(cloud: Cloud) -> None:
    """Whichever of the two the Marketplace sends, the event is recorded."""
    cloud.hold(OLD)
    with listening(cloud, 401):
        run = cloud.run(ROTATE)
    current, previous = cloud.values()

    assert run.returncode == 0, run.stderr
    assert current not in (None, OLD)
    assert previous == OLD
    assert cloud.accepts(OLD)
    assert cloud.accepts(current or "")
    assert cloud.asked()[-3:] == ["keyvault secret show", "rest", "functionapp restart"]
    assert "https://func-tests.azurewebsites.net/api?secret=********\n" in run.stdout
    assert "Partner Center" in run.stdout
    assert "10 hours" in run.stdout
    assert revealed(cloud) == []


def test_a_rotation_is_one_write(cloud: Cloud) -> None:
    """Interrupted before it, nothing has happened; after it, both secrets are accepted."""
    cloud.hold(OLD)
    with listening(cloud, 401):
        cloud.run(ROTATE)

    assert cloud.asked().count("keyvault secret set") == 1


@pytest.mark.parametrize(("arguments", "hours"), [((), 11.0), (("--finish",), 11.0)], ids=["start", "finish"])
def test_nothing_is_said_of_secrets_that_the_app_has_not_read(
    cloud: Cloud, arguments: tuple[str, ...], hours: float
) -> None:
    """An app with the old secrets answers 401, too: who then changes Partner Center loses every event."""
    if arguments:
        cloud.hold(OLD, NEW, hours=hours, previous=OLD)
    else:
        cloud.hold(OLD)
    cloud.change(stale=1_000)
    with listening(cloud, 401):
        run = cloud.run(ROTATE, *arguments)

    assert run.returncode == 1
    assert "has not read" in run.stderr
    assert "and should be 'Resolved 2'" in run.stderr
    assert "accepted now" not in run.stdout
    assert "secret=****" not in run.stdout
    assert "functionapp restart" not in cloud.asked()
    assert revealed(cloud) == []


def test_an_app_that_reads_late_is_told_again(cloud: Cloud) -> None:
    """One refresh can come before the vault shows the new version to the app."""
    cloud.hold(OLD)
    cloud.change(stale=2)
    with listening(cloud, 401):
        run = cloud.run(ROTATE)

    assert run.returncode == 0, run.stderr
    assert cloud.accepts(cloud.values()[0] or "")
    assert cloud.accepts(OLD)
    refreshes = [each for each in cloud.state()["commands"] if each[:3] == ["rest", "--method", "post"]]
    assert len(refreshes) == 3


def test_a_refresh_that_fails_is_asked_for_again(cloud: Cloud) -> None:
    """The new secret is in the vault by then: whoever rotates must be told how the app stands."""
    cloud.hold(OLD)
    cloud.change(failing=1)
    with listening(cloud, 401):
        run = cloud.run(ROTATE)

    assert run.returncode == 0, run.stderr
    assert "Both secrets are accepted now." in run.stdout
    assert cloud.accepts(cloud.values()[0] or "")


def test_refreshes_that_all_fail_end_with_what_the_app_lacks(cloud: Cloud) -> None:
    """An error of Azure's alone does not say to change nothing in Partner Center."""
    cloud.hold(OLD)
    cloud.change(failing=1_000)
    with listening(cloud, 401):
        run = cloud.run(ROTATE)

    assert run.returncode == 1
    assert "and should be 'Resolved 2'. Change nothing in Partner Center" in run.stderr
    assert "accepted now" not in run.stdout


def test_a_reference_that_is_not_resolved_is_not_taken_for_one_that_is(cloud: Cloud) -> None:
    """Its app answers 500 to everything, or goes on with what it had."""
    cloud.hold(OLD, NEW, previous=OLD)
    cloud.change(app={}, stale=1_000)
    with listening(cloud, 401):
        run = cloud.run(ROTATE)

    assert run.returncode == 1
    assert "WEBHOOK_SECRET is 'SecretNotFound', and should be 'Resolved 2'" in run.stderr


def test_a_rotation_that_is_under_way_is_not_begun_again(cloud: Cloud) -> None:
    """A third secret would push out the one that Partner Center still has."""
    cloud.hold(OLD, NEW, previous=OLD)
    with listening(cloud, 401):
        run = cloud.run(ROTATE)

    assert run.returncode == 0, run.stderr
    assert "under way" in run.stdout
    assert cloud.values() == (NEW, OLD)


def test_a_rotation_that_broke_off_goes_on(cloud: Cloud) -> None:
    """The new secret is in the vault, the app has not read it: running it again is all that is needed."""
    cloud.hold(OLD)
    cloud.change(broken="functionapp restart")
    with listening(cloud, 401):
        broken = cloud.run(ROTATE)
        current = cloud.values()[0]
        cloud.change(broken="")
        again = cloud.run(ROTATE)

    assert broken.returncode != 0
    assert again.returncode == 0, again.stderr
    assert cloud.values() == (current, OLD)


@pytest.mark.parametrize("arguments", [(), ("--finish",)])
def test_a_vault_that_cannot_be_read_is_left_alone(cloud: Cloud, arguments: tuple[str, ...]) -> None:
    """Two readings that failed are equal to each other, and must not pass for two equal secrets."""
    cloud.hold(OLD, NEW, previous=OLD)
    cloud.change(broken="keyvault secret show")
    run = cloud.run(ROTATE, *arguments)

    assert run.returncode != 0
    assert cloud.values() == (NEW, OLD)
    assert set(cloud.asked()) == {"account show", "keyvault secret list", "keyvault secret show"}


def test_the_old_secret_is_dropped_after_ten_hours(cloud: Cloud) -> None:
    """From then on, nothing that is still to come carries it."""
    cloud.hold(OLD, NEW, hours=10.1, previous=OLD)
    with listening(cloud, 401):
        run = cloud.run(ROTATE, "--finish")

    assert run.returncode == 0, run.stderr
    assert cloud.values() == (NEW, NEW)
    assert not cloud.accepts(OLD)
    assert cloud.asked()[-3:] == ["keyvault secret show", "rest", "functionapp restart"]


def test_the_old_secret_is_not_dropped_before(cloud: Cloud) -> None:
    """For 10 hours, the Marketplace retries with the URL that it had."""
    cloud.hold(OLD, NEW, hours=9.9, previous=OLD)
    run = cloud.run(ROTATE, "--finish")

    assert run.returncode == 1
    assert "less than 10 hours ago" in run.stderr
    assert cloud.values() == (NEW, OLD)


def test_a_secret_that_others_know_can_be_dropped_at_once(cloud: Cloud) -> None:
    """Then somebody else's events are worse than a lost one."""
    cloud.hold(OLD, NEW, hours=0.1, previous=OLD)
    with listening(cloud, 401):
        run = cloud.run(ROTATE, "--finish", "--at-once")

    assert run.returncode == 0, run.stderr
    assert cloud.values() == (NEW, NEW)


def test_finishing_twice_does_no_harm(cloud: Cloud) -> None:
    """Who is not sure whether it was done does it again."""
    cloud.hold(NEW)
    with listening(cloud, 401):
        run = cloud.run(ROTATE, "--finish")

    assert run.returncode == 0, run.stderr
    assert "No rotation is under way" in run.stdout
    assert cloud.values() == (NEW, NEW)


@pytest.mark.parametrize("arguments", [("--help",), ("--at-once",), ("finish",), ("--finish", "now")])
def test_what_is_not_understood_does_nothing(cloud: Cloud, arguments: tuple[str, ...]) -> None:
    """A word too many must not rotate a secret."""
    run = cloud.run(ROTATE, *arguments)

    assert run.returncode == 2
    assert "infra/rotate-secret --finish" in run.stderr
    assert cloud.asked() == []


def test_what_powershell_does_not_understand_does_nothing_either() -> None:
    """A script without this puts `--finish` into $args, and begins a rotation instead."""
    text = (INFRA / "rotate-secret.ps1").read_text("utf-8")

    assert "[CmdletBinding(PositionalBinding = $false)]\nparam(" in text


def test_in_a_terminal_the_azd_environment_is_asked(cloud: Cloud) -> None:
    """Only hooks are started with its values."""
    cloud.hold(OLD)
    with listening(cloud, 401):
        run = cloud.run(ROTATE, **{f"IN_AZD_{name}": value for name, value in ENVIRONMENT.items()})

    assert run.returncode == 0, run.stderr
    assert {
        command[command.index("--vault-name") + 1] for command in cloud.state()["commands"] if "keyvault" in command
    } == {ENVIRONMENT["AZURE_KEY_VAULT_NAME"]}


# --- the scripts themselves


def everything(cloud: Cloud) -> list[list[str]]:
    """Have the scripts do all that they can, and give the commands that they gave."""
    cloud.change(provider="NotRegistered")
    with listening(cloud, 401):
        cloud.run(PREPARE, **ENVIRONMENT, **PRIVATE)
        cloud.run(PROVISION)
        cloud.run(DEPLOY)
        cloud.run(ROTATE)
        cloud.run(ROTATE, "--finish", "--at-once")
    commands: list[list[str]] = cloud.state()["commands"]
    return commands


def test_the_azure_cli_understands_every_command(cloud: Cloud, az_says: AzSays) -> None:
    """It reads the whole command line, and only then asks for `az login`."""
    given = {(*each[:2], *(word for word in each if word.startswith("--"))): each for each in everything(cloud)}
    *said, misspelt = az_says([*given.values(), ["keyvault", "secret", "list", "--vault-nane", "kv-tests"]])

    assert len(said) == 9
    assert [text for text in said if "Please run 'az login'" not in text] == []
    assert "az login" not in misspelt


def test_the_scripts_for_powershell_give_the_same_commands(cloud: Cloud) -> None:
    """They are not run here; a command that one has and the other has not would not be noticed."""
    text = "\n".join(path.read_text("utf-8") for path in [INFRA / "secret.ps1", *INFRA.glob("**/*.ps1")])
    posix = {" ".join(each).split(" --")[0] for each in everything(cloud)}
    options = {word for each in cloud.state()["commands"] for word in each if word.startswith("--")}

    assert {each.strip() for each in re.findall(r"Invoke-Az ((?:[a-z]+ )+)--", text)} == posix
    assert options <= set(re.findall(r"--[a-z-]+", text))
    for name in ENVIRONMENT:
        assert name in text


def test_the_scripts_for_powershell_can_be_read(borrow: Borrow, tmp_path: Path) -> None:
    """A brace that is missing would be noticed by the first publisher on Windows, halfway through a deployment."""
    reads = [*borrow("tree-sitter-powershell"), "python", str(ROOT / "tests/infra/powershell_syntax.py")]
    broken = tmp_path / "broken.ps1"
    broken.write_text("if ($a { }", "utf-8")
    right = subprocess.run([*reads, *map(str, INFRA.glob("**/*.ps1"))], capture_output=True, text=True, check=True)
    wrong = subprocess.run([*reads, str(broken)], capture_output=True, text=True, check=True)

    assert right.stdout == ""
    assert "broken.ps1:1: ERROR" in wrong.stdout


@pytest.mark.parametrize(
    "name", ["secret", "rotate-secret", *(f"hooks/{each}" for each in ("preprovision", "postprovision", "postdeploy"))]
)
def test_every_script_is_there_for_both(name: str) -> None:
    """Whoever deploys from Windows has no other."""
    posix = INFRA / (name if name == "rotate-secret" else f"{name}.sh")

    assert posix.exists()
    assert (INFRA / f"{name}.ps1").exists()
    assert name == "secret" or os.access(posix, os.X_OK)


SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    """It knows the traps of the shell better than any reader."""
    run = subprocess.run([SHELLCHECK or "", "-x", *SCRIPTS], capture_output=True, text=True, check=False, cwd=ROOT)

    assert run.stdout == ""
    assert run.returncode == 0
