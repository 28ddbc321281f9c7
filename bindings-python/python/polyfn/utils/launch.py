"""What `hypha_rpc.utils.launch` has: programs that are started for their services."""

from ..launch import ExternalServices, launch_external_services

__all__ = ["ExternalServices", "launch_external_services"]
