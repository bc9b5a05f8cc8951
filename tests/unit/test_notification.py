"""What counts as a notification, what is wrong with one that does not, and where each stands in time."""

import hashlib
import itertools
import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.events import (
    APPLICATION_ID,
    DEFINITION_ID,
    ERROR,
    NOW,
    PAIRS,
    PLAN,
    USAGE_ID,
    application_id,
    body,
    content,
    notification,
)
from webhook import WebhookError
from webhook.notification import (
    CODE_LIMIT,
    KEY_LIMIT,
    MESSAGE_LIMIT,
    PROPERTY_LIMIT,
    ApplicationId,
    BillingDetails,
    FieldError,
    InvalidNotificationError,
    Notification,
    Plan,
    is_order_key,
    shorten,
    time_of,
    utf16_length,
)

SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"
EVENT_TYPE = "Input should be 'PUT', 'PATCH' or 'DELETE'"
STATE = "Input should be 'Accepted', 'Succeeded', 'Failed', 'Deleting' or 'Deleted'"
RESOURCE_ID = (
    "Input should be the resource ID of a managed application: /subscriptions/<ID>/resourceGroups/<group>"
    "/providers/Microsoft.Solutions/applications/<name>"
)
ID_TOO_LONG = "Input should be a resource ID whose names have at most 510 characters together"
TIMESTAMP = "Input should be a UTC timestamp such as 2026-03-01T10:00:00.1234567Z"
TIME_RANGE = "Input should be a time between the year 2000 and a day from now"
MISSING = "Field required"
TEXT = "Input should be a valid string"
OBJECT = "Input should be an object"
ARRAY = "Input should be a valid array"
TOO_LONG = "String should have at most 1024 characters"
MARKER = "Tr4it0r"
"""Planted where a sender may put anything, and looked for in what we say."""

Loc = list[str | int]


def read(sent: bytes | str) -> Notification:
    """Read a body at the time at which tests receive their events."""
    return Notification.from_body(sent if isinstance(sent, bytes) else sent.encode(), now=NOW)


def refused(sent: bytes | str) -> InvalidNotificationError:
    """Give the error with which a body is refused."""
    with pytest.raises(InvalidNotificationError) as caught:
        read(sent)
    return caught.value


def without(*fields: str, **changes: Any) -> bytes:  # noqa: ANN401 - JSON
    """Give a body that lacks these fields."""
    return json.dumps({name: value for name, value in content(**changes).items() if name not in fields}).encode()


def having(**fields: Any) -> bytes:  # noqa: ANN401 - JSON
    """Give a body with these fields exactly as given, null included."""
    return json.dumps(content() | fields).encode()


def spliced(json_text: str) -> bytes:
    """Give a valid body with some JSON text put in before its end."""
    return body()[:-1] + b", " + json_text.encode("utf-8", "surrogatepass") + b"}"


def resource_id(  # noqa: PLR0913 - the parts that an ID has
    subscription: str = SUBSCRIPTION,
    group: str = "rg",
    name: str = "app",
    *,
    start: str = "/subscriptions",
    groups: str = "resourceGroups",
    provider: str = "Microsoft.Solutions",
    kind: str = "applications",
) -> str:
    """Give a resource ID out of its parts."""
    return f"{start}/{subscription}/{groups}/{group}/providers/{provider}/{kind}/{name}"


# --- what is accepted


@pytest.mark.parametrize(("event_type", "state"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_every_documented_pair_of_a_marketplace_offer_is_read(event_type: str, state: str) -> None:
    """The Marketplace sends exactly these seven; refusing one would lose it for good."""
    event = read(body(event_type, state))

    assert (event.event_type, event.provisioning_state) == (event_type, state)
    assert event.application_id.text == APPLICATION_ID
    assert event.event_time == "2026-03-01T10:00:00.1234567Z"
    assert event.plan == Plan(publisher="fabrikam", product="orders", name="standard", version="1.2.0")
    assert event.billing_details is not None
    assert event.billing_details.resource_usage_id == USAGE_ID
    assert event.application_definition_id is None
    assert (event.error is not None) == (state == "Failed")


@pytest.mark.parametrize(("event_type", "state"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_every_documented_pair_of_a_service_catalog_application_is_read(event_type: str, state: str) -> None:
    """Service catalog applications send a definition instead of a plan, to the same URL."""
    event = read(
        body(event_type, state, plan=None, billingDetails=None, applicationDefinitionId=DEFINITION_ID),
    )

    assert (event.event_type, event.provisioning_state) == (event_type, state)
    assert event.application_definition_id == DEFINITION_ID
    assert event.plan is None
    assert event.billing_details is None


@pytest.mark.parametrize(("event_type", "state"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_an_event_needs_no_more_than_the_four_fields_that_all_have(event_type: str, state: str) -> None:
    """PATCH and DELETE were seen without plan, billingDetails and even error; the state still counts."""
    event = read(without("plan", "billingDetails", "error", event_type=event_type, state=state))

    assert (event.plan, event.billing_details, event.application_definition_id, event.error) == (None,) * 4
    assert event.error_json is None


@pytest.mark.parametrize(
    ("field", "attribute"),
    [
        ("plan", "plan"),
        ("billingDetails", "billing_details"),
        ("applicationDefinitionId", "application_definition_id"),
        ("error", "error"),
    ],
)
def test_null_for_an_optional_field_means_that_it_is_absent(field: str, attribute: str) -> None:
    """A serializer that writes nulls must not lose the publisher an event."""
    assert getattr(read(having(**{field: None})), attribute) is None


@pytest.mark.parametrize("field", ["publisher", "product", "name", "version"])
@pytest.mark.parametrize("how", ["null", "absent"])
def test_a_plan_may_lack_any_of_its_parts(field: str, how: str) -> None:
    """Nothing of the order or the row relies on a plan's parts."""
    plan: dict[str, str | None] = dict(PLAN)
    if how == "null":
        plan[field] = None
    else:
        del plan[field]

    given = read(having(plan=plan)).plan

    assert given is not None
    assert given.model_dump() == {**PLAN, field: None}


@pytest.mark.parametrize("billing", [{}, {"resourceUsageId": None}], ids=["empty", "null"])
def test_billing_details_may_lack_the_usage_id(billing: dict[str, Any]) -> None:
    """An event that lacks what only billing needs still says the state."""
    assert read(having(billingDetails=billing)).billing_details == BillingDetails()


@pytest.mark.parametrize(
    ("sent", "kept"), [(2, "2"), (1.5, "1.5"), (-7, "-7"), (20260301, "20260301")], ids=["2", "1.5", "-7", "date"]
)
@pytest.mark.parametrize("field", ["publisher", "product", "name", "version"])
def test_a_number_in_a_plan_is_kept_as_text(field: str, sent: float, kept: str) -> None:
    """A plan version such as 2 must not cost the event that carries it."""
    plan = read(body(plan={**PLAN, field: sent})).plan

    assert getattr(plan, field) == kept


@pytest.mark.parametrize("field", ["code", "message"])
def test_a_number_in_an_error_is_kept_as_text(field: str) -> None:
    """Resource providers send numeric codes, and a failure is the last event that may be lost."""
    error = read(body("PUT", "Failed", error={**ERROR, field: 409})).error

    assert getattr(error, field) == "409"


def test_the_product_of_a_preview_offer_is_kept_as_it_came() -> None:
    """Preview offers end in -preview; telling them apart is up to whoever reads the table."""
    plan = read(body(plan={**PLAN, "product": "orders-preview"})).plan

    assert plan is not None
    assert plan.product == "orders-preview"


def test_unknown_fields_are_ignored_but_kept_in_the_body() -> None:
    """Microsoft may add fields on any day; the model must not break, and the inbox must not lose them."""
    sent = body(newField={"a": [1, 2]}, plan={**PLAN, "tier": "gold"}, event_type="PUT")

    event = read(sent)

    assert not hasattr(event, "newField")
    assert not hasattr(event.plan, "tier")
    assert event.body == sent.decode()
    assert '"newField"' in event.body
    assert '"tier"' in event.body


@pytest.mark.parametrize("as_text", [True, False], ids=["str", "bytes"])
def test_the_body_is_kept_to_the_letter(*, as_text: bool) -> None:
    """The inbox is evidence: spaces, escapes and the order of keys stay as they were sent."""
    sent = " " + body().decode().replace("orders-", "\\u006frders-").replace(", ", " ,\r\n\t") + "\n"

    event = read(sent if as_text else sent.encode())

    assert event.body == sent


@pytest.mark.parametrize(
    ("event_type", "state", "place"),
    [
        ("PUT", "Accepted", 0),
        ("PUT", "Succeeded", 1),
        ("PUT", "Failed", 1),
        ("PUT", "Deleting", 1),
        ("PUT", "Deleted", 1),
        ("PATCH", "Accepted", 2),
        ("PATCH", "Succeeded", 2),
        ("PATCH", "Failed", 2),
        ("PATCH", "Deleting", 2),
        ("PATCH", "Deleted", 2),
        ("DELETE", "Accepted", 3),
        ("DELETE", "Succeeded", 3),
        ("DELETE", "Deleting", 3),
        ("DELETE", "Failed", 4),
        ("DELETE", "Deleted", 5),
    ],
)
def test_every_pair_of_known_words_has_its_place_in_the_life_cycle(event_type: str, state: str, place: int) -> None:
    """Places decide between events of one time, and an undocumented pair is still the Marketplace's last word."""
    event = read(body(event_type, state))

    assert event.order.split("|")[1] == str(place)
    assert event.first_of_life == (place == 0)


def test_a_duplicate_key_counts_as_it_was_said_last_for_model_and_order_alike() -> None:
    """If model and digest took different ones, two events could share an order key and yet differ."""
    event = read(spliced('"eventType": "DELETE", "provisioningState": "Deleted"'))
    plain = json.loads(event.body)

    assert (event.event_type, event.provisioning_state) == ("DELETE", "Deleted")
    assert event.order == read(json.dumps(plain)).order


@pytest.mark.parametrize("depth", [1, 50, 150])
@pytest.mark.parametrize(("opening", "closing"), ["[]", ('{"a":', "}")], ids=["arrays", "objects"])
def test_reasonable_nesting_in_an_ignored_field_does_no_harm(opening: str, closing: str, depth: int) -> None:
    """What is ignored is not judged."""
    assert read(spliced(f'"x": {opening * depth}1{closing * depth}')).event_type == "PUT"


@pytest.mark.parametrize(
    "number",
    ["1" * 300, "1" * 4300, "-" + "9" * 4000, "1." + "1" * 5000, "1e308", "-0.0", "1e-400"],
    ids=["300 digits", "4300 digits", "negative", "long fraction", "1e308", "-0.0", "underflow"],
)
def test_a_huge_number_in_an_ignored_field_does_no_harm(number: str) -> None:
    """JSON has no largest number, and Python's limit on digits must not show as a bug."""
    event = read(spliced(f'"x": {number}'))

    assert is_order_key(event.order)


@pytest.mark.parametrize(
    "text",
    [r"\ud83d\ude00", "😀", r"\u0000", r"\u001f\u007f", r"\"\\\/\b\f\n\r\t", "\u2028\u2029", "\ufffe\uffff"],
    ids=["escaped pair", "emoji", "NUL", "controls", "escapes", "line separators", "noncharacters"],
)
def test_any_text_that_json_allows_is_read_and_has_an_order(text: str) -> None:
    """Error messages come from anywhere, in any language."""
    event = read(spliced(f'"error": {{"message": "{text}"}}'))

    assert event.error is not None
    assert event.error.message == json.loads(f'"{text}"')
    assert is_order_key(event.order)


# --- application IDs


@pytest.mark.parametrize(
    "text",
    [
        APPLICATION_ID,
        APPLICATION_ID.removeprefix("/"),
        APPLICATION_ID.lower(),
        APPLICATION_ID.upper(),
        APPLICATION_ID.replace("Microsoft.Solutions", "microsoft.solutions"),
        APPLICATION_ID.replace("resourceGroups", "resourcegroups"),
        APPLICATION_ID.replace("rg-orders", "RG-Orders").removeprefix("/"),
    ],
    ids=["documented", "no leading slash", "lower", "upper", "provider lower", "groups lower", "group upper, no slash"],
)
def test_spellings_of_one_application_share_their_keys(text: str) -> None:
    """Old events lack the slash and Azure changes case at will: one application must stay one row."""
    identity = read(body(applicationId=text)).application_id

    assert identity.text == text
    assert identity.partition_key == SUBSCRIPTION
    assert identity.row_key == "rg-orders|orders"
    assert identity.inbox_partition_key == f"{SUBSCRIPTION}|rg-orders|orders"


def test_the_parts_of_an_id_keep_their_spelling() -> None:
    """The table shows people the names as Azure writes them; only keys are lower-cased."""
    identity = ApplicationId.parse(resource_id("ABC", "Rg-Übung", "My_App.1"))

    assert (identity.subscription_id, identity.resource_group, identity.name) == ("ABC", "Rg-Übung", "My_App.1")
    assert (identity.partition_key, identity.row_key) == ("abc", "rg-übung|my_app.1")


@pytest.mark.parametrize(
    "segment",
    [
        "<subId>",
        "{name}",
        "a b",
        "(group)",
        "_-.",
        "'",
        '"',
        "%2F",
        "a&b=c",
        "ünïcödé",
        "名前",
        "😀",
        "subscriptions",
        "a" * 90,
        ":;,!@$^*+~`[]",
    ],
)
@pytest.mark.parametrize("part", ["subscription", "group", "name"])
def test_a_segment_may_hold_nearly_anything(part: str, segment: str) -> None:
    """Documentation samples use <subId>, and a publisher's first test pastes exactly those."""
    identity = read(body(applicationId=resource_id(**{part: segment}))).application_id

    assert segment in (identity.subscription_id, identity.resource_group, identity.name)


def test_different_applications_never_share_a_key() -> None:
    """The separator of keys cannot occur in a name, so that a|b and c cannot pass for a and b|c."""
    names = ["a", "b", "ab", "a.b", "a b"]
    ids = [ApplicationId.parse(resource_id(*parts)) for parts in itertools.product(names, repeat=3)]

    assert len({identity.inbox_partition_key for identity in ids}) == len(ids)


@pytest.mark.parametrize(
    ("character", "count"), [("a", 510), ("é", 510), ("😀", 255)], ids=["ASCII", "two bytes", "surrogate pairs"]
)
def test_names_may_fill_a_key_to_its_limit(character: str, count: int) -> None:
    """Table Storage counts UTF-16 code units, 512 of them in a key."""
    share = count // 3
    identity = ApplicationId.parse(resource_id(character * share, character * share, character * (count - 2 * share)))

    assert utf16_length(identity.inbox_partition_key) == KEY_LIMIT


# --- bodies that are refused

NOT_JSON = [
    pytest.param(b"", "Invalid JSON: EOF while parsing", id="empty"),
    pytest.param(b" \r\n\t", "Invalid JSON: EOF while parsing", id="white space"),
    pytest.param(b"secret=1&a=b", "Invalid JSON: expected value", id="a form"),
    pytest.param(b"<event/>", "Invalid JSON: expected value", id="XML"),
    pytest.param(b"\x00", "Invalid JSON: expected value", id="NUL"),
    pytest.param(b"\xef\xbb\xbf" + body(), "Invalid JSON: expected value", id="BOM"),
    pytest.param(body().decode().encode("utf-16"), "Invalid JSON: expected value", id="UTF-16 with BOM"),
    pytest.param(body().decode().encode("utf-16-le"), "Invalid JSON", id="UTF-16-LE"),
    pytest.param(body().decode().encode("utf-16-be"), "Invalid JSON", id="UTF-16-BE"),
    pytest.param(body().decode().encode("utf-32"), "Invalid JSON", id="UTF-32"),
    pytest.param(body() + b"x", "Invalid JSON: trailing characters", id="something after the end"),
    pytest.param(body() + body(), "Invalid JSON: trailing characters", id="two bodies"),
    pytest.param(body()[:-1], "Invalid JSON: EOF while parsing an object", id="cut off"),
    pytest.param(body()[:-1] + b",}", "Invalid JSON: trailing comma", id="trailing comma"),
    pytest.param(body().replace(b'"', b"'"), "Invalid JSON: key must be a string", id="single quotes"),
    pytest.param(b"// note\n" + body(), "Invalid JSON: expected value", id="comment"),
    pytest.param(body().replace(b"rg-orders", b"rg-\xff"), "Invalid JSON: invalid unicode", id="invalid UTF-8"),
    pytest.param(body().replace(b"rg-orders", "rg-ü".encode("latin-1")), "Invalid JSON: invalid unicode", id="Latin-1"),
    pytest.param(spliced('"x": "\ud800"'), "Invalid JSON: invalid unicode", id="surrogate as UTF-8"),
    pytest.param(spliced(r'"x": "\ud800"'), "Invalid JSON: unexpected end of hex escape", id="lone high surrogate"),
    pytest.param(spliced(r'"x": "\udc00"'), "Invalid JSON: lone leading surrogate", id="lone low surrogate"),
    pytest.param(spliced(r'"\udc00": 1'), "Invalid JSON: lone leading surrogate", id="lone surrogate in a key"),
    pytest.param(spliced(r'"x": "\x41"'), "Invalid JSON: invalid escape", id="unknown escape"),
    pytest.param(spliced('"x": "a\nb"'), "Invalid JSON: control character", id="raw line break in a text"),
    pytest.param(spliced('"x": 01'), "Invalid JSON: invalid number", id="leading zero"),
    pytest.param(spliced('"x": +1'), "Invalid JSON: expected value", id="plus sign"),
    pytest.param(spliced('"x": .5'), "Invalid JSON: expected value", id="no digit before the point"),
    pytest.param(spliced('"x": 0x10'), "Invalid JSON", id="hexadecimal"),
    pytest.param(spliced('"x": True'), "Invalid JSON: expected value", id="Python's True"),
    pytest.param(spliced('"x": undefined'), "Invalid JSON: expected value", id="undefined"),
    pytest.param(spliced('"x": nan'), "Invalid JSON: expected ident", id="nan"),
    pytest.param(spliced("x: 1"), "Invalid JSON: key must be a string", id="bare key"),
    pytest.param(spliced('"x": ' + "1" * 4301), "Invalid JSON: number out of range", id="4301 digits"),
    pytest.param(spliced('"x": ' + "1" * 100_000), "Invalid JSON: number out of range", id="100,000 digits"),
    *(
        pytest.param(
            template % (opening * 100_000 + "1" + closing * 100_000), "Invalid JSON: recursion limit exceeded", id=name
        )
        for (where, template), (kind, opening, closing) in itertools.product(
            {
                "at the top": "%s",
                "in an ignored field": spliced('"x": %s').decode(),
                "in error": spliced('"error": {"x": %s}').decode(),
                "in error.details": spliced('"error": {"details": [{"x": %s}]}').decode(),
            }.items(),
            [("arrays", "[", "]"), ("objects", '{"a":', "}")],
        )
        for name in [f"100,000 {kind} {where}"]
    ),
    *(
        pytest.param(
            spliced(template % number),
            "Invalid JSON",
            id=f"{number} {where}",
        )
        for number in ["NaN", "Infinity", "-Infinity"]
        for where, template in [("ignored", '"x": %s'), ("in error", '"error": {"x": %s}')]
    ),
]
NOT_AN_OBJECT = {"null": "null", "true": "true", "number": "1", "text": '"PUT"', "empty array": "[]", "array": "[{}]"}


@pytest.mark.parametrize(("sent", "msg"), NOT_JSON)
def test_what_is_not_json_is_refused_as_a_whole(sent: bytes | str, msg: str) -> None:
    """A body that nobody can read is kept for people; it must neither pass nor break the app."""
    error = refused(sent)

    assert [each["loc"] for each in error.errors] == [[]]
    assert error.errors[0]["msg"].startswith(msg)
    assert str(error).startswith(f"body: {msg}")


@pytest.mark.parametrize("sent", NOT_AN_OBJECT.values(), ids=NOT_AN_OBJECT.keys())
def test_json_that_is_not_an_object_is_refused_as_a_whole(sent: str) -> None:
    """A notification is an object; anything else would have to be guessed at."""
    error = refused(sent.encode())

    assert error.errors == [{"loc": [], "msg": OBJECT}]
    assert str(error) == f"body: {OBJECT}"


REQUIRED = ["eventType", "applicationId", "eventTime", "provisioningState"]
WRONG_TYPES: dict[str, Any] = {"array": [], "object": {}, "true": True, "nested": [["PUT"]]}


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_that_the_row_relies_on_is_named(field: str) -> None:
    """Without any of the four there is no row to write or no order to write it in."""
    error = refused(without(field))

    assert error.errors == [{"loc": [field], "msg": MISSING}]
    assert str(error) == f"{field}: {MISSING}"


@pytest.mark.parametrize(
    ("field", "value", "msg"),
    [
        pytest.param(field, value, msg, id=f"{field} {name}")
        for field, msg in zip(REQUIRED, [EVENT_TYPE, RESOURCE_ID, TEXT, STATE], strict=True)
        for name, value in {"null": None, **WRONG_TYPES}.items()
    ],
)
def test_a_required_field_of_the_wrong_type_is_named(field: str, value: object, msg: str) -> None:
    """What is there but is no text is as good as missing, and the sender is told what was expected."""
    assert refused(having(**{field: value})).errors == [{"loc": [field], "msg": msg}]


@pytest.mark.parametrize(
    ("field", "value", "msg"),
    [
        pytest.param(field, value, msg, id=f"{field} {value!r}")
        for field, msg, values in [
            (
                "eventType",
                EVENT_TYPE,
                ["", " ", "put", "Put", "PUT ", " PUT", "PUT\n", "POST", "PUT,PATCH", "\u0420UT", 1],
            ),
            (
                "provisioningState",
                STATE,
                [
                    "",
                    "succeeded",
                    "SUCCEEDED",
                    "Succeeded ",
                    " Failed",
                    "Canceled",
                    "Running",
                    "Deletin",
                    "Failed\x00",
                    0,
                ],
            ),
        ]
        for value in values
    ],
)
def test_a_word_that_is_not_a_known_one_is_named(field: str, value: object, msg: str) -> None:
    """Guessing at a new word could turn a row into a state that does not exist; a 400 keeps the body for people."""
    assert refused(having(**{field: value})).errors == [{"loc": [field], "msg": msg}]


BAD_IDS: dict[str, object] = {
    "empty": "",
    "a slash": "/",
    "a number": 12,
    "a URL": "https://management.azure.com" + APPLICATION_ID,
    "white space before": " " + APPLICATION_ID,
    "white space after": APPLICATION_ID + " /",
    "line break after": APPLICATION_ID + "\n",
    "two leading slashes": "/" + APPLICATION_ID,
    "trailing slash": APPLICATION_ID + "/",
    "extra segment": APPLICATION_ID + "/resources",
    "child resource": APPLICATION_ID + "/providers/Microsoft.Insights/diagnosticSettings/x",
    "query": APPLICATION_ID + "?api-version=1",
    "fragment": APPLICATION_ID + "#x",
    "an application definition": DEFINITION_ID,
    "another provider": resource_id(provider="Microsoft.Compute"),
    "a provider with another separator": resource_id(provider="MicrosoftxSolutions"),
    "another type": resource_id(kind="applicationGroups"),
    "a part of the type": resource_id(kind="application"),
    "a resource group": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg",
    "no subscription": "/resourceGroups/rg/providers/Microsoft.Solutions/applications/app",
    "a tenant": f"/tenants/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Solutions/applications/app",
    "empty subscription": resource_id(subscription=""),
    "empty group": resource_id(group=""),
    "empty name": resource_id(name=""),
    "backslashes": APPLICATION_ID.replace("/", "\\"),
    "long s in subscriptions": resource_id(start="/\u017fubscriptions"),
    "long s in Microsoft": resource_id(provider="Micro\u017foft.Solutions"),
    "long s in resourceGroups": resource_id(groups="re\u017fourceGroups"),
    "dotless i in subscriptions": resource_id(start="/subscr\u0131ptions"),
    "dotted I in Microsoft": resource_id(provider="M\u0130crosoft.Solutions"),
    "Cyrillic o in Microsoft": resource_id(provider="Micr\u043esoft.Solutions"),
    "full-width letters": resource_id(start="/\uff53ubscriptions"),
    "full-width slash": APPLICATION_ID.replace("/", "\uff0f"),
    **{
        f"{ord(character):#04x} in the {part}": resource_id(**{part: f"a{character}b"})
        for part in ("subscription", "group", "name")
        for character in "|\\?#\x00\t\n\r\x1f\x7f\x80\x9f"
    },
}


@pytest.mark.parametrize("value", BAD_IDS.values(), ids=BAD_IDS.keys())
def test_what_is_not_the_id_of_a_managed_application_is_refused(value: object) -> None:
    """Keys are made of it: another resource would be a row that means nothing, and some characters no key may hold."""
    assert refused(body(applicationId=value)).errors == [{"loc": ["applicationId"], "msg": RESOURCE_ID}]


def test_a_kelvin_sign_does_not_pass_for_a_letter_of_the_fixed_parts() -> None:
    """No fixed part of an ID holds a k, so the look-alike may only be part of a name."""
    assert "k" not in resource_id("", "", "").lower()
    assert ApplicationId.parse(resource_id(name="\u212a")).name == "\u212a"


@pytest.mark.parametrize(
    "text",
    [
        resource_id("s", "g", "n" * 509),
        resource_id("s" * 509, "g", "n"),
        resource_id("s", "g", "😀" * 255),
        resource_id("s", "g", "İ" * 255),  # lower-cased it is two characters
        resource_id("s", "g", "n" * 100_000),
    ],
    ids=["name", "subscription", "surrogate pairs", "longer in lower case", "very long"],
)
def test_names_too_long_for_a_key_are_refused(text: str) -> None:
    """Table Storage would refuse the key on every retry for ten hours; a 400 ends that at once."""
    assert refused(body(applicationId=text)).errors == [{"loc": ["applicationId"], "msg": ID_TOO_LONG}]


NOT_TIMESTAMPS: dict[str, object] = {
    "empty": "",
    "text": "yesterday",
    "no zone": "2026-03-01T10:00:00.1234567",
    "date": "2026-03-01",
    "lower-case z": "2026-03-01T10:00:00z",
    "lower-case t": "2026-03-01t10:00:00Z",
    "space for T": "2026-03-01 10:00:00Z",
    "space before": " 2026-03-01T10:00:00Z",
    "space after": "2026-03-01T10:00:00Z ",
    "line break after": "2026-03-01T10:00:00Z\n",
    "space before the zone": "2026-03-01T10:00:00 Z",
    "comma": "2026-03-01T10:00:00,123Z",
    "point without digits": "2026-03-01T10:00:00.Z",
    "two fractions": "2026-03-01T10:00:00.1.2Z",
    "no seconds": "2026-03-01T10:00Z",
    "one-digit month": "2026-3-01T10:00:00Z",
    "two-digit year": "26-03-01T10:00:00Z",
    "five-digit year": "12026-03-01T10:00:00Z",
    "negative year": "-2026-03-01T10:00:00Z",
    "basic format": "20260301T100000Z",
    "week date": "2026-W09-7T10:00:00Z",
    "ordinal date": "2026-060T10:00:00Z",
    "month 13": "2026-13-01T10:00:00Z",
    "month 0": "2026-00-01T10:00:00Z",
    "30 February": "2026-02-30T10:00:00Z",
    "29 February of a common year": "2026-02-29T10:00:00Z",
    "day 0": "2026-03-00T10:00:00Z",
    "hour 24": "2026-03-01T24:00:00Z",
    "hour 25": "2026-03-01T25:00:00Z",
    "minute 60": "2026-03-01T10:60:00Z",
    "leap second": "2026-03-01T23:59:60Z",
    "year 0": "0000-01-01T00:00:00Z",
    "year 1, an hour earlier in UTC": "0001-01-01T00:00:00+01:00",
    "year 9999, an hour later in UTC": "9999-12-31T23:59:59-01:00",
    "offset of a day": "2026-03-01T10:00:00+24:00",
    "offset without colon": "2026-03-01T10:00:00+0100",
    "offset of hours": "2026-03-01T10:00:00+01",
    "offset with seconds": "2026-03-01T10:00:00+01:00:00",
    "offset with minus sign U+2212": "2026-03-01T10:00:00\u221201:00",
    "zone name": "2026-03-01T10:00:00 UTC",
    "Z and offset": "2026-03-01T10:00:00Z+01:00",
    "epoch seconds": 1_772_359_200,
    "epoch seconds as text": "1772359200",
    "epoch milliseconds": 1_772_359_200_000,
    "epoch with fraction": 1_772_359_200.5,
    ".NET date": "/Date(1772359200000)/",
    "HTTP date": "Sun, 01 Mar 2026 10:00:00 GMT",
    "Arabic digits": "٢٠٢٦-03-01T10:00:00Z",
    "full-width digits": "\uff12\uff10\uff12\uff16-03-01T10:00:00Z",
    "NUL": "2026-03-01T10:00:00Z\x00",
    "very long": "2" * 200_000,
}


@pytest.mark.parametrize("value", NOT_TIMESTAMPS.values(), ids=NOT_TIMESTAMPS.keys())
def test_what_is_not_a_timestamp_is_refused(value: object) -> None:
    """Everything hangs on the order of times, so none is guessed: not its zone, not its digits."""
    assert refused(body(eventTime=value)).errors == [{"loc": ["eventTime"], "msg": TIMESTAMP}]


@pytest.mark.parametrize("offset", ["+01:60", "-00:99"])
def test_an_impossible_offset_is_refused(offset: str) -> None:
    """A zone that does not exist says that the time is not to be trusted."""
    assert refused(body(eventTime=f"2026-03-01T10:00:00{offset}")).errors == [{"loc": ["eventTime"], "msg": TIMESTAMP}]


@pytest.mark.parametrize(
    "text",
    [
        "1999-12-31T23:59:59.9999999Z",
        "2000-01-01T00:00:00+00:01",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "2026-03-03T12:00:01Z",
        "2026-03-03T12:30:00+00:29",
        "2262-04-11T23:47:16Z",
        "9999-12-31T23:59:59.9999999Z",
    ],
)
def test_a_time_out_of_range_is_refused(text: str) -> None:
    """One event from the year 9999 would freeze its row for ever: nothing could be later."""
    assert refused(body(eventTime=text)).errors == [{"loc": ["eventTime"], "msg": TIME_RANGE}]


@pytest.mark.parametrize(
    "text",
    [
        "2000-01-01T00:00:00Z",
        "1999-12-31T23:59:00-00:01",
        "2026-03-03T12:00:00Z",
        "2026-03-03T13:00:00+01:00",
        "2024-02-29T00:00:00Z",
    ],
    ids=["first moment", "first moment by its offset", "a day ahead", "a day ahead by its offset", "leap day"],
)
def test_a_time_within_range_is_accepted(text: str) -> None:
    """Clocks differ, and a retry may be ten hours old; the limits are only against nonsense."""
    assert read(body(eventTime=text)).event_time.endswith(":00.0000000Z")


def test_how_far_ahead_a_time_may_lie_depends_on_when_it_came() -> None:
    """The app never looks at a clock itself: what is refused today is accepted tomorrow."""
    sent = body(eventTime="2026-03-03T12:00:01Z")

    assert refused(sent).errors
    assert Notification.from_body(sent, now=NOW + timedelta(seconds=1)).event_type == "PUT"


LONG = "x" * 1025
VALUES: dict[str, list[Any]] = {
    "no object": ["text", 1, True, [], [{}]],
    "no text": [True, [], {}, ["1.2.0"]],
    "no array": [{}, "text", 1, True],
    "no detail": [None, "text", 1, True, []],
}
BAD_DETAILS = [
    *(
        pytest.param({field: value}, [field], OBJECT, id=f"{field} {value!r}")
        for field in ("plan", "billingDetails", "error")
        for value in VALUES["no object"]
    ),
    *(
        pytest.param({"plan": {**PLAN, part: value}}, ["plan", part], TEXT, id=f"plan.{part} {value!r}")
        for part in PLAN
        for value in VALUES["no text"]
    ),
    *(
        pytest.param({"plan": {**PLAN, part: LONG}}, ["plan", part], TOO_LONG, id=f"plan.{part} too long")
        for part in PLAN
    ),
    *(
        pytest.param(
            {"billingDetails": {"resourceUsageId": value}},
            ["billingDetails", "resourceUsageId"],
            msg,
            id=f"resourceUsageId {name}",
        )
        for name, value, msg in [
            ("object", {}, TEXT),
            ("array", [], TEXT),
            ("true", True, TEXT),
            ("too long", LONG, TOO_LONG),
        ]
    ),
    *(
        pytest.param(
            {"applicationDefinitionId": value}, ["applicationDefinitionId"], msg, id=f"applicationDefinitionId {name}"
        )
        for name, value, msg in [
            ("object", {}, TEXT),
            ("array", [], TEXT),
            ("true", True, TEXT),
            ("too long", LONG, TOO_LONG),
        ]
    ),
    *(
        pytest.param({"error": {part: value}}, ["error", part], TEXT, id=f"error.{part} {value!r}")
        for part in ("code", "message")
        for value in VALUES["no text"]
    ),
    *(
        pytest.param({"error": {"details": value}}, ["error", "details"], ARRAY, id=f"error.details {value!r}")
        for value in VALUES["no array"]
    ),
    *(
        pytest.param({"error": {"details": [{}, value]}}, ["error", "details", 1], OBJECT, id=f"detail {value!r}")
        for value in VALUES["no detail"]
    ),
    *(
        pytest.param(
            {"error": {"details": [{part: value}]}}, ["error", "details", 0, part], TEXT, id=f"detail.{part} {value!r}"
        )
        for part in ("code", "message")
        for value in VALUES["no text"]
    ),
]


@pytest.mark.parametrize(("fields", "loc", "msg"), BAD_DETAILS)
def test_an_optional_field_of_the_wrong_shape_is_named(fields: dict[str, Any], loc: Loc, msg: str) -> None:
    """What cannot be stored as it is meant is refused where a person will look, with the way to it."""
    assert refused(body(**fields)).errors == [{"loc": loc, "msg": msg}]


@pytest.mark.parametrize("character", ["x", "ü", "😀"])
def test_a_text_may_be_exactly_as_long_as_the_limit(character: str) -> None:
    """The limit counts characters and not bytes."""
    plan = read(body(plan={"name": character * 1024})).plan

    assert plan is not None
    assert plan.name == character * 1024


def test_everything_that_is_wrong_is_named_at_once() -> None:
    """A publisher who writes a test body mends it in one go."""
    error = refused(b'{"eventType": "x", "plan": [], "error": {"details": [{"code": []}]}}')

    assert [(each["loc"], each["msg"]) for each in error.errors] == [
        (["eventType"], EVENT_TYPE),
        (["applicationId"], MISSING),
        (["eventTime"], MISSING),
        (["provisioningState"], MISSING),
        (["plan"], OBJECT),
        (["error", "details", 0, "code"], TEXT),
    ]
    assert "error.details.0.code: Input should be a valid string" in str(error)
    assert isinstance(error, WebhookError)


# each is made when its test runs, so that a failure shows the position and not the body
PLANTED: dict[str, Callable[[], bytes]] = {
    "not JSON": MARKER.encode,
    "cut off": lambda: b'{"' + MARKER.encode(),
    "in a broken key": lambda: b'{"' + MARKER.encode() + b'": ' + MARKER.encode() + b"}",
    "in a broken text": lambda: b'{"a": "' + MARKER.encode() + b"\xff" + MARKER.encode() + b'"}',
    "in a broken escape": lambda: b'{"a": "\\u' + MARKER.encode() + b'"}',
    "as a bare word": lambda: spliced(f'"x": {MARKER}'),
    "after the end": lambda: body() + MARKER.encode(),
    "as a JSON text": f'"{MARKER}"'.encode,
    "in an array": f'["{MARKER}"]'.encode,
    "as the only key": f'{{"{MARKER}": "{MARKER}"}}'.encode,
    "in an unknown field": lambda: having(**{MARKER: {MARKER: [MARKER]}, "eventType": "x"}),
    "eventType": lambda: body(eventType=MARKER),
    "eventType as a key": lambda: body(eventType={MARKER: MARKER}),
    "provisioningState": lambda: body(provisioningState=MARKER),
    "applicationId": lambda: body(applicationId=MARKER),
    "applicationId as a key": lambda: body(applicationId={MARKER: MARKER}),
    "applicationId too long": lambda: body(applicationId=resource_id(name=MARKER * 100)),
    "eventTime": lambda: body(eventTime=MARKER),
    "eventTime after a time": lambda: body(eventTime="2026-03-01T10:00:00Z" + MARKER),
    "plan": lambda: body(plan=MARKER),
    "plan's keys": lambda: body(plan={MARKER: MARKER, "name": {MARKER: MARKER}}),
    "plan too long": lambda: body(plan={"name": MARKER * 1000}),
    "billingDetails": lambda: body(billingDetails=MARKER),
    "resourceUsageId": lambda: body(billingDetails={"resourceUsageId": [MARKER]}),
    "resourceUsageId too long": lambda: body(billingDetails={"resourceUsageId": MARKER * 1000}),
    "applicationDefinitionId": lambda: body(applicationDefinitionId=[MARKER]),
    "applicationDefinitionId too long": lambda: body(applicationDefinitionId=MARKER * 1000),
    "error": lambda: body(error=MARKER),
    "error.code": lambda: body(error={"code": {MARKER: MARKER}}),
    "error.message": lambda: body(error={"message": [MARKER]}),
    "error.details": lambda: body(error={"details": {MARKER: MARKER}}),
    "error.details.0": lambda: body(error={"details": [MARKER]}),
    "error.details.0.code": lambda: body(error={"details": [{"code": {MARKER: MARKER}}]}),
    "every value": lambda: json.dumps(dict.fromkeys([*content(), "error"], MARKER)).encode(),
    "every value, in an array": lambda: json.dumps({name: [MARKER] for name in [*content(), "error"]}).encode(),
}


@pytest.mark.parametrize("make", PLANTED.values(), ids=PLANTED.keys())
def test_no_error_repeats_what_was_sent(make: Callable[[], bytes]) -> None:
    """A sender may have put a password anywhere, and errors go to answers, logs and the table."""
    sent = make()
    assert MARKER.encode() in sent

    error = refused(sent)

    assert error.errors
    said = [str(error), repr(error), repr(error.errors), json.dumps(error.errors), *traceback.format_exception(error)]
    assert not [text for text in said if MARKER.lower() in text.lower()]


def test_an_error_without_a_way_is_about_the_body() -> None:
    """The sentence names the body itself where no field is to blame."""
    errors: list[FieldError] = [{"loc": [], "msg": "one"}, {"loc": ["plan", 0], "msg": "two"}]

    assert str(InvalidNotificationError(errors)) == "body: one; plan.0: two"


# --- times and the order key


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00.0000000Z"),
        ("2026-03-01T10:00:00.1Z", "2026-03-01T10:00:00.1000000Z"),
        ("2026-03-01T10:00:00.12Z", "2026-03-01T10:00:00.1200000Z"),
        ("2026-03-01T10:00:00.123Z", "2026-03-01T10:00:00.1230000Z"),
        ("2026-03-01T10:00:00.1234Z", "2026-03-01T10:00:00.1234000Z"),
        ("2026-03-01T10:00:00.12345Z", "2026-03-01T10:00:00.1234500Z"),
        ("2026-03-01T10:00:00.123456Z", "2026-03-01T10:00:00.1234560Z"),
        ("2026-03-01T10:00:00.1234567Z", "2026-03-01T10:00:00.1234567Z"),
        ("2026-03-01T10:00:00.0000000Z", "2026-03-01T10:00:00.0000000Z"),
        ("2026-03-01T10:00:00.0000001Z", "2026-03-01T10:00:00.0000001Z"),
        ("2026-03-01T10:00:00.9999999Z", "2026-03-01T10:00:00.9999999Z"),
        ("2026-03-01T10:00:00.12345678Z", "2026-03-01T10:00:00.1234567Z"),
        ("2026-03-01T10:00:00.99999999999Z", "2026-03-01T10:00:00.9999999Z"),
        ("2026-03-01T10:00:00." + "1" * 10_000 + "Z", "2026-03-01T10:00:00.1111111Z"),
        ("2026-03-01T10:00:00+00:00", "2026-03-01T10:00:00.0000000Z"),
        ("2026-03-01T10:00:00-00:00", "2026-03-01T10:00:00.0000000Z"),
        ("2026-03-01T12:00:00.5+02:00", "2026-03-01T10:00:00.5000000Z"),
        ("2026-03-01T00:00:00.1234567+05:45", "2026-02-28T18:15:00.1234567Z"),
        ("2025-12-31T23:30:00-00:45", "2026-01-01T00:15:00.0000000Z"),
        ("2026-02-28T23:59:59.9999999-23:59", "2026-03-01T23:58:59.9999999Z"),
        ("2026-03-02T10:00:00+23:59", "2026-03-01T10:01:00.0000000Z"),
    ],
)
def test_a_time_is_kept_in_utc_with_exactly_seven_digits(sent: str, kept: str) -> None:
    """Only texts of one width sort as times, and .NET drops trailing zeros; digits beyond 100 ns are cut."""
    event = read(body(eventTime=sent))

    assert event.event_time == kept
    assert time_of(event.order) == kept


IN_ORDER = [
    "2000-01-01T00:00:00Z",
    "2026-02-28T23:59:59.9999999Z",
    "2026-03-01T00:00:00Z",
    "2026-03-01T10:00:08Z",
    "2026-03-01T10:00:08.0000001Z",
    "2026-03-01T10:00:08.000001Z",
    "2026-03-01T10:00:08.1Z",
    "2026-03-01T10:00:08.17Z",
    "2026-03-01T10:00:08.1707163Z",
    "2026-03-01T10:00:08.1707169Z",
    "2026-03-01T12:00:08.170717+02:00",
    "2026-03-01T10:00:08.2Z",
    "2026-03-01T09:00:08.25-01:00",
    "2026-03-01T10:00:08.9Z",
    "2026-03-01T10:00:08.99Z",
    "2026-03-01T10:00:08.9999999Z",
    "2026-03-01T10:00:09Z",
    "2026-03-01T10:00:10Z",
]


@pytest.mark.parametrize(
    ("earlier", "later"),
    list(itertools.combinations(IN_ORDER, 2)),
    ids=lambda text: text.removeprefix("2026-03-01T10:00:"),
)
def test_the_order_of_keys_is_the_order_of_times(earlier: str, later: str) -> None:
    """As sent, 08.17Z sorts after 08.1707163Z, and microseconds cannot tell ...163 from ...169; keys can."""
    deleted = read(body("DELETE", "Deleted", eventTime=earlier))

    assert deleted.order < read(body("PUT", "Accepted", eventTime=later)).order


def test_every_fraction_sorts_by_its_value_whatever_its_length() -> None:
    """Trailing zeros are dropped by the sender, so neighbours in time differ in length."""
    fractions = ["".join(digits) for length in range(1, 4) for digits in itertools.product("0159", repeat=length)]
    keyed = [
        (float(f"0.{digits}"), time_of(notification(eventTime=f"2026-03-01T10:00:00.{digits}Z").order))
        for digits in fractions
    ]

    for (value, key), (other_value, other_key) in itertools.combinations(keyed, 2):
        assert (value < other_value) == (key < other_key)
        assert (value == other_value) == (key == other_key)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (earlier, later)
        for earlier, later in itertools.combinations(PAIRS, 2)
        if {earlier, later} != {("PUT", "Succeeded"), ("PUT", "Failed")}
    ],
    ids="-".join,
)
def test_at_one_time_the_life_cycle_decides(earlier: tuple[str, str], later: tuple[str, str]) -> None:
    """A deployment that is refused at once sends Accepted and Failed with one time; the row must say Failed."""
    assert notification(*earlier).order < notification(*later).order


def independent_order(sent: bytes, time: str, place: int) -> str:
    """Compute an order key as DESIGN words it, from nothing of ours."""
    canonical = json.dumps(json.loads(sent), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{time}|{place}|{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"


@pytest.mark.parametrize(("event_type", "state"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_the_order_key_is_time_place_and_digest(event_type: str, state: str) -> None:
    """The key is a public column by which inbox and row are compared; whoever rebuilds rows computes it so."""
    sent = body(event_type, state, extra="Grüße 😀", number=1.5)
    place = {"PUT": 0 if state == "Accepted" else 1, "PATCH": 2}.get(
        event_type, {"Deleting": 3, "Failed": 4, "Deleted": 5}.get(state, -1)
    )

    assert read(sent).order == independent_order(sent, "2026-03-01T10:00:00.1234567Z", place)


def test_the_order_key_of_a_known_body_never_changes() -> None:
    """Keys are stored: a release that computes others would take every redelivery for a new event."""
    sent = (
        '{"eventType":"PUT","applicationId":"/subscriptions/<subId>/resourceGroups/rg/providers/Microsoft.Solutions'
        '/applications/app","eventTime":"2026-03-01T10:00:00.12Z","provisioningState":"Succeeded"}'
    )

    assert read(sent).order == "2026-03-01T10:00:00.1200000Z|1|002e6fdb"


def _reversed(value: object) -> object:
    if isinstance(value, dict):
        return {name: _reversed(each) for name, each in reversed(value.items())}
    return [_reversed(each) for each in value] if isinstance(value, list) else value


FAILED = {**content("PUT", "Failed"), "note": "Grüße 😀/"}
SAME: dict[str, str] = {
    "compact": json.dumps(FAILED, separators=(",", ":")),
    "indented": json.dumps(FAILED, indent=4),
    "sorted": json.dumps(FAILED, sort_keys=True),
    "reversed, at every level": json.dumps(_reversed(FAILED)),
    "raw letters": json.dumps(FAILED, ensure_ascii=False),
    "escaped solidus": json.dumps(FAILED).replace("/", "\\/"),
    "escaped letters": json.dumps(FAILED).replace("orders", "\\u006f\\u0072ders").replace("PUT", "\\u0050UT"),
    "upper-case escapes": json.dumps(FAILED).replace("\\u00fc", "\\u00FC"),
    "white space around": f"\r\n {json.dumps(FAILED)}\t",
}


@pytest.mark.parametrize("sent", SAME.values(), ids=SAME.keys())
def test_a_redelivery_has_the_same_key_however_it_is_written(sent: str) -> None:
    """A retry is the same event; if only its spelling made it another, the inbox would hold it twice."""
    assert read(sent).order == read(json.dumps(FAILED)).order


def test_a_redelivery_says_the_same_of_its_error_however_it_is_written() -> None:
    """Of two events with one order key either may win, so they must not differ in anything that the row holds."""
    assert read(SAME["reversed, at every level"]).error_json == read(SAME["sorted"]).error_json


DIFFERENT: dict[str, dict[str, Any]] = {
    "event type": {"eventType": "PATCH"},
    "state": {"provisioningState": "Succeeded"},
    "time, by 100 ns": {"eventTime": "2026-03-01T10:00:00.1234568Z"},
    "time, beyond 100 ns": {"eventTime": "2026-03-01T10:00:00.12345671Z"},
    "time, the same in another zone": {"eventTime": "2026-03-01T11:00:00.1234567+01:00"},
    "application": {"applicationId": application_id("other")},
    "case of the ID": {"applicationId": APPLICATION_ID.upper()},
    "plan": {"plan": {**PLAN, "version": "1.2.1"}},
    "type of a value": {"plan": {**PLAN, "version": 1}},
    "usage ID": {"billingDetails": {"resourceUsageId": "other"}},
    "definition": {"applicationDefinitionId": DEFINITION_ID},
    "error message": {"error": {**ERROR, "message": "other"}},
    "one detail": {"error": {**ERROR, "details": []}},
    "order of an array": {"tags": ["b", "a"]},
    "an unknown field": {"tags": ["a", "b"]},
    "a text for an array": {"tags": "null"},
    "a false": {"tags": False},
    "a zero": {"tags": 0},
}


def test_any_other_value_gives_another_key() -> None:
    """Two events that differ are two events: one may not swallow the other as its duplicate."""
    keys = {notification("PUT", "Failed", **changes).order for changes in [{}, *DIFFERENT.values()]}

    assert len(keys) == 1 + len(DIFFERENT)


@pytest.mark.parametrize("text", ["2026-03-01T10:00:00.1234567Z|3|9f86d081", "2000-01-01T00:00:00.0000000Z|0|00000000"])
def test_an_order_key_is_recognised(text: str) -> None:
    """A row that is read back is trusted only if its keys are ours."""
    assert is_order_key(text)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        b"2026-03-01T10:00:00.1234567Z|3|9f86d081",
        datetime(2026, 3, 1, tzinfo=UTC),
        "",
        "2026-03-01T10:00:00.1234567Z",
        "2026-03-01T10:00:00.123456Z|3|9f86d081",
        "2026-03-01T10:00:00.12345678Z|3|9f86d081",
        "2026-03-01T10:00:00.1234567|3|9f86d081",
        "2026-03-01T10:00:00.1234567Z|6|9f86d081",
        "2026-03-01T10:00:00.1234567Z|-1|9f86d081",
        "2026-03-01T10:00:00.1234567Z|3|9F86D081",
        "2026-03-01T10:00:00.1234567Z|3|9f86d08",
        "2026-03-01T10:00:00.1234567Z|3|9f86d0811",
        "2026-03-01T10:00:00.1234567Z|3|9f86d081\n",
        " 2026-03-01T10:00:00.1234567Z|3|9f86d081",
        "2026-03-01 10:00:00.1234567Z|3|9f86d081",
    ],
    ids=repr,
)
def test_what_is_not_an_order_key_is_not_taken_for_one(value: object) -> None:
    """A text of another shape would sort anywhere and could freeze a row."""
    assert not is_order_key(value)


def test_digits_of_other_scripts_do_not_make_an_order_key() -> None:
    """They sort after every ASCII digit, so no later event could ever win."""
    assert not is_order_key("٢٠٢٦-03-01T10:00:00.1234567Z|3|9f86d081")


# --- texts that must fit


@pytest.mark.parametrize(
    ("text", "length"), [("", 0), ("abc", 3), ("ü", 1), ("\uffff", 1), ("\U00010000", 2), ("a😀b", 4)]
)
def test_length_is_counted_as_table_storage_counts_it(text: str, length: int) -> None:
    """Its limits are in UTF-16 code units, where an emoji is two."""
    assert utf16_length(text) == length == len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize("text", ["", "x", "ü" * 499, "x" * 500], ids=["empty", "x", "499", "500"])
def test_a_text_of_common_length_is_left_alone(text: str) -> None:
    """What fits is not touched."""
    assert shorten(text, 500) == text


@pytest.mark.parametrize("length", [5_000, 40_000, 200_000])
@pytest.mark.parametrize("letter", ["x", "ü", "😀", "\x01"], ids=["ASCII", "two bytes", "pairs", "controls"])
def test_a_long_text_is_cut_short_and_says_so(letter: str, length: int) -> None:
    """An error message of a megabyte must not keep the state out of the table."""
    assert shorten(letter * length, 500) == letter * 499 + "…"


def test_an_error_is_kept_whole_with_fields_that_nobody_knows() -> None:
    """The cause of a failed deployment is often in nested fields that the documentation does not list."""
    error = {**ERROR, "target": "vm", "innererror": {"trace": [1, {"a": None}], "text": "Grüße 😀"}}
    text = notification("PUT", "Failed", error=error).error_json

    assert text is not None
    assert json.loads(text) == error
    assert "Grüße 😀" in text
    assert ": " not in text.replace("Gr", "")


@pytest.mark.parametrize("error", [{}, {"code": None}], ids=["empty", "null code"])
def test_an_error_that_says_nothing_is_still_an_error(error: dict[str, None]) -> None:
    """That there was one is worth knowing."""
    text = notification("PUT", "Failed", error=error).error_json

    assert text is not None
    assert json.loads(text) == error


def error_of_length(units: int, character: str = "x") -> dict[str, str]:
    """Give an error whose compact JSON has that many UTF-16 code units."""
    room = units - len('{"message":""}')
    return {"message": character * (room // utf16_length(character))}


def test_an_error_may_fill_a_property_to_its_limit() -> None:
    """Nothing is cut that Table Storage would take."""
    error = error_of_length(PROPERTY_LIMIT)
    text = notification("PUT", "Failed", error=error).error_json

    assert text is not None
    assert utf16_length(text) == PROPERTY_LIMIT
    assert json.loads(text) == error


LONG_ERRORS: dict[str, dict[str, Any]] = {
    "one unit too long": error_of_length(PROPERTY_LIMIT + 1),
    "emoji": error_of_length(PROPERTY_LIMIT + 4, "😀"),
    "long code": {"code": "c" * 40_000, "message": "short"},
    "many details": {**ERROR, "details": [ERROR["details"]] * 1000},
    "many unknown fields": {"code": "c", **{f"field{number}": "x" * 100 for number in range(1000)}},
    "quotes": {"message": '"' * 40_000},
    "controls in the message": {"message": "\x01" * 40_000},
}


@pytest.mark.parametrize(
    "error",
    [
        *(pytest.param(error, id=name) for name, error in LONG_ERRORS.items()),
        pytest.param(
            {"code": "\x01" * 4000, "message": "\x01" * 4000},
            id="controls in code and message",
        ),
    ],
)
def test_an_error_too_long_for_a_property_is_cut_to_json_that_fits(error: dict[str, Any]) -> None:
    """Storage would refuse the row on every retry; a shortened error still says what went wrong."""
    if "details" in error:
        error = {**error, "details": [each[0] for each in error["details"]]}
    event = notification("PUT", "Failed", error=error)
    text = event.error_json

    assert text is not None
    assert utf16_length(text) <= PROPERTY_LIMIT
    kept = json.loads(text)
    assert kept == {
        **{
            name: shorten(error[name], limit)
            for name, limit in {"code": CODE_LIMIT, "message": MESSAGE_LIMIT}.items()
            if name in error
        },
        "truncated": True,
    }
    assert event.body.startswith('{"eventType"')


# --- the value itself


def test_a_notification_cannot_be_changed() -> None:
    """It is handed to two writers at once."""
    with pytest.raises(ValueError, match="frozen"):
        notification().event_type = "DELETE"
