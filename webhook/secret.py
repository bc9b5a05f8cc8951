"""The secret in the query string: which ones are usable, and whether a call carries one of them.

Pure. Never keeps, prints or raises a secret; what it says of an unusable one never holds its text.
"""

import hashlib
import hmac
from collections.abc import Sequence

MINIMUM_LENGTH = 16
"""Characters. Shorter secrets can be guessed over HTTP, so they count as missing."""


def flaw(secret: str | None) -> str | None:
    """Say why a configured secret cannot be used, in words that follow the setting's name; None where it can.

    An unresolved Key Vault reference is the literal setting text that App Service leaves in place
    (https://learn.microsoft.com/azure/app-service/app-service-key-vault-references). White space at an end is nearly
    always a line break that slipped in on the way to the vault: every call would be refused, and lost, so it is refused
    here, where the Marketplace tries again.
    """
    if secret is None:
        return "is not set"
    if not secret.strip():
        return "is blank"
    if secret.lstrip().lower().startswith("@microsoft.keyvault("):
        return "is a Key Vault reference that App Service could not resolve"
    if secret != secret.strip():
        return "begins or ends with white space"
    if len(secret) < MINIMUM_LENGTH:
        return f"is shorter than {MINIMUM_LENGTH} characters"
    return None


def accepts(presented: str | None, accepted: Sequence[str]) -> bool:
    """Tell whether the presented secret is an accepted one, in a time that does not depend on the accepted ones.

    Digests are compared, so that not even a length shows, and every accepted secret is tried whatever the result so
    far. No accepted secret means that nothing is accepted.
    """
    if not presented:
        return False
    candidate = _digest(presented)
    matches = [hmac.compare_digest(candidate, _digest(secret)) for secret in accepted]
    return any(matches)


def _digest(secret: str) -> bytes:
    # surrogatepass: a query string that no UTF-8 decoder should have produced must fail the check, not raise
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
