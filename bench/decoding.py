"""Parts about pixels: pack against bare decoding, statistics against lists of every pixel."""

from functools import partial

from bench.child import measured
from bench.photos import NOTEBOOK_RECIPE, Workspace, new_workspace
from bench.rounds import Go, Goal, Measures, Options, Result, alternating

PACK_PEAK_MIB = 400


def packing(options: Options) -> Result:
    """`pack` against a loop with one stack at its end, and against bare decoding and resizing on all cores."""
    work = new_workspace(options, options.recipe or NOTEBOOK_RECIPE, {}, valid_share=0)
    px = work.pack_params.train_px
    contenders: dict[str, Go] = {
        "fakeface": partial(_pack, work),
        "simple": partial(measured, "bench.pixels", "simple_packing", work.photos, px, work.root / "simple.npy"),
        "limit": partial(measured, "bench.pixels", "bare_decoding", work.photos, px),
    }
    return Result(
        "pack",
        f"Photos to {px} px. simple: a loop with Pillow, np.stack, np.save; limit: decode, resize on all cores, keep nothing.",
        alternating("pack", contenders, options.rounds),
        [
            Goal("fakeface", "limit", at_least=0.9),
            Goal("fakeface", "simple"),
            Goal("fakeface", measure="peak_mib", at_most=PACK_PEAK_MIB),
        ],
        images=options.images,
    )


def statistics(options: Options) -> Result:
    """`compute_stats` against every pixel in Python lists, against NumPy at once, and against a bare sum."""
    work = new_workspace(options, options.recipe or NOTEBOOK_RECIPE, {}, valid_share=0)
    array = work.paths.packed / "train.npy"
    own: Go = partial(measured, "stages.compute_stats", "main", "--images", array, "--stats", work.paths.stats)

    def with_pack() -> Measures:
        decoding, counting = _pack(work), own()
        return {"s": decoding["s"] + counting["s"], "peak_mib": max(decoding["peak_mib"], counting["peak_mib"])}

    contenders: dict[str, Go] = {
        "fakeface": own,
        "fakeface with pack": with_pack,
        "notebook": partial(measured, "bench.pixels", "list_statistics_of_files", work.photos),
        "notebook on packed pixels": partial(measured, "bench.pixels", "list_statistics_of_array", array),
        "simple": partial(measured, "bench.pixels", "numpy_statistics_of_array", array),
        "limit": partial(measured, "bench.pixels", "sum_of_array", array),
    }
    return Result(
        "statistics",
        "Mean and deviation per channel. notebook: photos of full size, every pixel in Python lists; simple: np.mean, np.std "
        "of the packed file; limit: each byte of the packed file summed once.",
        alternating("statistics", contenders, options.rounds),
        [
            Goal("fakeface", "notebook", at_least=100),
            Goal("fakeface with pack", "notebook", at_least=7),
            *(Goal("fakeface", peer) for peer in ("notebook on packed pixels", "simple", "limit")),
            Goal("fakeface", "notebook", "peak_mib"),
        ],
        images=options.images,
    )


def _pack(work: Workspace) -> Measures:
    """The stage in a process of its own."""
    read = ("--split", work.paths.split, "--faces", work.faces)
    return measured("stages.pack", "main", *read, "--packed", work.root / "again", "--params", work.paths.params)
