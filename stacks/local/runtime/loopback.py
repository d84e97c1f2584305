"""What a request to a server on the loopback interface must say about where it comes from.

A web page reaches servers on this machine through the browser of the person. It cannot choose the
`Host` of its own address (DNS rebinding), nor leave out the `Origin` of a request that is more than
a link or an image; both are compared here.
"""

NAMES = ("127.0.0.1", "localhost", "[::1]")


def refusal(host: str | None, origin: str | None, port: int) -> str | None:
    """Why a request with these headers is not answered by the server at a port; None if it is."""
    ours = {f"{name}:{port}" for name in NAMES}
    if (host or "").lower() not in ours:
        return f"Host must be 127.0.0.1:{port}, got {host!r}"
    if origin is not None and origin.lower() not in {f"http://{name}" for name in ours}:
        return f"no web page of another origin may call this server, got {origin!r}"
    return None
