"""The MCP server on stdin and stdout."""

from __future__ import annotations

import logging

from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

from imagefleet.async_client import AsyncClient
from imagefleet.async_transport import AsyncTransport
from imagefleet.defaults import VERSION
from imagefleet.mcp_server.tools import Tools

PATIENCE_S = 3.0
INSTRUCTIONS = """\
Imagefleet generates pictures from prompts with a fleet of connected image generators.
generate_image submits a request and returns its pictures. A request takes from seconds to minutes; one that is not finished within \
wait_seconds continues, and get_image returns its pictures later. Pictures that are too large for a result are shown as thumbnails; \
their full size is at the address beside them. queue_status tells why requests wait and which models can be used; list_styles \
lists named templates of prompts."""


async def serve(address: str, key: str | None) -> None:
    """Serve until stdin ends. Raises ValueError if the address or the key cannot be one."""
    logging.basicConfig(level=logging.WARNING, format="imagefleet: %(message)s")
    logging.getLogger("imagefleet").setLevel(logging.INFO)
    async with (
        AsyncClient(address, key=key, patience_s=PATIENCE_S) as client,
        AsyncTransport(address, key) as transport,
    ):
        await server_of(Tools(client, transport)).run_stdio_async()


def server_of(tools: Tools) -> MCPServer:
    """The server that offers these tools."""
    server: MCPServer = MCPServer("imagefleet", title="Imagefleet", version=VERSION, instructions=INSTRUCTIONS)
    making = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
    reading = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    server.add_tool(tools.generate_image, title="Generate pictures", annotations=making)
    server.add_tool(tools.get_image, title="Get the pictures of a request", annotations=reading)
    server.add_tool(tools.list_images, title="List requests", annotations=reading)
    server.add_tool(tools.queue_status, title="Show the queue", annotations=reading)
    server.add_tool(tools.list_styles, title="List styles", annotations=reading)
    return server
