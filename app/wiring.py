"""The one place where adapters and services are joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gevent.monkey import is_module_patched

from app.adapters.background import Background
from app.adapters.bus import RedisBus
from app.adapters.chance import SystemChance
from app.adapters.commands import Commands
from app.adapters.http import Fetcher
from app.adapters.redis_clients import redis_client
from app.adapters.scanner import ClamdScanner, NoScanner
from app.adapters.store import LocalStore
from app.adapters.studio import PictureStudio
from app.adapters.tasks import CeleryTasks
from app.adapters.tokens_jwt import JsonWebTokens
from app.config import Settings
from app.db.committing import Committer, others_want_the_loop
from app.db.engine import Database, Runner, inline
from app.services.access import Access
from app.services.accounts import Accounts
from app.services.admission import Admission
from app.services.cancellation import Cancellation
from app.services.dispatch import Dispatch
from app.services.download import Download
from app.services.extensions import Extensions
from app.services.fleet import Fleet
from app.services.generation import Generation
from app.services.health import Health
from app.services.housekeeping import Housekeeping
from app.services.lookup import Lookup
from app.services.requeueing import Requeueing
from app.services.submission import Submission
from app.services.tidying import Tidying
from app.services.tools import Tools
from app.services.uploads import Uploads
from app.services.watching import Watching
from celery_config import configured


@dataclass(frozen=True, slots=True)
class House:
    """Every service of one process."""

    settings: Settings
    tools: Tools
    access: Access
    accounts: Accounts
    submission: Submission
    lookup: Lookup
    watching: Watching
    cancellation: Cancellation
    dispatch: Dispatch
    generation: Generation
    extensions: Extensions
    fleet: Fleet
    download: Download
    uploads: Uploads
    housekeeping: Housekeeping
    tidying: Tidying
    health: Health


def real_tools(settings: Settings) -> Tools:
    """The adapters that touch the world."""
    background, commands = Background("hints"), Commands(redis_client(settings.redis_url))
    return Tools(
        settings=settings,
        database=Database(settings.database_url, _committer(), green=is_module_patched("socket")),
        tasks=CeleryTasks(configured(settings), background, commands, _alone()),
        bus=RedisBus(commands, background),
        store=LocalStore(settings.storage_path),
        fetch=Fetcher(settings.image_source_allowlist),
        scanner=ClamdScanner(settings.clamav_url) if settings.clamav_url else NoScanner(),
        studio=PictureStudio(),
        chance=SystemChance(),
        tokens=JsonWebTokens(settings),
    )


def build(tools: Tools) -> House:
    """The services, joined."""
    requeueing = Requeueing(tools)
    extensions = Extensions(tools, requeueing)
    watching = Watching(tools)
    access = Access(tools)
    dispatch = Dispatch(tools, requeueing)
    return House(
        settings=tools.settings,
        tools=tools,
        access=access,
        accounts=Accounts(tools, access),
        submission=Submission(tools, Admission(tools), dispatch),
        lookup=Lookup(tools, watching),
        watching=watching,
        cancellation=Cancellation(tools),
        dispatch=dispatch,
        generation=Generation(tools, requeueing),
        extensions=extensions,
        fleet=Fleet(tools),
        download=Download(tools),
        uploads=Uploads(tools),
        housekeeping=Housekeeping(tools, requeueing, extensions),
        tidying=Tidying(tools),
        health=Health(tools),
    )


def _alone() -> Callable[[], bool]:
    """Whether nobody else wants to run in this process; threads cannot tell."""
    return (lambda: not others_want_the_loop()) if is_module_patched("socket") else (lambda: False)


def _committer() -> Runner:
    return Committer() if is_module_patched("socket") else inline
