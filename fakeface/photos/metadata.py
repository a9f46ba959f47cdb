"""Files without their metadata: text, colour profiles and so on, which Pillow limits and checks though no pixel needs them."""

import struct

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = {b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT"}
"""Chunks that a decoder may skip (lower-case first letter), but that tell transparency, orientation and frames."""
JPEG_START = b"\xff\xd8"
APP0, APP1, APP14, APP15, COMMENT = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
EXIF, ADOBE = b"Exif\0\0", b"Adobe"
ADOBE_BYTES = 12


def strip_metadata(data: bytes) -> bytes:
    """A PNG or JPEG with the same pixels, orientation and frames and with nothing else; other data as they are."""
    if data.startswith(PNG_SIGNATURE):
        return _strip_png(data)
    return _strip_jpeg(data) if data.startswith(JPEG_START) else data


def _strip_png(data: bytes) -> bytes:
    """Chunks: length of the body, name, body, checksum (PNG specification, section 5.3)."""
    kept, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + length + 12
        if name[:1].isupper() or name in PNG_KEPT:
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def _strip_jpeg(data: bytes) -> bytes:
    """Segments: 0xFF, marker, length of length and body, body (ITU-T T.81, annex B). Metadata come first."""
    kept, position = [JPEG_START], len(JPEG_START)
    while position + 4 <= len(data):
        fill, marker, length = struct.unpack_from(">BBH", data, position)
        if fill != 0xFF or not (APP0 <= marker <= APP15 or marker == COMMENT):
            break
        end = position + 2 + length
        body = data[position + 4 : end]
        tells_colours = marker == APP14 and body.startswith(ADOBE) and len(body) >= ADOBE_BYTES
        if tells_colours or (marker == APP1 and body.startswith(EXIF)):
            kept.append(data[position:end])
        position = end
    return b"".join([*kept, data[position:]])
