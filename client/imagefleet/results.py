"""The results of a batch, line by line, across faults."""

from __future__ import annotations

from imagefleet.calls import batches
from imagefleet.errors import BadAnswer, ConnectionLost, ImagefleetError
from imagefleet.flows import Close, Emit, Flow, NextPiece, Open, Patience, Sleep
from imagefleet.models import ImageRequest
from imagefleet.models.base import decoded

LONGEST_LINE_BYTES = 16 * 1_048_576


def of_batch(batch_id: str, patience: Patience) -> Flow[None]:
    """Emit the result of each item in their order. After a fault the list is read anew, and what was emitted is passed over."""
    retries, last = patience.retries(), 0
    while True:
        try:
            yield Open(batches.results(batch_id))
            line = b""
            while (piece := (yield NextPiece())) is not None:
                *lines, line = (line + piece).split(b"\n")
                for each in lines:
                    result = ImageRequest.read(decoded(each))
                    if result.index is not None and result.index > last:
                        retries.reset()
                        last = result.index
                        yield Emit(result)
                if len(line) > LONGEST_LINE_BYTES:
                    raise BadAnswer("The server sent a line that is too long.")
            if not line:
                return
            error: ImagefleetError = ConnectionLost("The list of results broke off.")
        except ImagefleetError as raised:
            error = raised
        yield Close()
        yield Sleep(retries.pause_s(error))
