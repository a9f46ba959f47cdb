"""How much a JPEG was compressed, estimated from its header."""

import io

from PIL import Image

STANDARD_LUMA_SUM = 3688
"""The sum of the 64 entries of the luma table that libjpeg scales by the quality (ITU-T T.81, table K.1)."""


def jpeg_quality(data: bytes) -> int | None:
    """The quality from 1 to 100 by which libjpeg would have made a JPEG's luma table; None of data in another format.

    libjpeg's tables are the standard ones times s percent, s = 5000 / q for a quality q below 50 and 200 - 2 q from there on
    (jpeg_quality_scaling in jcparam.c). Here s is the ratio of the tables' sums, and q what follows from it: off by 1 at most
    from 17 to 100, and below, where entries end at 255, too high by up to 10.
    """
    with Image.open(io.BytesIO(data)) as image:
        tables: dict[int, list[int]] = getattr(image, "quantization", {})
        if image.format not in ("JPEG", "MPO") or 0 not in tables:
            return None
    percent = 100 * sum(tables[0]) / STANDARD_LUMA_SUM
    quality = (200 - percent) / 2 if percent <= 100 else 5000 / percent
    return max(1, min(100, round(quality)))
