"""`make bench`: what one worker does, all in one run: what the stages cost that talk to nobody (bench_stages.c), rate, processor
and memory beside the same updates from memory and a Python worker (run.py), and how long a command takes (latency.py).
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import latency  # noqa: E402
import run  # noqa: E402
from lib.servers import ROOT  # noqa: E402

STAGES = os.environ.get("BENCH_STAGES_BIN") or str(ROOT / "build" / "bench" / "bench_stages")


def arguments():
    parser = argparse.ArgumentParser(prog="make bench BENCH=…", description=__doc__)
    run.add_rounds(parser)
    latency.add_latency(parser)
    options = parser.parse_args()
    if options.quick:
        run.shorten(options)
        options.count, options.seconds = 50, 3
    return options


def title(text):
    print("\n" + text + "\n", flush=True)


def main():
    options = arguments()
    if not options.only:
        title("The stages that talk to nobody")
        subprocess.run([STAGES], check=True)
    with run.started(run.Bench, options) as bench:
        runs = run.measure_all(bench, options)
        title("From a backlog")
        run.table(options, runs)
        if options.json:
            run.write_json(options.json, options, runs)
        if not options.only:
            title("One command at a time, then at half of that rate")
            latency.at_rest(bench, options.count)
            latency.under_load(bench, options.rate or run.median(runs["c"], "rate") / 2, options.seconds)


if __name__ == "__main__":
    main()
