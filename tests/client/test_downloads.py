"""Pictures are saved completely and verified, or not at all."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import pytest

from imagefleet.client import Client
from imagefleet.downloads import is_complete
from imagefleet.errors import ConnectionLost, Refused
from imagefleet.models import StoredPicture
from tests.support.scripted_server import CUT, Behaviour, RecordedRequest, Reply, ScriptedServer, refusal

PATH = "/generated-images/a b.png"
CONTENT = bytes(range(256)) * 1000
IMAGE = StoredPicture(image_path=PATH, bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
SHORT = Reply(CONTENT[:1000], headers={"Content-Length": str(len(CONTENT))}, cut=True)


def test_a_picture_is_saved_at_the_given_path(fleet: Client, scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, Reply(CONTENT))
    assert fleet.download(IMAGE, tmp_path / "mine.png").read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir()] == ["mine.png"]


def test_an_older_file_is_replaced(fleet: Client, scripted: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(b"older")
    scripted.on("GET", PATH, Reply(CONTENT))
    assert fleet.download(StoredPicture(image_path=PATH), str(tmp_path / "mine.png")).read_bytes() == CONTENT


def test_a_download_is_retried_after_a_fault(fleet: Client, scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, CUT, SHORT, Reply(CONTENT[::-1]), Reply(CONTENT))
    assert fleet.download(IMAGE, tmp_path / "mine.png").read_bytes() == CONTENT


def serving(content: bytes, *cuts: int) -> list[Behaviour]:
    """Replies of a server that honours Range and If-Range; each breaks after so many bytes, but for one more at the end."""
    etag = f'"{hashlib.sha256(content).hexdigest()}"'

    def reply(request: RecordedRequest, cut: int | None) -> Reply:
        wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= len(content):
            return refusal(416, "ERR_RANGE_NOT_SATISFIABLE", "The range is outside the file.")
        whole = {"Content-Length": str(len(content) - start), "ETag": etag}
        part = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if wanted else {}
        end = None if cut is None else start + cut
        return Reply(content[start:end], 206 if wanted else 200, {**whole, **part}, cut=cut is not None)

    return [partial(reply, cut=cut) for cut in (*cuts, None)]


def parts(folder: Path) -> list[Path]:
    """The unfinished files there."""
    return sorted(folder.glob("*.part"))


def test_a_download_goes_on_where_it_broke_as_long_as_more_arrives(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, *serving(CONTENT, *[20_000] * 8))
    shown: list[tuple[int, int | None]] = []
    with Client(scripted.url, patience_s=0.3) as fleet:  # less than all pauses together
        saved = fleet.download(IMAGE, tmp_path / "mine.png", progress=lambda have, of: shown.append((have, of)))
    assert saved.read_bytes() == CONTENT
    assert [each.headers.get("range") for each in scripted.requests[:3]] == [None, "bytes=20000-", "bytes=40000-"]
    assert all(each.headers["if-range"] == f'"{IMAGE.sha256}"' for each in scripted.requests[1:])
    assert shown == sorted(shown)
    assert shown[-1] == (len(CONTENT), len(CONTENT))
    assert parts(tmp_path) == []


def test_another_process_goes_on_where_one_ended(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, *serving(CONTENT, 100_000))
    with Client(scripted.url, patience_s=0.0) as fleet, pytest.raises(ConnectionLost):
        fleet.download(IMAGE, tmp_path / "mine.png")
    assert [each.stat().st_size for each in parts(tmp_path)] == [100_000]
    with Client(scripted.url, patience_s=0.0) as fleet:
        assert fleet.download(IMAGE, tmp_path / "mine.png").read_bytes() == CONTENT
    assert scripted.requests[1].headers["range"] == "bytes=100000-"
    assert parts(tmp_path) == []


def test_what_has_arrived_whole_is_not_fetched_again(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, *serving(CONTENT, 100_000))
    with Client(scripted.url, patience_s=0.0) as fleet:
        with pytest.raises(ConnectionLost):
            fleet.download(IMAGE, tmp_path / "mine.png")
        parts(tmp_path)[0].write_bytes(CONTENT)
        assert fleet.download(IMAGE, tmp_path / "mine.png").read_bytes() == CONTENT
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("rubbish", [b"rubbish", CONTENT[::-1], CONTENT + b"more"])
def test_an_unfinished_file_that_is_none_of_it_is_replaced(
    fleet: Client, scripted: ScriptedServer, tmp_path: Path, rubbish: bytes
) -> None:
    (tmp_path / f"mine.png.{(IMAGE.sha256 or '')[:8]}.part").write_bytes(rubbish)
    scripted.on("GET", PATH, *serving(CONTENT))
    assert fleet.download(IMAGE, tmp_path / "mine.png").read_bytes() == CONTENT


def test_a_changed_picture_starts_anew(scripted: ScriptedServer, tmp_path: Path) -> None:
    changed = CONTENT[::-1]
    newer = IMAGE.model_copy(update={"sha256": hashlib.sha256(changed).hexdigest()})
    unknown = StoredPicture(image_path=PATH)
    with Client(scripted.url, patience_s=1.0) as fleet:
        scripted.on("GET", PATH, *serving(CONTENT, 50_000), *serving(changed))
        with pytest.raises(ConnectionLost), Client(scripted.url, patience_s=0.0) as impatient:
            impatient.download(IMAGE, tmp_path / "mine.png")
        scripted.on("GET", PATH, *serving(changed))
        assert fleet.download(newer, tmp_path / "mine.png").read_bytes() == changed
        scripted.on("GET", PATH, serving(CONTENT, 50_000)[0], *serving(changed))
        assert fleet.download(unknown, tmp_path / "other.png").read_bytes() == changed
    assert scripted.requests[-1].headers["if-range"] == f'"{IMAGE.sha256}"'


@pytest.mark.parametrize(
    "reply",
    [
        Reply(CONTENT[7:], 206, {"Content-Range": f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}"}),
        Reply(CONTENT, 206),
        refusal(416, "ERR_RANGE_NOT_SATISFIABLE", "Outside."),
    ],
)
def test_another_part_than_the_wanted_one_is_not_used(
    fleet: Client, scripted: ScriptedServer, tmp_path: Path, reply: Reply
) -> None:
    scripted.on("GET", PATH, serving(CONTENT, 50_000)[0], reply, *serving(CONTENT))
    assert fleet.download(StoredPicture(image_path=PATH), tmp_path / "mine.png").read_bytes() == CONTENT
    assert "range" not in scripted.requests[2].headers


def test_a_picture_elsewhere_is_fetched_without_the_key(tmp_path: Path) -> None:
    with ScriptedServer() as cdn, ScriptedServer() as scripted, Client(scripted.url, key="imgk_a_b") as fleet:
        cdn.on("GET", "/a.png", *serving(CONTENT, 50_000))
        scripted.on("GET", PATH, Reply(status=302, headers={"Location": f"{cdn.url}/a.png", "Set-Cookie": "a=b"}))
        assert fleet.download(IMAGE, tmp_path / "mine.png").read_bytes() == CONTENT
        assert scripted.requests[0].headers["authorization"] == "Bearer imgk_a_b"
        assert not any({"authorization", "cookie"} & set(each.headers) for each in cdn.requests)
        assert cdn.requests[1].headers["range"] == "bytes=50000-"


@pytest.mark.parametrize(("key", "query"), [(None, {"expires": "1", "signature": "s/+"}), ("imgk_a_b", {})])
def test_a_signature_is_sent_where_there_is_no_key(
    scripted: ScriptedServer, tmp_path: Path, key: str | None, query: dict[str, str]
) -> None:
    signed = IMAGE.model_copy(update={"signed_url": "https://public.example/a.png?expires=1&signature=s%2F%2B"})
    scripted.on("GET", PATH, *serving(CONTENT))
    with Client(scripted.url, key=key) as fleet:
        fleet.download(signed, tmp_path / "mine.png")
    assert scripted.requests[0].query == query


def test_a_long_name_has_room_for_an_unfinished_file(fleet: Client, scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, *serving(CONTENT))
    assert fleet.download(IMAGE, tmp_path / ("ü" * 125 + ".png")).read_bytes() == CONTENT


def test_a_folder_is_not_replaced_and_nothing_is_fetched_for_it(
    fleet: Client, scripted: ScriptedServer, tmp_path: Path
) -> None:
    with pytest.raises(IsADirectoryError):
        fleet.download(IMAGE, tmp_path)
    assert scripted.requests == []


def test_a_file_is_complete_if_it_is_the_announced_picture(tmp_path: Path) -> None:
    file = tmp_path / "mine.png"
    assert not is_complete(IMAGE, file)
    for content, complete in ((CONTENT, True), (CONTENT[::-1], False), (CONTENT[:-1], False), (b"", False)):
        file.write_bytes(content)
        assert is_complete(IMAGE, file) is complete
    assert not is_complete(StoredPicture(image_path=PATH), file)


@pytest.mark.parametrize("reply", [Reply(CONTENT + b"more"), Reply(CONTENT[::-1])])
def test_a_wrong_picture_leaves_no_file(scripted: ScriptedServer, tmp_path: Path, reply: Reply) -> None:
    (tmp_path / "mine.png").write_bytes(b"older")
    scripted.on("GET", PATH, reply)
    with Client(scripted.url, patience_s=0.1) as fleet, pytest.raises(ConnectionLost):
        fleet.download(IMAGE, tmp_path / "mine.png")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"older"]


def test_a_truncated_picture_of_unknown_size_is_refused(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, SHORT)
    with Client(scripted.url, patience_s=0.1) as fleet, pytest.raises(ConnectionLost):
        fleet.download(StoredPicture(image_path=PATH), tmp_path / "mine.png")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_picture_is_an_error_of_the_server(fleet: Client, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Not found"):
        fleet.download(IMAGE, tmp_path / "mine.png")


def test_a_disk_error_is_reported_as_a_disk_error(fleet: Client, scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, Reply(CONTENT))
    with pytest.raises(FileNotFoundError):
        fleet.download(IMAGE, tmp_path / "no such folder" / "mine.png")
