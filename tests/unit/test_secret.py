"""Which secrets are usable, and which calls carry one."""

import inspect
import unicodedata
from typing import Literal

import pytest

from webhook.secret import MINIMUM_LENGTH, accepts, flaw

CURRENT = "correct-horse-battery"
PREVIOUS = "staple-of-last-month"
OTHER = "neither-of-these-two!"


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        pytest.param(None, "is not set", id="unset"),
        pytest.param("", "is blank", id="empty"),
        pytest.param(" " * 40, "is blank", id="spaces"),
        pytest.param("\t\r\n\u00a0\u2003", "is blank", id="other white space"),
        pytest.param("x", "is shorter than 16 characters", id="one character"),
        pytest.param("x" * 15, "is shorter than 16 characters", id="15 characters"),
        pytest.param("😀" * 15, "is shorter than 16 characters", id="15 characters of 60 bytes"),
        pytest.param(f" {CURRENT}", "begins or ends with white space", id="space before"),
        pytest.param(f"{CURRENT} ", "begins or ends with white space", id="space after"),
        pytest.param(f"{CURRENT}\n", "begins or ends with white space", id="line break after"),
        pytest.param(f"{CURRENT}\r\n", "begins or ends with white space", id="Windows line break after"),
        pytest.param(f"\u00a0{CURRENT}", "begins or ends with white space", id="no-break space before"),
        pytest.param(f"{'x' * 15} ", "begins or ends with white space", id="16 characters with the space"),
        *(
            pytest.param(text, "is a Key Vault reference that App Service could not resolve", id=name)
            for name, text in {
                "by URI": "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/webhook)",
                "by name": "@Microsoft.KeyVault(VaultName=v;SecretName=webhook)",
                "in lower case": "@microsoft.keyvault(VaultName=v;SecretName=webhook)",
                "in upper case": "@MICROSOFT.KEYVAULT(VaultName=v;SecretName=webhook)",
                "with white space": "  @Microsoft.KeyVault(VaultName=v;SecretName=webhook)\n",
                "cut off": "@Microsoft.KeyVault(",
            }.items()
        ),
    ],
)
def test_an_unusable_secret_has_its_flaw_named(configured: str | None, said: str) -> None:
    """An app that accepts a guessable or accidental secret is open to everyone, and its owner must learn which."""
    assert flaw(configured) == said


@pytest.mark.parametrize(
    "configured",
    [CURRENT, "x" * MINIMUM_LENGTH, "x" * 100_000, "two words and a tab\t!", "geheim-ünïcödé-😀", "%26&=+,;/?#" * 2],
    ids=["plain", "shortest", "very long", "white space within", "non-ASCII", "reserved characters"],
)
def test_any_other_secret_is_usable(configured: str) -> None:
    """The publisher chooses the secret; only what is surely a mistake is refused."""
    assert flaw(configured) is None


def test_a_secret_that_only_mentions_key_vault_is_usable() -> None:
    """Only the reference itself is what App Service leaves in place."""
    assert flaw("not-@Microsoft.KeyVault(") is None


@pytest.mark.parametrize(
    ("accepted", "presented", "passes"),
    [
        pytest.param([], CURRENT, False, id="none: nothing passes"),
        pytest.param([], "", False, id="none: not even nothing"),
        pytest.param([CURRENT], CURRENT, True, id="one: it passes"),
        pytest.param([CURRENT], PREVIOUS, False, id="one: another fails"),
        pytest.param([CURRENT, PREVIOUS], CURRENT, True, id="two: the current passes"),
        pytest.param([CURRENT, PREVIOUS], PREVIOUS, True, id="two: the previous passes"),
        pytest.param([CURRENT, PREVIOUS], OTHER, False, id="two: a third fails"),
        pytest.param([CURRENT, PREVIOUS], CURRENT + PREVIOUS, False, id="two: both in one fail"),
        pytest.param([CURRENT, CURRENT], CURRENT, True, id="the same twice: it passes"),
        pytest.param((CURRENT,), CURRENT, True, id="a tuple"),
    ],
)
def test_a_call_passes_with_any_accepted_secret_and_no_other(
    accepted: list[str], presented: str, *, passes: bool
) -> None:
    """While a secret is rotated, Partner Center still sends the old one for a while."""
    assert accepts(presented, accepted) is passes


@pytest.mark.parametrize(
    "presented",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param(" ", id="blank"),
        pytest.param(CURRENT[:-1], id="prefix"),
        pytest.param(CURRENT[1:], id="suffix"),
        pytest.param(CURRENT[0], id="first character"),
        pytest.param(CURRENT + "x", id="longer"),
        pytest.param(CURRENT + "\x00", id="NUL after"),
        pytest.param(CURRENT + " ", id="space after"),
        pytest.param(" " + CURRENT, id="space before"),
        pytest.param(CURRENT.upper(), id="upper case"),
        pytest.param(CURRENT.replace("-", "%2D"), id="encoded twice"),
        pytest.param(f'"{CURRENT}"', id="in quotes"),
        pytest.param(CURRENT.replace("o", "\u043e"), id="look-alike letters"),
        pytest.param(f"{CURRENT},{CURRENT}", id="repeated parameter"),
        pytest.param(f"{OTHER},{CURRENT}", id="repeated parameter, the second right"),
        pytest.param(f"{CURRENT},", id="repeated parameter, one empty"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param(CURRENT + "\udcff", id="undecodable byte after"),
        pytest.param("\udc80" * 100_000, id="100,000 lone surrogates"),
        pytest.param("x" * 100_000, id="100 kB"),
        pytest.param(CURRENT * 5_000, id="100 kB that begin well"),
        pytest.param("ü" * 100_000, id="200 kB of non-ASCII"),
        pytest.param("\x00" * 16, id="NULs"),
    ],
)
def test_whatever_is_not_the_secret_fails_and_never_raises(presented: str | None) -> None:
    """Anyone can send anything; an exception here would be a 500 that the Marketplace repeats for ten hours."""
    assert accepts(presented, [CURRENT, PREVIOUS]) is False


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_non_ascii_secret_passes_as_the_same_bytes_only(form: Literal["NFC", "NFD"]) -> None:
    """Bytes are compared: two forms of an umlaut look the same and are not."""
    text = unicodedata.normalize("NFC", "geheim-ünïcödé-wort")
    presented = unicodedata.normalize(form, text)

    assert accepts(presented, [text]) is (form == "NFC")


@pytest.mark.parametrize("secret", ["x" * 100_000, "schlüssel-😀-wort", "\ud800-is-no-character", "a,b" * 6])
def test_the_right_secret_passes_whatever_it_is_made_of(secret: str) -> None:
    """The check has no opinion on characters or length."""
    assert accepts(secret, [OTHER, secret])


def test_every_accepted_secret_is_tried_wherever_it_stands() -> None:
    """A right one is found first, last and in between, since the search never ends early."""
    accepted = [f"secret-number-{number:03}" for number in range(20)]

    assert [accepts(secret, accepted) for secret in accepted] == [True] * 20
    assert not accepts("secret-number-020", accepted)


def test_every_accepted_secret_is_compared_in_constant_time() -> None:
    """No result shows how a comparison was made, and no clock in a test can; so the source is held to it."""
    source = inspect.getsource(accepts)

    assert "hmac.compare_digest(" in source
    assert "matches = [" in source  # a list: a generator would let `any` stop at the first match
    assert "==" not in source
