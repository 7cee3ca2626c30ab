"""Is a part of Airflow healthy? Exit code 0 if it says so, by the API server's monitor.

``python deploy/healthcheck.py scheduler`` costs a few hundredths of a second; ``airflow jobs check``, which asks the
same, imports Airflow for eight seconds each time.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request

PARTS = ("metadatabase", "scheduler", "dag_processor")


def main(part: str) -> int:
    if part not in PARTS:
        sys.exit(f"which part? one of {', '.join(PARTS)}")
    execution_api = os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    address = execution_api.removesuffix("/execution/") + "/api/v2/monitor/health"
    with urllib.request.urlopen(address, timeout=8) as answer:  # noqa: S310 - an address of ours
        status = json.load(answer)[part]["status"]
    print(f"{part}: {status}")
    return 0 if status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
