"""Commands for what data protection asks for."""

import json
import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, BinaryIO

import click
from zipstream import ZipStream

from app.container import Services
from app.db.personal_data import PARTS
from app.manage.console import GetServices, command

CHUNK_BYTES = 65_536
PICTURES_ARE_COMPRESSED = 0


@command("export-user")
@click.argument("user")
@click.option("--output", type=click.File("wb", atomic=True), default="-", help="A file; by default stdout.")
@click.option("--pictures", is_flag=True, help="With the pictures themselves.")
def export_user(get_services: GetServices, user: str, output: BinaryIO, pictures: bool) -> None:
    """Write everything that is stored about a user as a zip.

    It contains a file of JSON lines for each kind of thing: the account, keys (without secrets), requests, events, batches,
    styles, webhooks and more. Times are in milliseconds since 1970.
    """
    services = get_services()
    services.personal_data.check(user)
    for piece in _archive(services, user, pictures=pictures):
        output.write(piece)


@command("delete-user")
@click.argument("user")
@click.option("--with-pictures", is_flag=True, help="Also delete requests, pictures, batches, styles and webhooks.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete_user(get_services: GetServices, user: str, with_pictures: bool, yes: bool) -> None:
    """Delete a user.

    The account and its keys are deleted. Without --with-pictures requests, pictures and what else the user has made stay.
    With it open requests are cancelled and everything is deleted; if that is interrupted, run it again. A token that was issued
    without a key stays valid until it expires, at most TOKEN_LIFETIME_MS: use disable-user first, and this afterwards.
    """
    data = get_services().personal_data
    data.check(user)
    if not yes:
        what = "and everything that is stored about this user" if with_pictures else "with its keys"
        click.confirm(f"Delete {user} {what}?", abort=True)
    if with_pictures:
        click.echo(f"{user} is deleted, with {data.erase(user)} requests and their pictures.")
    else:
        data.close_account(user)
        click.echo(f"{user} is deleted. Requests and pictures stay; delete-user --with-pictures deletes them too.")


def _archive(services: Services, user: str, *, pictures: bool) -> Iterator[bytes]:
    archive = ZipStream(compress_type=zipfile.ZIP_DEFLATED)
    for part in PARTS:
        archive.add(_lines(services.personal_data.rows(user, part)), f"{part}.jsonl")
        yield from archive.all_files()
    for name in services.personal_data.files(user) if pictures else ():
        content = services.ports.store.open(name)
        if content is not None:
            with content:
                pieces = iter(partial(content.read, CHUNK_BYTES), b"")
                archive.add(pieces, f"pictures/{name}", compress_level=PICTURES_ARE_COMPRESSED)
                yield from archive.all_files()
    yield from archive.footer()


def _lines(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


COMMANDS = (export_user, delete_user)
