"""Rows of a parquet file that was never closed: the footer, which says where everything lies, is made anew.

A parquet file is a sequence of row groups, each with a chunk per column, each a sequence of pages with a header; only
the footer at the end names them (https://parquet.apache.org/docs/file-format/). LeRobot writes a row group per episode
and the footer at the end of the session. Where the columns are known, the headers of the pages tell everything else.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from thrift.Thrift import TException, TType

from steadyhand.data_collection import thrift_tree
from steadyhand.data_collection.thrift_tree import Field, Items

MAGIC = b"PAR1"
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3  # types of pages
_HEADER = 1 << 16  # bytes: more than the header of a page takes
_PAGE_FIELDS = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}  # field of the page header that describes it
_BROKEN = (TException, EOFError, KeyError, TypeError, ValueError, AssertionError, RecursionError)


@dataclass(frozen=True)
class _Page:
    kind: int
    start: int  # of its header, bytes
    stop: int
    size: int  # bytes with the header, uncompressed
    values: int


@dataclass(frozen=True)
class _Leaf:
    per_row: int  # values
    dictionary: bool  # whether its pages begin with a dictionary, as the template's do


@dataclass
class Salvaged:
    """What could be read.

    Attributes:
        tables: Of every complete row group, in order.
        lost: Bytes at the end that belong to no complete row group.
    """

    tables: list[pa.Table] = field(default_factory=list)
    lost: int = 0


def salvage_parquet(file: Path, template: pa.Table, values: list[int]) -> Salvaged:
    """Read the complete row groups of a file without a footer.

    Args:
        file: The file; Snappy, as LeRobot and pyarrow write.
        template: Any table with at least one row and the same columns.
        values: For every leaf column of the schema, how many values a row has.
    """
    data = file.read_bytes()
    if not data.startswith(MAGIC):
        return Salvaged(lost=len(data))
    footer = _template_footer(template)
    described = _first_group(footer)[1].value.values
    leaves = [_Leaf(count, 11 in column[3].value) for count, column in zip(values, described, strict=True)]
    result, start, pages = Salvaged(), len(MAGIC), list(_pages(data))
    while group := _row_group(pages, leaves):
        rows, chunks = group
        pages = pages[sum(map(len, chunks)) :]
        stop = chunks[-1][-1].stop
        try:
            result.tables.append(_read(data[start:stop], footer, rows, chunks, start))
        except (OSError, pa.ArrowException):
            break
        start = stop
    result.lost = len(data) - start
    return result


def _template_footer(template: pa.Table) -> dict[int, Field]:
    """The footer (FileMetaData) of a file as LeRobot would write it."""
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema=template.schema, compression="snappy", use_dictionary=True) as writer:
        writer.write_table(template.slice(0, 1))
    content = buffer.getvalue()
    size = int.from_bytes(content[-8:-4], "little")
    return thrift_tree.read(content[-8 - size : -8])[0]


def _first_group(footer: dict[int, Field]) -> dict[int, Field]:
    return footer[4].value.values[0]


def _pages(data: bytes) -> Iterator[_Page]:
    """The pages up to the first that is not complete."""
    start = len(MAGIC)
    while start < len(data):
        try:
            header, size = thrift_tree.read(data[start : start + _HEADER])
            kind = header[1].value
            page = _Page(
                kind=kind,
                start=start,
                stop=start + size + header[3].value,
                size=size + header[2].value,
                values=header[_PAGE_FIELDS[kind]].value[1].value,
            )
        except _BROKEN:
            return
        if not start < page.stop <= len(data) or page.values < 0:
            return
        yield page
        start = page.stop


def _row_group(pages: list[_Page], leaves: list[_Leaf]) -> tuple[int, list[list[_Page]]] | None:
    """Number of rows and the pages of every column of the first row group, if it is complete.

    Where a column ends, no page says: the first column may have any number of pages, each gives a number of rows,
    and that must be right for all other columns.
    """
    seen = 0
    for at, page in enumerate(pages):
        if page.kind == _DICTIONARY and at:
            break
        if page.kind != _DICTIONARY:
            seen += page.values
            rows, rest = divmod(seen, leaves[0].per_row)
            if not rest and (chunks := _columns(pages, leaves, rows)):
                return rows, chunks
    return None


def _columns(pages: list[_Page], leaves: list[_Leaf], rows: int) -> list[list[_Page]] | None:
    chunks, at = [], 0
    for leaf in leaves:
        begin, found = at, 0
        while found < rows * leaf.per_row and at < len(pages):
            if (pages[at].kind == _DICTIONARY) != (leaf.dictionary and at == begin):
                return None
            found += pages[at].values if pages[at].kind != _DICTIONARY else 0
            at += 1
        if found != rows * leaf.per_row:
            return None
        chunks.append(pages[begin:at])
    return chunks


def _read(content: bytes, footer: dict[int, Field], rows: int, chunks: list[list[_Page]], start: int) -> pa.Table:
    """Read one row group as a file of its own; the numbers are those of parquet.thrift."""
    shift = start - len(MAGIC)
    columns = []
    for column, pages in zip(_first_group(footer)[1].value.values, chunks, strict=True):
        meta = {number: column[3].value[number] for number in (1, 2, 3, 4)}  # type, encodings, path, codec
        meta[5] = Field(TType.I64, sum(page.values for page in pages if page.kind != _DICTIONARY))
        meta[6] = Field(TType.I64, sum(page.size for page in pages))
        meta[7] = Field(TType.I64, pages[-1].stop - pages[0].start)
        meta[9] = Field(TType.I64, next(page.start for page in pages if page.kind != _DICTIONARY) - shift)
        if pages[0].kind == _DICTIONARY:
            meta[11] = Field(TType.I64, pages[0].start - shift)
        columns.append({2: Field(TType.I64, 0), 3: Field(TType.STRUCT, meta)})
    group = {
        1: Field(TType.LIST, Items(TType.STRUCT, columns)),
        2: Field(TType.I64, sum(page.size for pages in chunks for page in pages)),
        3: Field(TType.I64, rows),
    }
    described = {**footer, 3: Field(TType.I64, rows), 4: Field(TType.LIST, Items(TType.STRUCT, [group]))}
    description = thrift_tree.write(described)
    file = MAGIC + content + description + len(description).to_bytes(4, "little") + MAGIC
    return pq.read_table(io.BytesIO(file))
