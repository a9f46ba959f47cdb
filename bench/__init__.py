"""How fast Fakeface is, and next to what: `python -m bench --help`.

__main__   the command line: which part, how large, where the numbers go
rounds     contenders in turns; medians, quartiles, ratios, goals
child      one function in a process of its own, its time and its peak memory
photos     photos given or drawn, and a workspace in which stages have run on them
pixels     decoding and statistics as others write them, without torch
machines   a Dask scheduler and workers, processes of this machine
server     MLflow's server of a registered model, a process of this machine
trainings  training as others write it, and the bare step
page       docs/performance.md

Parts, a function each, `Options` in and a `Result` out:
training   training, gpu, profile, precision
decoding   pack, statistics
scaling    scaling
cluster    cluster
commands   dvc_noop, make_run, imports
verdicts   verdict, verdicts, verdicts_lite
serving    serving
"""
