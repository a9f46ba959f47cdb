"""Which photos share a photo or a part of one (near-duplicates, data leakage): features, shortlist, matching."""
