"""One POST is sent once and answered once, whatever the connection or the caller does."""

import asyncio
import contextlib
import socket
import ssl
import threading

import pytest
import trustme

from hvae_utils.ask.http.curl import Curl, Fault

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Said: one\r\nx-said: two\r\n\r\nok"


@contextlib.contextmanager
def server(talk):
    """Run `talk(connection, number)` for every connection, in a thread each; give the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(connection, number):
            with connection, contextlib.suppress(OSError):
                talk(connection, number)

        def accept():
            number = 0
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=serve, args=(connection, number), daemon=True).start()
                    number += 1

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        listening.shutdown(socket.SHUT_RDWR)


def heard(connection):
    """Return one request with its body of two bytes, b'' where the connection has ended."""
    received = b""
    while not received.endswith(b"\r\n\r\n{}"):
        part = connection.recv(65536)
        if not part:
            return b""
        received += part
    return received


def with_curl(url, work, **changes):
    given = {"timeout_s": 5, "proxy": "", "most_bytes": 1000} | changes

    async def main():
        curl = Curl(url, {"Content-Type": "application/json"}, **given)
        try:
            return await work(curl)
        finally:
            curl.close()

    return asyncio.run(main())


def test_a_connection_is_kept_and_a_header_that_comes_twice_is_the_last():
    connections = set()

    def talk(connection, number):
        while heard(connection):
            connections.add(number)
            connection.sendall(ANSWER)

    async def three(curl):
        return [await curl.post(b"{}") for _ in range(3)]

    with server(talk) as url:
        replies = with_curl(url, three)
    assert [(reply.status, reply.content) for reply in replies] == [(200, b"ok")] * 3
    assert replies[0].headers == {"content-length": "2", "x-said": "two"}
    assert connections == {0}


def test_a_body_is_not_sent_again_where_a_kept_connection_dies_under_it():
    requests = []

    def talk(connection, number):
        requests.append(heard(connection))
        connection.sendall(ANSWER)
        requests.append(heard(connection))

    async def two(curl):
        await curl.post(b"{}")
        await curl.post(b"{}")

    with server(talk) as url, pytest.raises(Fault) as fault:
        with_curl(url, two)
    assert fault.value.connected
    assert len([request for request in requests if request]) == 2


def test_a_caller_that_gives_up_leaves_the_others_their_replies():
    go = threading.Event()

    def talk(connection, number):
        while heard(connection):
            go.wait(5)
            connection.sendall(ANSWER)

    async def half(curl):
        asked = [asyncio.create_task(curl.post(b"{}")) for _ in range(20)]
        await asyncio.sleep(0.05)
        for one in asked[::2]:
            one.cancel()
        go.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    with server(talk) as url:
        ended = with_curl(url, half)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended[::2])
    assert [one.content for one in ended[1::2]] == [b"ok"] * 10


def test_closing_ends_what_is_under_way():
    async def close_early(curl):
        asked = asyncio.create_task(curl.post(b"{}"))
        await asyncio.sleep(0.05)
        curl.close()
        return await asyncio.gather(asked, return_exceptions=True)

    with server(lambda connection, number: heard(connection) and heard(connection)) as url:
        (ended,) = with_curl(url, close_early)
    assert isinstance(ended, asyncio.CancelledError)


def test_a_server_that_speaks_no_tls_is_no_connection_for_https():
    def talk(connection, number):
        connection.recv(1000)
        connection.sendall(ANSWER)

    with server(talk) as url, pytest.raises(Fault) as fault:
        with_curl(url.replace("http:", "https:"), lambda curl: curl.post(b"{}"))
    assert not fault.value.connected


@pytest.mark.parametrize("known", [True, False])
def test_only_an_endpoint_that_a_known_authority_vouches_for_is_sent_anything(
    known, tmp_path, monkeypatch
):
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    (authority if known else stranger).cert_pem.write_to_path(tmp_path / "known.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "known.pem"))
    received = []

    def talk(connection, number):
        with context.wrap_socket(connection, server_side=True) as inside:
            received.append(heard(inside))
            inside.sendall(ANSWER)

    with server(talk) as url:
        url = url.replace("http:", "https:")
        if known:
            assert with_curl(url, lambda curl: curl.post(b"{}")).content == b"ok"
        else:
            with pytest.raises(Fault) as fault:
                with_curl(url, lambda curl: curl.post(b"{}"))
            assert not fault.value.connected
    assert any(received) == known
