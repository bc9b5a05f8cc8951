"""The app settings on one machine: local.settings.json, which is never committed, and its example, which is.

Reads the file as Core Tools does: its `Values` become environment variables, and those that are set already win. Never
changes a file that is there, and never reads or writes settings in Azure.
"""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from console import local_settings
from tools.problem import Problem

NAME = local_settings.NAME
SECRET = "WEBHOOK_SECRET"  # noqa: S105 - a setting's name
STORAGES = ("STATE_STORAGE", "AzureWebJobsStorage")
"""The settings that name the storage account; the first that is there counts."""


def create(folder: Path) -> bool:
    """Copy the example, with a random secret where it has none. False if the file is there."""
    target = folder / NAME
    if target.exists():
        return False
    example = folder / f"{NAME}.example"
    of_example = values(example)
    settings = {**local_settings.content(example), "Values": {**of_example, SECRET: secrets.token_urlsafe(32)}}
    try:
        target.touch(mode=0o600, exist_ok=False)
        target.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise Problem(f"cannot write {target}: {error.strerror}") from error
    return True


def values(file: Path) -> dict[str, str]:
    """Return the settings in a file. Raises Problem where Core Tools could not use it either."""
    try:
        return local_settings.values(file)
    except local_settings.LocalSettingsError as error:
        raise Problem(str(error)) from error


def uses_development_storage(settings: Mapping[str, str]) -> bool:
    """Tell whether the settings name Azurite at its usual port, rather than a storage account of their own."""
    for name in STORAGES:
        if settings.get(name, "").strip():
            return settings[name].strip().rstrip(";").lower() == "usedevelopmentstorage=true"
        if any(other.startswith(f"{name}__") for other in settings):
            return False
    return False
