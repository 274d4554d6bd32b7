# SPDX-License-Identifier: BSD-3-Clause
"""Run the benchmarks and print their tables."""

import argparse
import importlib
import os

# Each is a module of this package, and imported when it runs.
_SUITES = (
    "ablation",
    "causal",
    "decoder",
    "extraction",
    "gpu",
    "growth",
    "information",
    "intervals",
    "memory",
    "mutation",
    "pairs",
    "papers",
    "pareto",
    "probes",
    "ranking",
    "report",
    "selection",
    "subset",
    "tolerance",
    "trace",
)
# Run only when asked for by name: they need a decoder, a card, or hours.
_ON_REQUEST = {"causal", "gpu", "growth", "intervals", "mutation", "pairs", "papers", "selection"}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "suites",
        nargs="*",
        metavar="suite",
        help=f"any of {list(_SUITES)}; all but {sorted(_ON_REQUEST)} by default",
    )
    small = "use small data and few runs"
    parser.add_argument("--quick", "--small", action="store_true", help=small)
    parser.add_argument("--device", default="auto", help="the device of the suite gpu")
    profile = "print the operations of one fit in the suite gpu"
    parser.add_argument("--profile", action="store_true", help=profile)
    parser.add_argument("--table", help="the table to make in the suite papers; all by default")
    arguments = parser.parse_args()
    unknown = set(arguments.suites) - set(_SUITES)
    if unknown:
        parser.error(f"unknown suite {unknown.pop()!r}; choose from {list(_SUITES)}")
    print(f"{os.cpu_count()} cores; best of alternating runs; ratios are relative to this package")
    for name in arguments.suites or [name for name in _SUITES if name not in _ON_REQUEST]:
        print(f"\n== {name}")
        options = {
            "gpu": {"device": arguments.device, "profile": arguments.profile},
            "papers": {"table": arguments.table},
        }
        suite = importlib.import_module(f"benchmarks._{name}")
        tables = suite.run(quick=arguments.quick, **options.get(name, {}))
        for title, table in tables.items() if isinstance(tables, dict) else [("", tables)]:
            print(f"\n{title}" if title else "")
            print(table.to_string(index=False, na_rep=""))


if __name__ == "__main__":
    main()
