"""The app settings on one machine: local.settings.json, which is never committed, and its example, which is.

Reads the file as Core Tools does: its `Values` become environment variables, and those that are set already win. Never
changes a file that is there, and never reads or writes settings in Azure.
"""

import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from tools.problem import Problem

NAME = "local.settings.json"
SECRET = "WEBHOOK_SECRET"  # noqa: S105 - a setting's name
STORAGES = ("STATE_STORAGE", "AzureWebJobsStorage")
"""The settings that name the storage account; the first that is there counts."""

_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


def create(folder: Path) -> bool:
    """Copy the example, with a random secret where it has none. False if the file is there."""
    target = folder / NAME
    if target.exists():
        return False
    example = folder / f"{NAME}.example"
    settings = _parse(example)
    settings["Values"] = {**values(example), SECRET: secrets.token_urlsafe(32)}
    try:
        target.touch(mode=0o600, exist_ok=False)
        target.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise Problem(f"cannot write {target}: {error.strerror}") from error
    return True


def values(file: Path) -> dict[str, str]:
    """Return the settings in a file. Raises Problem where Core Tools could not use it either."""
    settings = _parse(file)
    if settings.get("IsEncrypted") not in (None, False):
        raise Problem(f"{file.name} is encrypted: run `func settings decrypt`")
    found = settings.get("Values", {})
    if not isinstance(found, dict):
        raise Problem(f'{file.name}: "Values" must be an object')
    for name, value in found.items():
        if not isinstance(value, str):
            raise Problem(f'{file.name}: "{name}" in "Values" must be a string, in double quotes')
    return found


def _parse(file: Path) -> dict[str, object]:
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Problem(f"cannot read {file}: {reason}") from error
    try:
        settings = json.loads(_STRING_OR_COMMENT.sub(_blank_comment, text))
    except json.JSONDecodeError as error:
        raise Problem(
            f"{file.name} is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    if not isinstance(settings, dict):
        raise Problem(f"{file.name} must be a JSON object")
    return settings


def _blank_comment(found: re.Match[str]) -> str:
    """Replace a comment, which Core Tools allows, by as much space, so that lines and columns stay right."""
    return found[0] if found[0].startswith('"') else re.sub(r"[^\n]", " ", found[0])


def uses_development_storage(settings: Mapping[str, str]) -> bool:
    """Tell whether the settings name Azurite at its usual port, rather than a storage account of their own."""
    for name in STORAGES:
        if settings.get(name, "").strip():
            return settings[name].strip().rstrip(";").lower() == "usedevelopmentstorage=true"
        if any(other.startswith(f"{name}__") for other in settings):
            return False
    return False
