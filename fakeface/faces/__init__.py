"""Faces: found in a photo, aligned in a crop, and which part of a face each pixel shows."""
