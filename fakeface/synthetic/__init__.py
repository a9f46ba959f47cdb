"""The drawn sample: face-like photos and composites of them, rendered from random traits."""
