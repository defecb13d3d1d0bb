"""A minimal submission: the same server and validation, and one insert of SQLAlchemy Core with its commit.

There is no query, no authentication, no limit and no wake-up. Durability is that of the service:
the engine for SQLite is its own, and that for PostgreSQL is SQLAlchemy's with as many connections. `/cached` is
the least that an answer can be.
"""

from __future__ import annotations

import os
import time
import uuid

from flask import Flask, Response, request
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    insert,
    make_url,
)

from app.db import sqlite
from app.db.postgres import CONNECTIONS
from app.web.request_schemas import GenerateRequest

metadata = MetaData()
requests = Table(
    "requests",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("prompt", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
ANSWER = b'{"requestId": "%s", "status": "accepted", "message": "Image generation request submitted"}'
CACHED = ANSWER % str(uuid.uuid4()).encode()


def pooled(url: str) -> Engine:
    """As many connections as the service keeps to write."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return sqlite.write_engine(parsed)
    return create_engine(parsed, pool_size=CONNECTIONS, max_overflow=0)


app = Flask(__name__, static_folder=None)
if url := os.environ.get("FLOOR_DATABASE_URL"):
    engine = pooled(url)
    with engine.begin() as connection:
        metadata.create_all(connection)


@app.post("/api/images/generate")
def submit() -> Response:
    """Check, insert, commit, answer."""
    body = GenerateRequest.model_validate_json(request.get_data())
    request_id = str(uuid.uuid4())
    with engine.begin() as connection:
        connection.execute(
            insert(requests),
            {
                "id": request_id,
                "user_id": body.user_id or "cli-user",
                "model": body.model,
                "prompt": body.prompt,
                "parameters": body.parameters,
                "status": "accepted",
                "created_at": time.time_ns() // 1_000_000,
            },
        )
    return Response(ANSWER % request_id.encode(), content_type="application/json")


@app.get("/cached")
def cached() -> Response:
    """What is known already."""
    return Response(CACHED, content_type="application/json")
