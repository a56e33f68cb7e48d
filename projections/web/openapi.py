"""The OpenAPI document: what FastAPI makes of the routes, put right where this service answers otherwise."""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import available_timezones

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from pydantic import TypeAdapter

from projections.web.parameters import ZONE_SCHEMA
from projections.web.problems import PROBLEM, PROBLEM_SCHEMA, ProblemDocument

_SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token of --token-file."},
    "basic": {"type": "http", "scheme": "basic", "description": "The same token as the password of any name."},
    "webhook": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "A signature of Standard Webhooks, with webhook-id and webhook-timestamp.",
    },
}


def describe(app: FastAPI, *, asks_for_token: bool) -> None:
    """Adds `/openapi.json`.

    Args:
        app: with all of its routes.
        asks_for_token: whether questions need one.
    """
    document = _document(app)
    if asks_for_token:
        document["security"] = [{"bearer": []}, {"basic": []}]

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        """The OpenAPI document."""
        return JSONResponse(document)


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes,
        tags=[
            {"name": "schedules", "description": "Questions, and the documents of the command line's --json."},
            {"name": "intake", "description": "Envelopes, as the publisher sends them."},
        ],
    )  # fmt: skip
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas[PROBLEM_SCHEMA] = TypeAdapter(ProblemDocument).json_schema()
    schemas[ZONE_SCHEMA] = {"type": "string", "enum": sorted(available_timezones())}
    components["securitySchemes"] = _SECURITY_SCHEMES
    for operations in document["paths"].values():
        for operation in operations.values():
            # A request that cannot be read is answered as one that makes no sense.
            operation["responses"].pop("422", None)
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
            operation["responses"] |= {str(status): PROBLEM for status in (401, 421, 503)}
    return document


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that may be left out, which in a query is not the same as null."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if not kinds:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **kinds[0]} if len(kinds) == 1 else {**rest, "anyOf": kinds}
