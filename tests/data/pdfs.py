"""PDF files written by hand: small and right, and hostile ones."""

import zlib


def pdf_bytes(*pages: str) -> bytes:
    """Write a PDF of pages with one line of ASCII text each."""
    streams = [f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET".encode() for page in pages]
    return _document([(stream, b"") for stream in streams])


def bomb_bytes(unpacked_bytes: int, layers: int = 1) -> bytes:
    """Write a PDF whose one page unpacks to that many bytes, packed `layers` times."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(unpacked_bytes >> 20)) + packer.flush()
    for _ in range(layers - 1):
        packed = zlib.compress(packed, 9)
    return _document([(packed, b"/Filter [" + b"/FlateDecode " * layers + b"]")])


def endless_pages_bytes() -> bytes:
    """Write a PDF whose page tree holds itself."""
    body = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    body += b"2 0 obj<</Type/Pages/Kids[2 0 R 2 0 R]/Count 1000000000>>endobj\n"
    return body + b"trailer<</Root 1 0 R/Size 3>>\n%%EOF"


def _document(streams: list[tuple[bytes, bytes]]) -> bytes:
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(streams)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(streams)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for index, (stream, filters) in enumerate(streams):
        page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>"
        objects.append(f"{page}/Contents {5 + 2 * index} 0 R>>".encode())
        objects.append(b"<</Length %d %s>>stream\n%s\nendstream" % (len(stream), filters, stream))
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    return body + b"trailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)
