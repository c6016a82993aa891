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


def small_picture(address: str, side: int) -> QImage:
    """The picture of a data URI, not larger than a square; a null image for one that cannot be shown."""
    head, _, data = address.partition(",")
    form = head[len("data:image/") :].partition(";")[0].lower()
    if form not in _FORMATS or len(data) > _LARGEST:
        return QImage()
    try:
        raw = b64decode(data)
    except (binascii.Error, ValueError):
        return QImage()
    buffer = QBuffer()
    buffer.setData(QByteArray(raw))
    buffer.open(QBuffer.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer, QByteArray(form.encode()))
    reader.setAutoDetectImageFormat(False)
    size = reader.size()
    if not size.isValid() or size.width() * size.height() > _MOST_POINTS:
        return QImage()
    wanted = QSize(side, side)
    if size.width() > side or size.height() > side:
        reader.setScaledSize(size.scaled(wanted, Qt.AspectRatioMode.KeepAspectRatio).expandedTo(QSize(1, 1)))
    return reader.read()
