"""The command `managedapps`, on the publisher's own machine: an extra that the deployed function does without.

`publisher/` shows and mends what the webhook stored, and knows the webhook's code. `marketplace/` plays the
Marketplace, over real HTTP and against any publisher's webhook, and knows nothing of this one's code but how `verify`
reads its tables. The modules beside them are what both need. Nothing in `webhook/` imports any of it.
"""

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""


class ConsoleError(Exception):
    """Parent of every failure that a person can mend. Its text is one line, and holds no secret."""


class UsageError(ConsoleError):
    """What was asked for cannot be meant so: exit status 2, as for an option that does not exist."""
