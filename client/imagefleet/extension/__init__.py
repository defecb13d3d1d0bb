"""The reference extension: it does what the browser extension does, on machines without a browser."""

from imagefleet.extension.drawing import Picture, ReportProgress, draw
from imagefleet.extension.extension import Extension, Settings
from imagefleet.extension.messages import OPERATIONS

__all__ = ["OPERATIONS", "Extension", "Picture", "ReportProgress", "Settings", "draw"]
