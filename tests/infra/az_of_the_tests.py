"""What the scripts find as `az`: a vault of two secrets in a file, an app that has read it, and what was asked for.

Never contacts anything. It understands only what the scripts say; whether the Azure CLI does, too, is another test.

    az_of_the_tests.py STATE ARGUMENT...

STATE is a JSON file: `secrets`, a list of versions a name, each with `value` and `created`; `commands`, what was
asked; `refusing`, for how many commands from now the vault gives no access, and `refusal`, what it says then;
`broken`, a command that fails; `failing`, for how many refreshes from now one fails; `app`, the version of the secret
that the app has read for each setting; `stale`, for how many refreshes from now the app goes on with what it has;
`provider`, whether one is registered.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REFERENCES = {"WEBHOOK_SECRET": "webhook-secret", "WEBHOOK_SECRET_PREVIOUS": "webhook-secret-previous"}


def _references(state: dict[str, Any], method: str, url: str) -> str:
    """Have the app read the vault again, or tell what it has read for a setting, an item a line as az does."""
    *_, last = url.partition("?")[0].split("/")
    if method == "get":
        version = state["app"].get(last)
        return f"Resolved\n{version}" if version else "SecretNotFound\n"
    if state["stale"] > 0:
        state["stale"] -= 1
    else:
        state["app"] = {
            setting: len(state["secrets"][name]) for setting, name in REFERENCES.items() if name in state["secrets"]
        }
    return ""


def main(file: Path, arguments: list[str]) -> int:
    """Do what one command says, and give the exit status."""
    state = json.loads(file.read_text("utf-8"))
    state["commands"].append(arguments)
    words = arguments[: next(i for i, each in enumerate(arguments) if each.startswith("--"))]
    pairs = [each for each in arguments[len(words) :] if each not in {"--only-show-errors", "--wait"}]
    options = dict(zip(pairs[::2], pairs[1::2], strict=True))
    answer: str | None = ""
    if words[0] == "keyvault" and state["refusing"] > 0:
        state["refusing"] -= 1
        answer = None
    elif " ".join(words) == state["broken"]:
        answer = None
    elif words == ["rest"] and options["--method"] == "post" and state["failing"] > 0:
        state["failing"] -= 1
        answer = None
    elif words == ["keyvault", "secret", "list"]:
        answer = "\n".join(state["secrets"])
    elif words == ["keyvault", "secret", "show"]:
        versions = state["secrets"].get(options["--name"], [{}])
        address = f"https://kv-tests.vault.azure.net/secrets/{options['--name']}/{len(versions)}"
        answer = ({"id": address} | versions[-1]).get(options["--query"].rpartition(".")[2])
    elif words == ["keyvault", "secret", "set"]:
        version = {
            "value": Path(options["--file"]).read_text("utf-8"),
            "created": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}+00:00",
        }
        state["secrets"].setdefault(options["--name"], []).append(version)
    elif words == ["provider", "show"]:
        answer = state["provider"]
    elif words == ["rest"]:
        answer = _references(state, options["--method"], options["--url"])
    file.write_text(json.dumps(state), "utf-8")
    if answer is None:
        sys.stderr.write(f"ERROR: {state['refusal']}\n")
        return 1
    sys.stdout.write(f"{answer}\n" if answer else "")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
