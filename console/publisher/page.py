"""The page of `report`: one HTML file with everything in it, made from the figures and a line for each application.

Pure but for reading the template that lies beside it. The page may run no script and load no style but its own: its
Content-Security-Policy names them by their digests. Whatever is from the tables is escaped here, and is text there.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from importlib.resources import files
from itertools import islice, pairwise
from typing import Any, NamedTuple

from console.publisher.causes import causes
from console.publisher.durations import exact, option, short
from console.publisher.figures import BOUNDS, Outcomes, Summary
from console.publisher.listing import state_of
from console.publisher.row import Row
from console.publisher.summary import by_plan, counted, percent, standing
from console.publisher.timeline import Step
from webhook.notification import shorten

DASH = "\N{EN DASH}"
"""What stands where there is nothing."""

_FILLS = {"Succeeded": "good", "Failed": "bad", "Accepted": "busy", "Deleting": "going", "Deleted": "gone"}
_MOST_COLUMNS = 92
_MOST_CODES, _MOST_PLANS = 10, 50
_MOST_STEPS, _MOST_CAUSES, _LONGEST_CODE, _LONGEST_MESSAGE = 500, 20, 100, 1_000
"""Of one application, and of one error: `managedapps show` has it all."""

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Where a code such as ResourceGroupDeletionBlocked may go on in the next line."""

_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"}
"""So that no text ends the element that the data are in; all else beyond ASCII is escaped by JSON itself."""


def application(row: Row, steps: Sequence[Step], errors: Mapping[str, str], stuck: timedelta | None) -> str:
    """Give the line of an application: JSON for the page's script, under short names as there may be many.

    Args:
        steps: its life cycle.
        errors: the errors of its notifications, as `error_line` gives them, by order key.
        stuck: how long something has been under way, if that is too long.
    """
    known = {
        "n": row.name,
        "g": row.resource_group,
        "u": row.subscription_id,
        "s": state_of(row) if row.state else "",
        "t": _second(row.event_time),
        "f": _second(row.first_event_time),
        "w": row.plan_publisher,
        "p": row.plan_product,
        "l": row.plan,
        "v": row.plan_version,
        "b": row.resource_usage_id,
        "d": row.application_definition_id,
        "stuck": None if stuck is None else short(stuck),
    }
    fields = {name: value for name, value in known.items() if value}
    if row.failed:
        found = list(causes(row.error_content()))
        codes = [each.code for each in found if each.code and each.depth] or [each.code for each in found if each.code]
        some = list(dict.fromkeys(codes))[:_MOST_CODES] or [row.error_code or ""]
        fields["c"] = ", ".join(shorten(code, _LONGEST_CODE) for code in some)
    text = _json({name: fields.get(name, "") for name in ("n", "g", "u", "t", "f")} | fields)
    shown = [_step(step, errors.get(step.entry.order)) for step in steps[-_MOST_STEPS:]]
    more = [f'"y":[{",".join(shown)}]']
    if len(steps) > len(shown):
        more.append(f'"z":"{len(steps) - len(shown):,}"')
    if row.failed and row.order not in errors and row.error is not None:
        more.append(f'"e":{error_line(row.error_content())}')
    return f"{text[:-1]},{','.join(more)}}}"


def error_line(error: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """Give an error as the page's script takes it: depth, code and message of each cause, within bounds."""
    found = [
        [
            each.depth,
            each.code and shorten(each.code, _LONGEST_CODE),
            each.message and shorten(each.message, _LONGEST_MESSAGE),
        ]
        for each in islice(causes(error), _MOST_CAUSES)
    ]
    return _json(found)


def render(found: Summary, applications: Iterable[str], shown: int) -> Iterator[str]:
    """Give the page, piece by piece.

    Args:
        found: the figures.
        applications: the lines, in the order in which they are shown at first.
        shown: how many there are.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - takes time, and only this needs it
    from markupsafe import Markup  # noqa: PLC0415 - comes with it

    environment = Environment(
        loader=PackageLoader("console.publisher", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = lambda text: Markup("<wbr>").join(_WORDS.split(text))
    style, script = (_part(f"report.{kind}") for kind in ("css", "js"))
    return environment.get_template("report.html").generate(
        **_view(found, shown),
        nothing=DASH,
        policy=(
            f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
            "base-uri 'none'; form-action 'none'"
        ),
        # the project's own files, and lines that hold no < and no &
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        data=map(Markup, applications),
    )


def _part(name: str) -> str:
    return (files("console.publisher") / "template" / name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(content: object) -> str:
    return json.dumps(content, separators=(",", ":")).translate(_ESCAPES)


def _second(time: str) -> str:
    return time[:19].replace("T", " ")


def _step(step: Step, error: str | None) -> str:
    remark = None
    if step.took is not None:
        remark = f"in {exact(step.took)}"
    elif step.since_previous is not None:
        remark = f"{short(step.since_previous)} later"
    kind = f"{step.entry.event_type} {step.entry.provisioning_state}"
    text = _json([_second(step.entry.order), kind, remark])
    return text if error is None else f"{text[:-1]},{error}]"


def _view(found: Summary, shown: int) -> dict[str, Any]:
    """Give what the template shows, in words and lengths."""
    plans = by_plan(found)
    more_plans = plans[_MOST_PLANS:]
    left_out = found.applications - shown
    return {
        "counted": counted(found.applications, "application"),
        "now": f"{found.now:%Y-%m-%d %H:%M}",
        "now_iso": f"{found.now:%Y-%m-%dT%H:%M:%SZ}",
        "since": f"{found.since:%Y-%m-%d %H:%M}",
        "length": short(found.now - found.since),
        "key": _key(found),
        "states": _bars(
            [(name, number, _FILLS.get(name.partition(" ")[0], "plain")) for name, number in standing(found).items()]
        ),
        "chart": _chart(found),
        "times": _times(found),
        "codes": _bars([(code, number, "bad") for code, number in list(found.codes.items())[:_MOST_CODES]]),
        "causes": _bars([(code, number, "bad") for code, number in list(found.causes.items())[:_MOST_CODES]]),
        "stuck_after": option(found.stuck_after),
        "stuck": [
            {
                "state": each.row.state,
                "lasts": short(each.lasts),
                "name": each.row.name,
                "group": each.row.resource_group,
                "subscription": each.row.subscription_id,
            }
            for each in found.longest
        ],
        "stuck_more": f"{found.stuck - len(found.longest):,}" if found.stuck > len(found.longest) else "",
        "state_names": list(found.states),
        "plans": plans[:_MOST_PLANS],
        "plans_more": more_plans
        and f"{len(more_plans):,} more, of {counted(sum(each.applications for each in more_plans), 'application')}",
        "left_out": left_out > 0
        and f"These are the {shown:,} with the newest events. Left out here, and counted above: {left_out:,}.",
    }


class _Figure(NamedTuple):
    """One of the figures at the top; `alarm` if somebody should look at it."""

    name: str
    value: str
    remark: str = ""
    alarm: bool = False


def _key(found: Summary) -> list[_Figure]:
    times, rate, failed, stuck = found.times, found.success_rate, found.states["Failed"], found.stuck
    ended = counted(found.succeeded + found.failures, "deployment")
    return [
        _Figure("Applications", f"{found.applications:,}", f"{found.states['Succeeded']:,} of them Succeeded"),
        _Figure("Success rate", DASH if rate is None else percent(rate), f"{found.succeeded:,} of {ended}"),
        _Figure(
            "Time to deploy",
            exact(timedelta(seconds=times.median)) if times else DASH,
            f"median; p95 {exact(timedelta(seconds=times.p95))}" if times else "",
        ),
        _Figure(
            "Failed now",
            f"{failed:,}",
            f"{counted(found.failed['deployment'], 'deployment')}, {counted(found.failed['deletion'], 'deletion')}",
            alarm=failed > 0,
        ),
        _Figure("Stuck now", f"{stuck:,}", f"for longer than {option(found.stuck_after)}", alarm=stuck > 0),
    ]


def _bars(rows: Sequence[tuple[str, int, str]]) -> list[dict[str, Any]]:
    greatest = max((number for _, number, _ in rows), default=0) or 1
    return [
        {"name": name, "number": f"{number:,}", "length": f"{_share(number, greatest):.4g}", "fill": fill}
        for name, number, fill in rows
    ]


def _share(number: int, greatest: int) -> float:
    """Give the length out of 100; what is there can be seen."""
    return max(100 * number / greatest, 0.5) if number else 0


def _times(found: Summary) -> dict[str, Any] | None:
    if not (times := found.times):
        return None
    bounds = [exact(timedelta(seconds=bound)) for bound in BOUNDS]
    between = [f"{least} to {most}" for least, most in pairwise(bounds)]
    names = [f"under {bounds[0]}", *between, f"{bounds[-1]} and more"]
    last = max(number for number, count in enumerate(times.divided) if count)
    rows = [(name, count, "plain") for name, count in zip(names, times.divided, strict=True)]
    return {"counted": counted(times.measured, "deployment"), "rows": _bars(rows[: last + 1])}


def _chart(found: Summary) -> dict[str, Any]:
    unit, parts = found.columns(_MOST_COLUMNS)
    highest = max(part.succeeded + part.failed for part in parts)
    greatest = _round_up(highest)
    columns = []
    for number, part in enumerate(parts):
        above, below = _share(part.failed, greatest), _share(part.succeeded, greatest)
        columns.append(
            {
                "name": _named(part),
                "succeeded": part.succeeded,
                "failed": part.failed,
                "left": 10 * number,
                "middle": round(100 - below, 2),
                "top": round(100 - below - above, 2),
            }
        )
    marks = [greatest, greatest // 2, 0] if greatest % 2 == 0 else [greatest, 0]
    names = [f"{part.first}" for part in parts]
    return {
        "unit": unit,
        "columns": columns if highest else [],
        "width": 10 * len(parts),
        "scale": [f"{mark:,}" for mark in marks],
        "dates": list(dict.fromkeys([names[0], names[len(names) // 2], names[-1]])),
        "text": (
            f"From {parts[0].first} to {parts[-1].last}, {found.succeeded:,} succeeded and {found.failures:,} failed; "
            f"at most {highest:,} ended in a {unit}. The figures follow as a table."
        ),
    }


def _named(part: Outcomes) -> str:
    return f"{part.first}" if part.first == part.last else f"{part.first} to {part.last}"


def _round_up(number: int) -> int:
    """Give the end of a scale: 1, or an even number whose half reads well."""
    if number <= 1:
        return 1
    power: int = 10 ** int(math.log10(number))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10, 20) if step * power >= max(number, 2))
