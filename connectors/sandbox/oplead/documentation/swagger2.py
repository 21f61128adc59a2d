"""The specification as Swagger 2.0 writes it."""

from collections.abc import Mapping

from connectors.sandbox.oplead.documentation.schemas import Schema
from connectors.sandbox.oplead.leads.rendering import Fields


def as_swagger_2(document: Schema) -> Schema:
    """Return a specification as Swagger 2.0 writes it; it cannot tell the entries of a list apart."""
    components: Fields = document["components"]  # type: ignore[assignment]  # written above
    schemes: Mapping[str, Schema] = components["securitySchemes"]  # type: ignore[assignment]
    bearer = {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Bearer <key>"}
    servers: list[Schema] = document["servers"]  # type: ignore[assignment]
    paths: Mapping[str, Mapping[str, object]] = document["paths"]  # type: ignore[assignment]
    return {
        "swagger": "2.0",
        "info": document["info"],
        "basePath": servers[0]["url"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "security": document["security"],
        "securityDefinitions": {name: bearer if one["type"] == "http" else one for name, one in schemes.items()},
        "paths": {
            path: {key: _swagger_2_path_part(key, _convert_to_swagger_2(value)) for key, value in item.items()}
            for path, item in paths.items()
        },
        "definitions": _convert_to_swagger_2(components["schemas"]),
    }


def _convert_to_swagger_2(value: object) -> object:
    """Return a value with its references and choices as Swagger 2.0 has them."""
    if isinstance(value, list):
        return [_convert_to_swagger_2(one) for one in value]
    if not isinstance(value, dict):
        return value
    if isinstance(reference := value.get("$ref"), str):
        return {"$ref": reference.replace("#/components/schemas/", "#/definitions/")}
    if isinstance(choices := value.get("oneOf"), list):
        names = [name for one in choices for name in one["properties"]]
        key = next(name for name in names if name != "value")
        enum = [known for one in choices for known in one["properties"][key]["enum"]]
        properties = {key: {"type": "string", "enum": enum}, "value": {"type": "string"}}
        return {"type": "object", "properties": properties}
    return {name: _convert_to_swagger_2(one) for name, one in value.items()}


def _swagger_2_path_part(key: str, part: object) -> object:
    """Return the parameters or an operation of a path."""
    if key == "parameters" and isinstance(part, list):
        return [_swagger_2_parameter(one) for one in part]
    operation: Schema = part  # type: ignore[assignment]  # anything else is an operation
    body: Schema = operation.pop("requestBody", {})  # type: ignore[assignment]
    parameters: list[Schema] = [_swagger_2_parameter(one) for one in operation.pop("parameters", [])]  # type: ignore[attr-defined]
    for media, said in body.get("content", {}).items():  # type: ignore[attr-defined]
        if media == "multipart/form-data":
            operation["consumes"] = [media]
            parameters += [{"name": name, "in": "formData", "type": "file"} for name in said["schema"]["properties"]]
        else:
            parameters.append({"name": "body", "in": "body", "required": True, "schema": said["schema"]})
    answers: Mapping[str, Schema] = operation["responses"]  # type: ignore[assignment]
    operation["responses"] = {status: _swagger_2_response(one) for status, one in answers.items()}
    return {**operation, **({"parameters": parameters} if parameters else {})}


def _swagger_2_parameter(parameter: Schema) -> Schema:
    schema: Schema = parameter.pop("schema")  # type: ignore[assignment]
    return {**parameter, **schema}


def _swagger_2_response(answer: Schema) -> Schema:
    content: Mapping[str, Schema] = answer.pop("content", {})  # type: ignore[assignment]
    headers: Mapping[str, Schema] = answer.pop("headers", {})  # type: ignore[assignment]
    schema = next(({"schema": one["schema"]} for one in content.values()), {})
    flat = {name: {"type": "string", "description": one["description"]} for name, one in headers.items()}
    return {**answer, **schema, **({"headers": flat} if flat else {})}
