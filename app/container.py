"""Connects adapters and services."""

from dataclasses import dataclass

from app.adapters.background import BackgroundRunner
from app.adapters.bus import RedisBus
from app.adapters.celery_app import make_celery
from app.adapters.decoders import DecoderPool
from app.adapters.http import Fetcher
from app.adapters.metrics import PrometheusMetrics
from app.adapters.poster import Poster
from app.adapters.randomness import SystemRandomness
from app.adapters.redis_clients import redis_client
from app.adapters.scanner import ClamdScanner, NoScanner
from app.adapters.store import LocalStore
from app.adapters.tasks import CeleryTasks
from app.adapters.tokens_jwt import JsonWebTokens
from app.config import Settings
from app.db.engine import Database
from app.services.access import Access
from app.services.accounts import Accounts
from app.services.admission import Admission
from app.services.allowances import Allowances
from app.services.batch_control import BatchControl
from app.services.batch_creation import BatchCreation
from app.services.batch_items import BatchItems
from app.services.batch_lookup import BatchLookup
from app.services.batch_results import BatchResults
from app.services.batch_retrying import BatchRetrying
from app.services.batch_sweep import BatchSweep
from app.services.cancellation import Cancellation
from app.services.cleanup import Cleanup
from app.services.diagnostics import Diagnostics, Parts
from app.services.dispatch import Dispatch
from app.services.download import Download
from app.services.extensions import Extensions
from app.services.fleet import Fleet
from app.services.fleet_summaries import FleetSummaries
from app.services.generation import Generation
from app.services.health import Health
from app.services.holding import Holding
from app.services.housekeeping import Housekeeping
from app.services.idempotency import Idempotency
from app.services.input_images import InputImages
from app.services.inputs import Inputs
from app.services.lookup import Lookup
from app.services.personal_data import PersonalData
from app.services.picture_grants import PictureGrants
from app.services.ports import Ports, Store
from app.services.previews import Previews
from app.services.queue_controls import QueueControls
from app.services.queue_status import QueueStatus
from app.services.removal import Removal
from app.services.renditions import Renditions
from app.services.repeats import Repeats
from app.services.reporting import Reporting
from app.services.requeueing import Requeueing
from app.services.reuse import Reuse
from app.services.snapshots import MAX_AGE_S
from app.services.styles import Styles
from app.services.submission import Submission
from app.services.telemetry import Telemetry
from app.services.uploads import Uploads
from app.services.verification import Verification
from app.services.waiting import Waiting
from app.services.watching import Watching
from app.services.webhook_delivery import WebhookDelivery
from app.services.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Services:
    """Every service of one process."""

    settings: Settings
    ports: Ports
    access: Access
    accounts: Accounts
    allowances: Allowances
    submission: Submission
    inputs: Inputs
    input_images: InputImages
    idempotency: Idempotency
    repeats: Repeats
    styles: Styles
    lookup: Lookup
    renditions: Renditions
    picture_grants: PictureGrants
    previews: Previews
    watching: Watching
    cancellation: Cancellation
    removal: Removal
    holding: Holding
    queue_controls: QueueControls
    queue_status: QueueStatus
    batch_creation: BatchCreation
    batch_control: BatchControl
    batch_retrying: BatchRetrying
    batch_lookup: BatchLookup
    batch_results: BatchResults
    dispatch: Dispatch
    generation: Generation
    extensions: Extensions
    fleet: Fleet
    download: Download
    reuse: Reuse
    uploads: Uploads
    housekeeping: Housekeeping
    cleanup: Cleanup
    webhooks: Webhooks
    webhook_delivery: WebhookDelivery
    health: Health
    diagnostics: Diagnostics
    telemetry: Telemetry
    verification: Verification
    personal_data: PersonalData
    reporting: Reporting


def real_store(settings: Settings) -> Store:
    """The folder or the bucket for pictures."""
    local = LocalStore(settings.storage_path)
    if settings.s3_storage is None:
        return local
    from app.adapters.s3_store import S3Store  # noqa: PLC0415 - boto3 is slow to load and only a bucket needs it

    return S3Store(settings.s3_storage, local)


def real_ports(settings: Settings) -> Ports:
    """The real adapters."""
    background, client = BackgroundRunner("hints"), redis_client(settings.redis_url)
    decoders = DecoderPool(settings.worker_processes)
    database, metrics = Database(settings.database_url), PrometheusMetrics()
    metrics.watch(database)
    return Ports(
        settings=settings,
        database=database,
        tasks=CeleryTasks(make_celery(settings), client, background, settings.sweep_interval_ms),
        bus=RedisBus(client, background),
        store=real_store(settings),
        fetch=Fetcher(settings.image_source_allowlist),
        post=Poster(settings.webhook_allowlist),
        scanner=ClamdScanner(settings.clamav_url) if settings.clamav_url else NoScanner(),
        validator=decoders,
        randomness=SystemRandomness(),
        tokens=JsonWebTokens(settings),
        renderer=decoders.render,
        metrics=metrics,
    )


def build(ports: Ports, summary_age_s: float = MAX_AGE_S) -> Services:
    """Build all services on these ports. `summary_age_s` is how old the summary of the fleet may be that waiting requests show."""
    summaries = FleetSummaries(ports, summary_age_s)
    waiting = Waiting(ports, summaries)
    requeueing = Requeueing(ports)
    extensions = Extensions(ports, requeueing)
    watching = Watching(ports)
    access = Access(ports)
    styles = Styles(ports)
    holding = Holding(ports)
    queue_controls = QueueControls(ports, holding, summaries)
    admission = Admission(ports)
    cancellation = Cancellation(ports)
    items = BatchItems(ports, styles)
    control = BatchControl(ports, cancellation)
    reuse = Reuse(ports, requeueing, holding)
    webhooks = Webhooks(ports)
    input_images = InputImages(ports)
    return Services(
        settings=ports.settings,
        ports=ports,
        access=access,
        accounts=Accounts(ports, access),
        allowances=Allowances(ports),
        submission=Submission(ports, admission, styles, reuse, waiting, webhooks, input_images),
        inputs=Inputs(ports, admission),
        input_images=input_images,
        idempotency=Idempotency(ports),
        repeats=Repeats(ports),
        styles=styles,
        lookup=Lookup(ports, watching, waiting),
        renditions=Renditions(ports),
        picture_grants=PictureGrants(ports),
        previews=Previews(ports),
        watching=watching,
        cancellation=cancellation,
        removal=Removal(ports),
        holding=holding,
        queue_controls=queue_controls,
        queue_status=QueueStatus(ports, summaries, summary_age_s),
        batch_creation=BatchCreation(ports, admission, items, waiting, webhooks),
        batch_control=control,
        batch_retrying=BatchRetrying(ports, admission, items),
        batch_lookup=BatchLookup(ports, watching),
        batch_results=BatchResults(ports),
        dispatch=Dispatch(ports, requeueing),
        generation=Generation(ports, requeueing),
        extensions=extensions,
        fleet=Fleet(ports),
        download=Download(ports),
        reuse=reuse,
        uploads=Uploads(ports),
        housekeeping=Housekeeping(ports, requeueing, extensions, queue_controls, BatchSweep(ports, control), reuse),
        cleanup=Cleanup(ports),
        webhooks=webhooks,
        webhook_delivery=WebhookDelivery(ports),
        health=Health(ports),
        diagnostics=Diagnostics(
            Parts(ports.settings, lambda: ports.database, ports.tasks, ports.bus, lambda: ports.store)
        ),
        telemetry=Telemetry(ports),
        verification=Verification(ports),
        personal_data=PersonalData(ports, access, cancellation),
        reporting=Reporting(ports.settings.database_url),
    )
