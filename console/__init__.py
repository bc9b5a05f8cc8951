"""The command `managedapps`: a Marketplace on the publisher's own desk, to test a webhook against.

An optional extra that the deployed function does not install. It works against any publisher's webhook over real HTTP
and knows nothing of this one's code, except for `verify`, which reads this one's tables. Nothing in `webhook/` imports
it.
"""


class ConsoleError(Exception):
    """Parent of every failure that a person can mend. Its text is one line, and holds no secret."""
