"""What happens to customers: the events of imaginary managed applications, and what is true of each in the end.

Pure, and knows nothing of any webhook: the truth comes from what happened, not from how anyone orders or stores events.
The same seed and span give the same lives, each customer's whatever the number of the others; no clock is looked at.
Shapes are those that the Marketplace really sends.
"""

import json
import random
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

TICKS = 10_000_000
"""Event times are counted in units of 100 ns, the Marketplace's resolution; so many are a second."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0

_PLACES = {
    ("PUT", "Accepted"): 0,
    ("PUT", "Succeeded"): 1,
    ("PUT", "Failed"): 1,
    ("PATCH", "Succeeded"): 2,
    ("DELETE", "Deleting"): 3,
    ("DELETE", "Failed"): 4,
    ("DELETE", "Deleted"): 5,
}
"""Every documented event, and its place in the life cycle. Of two events at the same time, the later place is later."""

_FAILED_DEPLOYMENTS = (
    (
        "QuotaExceeded",
        "Operation could not be completed as it results in exceeding approved Total Regional Cores quota.",
    ),
    ("SkuNotAvailable", "The requested size for resource 'vm-0' is currently not available in location 'westeurope'."),
    ("RequestDisallowedByPolicy", "Resource 'stdata' was disallowed by policy 'Zulässige Standorte'."),
    ("InvalidTemplateDeployment", 'The template deployment "mainTemplate" is not valid: see details.'),
)
_FAILED_DELETIONS = (
    ("ScopeLocked", "The scope cannot perform delete operation because following scope(s) are locked: 'mrg-data'."),
    ("ResourceGroupDeletionBlocked", "Deletion of resource group failed as resources could not be deleted: 'vnet-1'."),
)
_COMPANIES = ("contoso", "fabrikam", "tailwind", "northwind", "adventure-works", "woodgrove", "litware", "proseware")
_PRODUCTS = ("sales-insights", "fleet-monitor", "data-vault")
_PLANS = ("basic", "standard", "premium")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the Marketplace tells a webhook.

    Attributes:
        customer, number: whose it is, and the how manieth of theirs, both from 0.
        moment: when it happened, in units of 100 ns since 1970.
        place: in the life cycle, for equal moments.
        body: the notification.
    """

    customer: int
    number: int
    event_type: str
    provisioning_state: str
    moment: int
    place: int
    body: bytes

    @property
    def time(self) -> str:
        """When it happened, UTC with 7 fractional digits."""
        return fixed_width(self.moment)


@dataclass(frozen=True, slots=True)
class Truth:
    """How a customer's application stands.

    Attributes:
        application_id: as the latest event spells it.
        event_time, first_event_time: of the latest and the earliest event, UTC with 7 fractional digits.
        plan, resource_usage_id, application_definition_id: from the latest event that carries them.
        error_code, error_message: of the latest event, where that is a failure.
        events: how many there were.
    """

    customer: int
    application_id: str
    event_type: str
    provisioning_state: str
    event_time: str
    first_event_time: str
    plan: Mapping[str, str] | None
    resource_usage_id: str | None
    application_definition_id: str | None
    error_code: str | None
    error_message: str | None
    events: int

    def to_json(self) -> str:
        """Give it as one line of JSON, its names spelt as in notifications."""
        return json.dumps({_camel(name): value for name, value in asdict(self).items()}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Life:
    """A customer's application, from the first purchase on.

    Attributes:
        key: `<subscription>|<resource group>|<application name>` in lower case: the application, however it is spelt.
        events: in the order in which they happened.
    """

    customer: int
    key: str
    events: tuple[Event, ...]
    truth: Truth


@dataclass(frozen=True, slots=True)
class Span:
    """The time in which the lives take place: `start`, in UTC, and how long."""

    start: datetime
    length: timedelta

    @property
    def end(self) -> datetime:
        """No event is later."""
        return self.start + self.length

    @property
    def first(self) -> int:
        """`start` as a moment."""
        return _ticks(self.start - _EPOCH)

    @property
    def ticks(self) -> int:
        """`length` in units of 100 ns."""
        return _ticks(self.length)


def lives(seed: int, customers: int, span: Span) -> list[Life]:
    """Give the lives of so many customers."""
    return [_life(seed, customer, span) for customer in range(customers)]


def fixed_width(moment: int) -> str:
    """Give a moment as text: UTC with exactly 7 fractional digits."""
    seconds, fraction = divmod(moment, TICKS)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{fraction:07}Z"


def _as_sent(moment: int) -> str:
    """Give a moment as the Marketplace writes it: trailing zeros dropped, and the point with the last of them."""
    return fixed_width(moment).removesuffix("Z").rstrip("0").removesuffix(".") + "Z"


def _ticks(time: timedelta) -> int:
    return time // timedelta(microseconds=1) * 10


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def _life(seed: int, customer: int, span: Span) -> Life:
    chance = random.Random(f"{seed} {span.first} {span.ticks} {customer}")  # noqa: S311 - imagined, not secret
    steps = list(_steps(chance))
    moments = _moments(chance, steps, span)
    bought = _Bought.of(chance, customer)
    events, contents = [], []
    for number, ((event_type, state, _), moment) in enumerate(zip(steps, moments, strict=True)):
        if number and (event_type, state) == ("PUT", "Accepted"):
            bought = bought.again(chance, anew=steps[number - 1][1] == "Deleted")
        content = bought.notification(chance, event_type, state, moment)
        contents.append(content)
        body = json.dumps(content, ensure_ascii=chance.random() < 0.5, separators=(",", ":")).encode()
        place = _PLACES[event_type, state]
        events.append(Event(customer, number, event_type, state, moment, place, body))
    key = f"{bought.subscription}|{bought.group}|{bought.name}".lower()
    return Life(customer, key, tuple(events), _truth(events, contents))


def _truth(events: Sequence[Event], contents: Sequence[Mapping[str, Any]]) -> Truth:
    """Say how the application stands after these events, which are in the order in which they happened."""
    last, content = events[-1], contents[-1]

    def latest(field: str) -> Any:  # noqa: ANN401 - a field of JSON
        return next((each[field] for each in reversed(contents) if field in each), None)

    billing, error = latest("billingDetails"), content.get("error") or {}
    return Truth(
        last.customer,
        content["applicationId"],
        last.event_type,
        last.provisioning_state,
        last.time,
        events[0].time,
        latest("plan"),
        billing and billing["resourceUsageId"],
        latest("applicationDefinitionId"),
        error.get("code"),
        error.get("message"),
        len(events),
    )


_Step = tuple[str, str, float]
"""Event type, provisioning state, and the seconds since the event before."""

_Outcome = Generator[_Step, None, bool]


def _steps(chance: random.Random) -> Iterator[_Step]:
    """Give what happens to a customer, one thing after the other."""
    wait = 0.0
    for _ in range(3):  # purchases, at most
        deployed = yield from _deployment(chance, wait)
        if deployed:
            yield from _use(chance)
        elif chance.random() < 0.5:
            return  # stays a failed deployment
        if chance.random() < 0.5:
            return  # is still a customer
        deleted = yield from _deletion(chance)
        if not deleted or chance.random() < 0.6:
            return
        wait = chance.uniform(10 * _MINUTE, 5 * _DAY)  # bought again under the same name


def _deployment(chance: random.Random, wait: float) -> _Outcome:
    """Give the events of a deployment; whether it succeeded in the end."""
    for _ in range(3):
        yield "PUT", "Accepted", wait
        if chance.random() < 0.75:
            yield "PUT", "Succeeded", _pause(chance, 3 * _MINUTE, 40 * _MINUTE)
            return True
        yield "PUT", "Failed", _pause(chance, 2 * _MINUTE, 30 * _MINUTE)
        if chance.random() < 0.3:
            break
        wait = chance.uniform(5 * _MINUTE, _DAY)  # tried again
    return False


def _use(chance: random.Random) -> Iterator[_Step]:
    """Give the events of an application in use."""
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3, 4))):
        yield "PATCH", "Succeeded", _pause(chance, _HOUR, 6 * _DAY)
    if chance.random() < 0.15:  # taken to a newer version
        yield "PUT", "Accepted", chance.uniform(_DAY, 5 * _DAY)
        yield "PUT", "Succeeded", _pause(chance, 3 * _MINUTE, 40 * _MINUTE)


def _deletion(chance: random.Random) -> _Outcome:
    """Give the events of a deletion; whether it succeeded in the end."""
    wait = _pause(chance, _HOUR, 10 * _DAY)
    for _ in range(2):
        yield "DELETE", "Deleting", wait
        if chance.random() < 0.75:
            yield "DELETE", "Deleted", _pause(chance, 2 * _MINUTE, 30 * _MINUTE)
            return True
        yield "DELETE", "Failed", _pause(chance, 5 * _MINUTE, _HOUR)
        if chance.random() < 0.4:
            break
        wait = chance.uniform(10 * _MINUTE, 2 * _DAY)  # the lock is gone; tried again
    return False


def _pause(chance: random.Random, least: float, most: float) -> float:
    """Give seconds; now and then no time passes, or less than a microsecond."""
    rare = chance.random()
    if rare < 0.04:
        return 0.0
    return chance.randrange(1, 10) / TICKS if rare < 0.08 else chance.uniform(least, most)


def _moments(chance: random.Random, steps: Sequence[_Step], span: Span) -> list[int]:
    """Place a life in the span, compressed where it is too long for it; no two events tie in moment and place."""
    total = sum(wait for *_, wait in steps) * TICKS
    scale = min(1.0, 0.9 * span.ticks / total) if total else 1.0
    exact = span.first + int(chance.random() * (0.99 * span.ticks - total * scale))
    found: list[int] = []
    place = -1
    for event_type, state, wait in steps:
        exact += round(wait * TICKS * (scale if wait * TICKS >= 10 else 1))
        coarse = 10 ** chance.choice((0, 0, 0, 0, 0, 1, 2, 4, 5, 7))  # mostly all 7 digits
        moment, before = exact - (exact % coarse if wait * TICKS >= 10 else 0), (found[-1] if found else -1)
        if moment < before or (moment == before and _PLACES[event_type, state] <= place):
            moment = before + 1
        exact, place = max(exact, moment), _PLACES[event_type, state]
        found.append(moment)
    return found


@dataclass(frozen=True, slots=True)
class _Bought:
    """What a customer bought, and where it is: an offer of the Marketplace, or a definition of the service catalog."""

    subscription: str
    group: str
    name: str
    plan: Mapping[str, str] | None
    usage_id: str
    definition_id: str

    @classmethod
    def of(cls, chance: random.Random, customer: int) -> "_Bought":
        company, product = chance.choice(_COMPANIES), chance.choice(_PRODUCTS)
        subscription = _uuid(chance)
        preview = "-preview" if chance.random() < 0.15 else ""
        plan = {
            "publisher": "fabrikam",
            "product": product + preview,
            "name": chance.choice(_PLANS),
            "version": f"1.{chance.randrange(4)}.0",
        }
        return cls(
            subscription,
            chance.choice((f"rg-{company}", f"{company.title()}-RG", f"{company}_{product}")),
            f"{product}-{customer}" if chance.random() < 0.7 else f"{company.title()}.{customer}",
            plan if chance.random() < 0.75 else None,
            _uuid(chance),
            f"/subscriptions/{subscription}/resourceGroups/{company}-catalog"
            f"/providers/Microsoft.Solutions/applicationDefinitions/{product}",
        )

    def again(self, chance: random.Random, *, anew: bool) -> "_Bought":
        """Give what is there after another deployment: maybe a newer version, after a purchase a new usage ID."""
        version = f"1.{chance.randrange(4, 9)}.{chance.randrange(10)}"
        plan = {**self.plan, "version": version} if self.plan and chance.random() < 0.6 else self.plan
        usage_id = _uuid(chance) if anew else self.usage_id
        return _Bought(self.subscription, self.group, self.name, plan, usage_id, self.definition_id)

    def notification(self, chance: random.Random, event_type: str, state: str, moment: int) -> dict[str, Any]:
        """Give the content of a notification, fields missing as they really are."""
        content: dict[str, Any] = {
            "eventType": event_type,
            "applicationId": self._application_id(chance),
            "eventTime": _as_sent(moment),
            "provisioningState": state,
        }
        complete = event_type == "PUT" or chance.random() < 0.5
        if self.plan is None:
            if complete:
                content["applicationDefinitionId"] = self.definition_id
        else:
            if chance.random() < (0.85 if complete else 0.5):
                content["billingDetails"] = {"resourceUsageId": self.usage_id}
            if complete:
                content["plan"] = dict(self.plan)
        if state == "Failed" and chance.random() < 0.95:
            content["error"] = _error(chance, event_type)
        return content

    def _application_id(self, chance: random.Random) -> str:
        provider = "Microsoft.Solutions" if chance.random() < 0.6 else "microsoft.solutions"
        groups = "resourceGroups" if chance.random() < 0.8 else "resourcegroups"
        name = self.name if chance.random() < 0.8 else self.name.lower()
        text = f"subscriptions/{self.subscription}/{groups}/{self.group}/providers/{provider}/applications/{name}"
        return text if chance.random() < 0.2 else f"/{text}"


def _error(chance: random.Random, event_type: str) -> dict[str, Any]:
    deployment = event_type == "PUT"
    causes = _FAILED_DEPLOYMENTS if deployment else _FAILED_DELETIONS
    details = [
        {"code": code, "message": message}
        for code, message in chance.sample(causes, k=chance.randrange(len(causes) + 1))
    ]
    error: dict[str, Any] = {
        "code": "ApplicationDeploymentFailed" if deployment else "ApplicationDeletionFailed",
        "message": f"The operation to {'create' if deployment else 'delete'} the application failed.",
    }
    return {**error, "details": details} if details or chance.random() < 0.5 else error


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
