"""Settings from a mapping such as the environment, and everything that is wrong with them.

Pure. Reading never raises: a flaw is a sentence in `Settings.problems` that names the setting and never its value, so
that a misconfigured app can answer 500 and say why, instead of not starting or of letting anyone in.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from webhook import secret

SECRET = "WEBHOOK_SECRET"  # noqa: S105 - the name of a setting
SECRET_PREVIOUS = "WEBHOOK_SECRET_PREVIOUS"  # noqa: S105 - the name of a setting
STORAGE_CONNECTIONS = ("STATE_STORAGE", "AzureWebJobsStorage")
"""Connections in the order in which they are looked for; the first that has any setting is the one that is used."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the tables are, by the Functions conventions for connections.

    Either `connection_string` is given, or `table_service_uri` for access by a Microsoft Entra identity.
    https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection

    Attributes:
        connection: the name of the connection, such as STATE_STORAGE; what a log line blames.
        connection_string: account and key or shared access signature; never in the repr.
        table_service_uri: such as https://example.table.core.windows.net.
        managed_identity: use the app's managed identity and nothing else.
        client_id: of a user-assigned identity.
    """

    connection: str
    connection_string: str | None = field(default=None, repr=False)
    table_service_uri: str | None = None
    managed_identity: bool = False
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the app was told.

    Attributes:
        secrets: the accepted ones, the current first; never in the repr.
        storage: where the tables are; None where that is a problem.
        problems: why calls cannot be served, a sentence each; empty where they can.
        warnings: what was ignored, a sentence each.
    """

    secrets: tuple[str, ...] = field(repr=False)
    storage: Storage | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def from_mapping(cls, settings: Mapping[str, str]) -> Self:
        """Read the settings; see DESIGN and README for their names and meaning."""
        problems, warnings, secrets = [], [], []
        current, previous = settings.get(SECRET), settings.get(SECRET_PREVIOUS)
        if flaw := secret.flaw(current):
            problems.append(f"{SECRET} {flaw}")
        else:
            secrets.append(current or "")
        if previous and (flaw := secret.flaw(previous)):
            warnings.append(f"{SECRET_PREVIOUS} {flaw}; it is ignored")
        elif previous:
            secrets.append(previous)
        storage, flaw = find_storage(settings)
        if flaw:
            problems.append(flaw)
        return cls(tuple(secrets), storage, tuple(problems), tuple(warnings))


def find_storage(
    settings: Mapping[str, str], connections: Sequence[str] = STORAGE_CONNECTIONS
) -> tuple[Storage | None, str | None]:
    """Find the storage account: by the first of these connections that has any setting; or what is wrong with it."""
    for connection in connections:
        given = {
            name: value.strip()
            for name in ("", "__tableServiceUri", "__accountName", "__credential", "__clientId")
            if (value := settings.get(connection + name, "")).strip()
        }
        if text := given.get(""):
            return _by_connection_string(connection, text)
        if given:
            return _identity_based(connection, given)
    return None, f"{' or '.join(connections)} is not set"


def _identity_based(connection: str, given: Mapping[str, str]) -> tuple[Storage | None, str | None]:
    uri, account = given.get("__tableServiceUri"), given.get("__accountName")
    if uri is None:
        if account is None:
            return None, f"{connection}__tableServiceUri or {connection}__accountName is not set"
        if not (account.isascii() and account.isalnum()):
            return None, f"{connection}__accountName is not the name of a storage account"
        uri = f"https://{account}.table.core.windows.net"
    elif not _is_service_uri(uri):
        return None, f"{connection}__tableServiceUri is not an https:// address without a query"
    credential = given.get("__credential", "")
    if credential.lower() not in ("", "managedidentity"):
        return None, f"{connection}__credential is not 'managedidentity'"
    return Storage(
        connection,
        None,
        uri.rstrip("/"),
        managed_identity=bool(credential),
        client_id=given.get("__clientId"),
    ), None


def _is_service_uri(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return (
            parts.scheme == "https"
            and bool(parts.hostname)
            and not (parts.query or parts.fragment or "@" in parts.netloc)
        )
    except ValueError:
        return False


def _by_connection_string(connection: str, text: str) -> tuple[Storage | None, str | None]:
    """Read a connection string as people paste it, and write it down as the SDK reads it."""
    if text.lower().startswith("@microsoft.keyvault("):
        return None, f"{connection} is a Key Vault reference that App Service could not resolve"
    pairs = [
        (name.strip(), value.strip())
        for name, _, value in (part.partition("=") for part in text.split(";") if part.strip())
    ]
    values = {name.lower(): value for name, value in pairs}
    if len(values) < len(pairs) or not all(name and value for name, value in pairs):
        return None, f"{connection} is not a connection string: a part has no name or no value, or comes twice"
    if flaw := _flaw(values):
        return None, f"{connection} {flaw}"
    if "usedevelopmentstorage" in values:
        return Storage(connection, "UseDevelopmentStorage=true"), None
    return Storage(connection, ";".join(f"{name}={value}" for name, value in pairs)), None


def _flaw(values: Mapping[str, str]) -> str | None:
    """Say what the Tables SDK would find wrong with a connection string, some of it only with the first request.

    The form is documented at https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string.
    """
    if "developmentstorageproxyuri" in values:
        return "has a DevelopmentStorageProxyUri: give the TableEndpoint and the account instead"
    if "usedevelopmentstorage" in values:
        alone = len(values) == 1 and values["usedevelopmentstorage"].lower() == "true"
        return None if alone else "has UseDevelopmentStorage, which is understood as UseDevelopmentStorage=true alone"
    if "accountname" not in values and "tableendpoint" not in values:
        return "has neither an AccountName nor a TableEndpoint"
    if "sharedaccesssignature" in values:
        return None
    if "accountname" not in values or "accountkey" not in values:
        return "has neither an AccountName with its AccountKey nor a SharedAccessSignature"
    try:
        base64.b64decode(values["accountkey"], validate=True)
    except (binascii.Error, ValueError):
        return "has an AccountKey that is not Base64: was it cut off when it was copied?"
    return None
