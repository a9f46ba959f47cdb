"""The page on which anybody judges a photo of their own: what it serves, in English and Korean, and what it refuses."""
