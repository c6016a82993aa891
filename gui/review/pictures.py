"""The pictures of a message as small pictures. They are read from the message itself; nothing is fetched."""

from __future__ import annotations

import binascii
from base64 import b64decode

from PySide6.QtCore import QBuffer, QByteArray, QSize, Qt
from PySide6.QtGui import QImage, QImageReader

_FORMATS = ("png", "jpeg", "gif", "webp", "bmp")
"""What is read; a drawing (SVG) could ask for files."""

_LARGEST = 32_000_000
"""Characters of a picture's data, at most."""

_MOST_POINTS = 60_000_000
"""Points of a picture, at most."""


_HEAD = 40_000
"""Characters of a picture's data in which its size is looked for."""


def size_of(address: str) -> QSize:
    """The size of the picture of a data URI, from its head; an invalid one where that does not give it."""
    form, raw = _content(address, _HEAD)
    buffer = _buffer(raw)
    return _reader(buffer, form).size()


def small_picture(address: str, side: int) -> QImage:
    """The picture of a data URI, not larger than a square; a null image for one that cannot be shown."""
    form, raw = _content(address, _LARGEST)
    buffer = _buffer(raw)
    reader = _reader(buffer, form)
    size = reader.size()
    if not size.isValid() or size.width() * size.height() > _MOST_POINTS:
        return QImage()
    if size.width() > side or size.height() > side:
        reader.setScaledSize(size.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio).expandedTo(QSize(1, 1)))
    return reader.read()


def _content(address: str, most: int) -> tuple[str, bytes]:
    """The format and the first bytes of a picture; none of one that is not read."""
    head, _, data = address[: most + 100].partition(",")
    form = head[len("data:image/") :].partition(";")[0].lower()
    if form not in _FORMATS or len(address) > _LARGEST:
        return "", b""
    try:
        return form, b64decode(data[: len(data) // 4 * 4])
    except (binascii.Error, ValueError):
        return "", b""


def _buffer(raw: bytes) -> QBuffer:
    buffer = QBuffer()
    buffer.setData(QByteArray(raw))
    buffer.open(QBuffer.OpenModeFlag.ReadOnly)
    return buffer


def _reader(buffer: QBuffer, form: str) -> QImageReader:
    """Reads a buffer, which has to outlive it, as a picture of one format and no other."""
    reader = QImageReader(buffer, QByteArray(form.encode()))
    reader.setAutoDetectImageFormat(False)
    return reader
