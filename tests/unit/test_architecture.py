"""The arrows of the design: who may import whom, read from the source."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {path.stem: path for path in sorted((ROOT / "webhook").glob("*.py"))}
ENTRY = ROOT / "function_app.py"

ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "notification": {"__init__"},
    "application": {"notification"},
    "secret": set(),
    "settings": {"secret"},
    "rejection": {"notification"},
    "store": {"__init__", "application", "notification", "rejection"},
    "record": {"application", "notification", "store"},
    "receive": {"notification", "record", "rejection", "secret", "settings", "store"},
    "entities": {"application", "notification", "rejection", "store"},
    "tables": {"application", "entities", "notification", "rejection", "settings", "store"},
}
"""Which modules of webhook each may import, from the leaves up; `__init__` is the package itself."""

PURE = ("notification", "application", "secret", "settings", "rejection", "store", "entities")
RUNTIME = {"azure", "pydantic", "pydantic_core"}
"""What webhook may import besides the standard library."""


def imports(path: Path) -> set[str]:
    """Give the full names of everything that a file imports, wherever in it, names within modules included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(path: Path) -> set[str]:
    """Give the modules of webhook that a file imports."""
    parts = [name.split(".") for name in imports(path) if name.split(".")[0] == "webhook"]
    return {second if second in MODULES else "__init__" for _, second, *_ in ([*each, ""] for each in parts)}


def top_level(path: Path) -> set[str]:
    """Give the packages that a file imports."""
    return {name.split(".")[0] for name in imports(path)}


def test_every_module_has_its_arrows() -> None:
    """A new module must be placed in the design before it is used."""
    assert ALLOWED.keys() == MODULES.keys()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_the_design_lets_it(module: str) -> None:
    """Arrows point one way, so that each module can be read and tested without those above it."""
    assert within(MODULES[module]) <= ALLOWED[module]


@pytest.mark.parametrize("module", MODULES)
def test_the_table_of_arrows_allows_nothing_that_is_not_used(module: str) -> None:
    """A table that allows more than there is would let the next shortcut pass unseen."""
    assert ALLOWED[module] <= within(MODULES[module])


def test_the_arrows_form_no_circle() -> None:
    """Whatever is imported is further down."""
    order = list(ALLOWED)

    for module, below in ALLOWED.items():
        assert {order.index(each) < order.index(module) for each in below} <= {True}


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_imports_neither_azure_nor_asyncio(module: str) -> None:
    """What decides is plain values in, plain values out: no wire, no loop."""
    assert not top_level(MODULES[module]) & {"azure", "asyncio", "aiohttp", "logging", "os", "socket"}


@pytest.mark.parametrize("module", ["notification", "application", "secret", "settings", "record", "entities"])
def test_what_decides_never_looks_at_a_clock_or_at_chance(module: str) -> None:
    """Time and randomness are handed in; the same input gives the same result."""
    source = MODULES[module].read_text(encoding="utf-8")

    assert not top_level(MODULES[module]) & {"time", "random", "secrets", "uuid"}
    assert not [each for each in (".now(", ".utcnow(", ".today(") if each in source]


@pytest.mark.parametrize("module", MODULES)
def test_only_tables_knows_azure(module: str) -> None:
    """Another store is one module, and the SDK's errors stop there."""
    assert ("azure" in top_level(MODULES[module])) == (module == "tables")


def test_only_the_composition_root_imports_azure_functions() -> None:
    """The package runs without the Functions worker, in tests and in the console."""
    importers = [
        path.name
        for path in [ENTRY, *MODULES.values()]
        if any(name.startswith("azure.functions") for name in imports(path))
    ]

    assert importers == ["function_app.py"]


@pytest.mark.parametrize("module", MODULES)
def test_webhook_imports_nothing_that_is_not_deployed(module: str) -> None:
    """Only webhook and its requirements go to Azure; console, tools and tests stay here."""
    others = top_level(MODULES[module]) - set(sys.stdlib_module_names) - {"webhook"}

    assert others <= RUNTIME


def test_the_composition_root_imports_only_what_it_puts_together() -> None:
    """All thought sits in the package."""
    assert within(ENTRY) == {"receive", "settings", "tables"}
    assert top_level(ENTRY) == {"os", "azure", "webhook"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_but_the_composition_root_reads_the_environment(module: str) -> None:
    """Settings are read in one place, so that tests and readers need look nowhere else."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert "os" not in top_level(MODULES[module])
    assert not names & {"environ", "environb", "getenv", "putenv"}


def test_the_composition_root_does_read_the_environment() -> None:
    """The rule above must not hold because nothing reads it."""
    assert "os.environ" in ENTRY.read_text(encoding="utf-8")


@pytest.mark.parametrize("module", MODULES)
def test_nothing_in_webhook_blocks_the_loop(module: str) -> None:
    """One blocking call stops every other call of the process."""
    assert not imports(MODULES[module]) & {"time.sleep", "requests", "subprocess", "socket", "urllib.request"}
    assert "time.sleep" not in MODULES[module].read_text(encoding="utf-8")
    assert not [name for name in imports(MODULES[module]) if name.startswith("azure.data.tables.TableClient")]


CONSOLE = {
    path.relative_to(ROOT / "console").with_suffix("").as_posix(): path
    for path in sorted((ROOT / "console").rglob("*.py"))
}
MARKETPLACE = [module for module in CONSOLE if module.startswith("marketplace/")]
PUBLISHER = [module for module in CONSOLE if module.startswith("publisher/")]
SHARED = sorted(set(CONSOLE) - {*MARKETPLACE, *PUBLISHER, "app", "main", "__main__"})


def console_imports(module: str) -> set[str]:
    """Give the parts of the console that a module imports: names such as console.output."""
    return {name for name in imports(CONSOLE[module]) if name.split(".")[0] == "console"}


@pytest.mark.parametrize("module", CONSOLE)
def test_the_console_imports_neither_tools_nor_tests(module: str) -> None:
    """Who installs it has neither."""
    assert not top_level(CONSOLE[module]) & {"tools", "tests", "function_app"}


@pytest.mark.parametrize("module", MARKETPLACE)
def test_of_the_marketplace_only_verify_knows_the_webhook(module: str) -> None:
    """The simulated Marketplace works against any publisher's webhook, and has its own idea of the truth."""
    assert ("webhook" in top_level(CONSOLE[module])) == (module == "marketplace/verify")
    assert not [name for name in console_imports(module) if name.startswith("console.publisher")]


@pytest.mark.parametrize("module", PUBLISHER)
def test_the_publishers_view_knows_nothing_of_the_marketplace(module: str) -> None:
    """What is shown of real customers must not depend on how imaginary ones are made."""
    assert not [name for name in console_imports(module) if name.startswith("console.marketplace")]


@pytest.mark.parametrize("module", SHARED)
def test_what_both_halves_share_imports_neither(module: str) -> None:
    """Arrows point one way: main, the two halves, what they share."""
    assert not [name for name in console_imports(module) if name.startswith(("console.marketplace", "console.publ"))]


@pytest.mark.parametrize("module", CONSOLE)
def test_the_console_has_no_second_client_of_the_tables(module: str) -> None:
    """What reads and writes the tables is the webhook's own module, so that the two cannot disagree."""
    assert "azure" not in top_level(CONSOLE[module])


@pytest.mark.parametrize(
    "module", ["__init__", "endpoint", "local_settings", "marketplace/lives", "marketplace/schedule"]
)
def test_the_pure_modules_of_the_console_need_nothing_installed(module: str) -> None:
    """What happens to customers, and when, is decided without wire or clock; tools/ reads settings before set-up."""
    assert top_level(CONSOLE[module]) <= set(sys.stdlib_module_names) - {"asyncio", "os", "socket", "time"} | {
        "console"
    }
    assert ".now(" not in CONSOLE[module].read_text(encoding="utf-8")


@pytest.mark.parametrize("module", CONSOLE)
def test_only_one_module_of_the_console_reads_the_environment(module: str) -> None:
    """As in the app: settings are read in one place, and handed on."""
    assert ("os.environ" in CONSOLE[module].read_text(encoding="utf-8")) == (module == "account")
