"""Text that others chose, such as class names, where C, comments and documents want it."""

from __future__ import annotations

import json

from runtime.errors import KitError


def c_string(text: str) -> str:
    """A C string of the text's UTF-8 bytes, the same in every source and execution character set.

    Bytes that are no plain ASCII are octal, which takes three digits at most; question marks make
    no trigraph. Raises `KitError` for what no C string holds.
    """
    try:
        content = text.encode()
    except UnicodeEncodeError:
        raise KitError(f"class name {json.dumps(text)}: half a surrogate pair is no text") from None
    if 0 in content:
        raise KitError(f"class name {json.dumps(text)}: a zero byte ends a text in C")
    return '"' + "".join(map(_c_character, content)) + '"'


def _c_character(byte: int) -> str:
    character = chr(byte)
    if character in '"\\?':
        return f"\\{character}"
    return character if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def one_line(text: str) -> str:
    """The text with what does not print, line ends above all, as JSON's escapes."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def c_comment(text: str) -> str:
    """One line that neither ends a comment, nor begins one, nor holds a trigraph."""
    plain = json.dumps(text)[1:-1]
    for pair in ("*/", "/*", "??"):
        while pair in plain:
            plain = plain.replace(pair, " ".join(pair))
    return plain
