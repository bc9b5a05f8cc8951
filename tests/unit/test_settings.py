"""What the app makes of its settings, and what it says of those that cannot be used."""

import base64

import pytest

from webhook.settings import Settings, Storage

CURRENT = "current-secret-Mark3r"
PREVIOUS = "previous-secret-Mark3r"
KEY = base64.b64encode(b"account-key-Mark3r" * 4).decode()
SAS = "sv=2019-02-02&sig=Mark3rSignature%3D"
ACCOUNT = f"DefaultEndpointsProtocol=https;AccountName=example;AccountKey={KEY};EndpointSuffix=core.windows.net"
WITH_SAS = f"TableEndpoint=https://example.table.core.windows.net;SharedAccessSignature={SAS}"
URI = "https://example.table.core.windows.net"
KEY_VAULT = "@Microsoft.KeyVault(SecretUri=https://Mark3r.vault.azure.net/secrets/Mark3r)"
NO_STORAGE = "STATE_STORAGE or AzureWebJobsStorage is not set"


def settings(**given: str) -> Settings:
    """Read settings, with a usable secret and storage unless others are given."""
    return Settings.from_mapping({"WEBHOOK_SECRET": CURRENT, "STATE_STORAGE": ACCOUNT} | given)


def storage(**given: str) -> Settings:
    """Read settings with no storage but the given."""
    return Settings.from_mapping({"WEBHOOK_SECRET": CURRENT} | given)


def assert_silent(read: Settings) -> None:
    """Hold that nothing secret shows in what may be printed."""
    said = [repr(read), str(read), repr(read.storage), str(read.storage), f"{read}", *read.problems, *read.warnings]
    leaks = [text for text in said for part in ("Mark3r", KEY[:20], KEY[-20:]) if part in text]
    assert not leaks


def test_good_settings_have_no_problem() -> None:
    """The usual case: one secret and one connection string."""
    read = settings()

    assert read.secrets == (CURRENT,)
    assert read.storage == Storage("STATE_STORAGE", ACCOUNT)
    assert (read.problems, read.warnings) == ((), ())


def test_no_settings_at_all_are_two_problems_and_no_exception() -> None:
    """An app without settings must start, answer 500 and say what to set."""
    read = Settings.from_mapping({})

    assert read.problems == ("WEBHOOK_SECRET is not set", NO_STORAGE)
    assert (read.secrets, read.storage, read.warnings) == ((), None, ())


def test_the_environment_may_hold_anything_else() -> None:
    """Settings are read from the whole environment."""
    assert settings(PATH="/bin", WEBHOOK_SECRETS="x", STATE_STORAGE__other="y") == settings()


# --- secrets

UNUSABLE = {
    "": "is blank",
    " \n": "is blank",
    "short-Mark3r": "is shorter than 16 characters",
    f"{CURRENT}\n": "begins or ends with white space",
    f" {CURRENT}": "begins or ends with white space",
    KEY_VAULT: "is a Key Vault reference that App Service could not resolve",
}


@pytest.mark.parametrize(
    ("value", "flaw"),
    UNUSABLE.items(),
    ids=["empty", "blank", "short", "line break", "space", "Key Vault"],
)
def test_an_unusable_secret_is_a_problem_that_names_the_setting_and_not_its_value(value: str, flaw: str) -> None:
    """The app must never be open by accident, and the log line that says so must not give the secret away."""
    read = settings(WEBHOOK_SECRET=value)

    assert read.problems == (f"WEBHOOK_SECRET {flaw}",)
    assert read.secrets == ()
    assert_silent(read)


@pytest.mark.parametrize(
    ("value", "flaw"),
    [item for item in UNUSABLE.items() if item[0]],
    ids=["blank", "short", "line break", "space", "Key Vault"],
)
def test_an_unusable_previous_secret_is_ignored_with_a_warning(value: str, flaw: str) -> None:
    """A leftover of the last rotation must not take the webhook down."""
    read = settings(WEBHOOK_SECRET_PREVIOUS=value)

    assert read.secrets == (CURRENT,)
    assert read.warnings == (f"WEBHOOK_SECRET_PREVIOUS {flaw}; it is ignored",)
    assert read.problems == ()
    assert_silent(read)


@pytest.mark.parametrize("given", [{}, {"WEBHOOK_SECRET_PREVIOUS": ""}], ids=["unset", "empty"])
def test_no_previous_secret_is_the_normal_case(given: dict[str, str]) -> None:
    """Rotation is over when the setting is gone or emptied; nobody needs a warning for that."""
    read = settings(**given)

    assert read.secrets == (CURRENT,)
    assert read.warnings == ()


def test_while_rotating_both_secrets_are_accepted_the_current_first() -> None:
    """Partner Center goes on sending the old one until its setting is saved and live."""
    read = settings(WEBHOOK_SECRET_PREVIOUS=PREVIOUS)

    assert read.secrets == (CURRENT, PREVIOUS)
    assert (read.problems, read.warnings) == ((), ())
    assert_silent(read)


def test_a_previous_secret_does_not_stand_in_for_an_unusable_current_one() -> None:
    """A broken rotation must show as a problem, not live on the old secret unnoticed."""
    read = settings(WEBHOOK_SECRET="short", WEBHOOK_SECRET_PREVIOUS=PREVIOUS)

    assert read.problems == ("WEBHOOK_SECRET is shorter than 16 characters",)


# --- which connection


def test_state_storage_comes_before_the_storage_of_the_functions_host() -> None:
    """A publisher may keep the states apart from the host's own storage account."""
    other = ACCOUNT.replace("example", "other")

    assert settings(AzureWebJobsStorage=other).storage == Storage("STATE_STORAGE", ACCOUNT)


@pytest.mark.parametrize("blank", ["", "  ", "\n"], ids=["empty", "spaces", "line break"])
def test_without_state_storage_the_storage_of_the_host_is_used(blank: str) -> None:
    """Every Functions app has it, so that nothing needs to be set for a start."""
    read = storage(STATE_STORAGE=blank, STATE_STORAGE__accountName=blank, AzureWebJobsStorage=ACCOUNT)

    assert read.storage == Storage("AzureWebJobsStorage", ACCOUNT)


def test_an_identity_for_state_storage_comes_before_a_connection_string_of_the_host() -> None:
    """The first connection that has any setting is the one that was meant."""
    read = storage(STATE_STORAGE__accountName="example", AzureWebJobsStorage=ACCOUNT)

    assert read.storage == Storage("STATE_STORAGE", None, URI)


def test_a_flawed_state_storage_is_a_problem_and_does_not_fall_back() -> None:
    """Falling back would split the states over two accounts without a word."""
    read = storage(STATE_STORAGE="nonsense", AzureWebJobsStorage=ACCOUNT)

    assert read.storage is None
    assert len(read.problems) == 1
    assert read.problems[0].startswith("STATE_STORAGE is not a connection string")


def test_a_connection_string_comes_before_an_identity_of_the_same_name() -> None:
    """As in the Functions host, where the plain setting wins."""
    read = storage(STATE_STORAGE=ACCOUNT, STATE_STORAGE__accountName="other")

    assert read.storage == Storage("STATE_STORAGE", ACCOUNT)


# --- connection strings

GOOD_STRINGS = {
    "account and key": ACCOUNT,
    "only account and key": f"AccountName=example;AccountKey={KEY}",
    "any order": f"AccountKey={KEY};AccountName=example",
    "any case": f"accountname=example;ACCOUNTKEY={KEY}",
    "an endpoint": f"AccountName=example;AccountKey={KEY};TableEndpoint=http://127.0.0.1:10002/example",
    "endpoint and signature": WITH_SAS,
    "account and signature": f"AccountName=example;SharedAccessSignature={SAS}",
    "the emulator": "UseDevelopmentStorage=true",
}


@pytest.mark.parametrize("text", GOOD_STRINGS.values(), ids=GOOD_STRINGS.keys())
@pytest.mark.parametrize("connection", ["STATE_STORAGE", "AzureWebJobsStorage"])
def test_a_connection_string_that_the_sdk_understands_is_taken_as_it_is(connection: str, text: str) -> None:
    """All documented forms are in use, the portal's as well as Azurite's."""
    read = storage(**{connection: text})

    assert read.problems == ()
    assert read.storage == Storage(connection, text)
    assert_silent(read)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (f" {ACCOUNT}\n", ACCOUNT),
        (f"{ACCOUNT};", ACCOUNT),
        (f"{ACCOUNT};;\n", ACCOUNT),
        (ACCOUNT.replace(";", " ; "), ACCOUNT),
        ("usedevelopmentstorage = True;", "UseDevelopmentStorage=true"),
    ],
    ids=["white space around", "a semicolon", "empty parts", "white space within", "the emulator, any case"],
)
def test_a_connection_string_is_read_as_people_paste_it(text: str, read: str) -> None:
    """What the SDK is strict about does no harm, so it is no problem either."""
    assert storage(STATE_STORAGE=text).storage == Storage("STATE_STORAGE", read)


NOT_A_STRING = "is not a connection string: a part has no name or no value, or comes twice"
NO_ACCOUNT = "has neither an AccountName nor a TableEndpoint"
NO_KEY = "has neither an AccountName with its AccountKey nor a SharedAccessSignature"
NOT_BASE64 = "has an AccountKey that is not Base64: was it cut off when it was copied?"
EMULATOR = "has UseDevelopmentStorage, which is understood as UseDevelopmentStorage=true alone"
BAD_STRINGS = {
    "the emulator and an account": (f"UseDevelopmentStorage=true;{ACCOUNT}", EMULATOR),
    "a part twice": (f"{ACCOUNT};accountname=other", NOT_A_STRING),
    "a word": ("Mark3r", NOT_A_STRING),
    "a key alone": (KEY, NOT_A_STRING),
    "a name without a value": (f"AccountName=;AccountKey={KEY}", NOT_A_STRING),
    "a value without a name": (f"AccountName=example;={KEY}", NOT_A_STRING),
    "a name alone": (f"AccountName;AccountKey={KEY}", NOT_A_STRING),
    "a blank value": (f"AccountName= ;AccountKey={KEY}", NOT_A_STRING),
    "an address": (f"https://example.table.core.windows.net/{KEY[:-2]}", NOT_A_STRING),
    "only the protocol": ("DefaultEndpointsProtocol=https", NO_ACCOUNT),
    "only a key": (f"AccountKey={KEY}", NO_ACCOUNT),
    "only a signature": (f"SharedAccessSignature={SAS}", NO_ACCOUNT),
    "only a blob endpoint": (f"BlobEndpoint=https://example.blob.core.windows.net;AccountKey={KEY}", NO_ACCOUNT),
    "an address with a query": (f"{URI}?{SAS}", NO_ACCOUNT),
    "only a name": ("AccountName=example", NO_KEY),
    "endpoint and key": (f"TableEndpoint={URI};AccountKey={KEY}", NO_KEY),
    "a key cut off": (f"AccountName=example;AccountKey={KEY[:-3]}", NOT_BASE64),
    "a key with strange characters": (f"AccountName=example;AccountKey=Mark3r!{KEY}", NOT_BASE64),
    "a key that is not ASCII": (f"AccountName=example;AccountKey=ü{KEY}", NOT_BASE64),
    "a Key Vault reference": (KEY_VAULT, "is a Key Vault reference that App Service could not resolve"),
    "a Key Vault reference, any case": (
        KEY_VAULT.upper().replace("MARK3R", "Mark3r"),
        "is a Key Vault reference that App Service could not resolve",
    ),
    "the emulator by proxy": (
        "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://Mark3r",
        "has a DevelopmentStorageProxyUri: give the TableEndpoint and the account instead",
    ),
    "no emulator": ("UseDevelopmentStorage=false", EMULATOR),
}


@pytest.mark.parametrize(("text", "flaw"), BAD_STRINGS.values(), ids=BAD_STRINGS.keys())
@pytest.mark.parametrize("connection", ["STATE_STORAGE", "AzureWebJobsStorage"])
def test_a_connection_string_that_cannot_work_is_a_problem_that_repeats_none_of_it(
    connection: str, text: str, flaw: str
) -> None:
    """It would fail at the first event, with an SDK message that may hold the key; better a sentence at the start."""
    read = storage(**{connection: text})

    assert read.problems == (f"{connection} {flaw}",)
    assert read.storage is None
    assert_silent(read)


# --- identities

GOOD_IDENTITIES: dict[str, tuple[dict[str, str], Storage]] = {
    "account": ({"accountName": "example"}, Storage("STATE_STORAGE", None, URI)),
    "account with digits": (
        {"accountName": "st0rage"},
        Storage("STATE_STORAGE", None, "https://st0rage.table.core.windows.net"),
    ),
    "address": ({"tableServiceUri": URI}, Storage("STATE_STORAGE", None, URI)),
    "address with a slash": ({"tableServiceUri": f"{URI}/"}, Storage("STATE_STORAGE", None, URI)),
    "address in another cloud": (
        {"tableServiceUri": "https://example.table.core.chinacloudapi.cn"},
        Storage("STATE_STORAGE", None, "https://example.table.core.chinacloudapi.cn"),
    ),
    "address with a path": (
        {"tableServiceUri": "https://127.0.0.1:10002/devstoreaccount1"},
        Storage("STATE_STORAGE", None, "https://127.0.0.1:10002/devstoreaccount1"),
    ),
    "address before account": ({"tableServiceUri": URI, "accountName": "!"}, Storage("STATE_STORAGE", None, URI)),
    "managed identity": (
        {"accountName": "example", "credential": "managedidentity"},
        Storage("STATE_STORAGE", None, URI, managed_identity=True),
    ),
    "managed identity, any case": (
        {"accountName": "example", "credential": "ManagedIdentity"},
        Storage("STATE_STORAGE", None, URI, managed_identity=True),
    ),
    "user-assigned": (
        {"accountName": "example", "credential": "managedidentity", "clientId": "1234"},
        Storage("STATE_STORAGE", None, URI, managed_identity=True, client_id="1234"),
    ),
    "client ID alone": (
        {"accountName": "example", "clientId": "1234"},
        Storage("STATE_STORAGE", None, URI, client_id="1234"),
    ),
    "blank credential and client ID": (
        {"accountName": "example", "credential": " ", "clientId": ""},
        Storage("STATE_STORAGE", None, URI),
    ),
    "white space": (
        {"accountName": " example\n", "credential": " managedidentity ", "clientId": " 1234 "},
        Storage("STATE_STORAGE", None, URI, managed_identity=True, client_id="1234"),
    ),
}


@pytest.mark.parametrize(("given", "expected"), GOOD_IDENTITIES.values(), ids=GOOD_IDENTITIES.keys())
def test_an_identity_based_connection_is_read_by_the_conventions_of_functions(
    given: dict[str, str], expected: Storage
) -> None:
    """The same settings work for the host's own connections, so that nothing new has to be learnt."""
    read = storage(**{f"STATE_STORAGE__{name}": value for name, value in given.items()})

    assert read.problems == ()
    assert read.storage == expected


BAD_URI = "STATE_STORAGE__tableServiceUri is not an https:// address without a query"
NO_URI = "STATE_STORAGE__tableServiceUri or STATE_STORAGE__accountName is not set"
BAD_NAME = "STATE_STORAGE__accountName is not the name of a storage account"
BAD_CREDENTIAL = "STATE_STORAGE__credential is not 'managedidentity'"
BAD_IDENTITIES = {
    "credential alone": ({"credential": "managedidentity"}, NO_URI),
    "client ID alone": ({"clientId": "Mark3r"}, NO_URI),
    "http": ({"tableServiceUri": "http://Mark3r.table.core.windows.net"}, BAD_URI),
    "no scheme": ({"tableServiceUri": "Mark3r.table.core.windows.net"}, BAD_URI),
    "another scheme": ({"tableServiceUri": "ftp://Mark3r.table.core.windows.net"}, BAD_URI),
    "no host": ({"tableServiceUri": "https:///Mark3r"}, BAD_URI),
    "a signature": ({"tableServiceUri": f"{URI}/?{SAS}"}, BAD_URI),
    "a fragment": ({"tableServiceUri": f"{URI}/#Mark3r"}, BAD_URI),
    "a user": ({"tableServiceUri": "https://user:Mark3r@example.table.core.windows.net"}, BAD_URI),
    "a broken address": ({"tableServiceUri": "https://[Mark3r"}, BAD_URI),
    "an account with a dot": ({"accountName": "Mark3r.evil"}, BAD_NAME),
    "an account with a slash": ({"accountName": "Mark3r/"}, BAD_NAME),
    "an account with a hyphen": ({"accountName": "Mark3r-x"}, BAD_NAME),
    "an account that is not ASCII": ({"accountName": "Mark3rü"}, BAD_NAME),
    "an address as account": ({"accountName": f"{URI}/Mark3r"}, BAD_NAME),
    "another credential": ({"accountName": "example", "credential": "Mark3r"}, BAD_CREDENTIAL),
    "a Key Vault reference": ({"accountName": "example", "credential": KEY_VAULT}, BAD_CREDENTIAL),
}


@pytest.mark.parametrize(("given", "problem"), BAD_IDENTITIES.values(), ids=BAD_IDENTITIES.keys())
def test_an_identity_that_cannot_work_is_a_problem_that_names_the_setting(given: dict[str, str], problem: str) -> None:
    """Each setting is named by itself, as a publisher looks for it in the portal."""
    read = storage(**{f"STATE_STORAGE__{name}": value for name, value in given.items()})

    assert read.problems == (problem,)
    assert read.storage is None
    assert_silent(read)


def test_an_address_with_a_password_but_no_user_is_a_problem() -> None:
    """An address is shown in reprs and logs, so it may hold nothing secret."""
    read = storage(STATE_STORAGE__tableServiceUri="https://:Mark3r@example.table.core.windows.net")

    assert read.problems == (BAD_URI,)
    assert_silent(read)


def test_an_identity_based_connection_of_the_host_is_found_too() -> None:
    """With AzureWebJobsStorage__accountName, which azd sets, nothing else is needed."""
    read = storage(AzureWebJobsStorage__accountName="example", AzureWebJobsStorage__credential="managedidentity")

    assert read.storage == Storage("AzureWebJobsStorage", None, URI, managed_identity=True)


def test_settings_of_the_host_that_are_no_use_here_count_as_no_connection() -> None:
    """A host that names only its blob and queue services has not said where the tables are."""
    read = storage(AzureWebJobsStorage__blobServiceUri="https://example.blob.core.windows.net")

    assert read.problems == (NO_STORAGE,)


def test_every_problem_is_named_at_once() -> None:
    """Whoever sets the app up mends it in one go."""
    read = Settings.from_mapping({"WEBHOOK_SECRET": "short", "STATE_STORAGE__credential": "x"})

    assert read.problems == ("WEBHOOK_SECRET is shorter than 16 characters", NO_URI)
