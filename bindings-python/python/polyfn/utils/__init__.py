"""What `hypha_rpc.utils` has, under the same names, for programs that move over."""

from ..case import convert_case, to_camel_case, to_snake_case
from ..functions import run_in_executor
from ..launch import launch_external_services
from ..proxy import ObjectProxy
from ..urls import parse_service_url

__all__ = [
    "ObjectProxy",
    "convert_case",
    "launch_external_services",
    "parse_service_url",
    "run_in_executor",
    "to_camel_case",
    "to_snake_case",
]
