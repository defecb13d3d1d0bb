"""`imagefleet mcp`: the service as tools for programs that speak the Model Context Protocol (MCP). Needs the extra [mcp]."""
