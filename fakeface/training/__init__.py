"""Training: the loop (fit) and what it uses: networks, losses, batches, checkpoints, calibration, export, devices.

Importing this room, before torch, decides how torch's threads wait for each other: an idle thread stays awake for so many
turns, then sleeps and gives up its core. Compared with the default, a training takes up to 5 % longer on an idle machine,
and a seventh of the time on a busy one (docs/log.md).
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # read by torch's OpenMP as it is loaded
