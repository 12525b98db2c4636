"""What a file is by its first bytes, for the error about a file that is not what its name says."""

import contextlib
import gzip
import re
import zlib
from pathlib import Path

GZIP = b"\x1f\x8b"
SIZE = 512
"""Number of first bytes that are looked at."""

ZIP, NPY, PICKLE, IDX = "a zip file", "a .npy file, with one array", "a pickle", "an IDX file"
WEB_PAGE = (
    "a web page, so the download failed; delete it, and download the file again (a browser shows what"
    " the page says)"
)
STARTS: dict[bytes, str] = {
    b"version https://git-lfs": "a pointer of Git LFS in place of the file, which `git lfs pull` brings",
    b"\x93NUMPY": NPY,
    b"PK": ZIP,
    b"\x89HDF": "an HDF5 file",
    b"MATLAB": "a MATLAB file",
    b"PAR1": "a Parquet file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"7z\xbc\xaf": "a 7-Zip file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    GZIP: "a gzip file",
}
PATTERNS: dict[bytes, str] = {
    rb"\x80[\x02-\x05]|\(*c(numpy|copy_reg|__builtin__)|\(+[ld]p\d": PICKLE,
    rb"\0\0[\x08\x09\x0b-\x0e][\x01-\x04]": IDX,
    rb"[\t\r\n\x20-\x7e\x80-\xff]+\Z": "a text file",
}


def what(start: bytes) -> str:
    """Return what a file is that begins with `start`, as `an HDF5 file`. Empty if it is not known."""
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return WEB_PAGE
    by_start = (name for magic, name in STARTS.items() if start.startswith(magic))
    by_pattern = (name for pattern, name in PATTERNS.items() if re.match(pattern, start, re.DOTALL))
    return next(by_start, None) or next(by_pattern, "")


def first_bytes(path: Path) -> tuple[bytes, bool]:
    """Return the first bytes of a file, those within a gzip file, and whether it is one.

    Of a damaged gzip file, they are those before the damage.
    """
    with path.open("rb") as file:
        start = file.read(SIZE)
    if not start.startswith(GZIP):
        return start, False
    start = b""
    with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(path) as unpacked:
        while len(start) < SIZE and (part := unpacked.read1(SIZE - len(start))):
            start += part
    return start, True
