"""The page of `report` in a browser: what people see and do, with a mouse, a keyboard, a phone."""

import json
from collections.abc import Iterator
from datetime import timedelta
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Run
from tests.console.publisher.browser import Browser, missing, running
from tests.console.publisher.stored import NOW, SUBSCRIPTION, life, row
from tests.console.publisher.test_report import ERROR, HOSTILE, SINCE, rendered

MANY = 230


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Run a browser for all the tests of this file."""
    if reason := missing():
        pytest.skip(reason)
    with running(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a page of many applications: two that failed, one that is stuck, and the others fine."""
    steps = (("PUT Accepted", 0.0), ("PUT Succeeded", 6.2), ("PUT Accepted", 90.0), ("PUT Failed", 99.0))
    broken = life("broken", *steps, start=NOW - timedelta(minutes=100))
    rows = [
        row("broken", "Failed", order=broken[-1].order, error=json.dumps(ERROR), planName="premium"),
        row("locked", "Failed", age=timedelta(minutes=2), eventType="DELETE", errorCode="ScopeLocked"),
        row("waiting", "Accepted", age=timedelta(hours=30)),
        *(row(f"app-{number}", age=timedelta(hours=number + 1)) for number in range(MANY - 3)),
    ]
    start = NOW - timedelta(days=2)
    lives = {each.key: life(each.name, ("PUT Accepted", 0), ("PUT Succeeded", 9), start=start) for each in rows[3:]}
    lives[rows[0].key] = broken
    return written(tmp_path_factory.mktemp("page"), rendered(rows, lives))


def written(folder: Path, text: str) -> Path:
    """Write a page as the command does."""
    file = folder / "report.html"
    file.write_bytes(text.encode("utf-8", "xmlcharrefreplace"))
    return file


def names(browser: Browser) -> list[str]:
    """Give the names of the applications that are shown, from top to bottom."""
    return browser.texts("#rows .toggle")


def type_(browser: Browser, text: str) -> None:
    """Search for a text, in place of what was searched for."""
    browser.one("#search").clear()
    browser.one("#search").send_keys(text or "x\b")


def press(browser: Browser, *keys: str) -> None:
    """Press keys, wherever the focus is."""
    from selenium.webdriver import ActionChains, Keys  # noqa: PLC0415 - is not installed everywhere

    ActionChains(browser.driver).send_keys(*(getattr(Keys, key, key) for key in keys)).perform()


def focused(browser: Browser) -> str:
    """Give the text of what has the focus."""
    return browser.driver.switch_to.active_element.text


# The list


def test_the_list_shows_the_newest_first_and_a_hundred_at_a_time(browser: Browser, page: Path) -> None:
    """A page of 20,000 must not make 20,000 rows; the next hundred get the focus, for whoever has no mouse."""
    browser.open(page)
    assert names(browser)[:4] == ["broken", "locked", "app-0", "app-1"]
    assert (len(names(browser)), browser.texts("#found")) == (100, [f"{MANY} applications"])
    assert browser.one("#more").text == "Show 100 more of 130"

    browser.one("#more").click()
    assert len(names(browser)) == 200
    assert focused(browser) == names(browser)[100]
    browser.one("#more").click()
    assert len(names(browser)) == len(set(names(browser))) == MANY
    assert not browser.one("#more").is_displayed()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("BROKEN", ["broken"]),
        ("  fail  delete ", ["locked"]),
        ("quota", ["broken"]),
        ("scopelocked", ["locked"]),
        ("premium", ["broken"]),
        ("stuck", ["waiting"]),
        ("app-226", ["app-226"]),
        (
            f"/subscriptions/{SUBSCRIPTION}/resourcegroups/RG-ORDERS/providers/microsoft.solutions/applications/Waiting",
            ["waiting"],
        ),
        ("no such thing", []),
    ],
)
def test_a_search_looks_through_all_of_them(browser: Browser, page: Path, text: str, found: list[str]) -> None:
    """In names, groups, plans, states, codes and whole resource IDs, in any casing; every word has to be there."""
    browser.open(page)
    type_(browser, text)

    assert names(browser) == found
    assert browser.texts("#found") == [f"{len(found)} of {MANY} applications"]


def test_states_can_be_chosen(browser: Browser, page: Path) -> None:
    """Any of those that are pressed; pressed again, all are back."""
    browser.open(page)
    buttons = {button.text: button for button in browser.all("#filters button")}
    assert list(buttons) == ["Accepted 1", "Succeeded 227", "Failed 1", "Failed (DELETE) 1", "Stuck 1"]

    buttons["Failed 1"].click()
    buttons["Stuck 1"].click()
    assert names(browser) == ["broken", "waiting"]
    assert [name for name, button in buttons.items() if button.get_attribute("aria-pressed") == "true"] == [
        "Failed 1",
        "Stuck 1",
    ]
    buttons["Failed 1"].click()
    buttons["Stuck 1"].click()
    assert len(names(browser)) == 100


def test_a_click_on_a_heading_orders_by_it_and_another_turns_it_round(browser: Browser, page: Path) -> None:
    """All are ordered, not only those that are shown; numbers within names count as numbers."""
    browser.open(page)
    heading, button = browser.one("#heading-name"), browser.one("#heading-name button")
    assert browser.one("#heading-latest").get_attribute("aria-sort") == "descending"

    button.click()
    assert names(browser)[:3] == ["app-0", "app-1", "app-2"]
    assert names(browser)[10] == "app-10"
    assert heading.get_attribute("aria-sort") == "ascending"
    assert browser.one("#heading-latest").get_attribute("aria-sort") is None

    button.click()
    assert names(browser)[:3] == ["waiting", "locked", "broken"]
    assert heading.get_attribute("aria-sort") == "descending"


def test_what_is_empty_comes_last_in_either_order(browser: Browser, page: Path) -> None:
    """Who orders by error wants to see errors."""
    browser.open(page)
    button = browser.one("#heading-error button")
    button.click()
    assert names(browser)[:2] == ["broken", "locked"]
    button.click()
    assert names(browser)[:2] == ["locked", "broken"]


def test_the_keyboard_alone_is_enough(browser: Browser, page: Path) -> None:
    """Skip, search, order, open and close; and where the focus is can be seen."""
    browser.open(page)
    press(browser, "TAB")
    assert focused(browser) == "Skip to the applications"
    press(browser, "ENTER", "TAB", "app-1")
    assert browser.one("#search").get_attribute("value") == "app-1"
    outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"

    while focused(browser) != "Application":
        press(browser, "TAB")
    press(browser, "ENTER")
    assert browser.one("#heading-name").get_attribute("aria-sort") == "ascending"
    assert names(browser)[:2] == ["app-1", "app-10"]

    while focused(browser) != "app-10":
        press(browser, "TAB")
    press(browser, "SPACE")
    assert browser.driver.switch_to.active_element.get_attribute("aria-expanded") == "true"
    assert len(browser.all("#rows .life")) == 1
    press(browser, "ENTER")
    assert not browser.all("#rows .detail")


def test_an_application_opens_to_its_life_cycle(browser: Browser, page: Path) -> None:
    """Every step, how long it took, and what went wrong, however deep that is nested."""
    browser.open(page)
    toggle = browser.one("#rows .toggle")
    assert toggle.get_attribute("aria-expanded") == "false"
    toggle.click()

    assert toggle.get_attribute("aria-expanded") == "true"
    assert browser.one(f"#{toggle.get_attribute('aria-controls')} .life").is_displayed()
    assert [text.split("\n")[0] for text in browser.texts(".life > li")] == [
        "2026-03-31 10:20:00 Deployment began PUT Accepted",
        "2026-03-31 10:26:12 Deployment succeeded in 6 min 12 s PUT Succeeded",
        "2026-03-31 11:50:00 Deployment began 1h23m later PUT Accepted",
        "2026-03-31 11:59:00 Deployment failed in 9 min PUT Failed",
    ]
    assert browser.texts(".causes > li > bdi") == ["DeploymentFailed: It failed."]
    assert browser.texts(".causes > li > ul > li > bdi") == ["Quota: Too much.", "no code"]
    assert browser.texts(".causes ul ul bdi") == ["Cores"]
    assert "/applications/broken" in browser.one(".facts").text

    toggle.click()
    assert not browser.all("#rows .detail")
    assert toggle.get_attribute("aria-controls") is None


def test_what_is_open_stays_open(browser: Browser, page: Path) -> None:
    """Whoever compares two applications searches for the second."""
    browser.open(page)
    browser.one("#rows .toggle").click()
    type_(browser, "locked")
    assert not browser.all("#rows .detail")
    type_(browser, "broken")

    assert len(browser.all("#rows .detail .life")) == 1
    assert browser.one("#rows .toggle").get_attribute("aria-expanded") == "true"


def test_a_page_of_20_000_applications_opens(browser: Browser, tmp_path: Path) -> None:
    """As many as are listed unless asked otherwise; a search goes through all of them."""
    rows = [row(f"app-{number}", age=timedelta(minutes=number)) for number in range(20_000)]
    browser.open(written(tmp_path, rendered(rows)))

    browser.wait(lambda: browser.texts("#found") == ["20,000 applications"])
    type_(browser, "app-19999")
    browser.wait(lambda: names(browser) == ["app-19999"])


# What it must not do


def test_names_full_of_html_are_shown_as_text_and_run_nothing(browser: Browser, tmp_path: Path) -> None:
    """A customer chooses them: in the list, in its details, in the figures, in the search."""
    error = [json.dumps({"code": name, "message": name, "details": [{"code": name}]}) for name in HOSTILE]
    rows = [
        row(name, state, age=timedelta(days=3), error=error[number], resourceGroup=name, planProduct=name)
        for number, name in enumerate(HOSTILE)
        for state in ("Failed", "Accepted")
    ]
    lives = {each.key: life(each.name, ("PUT Accepted", 0), ("PUT Failed", 1)) for each in rows}
    browser.open(written(tmp_path, rendered(rows, lives)))
    for toggle in browser.all("#rows .toggle"):
        toggle.click()
    type_(browser, HOSTILE[0])

    assert names(browser) == [HOSTILE[0]] * 2
    assert len(browser.all("#rows .detail")) == 2
    assert HOSTILE[0] in browser.one(".causes").text
    type_(browser, "")
    assert sorted(names(browser)) == sorted([*HOSTILE] * 2)
    assert browser.run("return document.images.length + document.scripts.length") == 2
    assert browser.logs() == []


def test_it_asks_nothing_of_the_network_and_breaks_no_policy(browser: Browser, page: Path) -> None:
    """It can be mailed to whoever may see it, and opened where there is no network."""
    browser.open(page)
    browser.one("#rows .toggle").click()
    browser.one("#heading-plan button").click()
    type_(browser, "app")
    browser.one("summary").click()

    assert browser.logs() == []


@pytest.mark.parametrize(
    "script",
    [
        "document.body.append(Object.assign(document.createElement('img'), { src: 'http://127.0.0.1:9/x.png' }))",
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))",
        "document.body.setAttribute('style', 'color: red')",
        "console.error('something')",
        "return fetch('http://127.0.0.1:9/').catch(() => null)",
    ],
)
def test_whatever_it_did_against_that_would_be_noticed(browser: Browser, page: Path, script: str) -> None:
    """The rules above must not hold because nobody looks; and the policy holds, whatever script there is."""
    browser.open(page)
    browser.run(script)
    browser.wait(browser.logs)

    assert browser.run("return window.ran") is None


# For everybody


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800, 375])
@pytest.mark.skipif(find_spec("axe_core_python") is None, reason="axe-core-python is not installed")
def test_axe_finds_nothing_wrong(browser: Browser, page: Path, width: int, *, dark: bool) -> None:
    """Names, roles, contrast by WCAG AA, structure: what a program can tell of accessibility."""
    browser.open(page, width=width, dark=dark)
    browser.one("#rows .toggle").click()
    browser.one("#filters button").click()
    browser.one("summary").click()
    browser.one("#filters button").click()
    browser.run((files("axe_core_python") / "axe.min.js").read_text("utf-8"))
    found: dict[str, Any] = browser.driver.execute_async_script(
        "axe.run({ resultTypes: ['violations'] }).then(arguments[0])"
    )

    assert [(each["id"], each["help"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
    assert len(found["passes"]) > 20


def test_the_scheme_of_the_system_is_followed(browser: Browser, page: Path) -> None:
    """At night nobody wants a white page."""
    shades = []
    for dark in (False, True):
        browser.open(page, dark=dark)
        colours = browser.run(
            "return ['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name].match(/\\d+/g))"
        )
        shades.append([sum(map(int, colour[:3])) for colour in colours])

    (light_page, light_ink), (dark_page, dark_ink) = shades
    assert min(light_page, dark_ink) > 600
    assert max(dark_page, light_ink) < 130


@pytest.mark.parametrize("width", [320, 375, 768, 1024])
def test_nothing_lies_beside_a_narrow_page(browser: Browser, page: Path, width: int) -> None:
    """A page that has to be pushed from side to side is not readable on a phone."""
    browser.open(page, width=width)
    for toggle in browser.all("#rows .toggle")[:3]:
        browser.run("arguments[0].click()", toggle)

    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.one("#rows .life").size["width"] > width / 2


def test_a_phone_can_order_by_columns_that_it_does_not_show(browser: Browser, page: Path) -> None:
    """There is a list of orders in place of the headings."""
    from selenium.webdriver.support.select import Select  # noqa: PLC0415 - is not installed everywhere

    browser.open(page, width=375)
    assert not browser.one("#heading-plan").is_displayed()
    orders = Select(browser.one("#order"))
    assert orders.first_selected_option.text == "Latest event, newest first"

    orders.select_by_visible_text("Plan, A to Z")
    assert names(browser)[0] == "broken"
    orders.select_by_visible_text("Latest event, oldest first")
    assert names(browser)[0] == "app-226"


def test_without_scripts_the_figures_are_there_and_what_is_missing_is_said(browser: Browser, page: Path) -> None:
    """Mail programs show pages so."""
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(page)
        assert "The list of applications" in browser.one(".notice").text
        assert browser.one(".columns svg").is_displayed()
        assert "DeploymentFailed" in browser.one(".charts").text
        assert not browser.one("#browser").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_on_paper_there_are_no_buttons(browser: Browser, page: Path) -> None:
    """What is open is printed, dark ink on white."""
    browser.open(page, dark=True)
    browser.one("#rows .toggle").click()
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})

    assert not browser.one(".tools").is_displayed()
    assert not browser.one("#more").is_displayed()
    assert browser.one("#rows .life").is_displayed()
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_the_charts_say_in_words_what_they_show(browser: Browser, page: Path) -> None:
    """To whoever hears the page; the same figures follow as a table."""
    browser.open(page)
    chart = browser.one(".columns svg")
    browser.one("summary").click()

    assert chart.get_attribute("role") == "img"
    assert chart.accessible_name.startswith(
        "Deployments per day From 2026-03-01 to 2026-03-31, 228 succeeded and 1 failed"
    )
    assert browser.texts("details tbody tr") == ["2026-03-29\t227\t0", "2026-03-31\t1\t1"]
    assert browser.texts(".bars")[0].split("\n")[0] == "Applications by state, now"


@pytest.mark.usefixtures("filled")
def test_the_page_of_the_command_works(browser: Browser, managedapps: Run, tmp_path: Path) -> None:
    """From the tables to the screen."""
    file = tmp_path / "report.html"
    managedapps("report", "-o", str(file), SINCE)
    browser.open(file)

    assert browser.texts("#found") == ["60 applications"]
    assert len(names(browser)) == 60
    for toggle in browser.all("#rows .toggle"):
        browser.run("arguments[0].click()", toggle)
    assert len(browser.all("#rows .life")) == 60
    assert browser.logs() == []
