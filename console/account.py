"""Where the tables are, and opening them: what the settings of the app say, or what the command line says instead.

The one place of the console that reads the environment. Never prints a setting, and sends nothing of its own accord.
"""

import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from console import ConsoleError, UsageError, local_settings
from webhook.settings import STORAGE_CONNECTIONS, Storage, find_storage
from webhook.store import StoreError

if TYPE_CHECKING:
    from webhook.tables import Tables

CONNECTION, ACCOUNT = "--connection", "--account"

_REMEDIES = {
    "unreachable": "Is the account's name right, its firewall open to this machine, Azurite running if that is meant?",
    "no token": "Sign in, with `az login` for one",
    "403 AuthorizationPermissionMismatch": (
        "The identity needs the role Storage Table Data Reader or, to write, Storage Table Data Contributor"
    ),
    "403 AuthorizationFailure": "The account's network rules keep this machine out or, with Azurite, the key is wrong",
    "403 AuthenticationFailed": "Are the key or signature and this machine's clock right?",
    "403 KeyBasedAuthenticationNotPermitted": f"The account takes no keys: sign in, and give {ACCOUNT} and its name",
    "foreign": "`managedapps rebuild` mends rows; what does not belong in the table has to be deleted",
}
"""What to do next, by the cause of a failure. Codes of the service:
https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes."""


class AccountError(ConsoleError):
    """The tables cannot be found, reached, read or written.

    Attributes:
        found: what is wrong.
        remedy: what to do about it; empty where that is not known.
    """

    def __init__(self, found: str, remedy: str = "") -> None:
        super().__init__(f"{found}. {remedy}" if remedy else found)
        self.found, self.remedy = found, remedy


def settings() -> Mapping[str, str]:
    """Give the settings that the app would have here: of two, the environment's counts, as with Core Tools."""
    file = Path(local_settings.NAME)
    return {**(local_settings.values(file) if file.exists() else {}), **os.environ}


def origin(name: str) -> str | None:
    """Say where a setting is from; None where it is not set."""
    if name in os.environ:
        return "the environment"
    return local_settings.NAME if name in settings() else None


def find(connection: str | None = None, account: str | None = None) -> Storage:
    """Find the storage account: as the options name it, else as the app does.

    Args:
        connection: a connection string, or the name of a setting that holds one or, as a prefix, an identity-based
            connection.
        account: the name of an account, or the URL of its table service, for the signed-in identity.

    Raises:
        UsageError: the options contradict each other.
        AccountError: there is no usable connection; the text repeats no value.
    """
    if connection and account:
        raise UsageError(f"{CONNECTION} and {ACCOUNT} exclude each other: give one of them")
    if account:
        part = "tableServiceUri" if "/" in account else "accountName"
        found, flaw = find_storage({f"{ACCOUNT}__{part}": account}, [ACCOUNT])
        flaw = flaw and flaw.replace(f"{ACCOUNT}__{part}", ACCOUNT)
    elif connection and "=" in connection:
        found, flaw = find_storage({CONNECTION: connection}, [CONNECTION])
    else:
        found, flaw = find_storage(settings(), [connection] if connection else STORAGE_CONNECTIONS)
    if found is None:
        hint = f"Run it in the folder of {local_settings.NAME}, set it, or give {CONNECTION} or {ACCOUNT}"
        missing = flaw is not None and flaw.endswith(" is not set")
        raise AccountError(f"the tables cannot be found: {flaw}", hint if missing else "")
    return found


@asynccontextmanager
async def opened(storage: Storage) -> AsyncIterator["Tables"]:
    """Open the tables; what the store cannot do within becomes an AccountError that says what to do next."""
    from webhook.tables import Tables  # noqa: PLC0415 - takes as long to import as all the rest, and many runs do without

    logging.getLogger("azure").setLevel(logging.CRITICAL)  # the identity's many lines on how it got no token
    try:
        async with Tables.connect(storage) as tables:
            yield tables
    except StoreError as error:
        raise AccountError(str(error), remedy(error)) from None


def remedy(error: StoreError) -> str:
    """Say what to do about a failure of the store; empty where that is not known."""
    return _REMEDIES.get(error.cause, "")
