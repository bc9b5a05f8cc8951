"""The URL: what publishers get wrong most often."""

import pytest

from console.endpoint import Endpoint, EndpointError, mask_keys, mask_queries


@pytest.mark.parametrize(
    ("pasted", "called"),
    [
        ("https://app.example/api?secret=s3cret", "https://app.example/api/resource?secret=s3cret"),
        ("https://app.example/api/?secret=s3cret", "https://app.example/api/resource?secret=s3cret"),
        ("https://app.example?secret=s3cret", "https://app.example/resource?secret=s3cret"),
        ("https://app.example", "https://app.example/resource"),
        ("  http://127.0.0.1:7071/api?a=1&b=2\n", "http://127.0.0.1:7071/api/resource?a=1&b=2"),
        ("http://[::1]:7071/api?code=x", "http://[::1]:7071/api/resource?code=x"),
        ("https://app.example/api/resource?s=1", "https://app.example/api/resource/resource?s=1"),
        ("https://app.example/a%2Fb?s=%2B+%26", "https://app.example/a%2Fb/resource?s=%2B+%26"),
        ("https://app.example/a b?s=é|", "https://app.example/a%20b/resource?s=%C3%A9%7C"),
        ("HTTPS://bücher.example/api", "https://xn--bcher-kva.example/api/resource"),
        ("https://app.example/api?s=1#part", "https://app.example/api/resource?s=1"),
        ("https://me:word@app.example/api", "https://me:word@app.example/api/resource"),
    ],
)
def test_resource_is_appended_to_the_path_and_the_query_kept(pasted: str, called: str) -> None:
    """What is called is, character by character, what the Marketplace would call."""
    assert Endpoint.parse(pasted).url == called


@pytest.mark.parametrize(
    ("pasted", "shown"),
    [
        ("https://a.example/api?secret=abc", "https://a.example/api/resource?secret=***"),
        ("https://a.example/api?code=abc&clientId=d", "https://a.example/api/resource?code=***&clientId=***"),
        ("https://a.example/api?abc", "https://a.example/api/resource?***"),
        ("https://me:word@a.example:8443/api", "https://a.example:8443/api/resource"),
        ("https://a.example/api", "https://a.example/api/resource"),
    ],
)
def test_what_is_shown_has_no_value_of_the_query(pasted: str, shown: str) -> None:
    """The name of the parameter is the publisher's own choice, so every value is taken for the secret."""
    endpoint = Endpoint.parse(pasted)

    assert endpoint.shown == shown
    assert not any(word in repr(endpoint) for word in ("abc", "word"))


@pytest.mark.parametrize("text", ["p%26q+r s", "p&q r s", "p%26q%20r%20s"])
def test_a_text_that_repeats_the_secret_is_masked_however_it_spells_it(text: str) -> None:
    """A webhook may echo its URL in an answer, decoded or not."""
    endpoint = Endpoint.parse("https://a.example/api?secret=p%26q+r s")

    assert endpoint.masked(f"no access with {text}!") == "no access with ***!"


@pytest.mark.parametrize(
    ("pasted", "message"),
    [
        ("app.example/api?secret=s3cret", "must begin with https://"),
        ("127.0.0.1:7071/api?secret=s3cret", "must begin with https://"),
        ("ftp://app.example/?secret=s3cret", "must begin with https://"),
        ("", "must begin with https://"),
        ("https:///api?secret=s3cret", "names no host"),
        ("https://?secret=s3cret", "names no host"),
        ("https://app.example:http/?secret=s3cret", "host and port"),
        ("https://app.example:77777/?secret=s3cret", "host and port"),
        ("https://[::1/?secret=s3cret", "host and port"),
        (f"https://{'é' * 70}.example/?secret=s3cret", "can be looked up"),
        ("https://a b.example/?secret=s3cret", "can be looked up"),
        ("https://<app>.azurewebsites.net/api?secret=s3cret", "can be looked up"),
    ],
)
def test_what_is_no_url_is_said_to_be_so(pasted: str, message: str) -> None:
    """One line says what is missing, and does not repeat the value, which has the secret in it."""
    with pytest.raises(EndpointError, match=message) as caught:
        Endpoint.parse(pasted)

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("pasted", "warning"),
    [
        ("https://a.example/api/resource?s=1", "already ends in /resource"),
        ("https://a.example/api/Resource/?s=1", "already ends in /resource"),
        ("https://a.example/api?secret=a#b", "%23"),
        ("https://a.example/api", "no secret"),
    ],
)
def test_a_likely_mistake_is_pointed_out(pasted: str, warning: str) -> None:
    """The Marketplace says nothing: events are just lost."""
    (found,) = Endpoint.parse(pasted).warnings

    assert warning in found


def test_a_url_as_it_should_be_gets_no_warning() -> None:
    """Whoever has done all right is not made to doubt it."""
    assert Endpoint.parse("https://a.example/api?secret=s").warnings == ()


def test_queries_in_texts_of_others_are_masked() -> None:
    """A usage error repeats the argument that was not expected."""
    assert mask_queries("Got 'http://a/api?secret=abc' and 'x'") == "Got 'http://a/api?***' and 'x'"


@pytest.mark.parametrize(
    "text",
    [
        "Got unexpected extra argument (AccountName=a;AccountKey=TOPSECRET==)",
        "'AccountName=a; accountkey = TOPSECRET==;X=y' is no name",
        "'SharedAccessSignature=sv=1&sig=TOPSECRET'",
        "https://a.table.core.windows.net?sig=TOPSECRET",
        "secret=TOPSECRET",
    ],
)
def test_keys_are_masked_wherever_they_were_typed(text: str) -> None:
    """An option's name is easily forgotten, and what was typed is repeated in the error."""
    masked = mask_keys(text)

    assert "TOPSECRET" not in masked
    assert "***" in masked
