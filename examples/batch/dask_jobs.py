#!/usr/bin/env python3
"""The jobs of a table on a Dask cluster: dask_jobs.py jobs.tsv [tcp://SCHEDULER:8786]

Without a scheduler, workers of this machine do it. A job whose worker is lost is done again elsewhere; a file has its name
only when it is whole, so none is there twice or broken. Needs `pip install distributed`, and the same paths everywhere.
"""
import os
import subprocess
import sys

from distributed import Client, as_completed


def run(table, index):
    """Does one job; the program ends with its worker."""
    program = os.environ.get("GST_LIPSYNC", "gst-lipsync-1.0")
    words = [program, "--list", table, "--index", str(index), "--quiet", "--die-with-parent"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return index, done.returncode, (done.stderr.strip().splitlines() or [""])[-1]


def main():
    table = os.path.abspath(sys.argv[1])
    with open(table, encoding="utf-8") as rows:
        count = sum(1 for row in rows if row.strip()) - 1
    # One job at a time for each worker process: the program uses several cores itself.
    with Client(*sys.argv[2:3]) if sys.argv[2:] else Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        futures = [client.submit(run, table, index, pure=False, retries=2) for index in range(count)]
        failed = 0
        for future in as_completed(futures):
            index, code, said = future.result()
            failed += code != 0
            print(f"{index}\t{code}\t{said}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
