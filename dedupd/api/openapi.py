"""The OpenAPI description, made from the route table and the message types. Pure."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

import dedupd
from dedupd.api.routes import NDJSON, ROUTES, SSE, Body, RouteSpec
from dedupd.protocol.failures import FailureMessage

_COMPONENTS = "#/components/schemas/"
_ALWAYS = (400, 500, 503)
_MEANINGS = {
    400: "The request is wrong; the message says what",
    403: "Not this user; the message says which setting admits whom",
    404: "The library has nothing of this name",
    408: "The body did not arrive in time",
    413: "The body is too large",
    422: "The bytes are no picture that can be read",
    500: "A fault in the daemon; its log has the details",
    503: "Not now: try again",
}

_PATH_SCHEMAS: dict[str, dict[str, Any]] = {
    "id": {"type": "integer", "minimum": 0},
    "plan": {"type": "string", "pattern": "^[0-9A-Fa-f]{8,64}$", "description": "its id, or a start of it"},
}


def describe_api() -> dict[str, Any]:
    """An OpenAPI 3.1 document of every route."""
    types = [spec.answer for spec in ROUTES if spec.answer is not None]
    types += [spec.body_type for spec in ROUTES if spec.body_type is not None]
    types += [spec.query for spec in ROUTES]
    schemas, components = msgspec.json.schema_components([*types, FailureMessage], ref_template=_COMPONENTS + "{name}")
    schema_of = dict(zip(map(id, types), schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for spec in ROUTES:
        query = components[spec.query.__name__]["properties"]
        answer = None if spec.answer is None else schema_of[id(spec.answer)]
        paths.setdefault(spec.path, {})[spec.method.lower()] = _operation(spec, query, answer)
    used = {name: schema for name, schema in components.items() if not name.endswith("Query")}
    for schema in used.values():
        schema["description"] = inspect.cleandoc(schema["description"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dedupd",
            "version": dedupd.__version__,
            "description": "Questions about a photo library, over a Unix socket. See docs/api.md.",
        },
        "paths": paths,
        "components": {"schemas": used},
    }


def _operation(spec: RouteSpec, query: dict[str, Any], answer: dict[str, Any] | None) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": spec.name,
        "summary": spec.summary,
        "parameters": [*_path_parameters(spec), *_query_parameters(spec, query)],
        "responses": {str(spec.status): {"description": spec.summary, "content": _contents(spec, answer)}},
    }
    for status in sorted({*_ALWAYS, *spec.refusals, *([403] if spec.is_admin else [])}):
        schema = {"$ref": _COMPONENTS + FailureMessage.__name__}
        content = {"application/json": {"schema": schema}}
        operation["responses"][str(status)] = {"description": _MEANINGS[status], "content": content}
    if spec.body is Body.IMAGE:
        image = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": {spec.body.value: image}}
    elif spec.body_type is not None:
        schema = {"$ref": _COMPONENTS + spec.body_type.__name__}
        is_required = any(field.required for field in msgspec.structs.fields(spec.body_type))
        operation["requestBody"] = {"required": is_required, "content": {spec.body.value: {"schema": schema}}}
    return operation


def _contents(spec: RouteSpec, answer: dict[str, Any] | None) -> dict[str, Any]:
    """Media type → schema; JSON answers have theirs, lines and events each their own; other bytes are a string."""
    if answer is None:
        return {media: {"schema": {"type": "string"}} for media in spec.media_types}
    described = {"application/json": answer, NDJSON: answer, SSE: _event_of(answer)}
    return {media: {"schema": described.get(media, {"type": "string"})} for media in spec.media_types}


def _event_of(data: dict[str, Any]) -> dict[str, Any]:
    """A server-sent event whose data is JSON, in the form of OpenAPI 3.2's chapter on sequential media types."""
    json_data = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    fields = {"id": {"type": "string"}, "event": {"type": "string"}, "data": json_data}
    return {"type": "object", "properties": fields}


def _path_parameters(spec: RouteSpec) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS[name]}
        for name in re.findall(r"\{(\w+)\}", spec.path)
    ]


def _query_parameters(spec: RouteSpec, properties: dict[str, Any]) -> list[dict[str, Any]]:
    required = {field.name for field in msgspec.structs.fields(spec.query) if field.required}
    parameters = []
    for name, schema in properties.items():
        bare = {key: value for key, value in schema.items() if key != "description"}
        parameter = {"name": name, "in": "query", "required": name in required, "schema": bare}
        if "description" in schema:
            parameter["description"] = schema["description"]
        parameters.append(parameter)
    return parameters
