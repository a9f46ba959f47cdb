"""Training: the loop, networks and losses, augmentation, packed images, checkpoints, calibration, devices.

Importing this room, before torch, decides how torch's threads wait for each other: a thread with nothing to do stays awake
for so many turns, then sleeps and leaves its core to whoever wants it. On an idle machine a training takes up to 5 % longer
so than with the default, on a busy one a seventh of the time (docs/log.md).
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # read by torch's OpenMP as it is loaded
