"""The webhook of a publisher of Azure Managed Applications: receive, order, keep.

`receive` says in which order a call is checked and answered, `record` what is written before a call is answered 200.
The arrows point one way: receive -> record -> application -> notification, and only `tables` knows Azure.
"""


class WebhookError(Exception):
    """Parent of every error that this package raises on purpose."""
