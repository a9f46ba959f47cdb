"""Find near-duplicates and shared parts (data leakage) among the photos, so that `split` can keep them on one side.

reads   IMAGES, the index; the photos in data.root; params.yaml: data, relate
does    links the same bytes, the same pixels, and what local features show to hold a part of the same photo, mirrored or not
writes  RELATIONS/pairs.csv, a row per link; RELATIONS/groups.csv, a row per image with its group; METRICS, counts

Features and comparisons are cached by content in .cache/relate of the checkout: a later run computes only what is new.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.checkout import checkout_root
from fakeface.core.console import tell
from fakeface.core.errors import run_as_command
from fakeface.core.files import each_row, write_json, write_rows
from fakeface.core.parallel import on_all_machines
from fakeface.core.records import GroupRecord, ImageRecord, PairRecord, RelationKind
from fakeface.params import DataParams, RelateParams, load_params
from fakeface.photos.images import read_indexed
from fakeface.relations.cache import Cache, ComparisonRecord, open_cache, prune_caches
from fakeface.relations.features import Features, detect_features, mirror_features, pixels_digest
from fakeface.relations.matching import connected_groups, count_shared_points
from fakeface.relations.shortlist import FeatureTable, shortlist


@dataclass(frozen=True)
class Paths:
    images: Annotated[Path, "CSV to read: the index"]
    relations: Annotated[Path, "folder to write pairs.csv and groups.csv to"]
    metrics: Annotated[Path, "JSON to write: counts of pairs and groups"]
    params: ParamsPath = Path("params.yaml")


CANDIDATE_COLUMNS = ["one", "other", "mirrored"]


class Content(NamedTuple):
    """Bytes that one or more images have, and the first path of those."""

    sha256: str
    path: str


class Candidate(NamedTuple):
    """Two pictures by the SHA-256 of their contents, the second to be `mirrored` or not."""

    sha256_a: str
    sha256_b: str
    mirrored: bool


def list_contents(images: pd.DataFrame) -> pd.DataFrame:
    """`sha256` and first `path` of each content, sorted by sha256."""
    return images[["sha256", "path"]].sort_values(["sha256", "path"]).drop_duplicates("sha256", ignore_index=True)


def describe(content: Content, root: Path, cache: Cache, params: RelateParams) -> tuple[str, Features]:
    """The digest of an image's pixels, and its features. Raises ImageError, also where the file is not the one indexed."""
    if cached := cache.load_features(content.sha256):
        return cached
    image = read_indexed(root / content.path, content.sha256)
    pixels, features = pixels_digest(image), detect_features(image, params.image_px, params.keypoints)
    cache.store_features(content.sha256, pixels, features)
    return pixels, features


def describe_all(
    contents: pd.DataFrame, describe: Callable[[Content], tuple[str, Features]]
) -> tuple[pd.DataFrame, FeatureTable]:
    """The contents with the digests of their `pixels`, and the features of the first content with each digest, in order."""
    pixels: list[str] = []
    features, seen_digests = FeatureTable(), set()
    rows = map(Content, contents["sha256"], contents["path"])
    for digest, its_features in on_all_machines(describe, rows, "describe", total=len(contents)):
        if digest not in seen_digests:
            features.add(its_features)
        seen_digests.add(digest)
        pixels.append(digest)
    return contents.assign(pixels=pixels), features


def link_copies(images: pd.DataFrame, by: str, kind: RelationKind) -> pd.DataFrame:
    """Pairs of the first of all paths with the same value in the column `by` and each of the others."""
    copies = images[images.duplicated(by, keep=False)]
    first = copies.groupby(by)["path"].transform("min")
    pairs = pd.DataFrame({"path_a": first, "path_b": copies["path"], "kind": kind, "points": 0})
    return pairs[pairs["path_a"] < pairs["path_b"]]


def compare(candidate: Candidate, cache: Cache, max_scale: float) -> ComparisonRecord:
    """How many points two pictures share, of which the features are in the cache."""
    one, other = cache.features(candidate.sha256_a), cache.features(candidate.sha256_b)
    points = count_shared_points(one, mirror_features(other) if candidate.mirrored else other, max_scale)
    return ComparisonRecord(*candidate, points)


def compare_all(candidates: Sequence[Candidate], compare: Callable[[Candidate], ComparisonRecord], cache: Cache) -> list[int]:
    """The points of each; what is compared is in the cache also where a cluster fails halfway."""
    done: list[ComparisonRecord] = []
    try:
        done.extend(on_all_machines(compare, candidates, "compare"))
    finally:
        cache.add_comparisons(done)
    return [comparison.points for comparison in done]


def compare_pictures(pictures: pd.DataFrame, features: FeatureTable, cache: Cache, max_scale: float) -> pd.DataFrame:
    """The shortlist of pictures with the number of `points` that each pair shares, cached or computed."""
    sha256 = pictures["sha256"].to_list()
    compared = shortlist(features).merge(read_comparisons(cache, sha256), how="left", on=CANDIDATE_COLUMNS)
    is_new = compared["points"].isna()
    if is_new.any():
        rows = compared.loc[is_new, CANDIDATE_COLUMNS].itertuples(index=False, name=None)
        new = [Candidate(sha256[one], sha256[other], mirrored) for one, other, mirrored in rows]
        compared.loc[is_new, "points"] = compare_all(new, partial(compare, cache=cache, max_scale=max_scale), cache)
    return compared.astype({"points": int})


def read_comparisons(cache: Cache, sha256: list[str]) -> pd.DataFrame:
    """The cached comparisons of the pictures with these digests: their positions `one` and `other`, `mirrored`, `points`."""
    position = {digest: number for number, digest in enumerate(sha256)}
    rows = (
        (position[row.sha256_a], position[row.sha256_b], row.mirrored, row.points)
        for row in cache.load_comparisons()
        if row.sha256_a in position and row.sha256_b in position
    )
    types = {"one": int, "other": int, "mirrored": bool, "points": int}
    return pd.DataFrame(rows, columns=list(types)).astype(types).drop_duplicates(CANDIDATE_COLUMNS)


def link_related(compared: pd.DataFrame, pictures: pd.DataFrame, min_points: int) -> pd.DataFrame:
    """Pairs of pictures that share enough points; of two between the same pictures, the one with more."""
    related = compared[compared["points"] >= min_points]
    one, other = (pictures["path"].take(related[name].to_numpy()).to_numpy(object) for name in ("one", "other"))
    kinds = np.where(related["mirrored"], "mirrored", "photo")
    pairs = pd.DataFrame(
        {"path_a": np.minimum(one, other), "path_b": np.maximum(one, other), "kind": kinds, "points": related["points"]}
    )
    return pairs.sort_values(["points", "kind"]).drop_duplicates(["path_a", "path_b"], keep="last")


def group_images(images: pd.DataFrame, contents: pd.DataFrame, pairs: pd.DataFrame) -> "pd.Series[str]":
    """For each image the first sha256 in its group: of those that it is linked to, directly or through others."""
    content = images["sha256"].map(pd.Series(contents.index, contents["sha256"]))
    content_of_path = pd.Series(content.to_numpy(), images["path"])
    links = zip(*(pairs[name].map(content_of_path) for name in ("path_a", "path_b")), strict=True)
    first = np.array(connected_groups(len(contents), links), int)
    return contents["sha256"].take(first[content]).set_axis(images.index)


def summary(images: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, int]:
    """Counts of links and of groups with two images or more, those with both labels and with both subsets among them."""
    kinds = pairs["kind"].value_counts()
    groups = images.groupby("group").agg(images=("path", "size"), labels=("label", "nunique"), subsets=("subset", "nunique"))
    groups = groups[groups["images"] > 1]
    counts = {
        "pairs": len(pairs),
        **{f"pairs_{kind}": kinds.get(kind, 0) for kind in get_args(RelationKind)},
        "groups": len(groups),
        "images_in_groups": groups["images"].sum(),
        "largest_group": groups["images"].max() if len(groups) else 0,
        "groups_real_and_fake": (groups["labels"] > 1).sum(),
        "groups_training_and_test": (groups["subsets"] > 1).sum(),
    }
    return {name: int(count) for name, count in counts.items()}


def read_images(path: Path) -> pd.DataFrame:
    """`path`, `sha256`, `label` and `subset` of each image, in the index's order."""
    rows = ((row.path, row.sha256, row.label, row.subset) for row in each_row(path, ImageRecord))
    return pd.DataFrame(rows, columns=["path", "sha256", "label", "subset"])


def open_pruned_cache(params: RelateParams) -> Cache:
    """The cache for these parameters, after deleting those of others that nobody uses any more."""
    parent = checkout_root() / ".cache" / "relate"
    cache = open_cache(parent, (params.image_px, params.keypoints, params.max_scale))
    if pruned := prune_caches(parent, cache):
        tell(f"{parent}: deleted unused caches of earlier settings: {', '.join(sorted(pruned))}")
    return cache


def run(paths: Paths, root: Path, params: RelateParams) -> None:
    cache = open_pruned_cache(params)
    images = read_images(paths.images)
    with threadpool_limits(1, "blas"):  # images and pairs are spread over the cores; for one of them a core suffices
        contents, features = describe_all(list_contents(images), partial(describe, root=root, cache=cache, params=params))
        pictures = contents.drop_duplicates("pixels")
        compared = compare_pictures(pictures, features, cache, params.max_scale)
    copies = [link_copies(images, "sha256", "bytes"), link_copies(contents, "pixels", "pixels")]
    pairs = pd.concat([*copies, link_related(compared, pictures, params.min_points)]).sort_values(["path_a", "path_b"])
    images["group"] = group_images(images, contents, pairs)
    write_rows(paths.relations / "pairs.csv", PairRecord, _records(pairs, PairRecord))
    write_rows(paths.relations / "groups.csv", GroupRecord, _records(images[["path", "group"]], GroupRecord))
    write_json(paths.metrics, summary(images, pairs))


def _records(table: pd.DataFrame, kind: type[Any]) -> Iterator[Any]:
    return starmap(kind, table.itertuples(index=False, name=None))


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    run(paths, load_params(paths.params, "data", DataParams).root, load_params(paths.params, "relate", RelateParams))


if __name__ == "__main__":
    run_as_command(main)
