"""The settings of the service that the commands are for."""

import os
from dataclasses import replace

from app.config import Settings
from app.environment import Environment
from app.launch import embedded


def service_settings() -> Settings:
    """Those of the environment. The Redis that `make run` has started here is found by its socket. Raises BadSetting."""
    settings = Settings.from_env()
    found = None if Environment(os.environ).given("REDIS_URL") else embedded.running()
    return settings if found is None else replace(settings, redis_url=found)
