"""A server under load: latency, tokens a second and memory, and what 16 clients at once get done beside one.

    python tests/benchmarks/serving_load.py RUN [SECONDS [CLIENTS]]

Clients ask for completions of 32 tokens from a prompt of their own, the next as soon as one has come. First one client
and sixteen take turns, five times a second each; then all ask for the whole time, and the server's memory is read.
"""

import asyncio
import json
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path
from statistics import median

MAX_TOKENS = 32
ROUNDS, ROUND_SECONDS, AT_ONCE = 5, 1.0, 16


def main(run: str, seconds: float = 60.0, n_clients: int = 50) -> None:
    command = [sys.executable, "-m", "lstmlm", "serve", run, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        port = int(server.stderr.readline().partition("http://127.0.0.1:")[2].split()[0])
        try:
            asyncio.run(measure(port, server.pid, seconds, n_clients))
        finally:
            server.terminate()


async def measure(port: int, pid: int, seconds: float, n_clients: int) -> None:
    await load(port, AT_ONCE, 1.0)
    ratios, singles = [], []
    for _ in range(ROUNDS):
        alone, together = [len(await load(port, n, ROUND_SECONDS)) for n in (1, AT_ONCE)]
        ratios.append(together / alone)
        singles.append(alone * MAX_TOKENS / ROUND_SECONDS)
    print(f"1 client {median(singles):,.0f} tokens/s; {AT_ONCE} at once: {median(ratios):.1f} times that", flush=True)
    if not seconds:
        return
    watch = asyncio.create_task(memory(pid, seconds))
    latencies = sorted(await load(port, n_clients, seconds))
    megabytes = await watch
    p50, p95 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.95))
    print(
        f"{n_clients} clients, {seconds:g} s: {len(latencies):,} answers, no error, p50 {1e3 * p50:.0f} ms, p95 "
        f"{1e3 * p95:.0f} ms, {len(latencies) * MAX_TOKENS / seconds:,.0f} tokens/s"
    )
    print("memory (MB): " + " ".join(f"{value:.0f}" for value in megabytes))


async def memory(pid: int, seconds: float) -> list[float]:
    """Read the resident memory (MB) ten times; the last time a moment before the end."""
    found = []
    for _ in range(10):
        await asyncio.sleep(seconds / 10.5)
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        found.append(int(status.partition("VmRSS:")[2].split()[0]) / 1024)
    return found


async def load(port: int, n_clients: int, seconds: float) -> list[float]:
    """Let clients ask until the time is over; return how long each answer took (s)."""
    end = time.monotonic() + seconds
    return list(chain(*await asyncio.gather(*(client(port, number, end) for number in range(n_clients)))))


async def client(port: int, number: int, end: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies: list[float] = []
    while time.monotonic() < end:
        started = time.monotonic()
        request = {"prompt": f"The function number {number} returns", "max_tokens": MAX_TOKENS, "seed": len(latencies)}
        body = json.dumps(request).encode()
        lines = ["POST /v1/completions HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        writer.write(head.encode() + body)
        status, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        [length] = [int(line.partition(":")[2]) for line in headers if line.lower().startswith("content-length")]
        answer = json.loads(await reader.readexactly(length))
        assert " 200 " in status, answer
        assert answer["usage"]["completion_tokens"] == MAX_TOKENS, answer
        latencies.append(time.monotonic() - started)
    writer.close()
    await writer.wait_closed()
    return latencies


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(float, sys.argv[2:3]), *map(int, sys.argv[3:4]))
