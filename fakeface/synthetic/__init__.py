"""The sample of face-like photos and composites that the project draws itself."""
