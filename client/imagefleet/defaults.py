"""This package's version, as pyproject.toml has it, and where a server is looked for."""

VERSION = "0.1.0"
DEFAULT_URL = "http://localhost:3000"
