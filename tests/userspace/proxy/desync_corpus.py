# ruff: noqa: E501  one case beside the other is easier to read than one below the other
"""Requests on whose end two implementations may disagree: (name, bytes). `{id}` stands for the case's number.

Each is sent with another request behind it, /after/{id}; what a wrong reading would take for a request is /hidden/{id}.
"""

HIDDEN = "GET /hidden/{id} HTTP/1.1\r\nHost: a\r\nX-Pad: "
CHUNKED_HIDDEN = "0\r\n\r\n" + HIDDEN + "x\r\n\r\n"


def _post(*fields: str, body: str = "", line: str = "POST /case/{id} HTTP/1.1", end: str = "\r\n") -> str:
    return end.join([line, "Host: a", *fields, "", ""]) + body


LENGTHS = [
    "Content-Length: {n}", "Content-Length:{n}", "Content-Length:   {n}", "Content-Length: {n} ", "Content-Length: {n}\t",
    "Content-Length: 0{n}", "Content-Length: +{n}", "Content-Length: -{n}", "Content-Length: {n}.0", "Content-Length: 0x{n}",
    "Content-Length: {n},{n}", "Content-Length: {n}, 0", "Content-Length: 0, {n}", "Content-Length: {n};a", "Content-Length: {n} 0",
    "Content-Length: \"{n}\"", "Content-Length: 0\r\nContent-Length: {n}", "Content-Length: {n}\r\nContent-Length: 0",
    "Content-Length: {n}\r\nContent-Length: {n}", "Content-Length:\r\n {n}", "Content-Length: \r\n\t{n}", "Content-Length:\x0b{n}",
    "Content-Length: {n}\x00", "Content-Length: {n}\x0c", "Content-Length : {n}", "Content-Length\t: {n}", " Content-Length: {n}",
    "Content_Length: {n}", "Content-Length: ", "Content-Length: 00000000000000000000{n}", "Content-Length: 18446744073709551616",
    "Content-Length: 9223372036854775808", "X: y\nContent-Length: {n}", "X: y\rContent-Length: {n}", "Content-Length: {n}\r",
    "content-length: {n}", "CONTENT-LENGTH: {n}", "Content-Length: {n}\r\nContent-length: 1", "Content-Length\x00: {n}",
    "Content-Length: 1e1", "\x0bContent-Length: {n}", "Content-Length: {n}\r\nX-Content-Length: 0", "Content-Length: \xb2",
]  # fmt: skip

CODINGS = [
    "Transfer-Encoding: chunked", "Transfer-Encoding:chunked", "Transfer-Encoding: Chunked", "transfer-encoding: CHUNKED",
    "Transfer-Encoding:  chunked", "Transfer-Encoding: chunked ", "Transfer-Encoding: chunked\t", "Transfer-Encoding:\tchunked",
    "Transfer-Encoding:\x0bchunked", "Transfer-Encoding: \x0cchunked", "Transfer-Encoding: chunked\x00", "Transfer-Encoding: \x00chunked",
    "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: 'chunked'", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: identity",
    "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked,", "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: ;chunked", "Transfer-Encoding: chunked;a=b",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: \r\n\tchunked",
    "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked", "\tTransfer-Encoding: chunked",
    "Transfer_Encoding: chunked", "Transfer Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r", "Transfer-Encoding\x00: chunked", "Transfer-Encoding:", "Transfer-Encoding: chun\xadked",
    "Transfer-Encoding: \xefchunked", "Transfer-encoding: chunked\r\nTRANSFER-ENCODING: x", "TE: chunked", "Transfer-Encoding: chunked\x85",
    "Transfer-Encoding: deflate", "Transfer-Encoding: chunked\x20\x20\x0b", "Trailer: Content-Length\r\nTransfer-Encoding: chunked",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "Connection: Content-Length\r\nTransfer-Encoding: chunked",
    "Upgrade: h2c\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked", "Expect: 100-continue\r\nTransfer-Encoding: chunked",
]  # fmt: skip

CHUNKS = [
    "5\r\nhello\r\n0\r\n\r\n", "05\r\nhello\r\n0\r\n\r\n", "0000000000005\r\nhello\r\n0\r\n\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n",
    "5 ;a\r\nhello\r\n0\r\n\r\n", "5; a=\"b\"\r\nhello\r\n0\r\n\r\n", "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", "5;\nhello\r\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n0\r\n\r\n", "5\nhello\n0\n\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n", "5\t\r\nhello\r\n0\r\n\r\n", "\r\n5\r\nhello\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n",
    "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n", "5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\n\r\n", "5\r\nhello\r\n0\r\nHost: b\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: y\r\n\r\n", "5\r\nhello\r\n0\r\nX: y\n\n", "5\r\nhello\r\n0\r\nX : y\r\n\r\n", "5\r\nhello\r\n0\r\n X: y\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n", "5\r\nhello\r\n0\r\nGET /hidden/{id} HTTP/1.1\r\n\r\n", "5\r\nhello\r\n00\r\n\r\n",
    "5\r\nhello\r\n0;a\r\n\r\n", "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\r\n\n", "5\r\nhello\r\n0\n\n", "5\r\nhello\r\n-0\r\n\r\n",
    "5\r\nhello\r\n0x0\r\n\r\n", "FFFFFFFFFFFFFFFFFFFFF5\r\nhello\r\n0\r\n\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "80000000\r\nhello\r\n0\r\n\r\n", "5g\r\nhello\r\n0\r\n\r\n", "\r\n", "g\r\n", "5\x00\r\nhello\r\n0\r\n\r\n", "5\x0b\r\nhello\r\n0\r\n\r\n",
    "a\r\n0123456789\r\n0\r\n\r\n", "A\r\n0123456789\r\n0\r\n\r\n", "1\r\nZ\r\n" * 40 + "0\r\n\r\n", "5;" + "a" * 200 + "\r\nhello\r\n0\r\n\r\n",
    "5;" + "a" * 300 + "\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n\r\n", "5\r\nhello\r\n\r\n0\r\n\r\n", "0\r\n\r\n" + HIDDEN + "x\r\n\r\n",
]  # fmt: skip

LINES = [
    "GET  /case/{id} HTTP/1.1", "GET /case/{id}  HTTP/1.1", "GET\t/case/{id} HTTP/1.1", "GET /case/{id}\tHTTP/1.1", " GET /case/{id} HTTP/1.1",
    "GET /case/{id} HTTP/1.1 ", "GET /case/{id} HTTP/1.2", "GET /case/{id} HTTP/2.0", "GET /case/{id} http/1.1", "GET /case/{id} HTTP/01.1",
    "GET /case/{id} HTTP/1.1\r", "GET /case/{id}", "GET /case/{id} HTTP/0.9", "\r\nGET /case/{id} HTTP/1.1", "\r\n\r\nGET /case/{id} HTTP/1.1",
    "\nGET /case/{id} HTTP/1.1", "GET /case/{id}\x00 HTTP/1.1", "GET /case/{id}\x0b HTTP/1.1", "G\x00ET /case/{id} HTTP/1.1",
    "GET http://a/case/{id} HTTP/1.1", "GET http://b/case/{id} HTTP/1.1", "GET //a/case/{id} HTTP/1.1", "GET a/case/{id} HTTP/1.1",
    "GET /case/{id}#x HTTP/1.1", "GET /case/{id}?a b HTTP/1.1", "get /case/{id} HTTP/1.1", "GETT /case/{id} HTTP/1.1", "OPTIONS * HTTP/1.1",
    "GET /case/{id} HTTP/1.1\nX: y", "GET /case/{id} HTTP/1.1\rX: y", "GET /case/{id} HTTP/1.1\r\n X: y", "GET /case/{id}\xff HTTP/1.1",
    "CONNECT a:80 HTTP/1.1", "PRI * HTTP/2.0", "TRACE /case/{id} HTTP/1.1", "GET /case/{id}%00 HTTP/1.1", "GET /case/{id}/../../.. HTTP/1.1",
]  # fmt: skip

FIELDS = [
    "Host: b", "Host: a\r\nHost: b", "host : b", " X: folded", "X", ": y", "X:", "X\x00: y", "X: \x00", "X: y\r\n\tz", "X: \x7f", "X:\ry",
    "Expect: 100-continue", "Expect: 200-ok", "Connection: close, Content-Length", "Connection: Host", "Connection: keep-alive, close",
    "Connection: Upgrade\r\nUpgrade: websocket", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    "Keep-Alive: timeout=0", "Proxy-Connection: close", "X-Forwarded-Host: b", "Max-Forwards: 0", "X@Y: z", "X Y: z", "X(Y): z",
]  # fmt: skip


def _corpus() -> list[tuple[str, bytes]]:
    cases: list[tuple[str, str]] = []
    for coding in CODINGS:
        cases.append((f"{coding!r}", _post(coding, body=CHUNKED_HIDDEN)))
        cases.append((f"length before {coding!r}", _post("Content-Length: 5", coding, body=CHUNKED_HIDDEN)))
        cases.append((f"length behind {coding!r}", _post(coding, "Content-Length: 5", body=CHUNKED_HIDDEN)))
        old = _post(coding, "Connection: keep-alive", body=CHUNKED_HIDDEN, line="POST /case/{id} HTTP/1.0")
        cases.append((f"HTTP/1.0 {coding!r}", old))
    hidden = HIDDEN + "x\r\n\r\n"
    for length in LENGTHS:
        # The number is not known before the case's: ids are written with five digits, as long as "{id}" and one more.
        field = length.replace("{n}", str(len(hidden) + 1))
        cases.append((f"POST {length!r}", _post(field, body=hidden)))
        cases.append((f"GET {length!r}", _post(field, body=hidden, line="GET /case/{id} HTTP/1.1")))
    cases += [
        (f"chunks {chunks[:60]!r} of {len(chunks)}", _post("Transfer-Encoding: chunked", body=chunks))
        for chunks in CHUNKS
    ]
    cases += [(f"line {line!r}", _post(line=line)) for line in LINES]
    cases += [(f"field {field!r}", _post(field, line="GET /case/{id} HTTP/1.1")) for field in FIELDS]
    cases += [(f"body {field!r}", _post(field, "Content-Length: 5", body="hello")) for field in FIELDS]
    cases.append(("bare LF", _post("X: y", line="GET /case/{id} HTTP/1.1", end="\n")))
    cases.append(("bare LF with a body", _post("Content-Length: 5", body="hello", end="\n")))
    for method in ("HEAD", "DELETE", "OPTIONS", "TRACE"):
        cases.append(
            (
                f"{method} with a body",
                _post(f"Content-Length: {len(hidden) + 1}", body=hidden, line=f"{method} /case/{{id}} HTTP/1.1"),
            )
        )
    return [(name, text.replace("{id}", f"{index:05d}").encode("latin-1")) for index, (name, text) in enumerate(cases)]


CORPUS = _corpus()
