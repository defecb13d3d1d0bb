"""This package's version, as in pyproject.toml, and the default server address."""

VERSION = "0.1.0"
DEFAULT_URL = "http://localhost:3000"
