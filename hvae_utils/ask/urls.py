"""URLs of endpoints: are they well formed, do they point to this machine, what may be shown."""

from urllib.parse import SplitResult, urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def well_formed(url: str) -> bool:
    """Return whether a URL can be one of an endpoint: http or https, a host, no odd signs."""
    parts, plain = _parts(url), url.isprintable() and " " not in url
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname)


def on_loopback(url: str | None) -> bool:
    """Return whether a URL points to this machine.

    >>> on_loopback("http://localhost:8000/v1"), on_loopback("https://api.openai.com/v1")
    (True, False)
    """
    return _parts(url).hostname in LOOPBACK


def public(url: str | None) -> str:
    """Return a URL without user, password and query, fit for messages and records.

    >>> public("http://user:password@host.example/v1?key=secret")
    'http://host.example/v1'
    """
    parts = _parts(url)
    host = parts.hostname or "the default endpoint"
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _parts(url: str | None) -> SplitResult:
    """Return the parts of a URL; those of an empty one where it is malformed."""
    try:
        parts = urlsplit(url or "")
        _ = parts.port  # raises where it is no port
    except ValueError:
        return urlsplit("")
    return parts
