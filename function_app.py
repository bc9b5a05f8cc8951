"""The Functions app: one HTTP function, put together here and nowhere else.

The only module that imports azure.functions or reads the environment. All thought sits in the package `webhook`.
"""

import os

import azure.functions as func

from webhook.receive import Receiver
from webhook.settings import Settings
from webhook.tables import Tables

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)  # the secret in the query is our own check
receiver = Receiver(Settings.from_mapping(os.environ), Tables.connect)


@app.route(route="resource", methods=[func.HttpMethod.POST])
async def resource(req: func.HttpRequest) -> func.HttpResponse:
    """Take one notification of the Marketplace, at /api/resource."""
    reply = await receiver.receive(req.params.get("secret"), req.get_body())
    return func.HttpResponse(reply.body, status_code=reply.status, mimetype=reply.media_type)
