"""Keeps a Python process off the network: only this machine may be looked up or connected to.

`conftest.py` runs this file in the test process and puts its folder on PYTHONPATH, so that child
processes (kernels, the command line) start with it too. What is refused is also written to the
file named by HVAE_TEST_NETWORK_LOG, because the code under test may swallow the error.
"""

import os
import sys


def _is_here(host: object) -> bool:
    if not isinstance(host, str):
        return True  # None, or an address that is no internet address
    if host.startswith("127.") and host.replace(".", "").isdigit():
        return True
    import _socket

    return host in ("", "localhost", "::1", _socket.gethostname())


def _stay_offline(event: str, args: tuple) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        host = args[1][0] if isinstance(args[1], tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "hvae_utils.connect"):
        host = args[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if not _is_here(host):
        if log := os.environ.get("HVAE_TEST_NETWORK_LOG"):
            with open(log, "a", encoding="utf-8") as lines:
                lines.write(f"{event} {host}\n")
        raise RuntimeError(f"a test reached for the network: {event} {host}")


sys.addaudithook(_stay_offline)
