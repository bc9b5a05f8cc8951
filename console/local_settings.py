"""local.settings.json, read as Core Tools reads it: its `Values` become environment variables.

Uses the standard library alone, as `tools/` reads the file with it before anything is installed. Never changes the
file, and quotes none of its values, any of which may be a secret.
"""

import json
import re
from pathlib import Path

from console import ConsoleError

NAME = "local.settings.json"

_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


class LocalSettingsError(ConsoleError):
    """Core Tools could not use the file either."""


def values(file: Path) -> dict[str, str]:
    """Return the settings in a file. Raises LocalSettingsError."""
    settings = content(file)
    if settings.get("IsEncrypted") not in (None, False):
        raise LocalSettingsError(f"{file.name} is encrypted: run `func settings decrypt`")
    found = settings.get("Values", {})
    if not isinstance(found, dict):
        raise LocalSettingsError(f'{file.name}: "Values" must be an object')
    for name, value in found.items():
        if not isinstance(value, str):
            raise LocalSettingsError(f'{file.name}: "{name}" in "Values" must be a string, in double quotes')
    return found


def content(file: Path) -> dict[str, object]:
    """Return all that is in a file. Raises LocalSettingsError."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise LocalSettingsError(f"cannot read {file}: {reason}") from error
    try:
        settings = json.loads(_STRING_OR_COMMENT.sub(_blank_comment, text))
    except json.JSONDecodeError as error:
        raise LocalSettingsError(
            f"{file.name} is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    if not isinstance(settings, dict):
        raise LocalSettingsError(f"{file.name} must be a JSON object")
    return settings


def _blank_comment(found: re.Match[str]) -> str:
    """Replace a comment, which Core Tools allows, by as much space, so that lines and columns stay right."""
    return found[0] if found[0].startswith('"') else re.sub(r"[^\n]", " ", found[0])
