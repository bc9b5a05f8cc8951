"""A blind upsert with the asynchronous client: the least that a webhook can do that waits without blocking."""

import json
import os

import azure.functions as func
from azure.data.tables.aio import TableClient

from bench import blind

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
blind.quiet_sdk()
clients: list[TableClient] = []


@app.route(route="resource", methods=[func.HttpMethod.POST])
async def resource(req: func.HttpRequest) -> func.HttpResponse:
    """Overwrite the application's row with this notification."""
    if not blind.secret_fits(req.params.get("secret")):
        return func.HttpResponse(status_code=401)
    if not clients:  # made in the running loop, once
        clients.append(TableClient.from_connection_string(os.environ["STATE_STORAGE"], blind.TABLE))
    await clients[0].upsert_entity(blind.row(json.loads(req.get_body())))
    return func.HttpResponse(status_code=200)
