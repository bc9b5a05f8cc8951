"""The URL: from the value as pasted into Partner Center to the one that the Marketplace calls, and to one to show.

Pure. The query carries the webhook's secret, so a URL is only ever shown with the values of its query masked, and
`Endpoint.masked` does the same to any text that may repeat it.
"""

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, quote, unquote, unquote_plus, urlsplit

from console import ConsoleError

SUFFIX = "/resource"
"""What the Marketplace appends to the path, by
https://learn.microsoft.com/azure/azure-resource-manager/managed-applications/publish-notifications."""

MASK = "***"
_SHORTEST = 4
"""Characters of the shortest value that is looked for in texts: replacing shorter ones would garble them."""

_UNSAFE = re.compile(r"[^!#$%&'()*+,/:;=?@\[\]~A-Za-z0-9._-]")
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_KEY = re.compile(r"""(AccountKey|SharedAccessSignature|sig|secret)\s*=\s*[^\s;"'<>()]+""", re.IGNORECASE)
_QUERY = re.compile(r"""(?<=\?)[^\s#"'<>]+""")


class EndpointError(ConsoleError):
    """The value is not a URL that the Marketplace could call."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a webhook is called.

    Attributes:
        url: what is called, `/resource` appended, the query as it was given; never in the repr.
        shown: the same with the secret masked.
        host, port, tls: where to connect.
        warnings: what is likely to be a mistake in the value that was given, a sentence each.
    """

    url: str = field(repr=False)
    shown: str
    host: str
    port: int
    tls: bool
    warnings: tuple[str, ...] = ()
    _secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, pasted: str) -> Self:
        """Take the value as pasted into Partner Center.

        Raises:
            EndpointError: it is not an http:// or https:// URL with a host. The text does not repeat the value.
        """
        text = pasted.strip()
        parts, port = _split(text)
        if parts.scheme not in ("http", "https"):
            raise EndpointError("the URL must begin with https:// (or http://, on your own machine)")
        if not parts.hostname:
            raise EndpointError(f"the URL names no host after {parts.scheme}://")
        # Nothing is encoded twice: only what may not stand in a URL at all is.
        path = _UNSAFE.sub(_percent, parts.path.rstrip("/")) + SUFFIX
        query = _UNSAFE.sub(_percent, parts.query)
        origin = f"{parts.scheme}://{_host(parts.hostname)}" + (f":{port}" if port else "")
        user = parts.netloc.rpartition("@")[0]
        return cls(
            f"{parts.scheme}://{f'{user}@' if user else ''}{origin.partition('://')[2]}{path}"
            + (f"?{query}" if query else ""),
            origin + path + (f"?{_masked_query(query)}" if query else ""),
            parts.hostname,
            port or (443 if parts.scheme == "https" else 80),
            parts.scheme == "https",
            tuple(_warnings(parts)),
            _secrets(parts, query),
        )

    def masked(self, text: str) -> str:
        """Give a text, such as an answer or an error, with everything masked that the query's values are."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def mask_queries(text: str) -> str:
    """Mask the query of whatever looks like a URL in a text that was not made here, such as a usage error."""
    return _QUERY.sub(MASK, text)


def mask_keys(text: str) -> str:
    """Mask what looks like a key or a signature of a connection string, or like a secret in a query."""
    return _KEY.sub(rf"\1={MASK}", text)


def _split(text: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise EndpointError("the URL cannot be read: look at its host and port") from None
    return parts, port


def _host(hostname: str) -> str:
    if ":" in hostname:
        return f"[{hostname}]"
    try:
        host = hostname if hostname.isascii() else hostname.encode("idna").decode("ascii")
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host):
        raise EndpointError("the URL's host is not a name that can be looked up")
    return host


def _percent(found: re.Match[str]) -> str:
    return quote(found[0], safe="")


def _warnings(parts: SplitResult) -> list[str]:
    found = []
    if parts.path.rstrip("/").lower().endswith(SUFFIX):
        found.append(
            f"the URL already ends in {SUFFIX}. The Marketplace appends it all the same and calls "
            f"{SUFFIX}{SUFFIX}, and so does this. Paste it into Partner Center without {SUFFIX}"
        )
    if parts.fragment:
        found.append("what follows the # in the URL is never sent: a # in a secret has to be written as %23")
    if not parts.query:
        found.append("the URL has no query, so it carries no secret")
    return found


def _masked_query(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&"))
    return "&".join(f"{name}={MASK}" if equals else MASK for name, equals, _ in pairs)


def _secrets(parts: SplitResult, query: str) -> tuple[str, ...]:
    """Give every spelling of every value, the longest first, so that none is masked in part."""
    pairs = [pair.partition("=") for text in (parts.query, query) for pair in text.split("&")]
    values = [value if equals else name for name, equals, value in pairs] + parts.netloc.rpartition("@")[0].split(":")
    spelt = {each for value in values for each in (value, unquote(value), unquote_plus(value))}
    spelt |= {quote(each, safe="") for each in spelt}
    return tuple(sorted((each for each in spelt if len(each) >= _SHORTEST), key=len, reverse=True))
