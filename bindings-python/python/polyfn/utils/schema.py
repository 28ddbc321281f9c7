"""What `hypha_rpc.utils.schema` has: the decorators of `polyfn.schema`."""

from ..schema import Field, parse_schema_function, schema_function, schema_method, schema_service

__all__ = ["Field", "parse_schema_function", "schema_function", "schema_method", "schema_service"]
