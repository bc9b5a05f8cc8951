"""The webhook of a publisher of Azure Managed Applications: receive, order, keep.

`receive` says in which order a call is checked and answered, `record` what is written before it is answered 200.
The arrows point one way: receive -> record -> store -> application -> notification. `store` is what the app asks of the
place where it keeps its data, `tables` keeps that promise on Azure, and nothing else here knows Azure.
"""


class WebhookError(Exception):
    """Parent of every error that this package raises on purpose."""
