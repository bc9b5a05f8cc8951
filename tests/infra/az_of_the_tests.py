"""What the scripts find as `az`: a vault of two secrets in a file, and a line for each command that was given.

Never contacts anything. It understands only what the scripts say; whether the Azure CLI does, too, is another test.

    az_of_the_tests.py STATE ARGUMENT...

STATE is a JSON file: `secrets`, a list of versions a name, each with `value` and `created`; `commands`, what was asked;
`refusing`, for how many commands from now the vault gives no access; `broken`, a command that fails.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path


def main(file: Path, arguments: list[str]) -> int:
    """Do what one command says, and give the exit status."""
    state = json.loads(file.read_text("utf-8"))
    state["commands"].append(arguments)
    words = arguments[: next(i for i, each in enumerate(arguments) if each.startswith("--"))]
    options = dict(zip(arguments[len(words) :: 2], arguments[len(words) + 1 :: 2], strict=False))
    answer: str | None = ""
    if words[0] == "keyvault" and state["refusing"] > 0:
        state["refusing"] -= 1
        answer = None
    elif " ".join(words) == state["broken"]:
        answer = None
    elif words == ["keyvault", "secret", "list"]:
        answer = "\n".join(state["secrets"])
    elif words == ["keyvault", "secret", "show"]:
        latest = state["secrets"].get(options["--name"], [{}])[-1]
        answer = latest.get(options["--query"].rpartition(".")[2])
    elif words == ["keyvault", "secret", "set"]:
        version = {
            "value": Path(options["--file"]).read_text("utf-8"),
            "created": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}+00:00",
        }
        state["secrets"].setdefault(options["--name"], []).append(version)
    file.write_text(json.dumps(state), "utf-8")
    if answer is None:
        sys.stderr.write("ERROR: (Forbidden) Caller is not authorized to perform action on resource.\n")
        return 1
    sys.stdout.write(f"{answer}\n" if answer else "")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
