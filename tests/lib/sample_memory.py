#!/usr/bin/env python3
"""Watch a mount while others use it: usage sample_memory.py MOUNT DAEMON_PID STOP_FILE

Until the file STOP_FILE exists, reads the mount's status and sums the resident memory of the
daemon's children about fifty times a second; then prints the largest values as JSON."""
import json
import os
import sys
import time

SAMPLE_S = 0.02


def children(process):
    found = []
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/children") as file:
                found += file.read().split()
    except OSError:
        pass
    return found


def resident_bytes(process):
    """0 when the process has just ended, or its first moments, before it has a memory of its own."""
    try:
        with open(f"/proc/{process}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Rss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def main():
    mount, daemon, stop = sys.argv[1:]
    samples = over = charged_max = resident_max = workers_max = 0
    while not os.path.exists(stop):
        with open(f"{mount}/status") as file:
            status = json.load(file)
        processes = children(daemon)
        resident_max = max(resident_max, sum(map(resident_bytes, processes)))
        charged_max = max(charged_max, status["resident_bytes"])
        workers_max = max(workers_max, len(processes))
        over += status["resident_bytes"] > status["budget_bytes"]
        samples += 1
        time.sleep(SAMPLE_S)
    print(json.dumps({"samples": samples, "over_budget": over, "charged_bytes_max": charged_max,
                      "worker_rss_bytes_max": resident_max, "workers_max": workers_max}))


main()
