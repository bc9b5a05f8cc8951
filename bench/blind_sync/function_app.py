"""A blind upsert with the blocking client, on the worker's default thread pool: what most samples show."""

import json
import os

import azure.functions as func
from azure.data.tables import TableClient

from bench import blind

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
blind.quiet_sdk()
table = TableClient.from_connection_string(os.environ["STATE_STORAGE"], blind.TABLE)


@app.route(route="resource", methods=[func.HttpMethod.POST])
def resource(req: func.HttpRequest) -> func.HttpResponse:
    """Overwrite the application's row with this notification."""
    if not blind.secret_fits(req.params.get("secret")):
        return func.HttpResponse(status_code=401)
    table.upsert_entity(blind.row(json.loads(req.get_body())))
    return func.HttpResponse(status_code=200)
