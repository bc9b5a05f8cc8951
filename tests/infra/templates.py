"""The Bicep of infra/, read with pycep: a syntax tree, in which a name and a text look the same.

Never compiles: whether a property exists is known to the Bicep compiler alone, which ci.yml runs.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

from pycep import BicepParser

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
FILES = (INFRA / "main.bicep", *sorted((INFRA / "modules").glob("*.bicep")))

Tree = dict[str, Any]


@cache
def tree(path: Path) -> Tree:
    """Give the syntax tree of a file."""
    parsed: Tree = dict(BicepParser().parse(file_path=path))
    return parsed


def module(name: str) -> Tree:
    """Give the syntax tree of a module."""
    return tree(INFRA / "modules" / f"{name}.bicep")


def body(declaration: Tree) -> Tree:
    """Give what a resource or a module is given, without its condition or its loop."""
    inner: Tree = declaration["config"]
    while "config" in inner and "name" not in inner:
        inner = inner["config"]
    return inner


def resources() -> list[Tree]:
    """Give every resource of every file."""
    return [each for path in FILES for each in tree(path).get("resources", {}).values()]


def only(type_: str) -> Tree:
    """Give the body of the only resource of a type."""
    (found,) = [body(each) for each in resources() if each["type"] == type_]
    return found


def app_settings() -> dict[str, str]:
    """Give the app settings as they are written, with parameters unresolved."""
    settings = only("Microsoft.Web/sites")["properties"]["siteConfig"]["appSettings"]
    return {each["name"]: each["value"] for each in settings}


def queries_of(name: str) -> list[str]:
    """Give the files of infra/queries that a module loads."""
    text = (INFRA / f"modules/{name}.bicep").read_text("utf-8")
    return re.findall(r"loadTextContent\('\.\./queries/([\w-]+)\.kql'\)", text)
