"""The one kind of failure that a person can mend: said in a line, never shown as a traceback.

Never used for a bug in these tools: those keep their traceback.
"""


class Problem(Exception):  # noqa: N818 - what it is to the reader of the message, not to Python
    """An expected failure. Its text is one line: what is wrong, and what to do next."""
