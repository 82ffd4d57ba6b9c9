"""Thrift structs of any kind as trees of fields, to read parquet's descriptions and to write changed ones.

A struct is {number of the field: Field}; a list is Items. The kinds are those of `thrift.Thrift.TType`.
"""

from typing import Any, NamedTuple

from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer


class Field(NamedTuple):
    """One value with its kind."""

    kind: int
    value: Any


class Items(NamedTuple):
    """A list: the kind of its elements, and these."""

    kind: int
    values: list


_SIMPLE = {
    TType.BOOL: "Bool",
    TType.BYTE: "Byte",
    TType.I16: "I16",
    TType.I32: "I32",
    TType.I64: "I64",
    TType.DOUBLE: "Double",
    TType.STRING: "Binary",
}


def read(content: bytes) -> tuple[dict[int, Field], int]:
    """A struct in the compact protocol, and the bytes it takes; thrift's own errors if there is none."""
    buffer = TMemoryBuffer(content)
    limit = len(content)
    protocol = TCompactProtocol(buffer, string_length_limit=limit, container_length_limit=limit)
    return _read(protocol, TType.STRUCT), buffer.cstringio_buf.tell()


def _read(protocol: TCompactProtocol, kind: int) -> Any:
    if kind in _SIMPLE:
        return getattr(protocol, f"read{_SIMPLE[kind]}")()
    if kind == TType.LIST:
        element, size = protocol.readListBegin()
        values = [_read(protocol, element) for _ in range(size)]
        protocol.readListEnd()
        return Items(element, values)
    if kind != TType.STRUCT:
        raise ValueError(f"thrift type {kind} does not occur in parquet files")
    fields = {}
    protocol.readStructBegin()
    while (found := protocol.readFieldBegin())[1] != TType.STOP:
        _, inner, number = found
        fields[number] = Field(inner, _read(protocol, inner))
        protocol.readFieldEnd()
    protocol.readStructEnd()
    return fields


def write(struct: dict[int, Field]) -> bytes:
    """The struct in the compact protocol."""
    buffer = TMemoryBuffer()
    _write(TCompactProtocol(buffer), TType.STRUCT, struct)
    return buffer.getvalue()


def _write(protocol: TCompactProtocol, kind: int, value: Any) -> None:
    if kind in _SIMPLE:
        getattr(protocol, f"write{_SIMPLE[kind]}")(value)
    elif kind == TType.LIST:
        protocol.writeListBegin(value.kind, len(value.values))
        for element in value.values:
            _write(protocol, value.kind, element)
        protocol.writeListEnd()
    else:
        protocol.writeStructBegin("")
        for number, field in sorted(value.items()):
            protocol.writeFieldBegin("", field.kind, number)
            _write(protocol, field.kind, field.value)
            protocol.writeFieldEnd()
        protocol.writeFieldStop()
        protocol.writeStructEnd()
