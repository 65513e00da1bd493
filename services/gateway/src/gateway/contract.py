"""The public contract, read from the committed descriptor set: every method that has a path."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any, Final

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    EnumValueDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.message import Message

from throughline.options.v1 import options_pb2
from throughline_runtime.identity import Access
from throughline_runtime.ownership import Owned, owned_by
from throughline_runtime.rpc.access import access_of, seconds_of

_PACKAGE: Final = re.compile(r"throughline\.(?P<domain>[a-z_]+)\.v1")
_PATH_FIELD: Final = re.compile(r"\{([a-z0-9_]+)\}")

Element = Descriptor | EnumDescriptor | FieldDescriptor | MethodDescriptor


class ContractUnfit(Exception):
    """A method's path says something that REST as it is derived here does not know."""


@dataclass(frozen=True, slots=True)
class RestMethod:
    """One method as REST serves it."""

    verb: str
    path: str
    path_fields: tuple[str, ...]
    has_body: bool
    service: str  # The peer that owns it: "customer-contract".
    name: str  # "ActivateContract".
    group: str  # "Contract", for the documentation.
    request: Descriptor
    response: Descriptor
    access: Access
    seconds: float | None  # How long its answer may take, where it says so.
    owned: Owned | None  # What it touches, for callers that speak for an outside system.
    sheet: FieldDescriptor | None  # The reply's rows, or their text, where they are a sheet too.
    comment: str
    stub_class: type[Any]

    @property
    def is_command(self) -> bool:
        """Whether the method changes something and so carries an idempotency key."""
        return "request_id" in self.request.fields_by_name

    @property
    def taken(self) -> tuple[str, ...]:
        """The request's fields that come from elsewhere than the body or the query."""
        return (*self.path_fields, "request_id") if self.is_command else self.path_fields

    @property
    def batch_field(self) -> FieldDescriptor | None:
        """The list that a `:batch` method takes, which may also be sent as lines of JSON."""
        if not self.path.endswith(":batch"):
            return None
        lists = [field for field in self.request.fields if field.is_repeated]
        return lists[0] if len(lists) == 1 else None


class Comments:
    """Comments of the proto files by full name."""

    def __init__(self, descriptor_set: descriptor_pb2.FileDescriptorSet) -> None:
        self._texts: dict[str, str] = {}
        for file in descriptor_set.file:
            if file.package.startswith("throughline."):
                self._read(file)

    def of(self, element: Element) -> str:
        """Return the comment above or behind an element as one paragraph, empty when none."""
        return self.of_name(element.full_name)

    def of_value(self, value: EnumValueDescriptor) -> str:
        """Return the comment of one value of an enum; see `of`."""
        return self.of_name(f"{value.type.full_name}.{value.name}")

    def of_name(self, full_name: str) -> str:
        """Return the comment of the element with this name; see `of`."""
        return self._texts.get(full_name, "")

    def _read(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        names = dict(_named_paths(file))
        for location in file.source_code_info.location:
            name = names.get(tuple(location.path))
            text = location.leading_comments or location.trailing_comments
            if name is not None and text:
                self._texts[name] = " ".join(text.split())


def _named_paths(
    file: descriptor_pb2.FileDescriptorProto,
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the source path of each element with its full name (descriptor.proto's numbering)."""
    prefix = f"{file.package}."
    for index, message in enumerate(file.message_type):
        yield from _message_paths(message, (4, index), prefix)
    for index, enum in enumerate(file.enum_type):
        yield from _enum_paths(enum, (5, index), prefix)
    for index, service in enumerate(file.service):
        yield (6, index), prefix + service.name
        for number, method in enumerate(service.method):
            yield (6, index, 2, number), f"{prefix}{service.name}.{method.name}"


def _message_paths(
    message: descriptor_pb2.DescriptorProto, path: tuple[int, ...], prefix: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = prefix + message.name
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, 2, index), f"{name}.{field.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _message_paths(nested, (*path, 3, index), f"{name}.")
    for index, enum in enumerate(message.enum_type):
        yield from _enum_paths(enum, (*path, 4, index), f"{name}.")


def _enum_paths(
    enum: descriptor_pb2.EnumDescriptorProto, path: tuple[int, ...], prefix: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, prefix + enum.name
    for index, value in enumerate(enum.value):
        # Protobuf scopes values beside their enum; documentation wants them below it.
        yield (*path, 2, index), f"{prefix}{enum.name}.{value.name}"


@cache
def descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    """Return the committed descriptor set, with the comments of the sources."""
    data = files("throughline").joinpath("descriptor_set.binpb").read_bytes()
    return descriptor_pb2.FileDescriptorSet.FromString(data)


@cache
def comments() -> Comments:
    """Return the comments of the contract."""
    return Comments(descriptor_set())


def message_class(descriptor: Descriptor) -> type[Message]:
    """Return the generated class of a message."""
    return message_factory.GetMessageClass(descriptor)


@cache
def rest_methods() -> tuple[RestMethod, ...]:
    """Return every method that has a path, those with a custom verb first.

    A router takes the first path that fits, and `/v1/contracts/{contract_id}` would fit
    `/v1/contracts/…:sign` as well.

    Raises:
        ContractUnfit, AccessUndeclared: a method is not fit to be served.
    """
    found = [
        method
        for file in descriptor_set().file
        if (package := _PACKAGE.fullmatch(file.package)) and file.service
        for method in _methods_of(file.name, package["domain"].replace("_", "-"))
    ]
    return tuple(sorted(found, key=lambda method: (":" not in method.path, method.path)))


@cache
def groups() -> dict[str, str]:
    """Return what the groups of methods are about; services of one name make one group."""
    texts: dict[str, list[str]] = {}
    for file in descriptor_set().file:
        if _PACKAGE.fullmatch(file.package):
            for service in file.service:
                text = comments().of_name(f"{file.package}.{service.name}")
                texts.setdefault(service.name.removesuffix("Service"), []).append(text)
    return {name: " ".join(found) for name, found in sorted(texts.items())}


@cache
def services() -> tuple[str, ...]:
    """Return the names of the services that own a method with a path."""
    return tuple(sorted({method.service for method in rest_methods()}))


def _methods_of(file_name: str, owner: str) -> Iterator[RestMethod]:
    stem = file_name.removesuffix(".proto").replace("/", ".")
    module = import_module(f"{stem}_pb2")
    stubs = import_module(f"{stem}_pb2_grpc")
    services: Mapping[str, ServiceDescriptor] = module.DESCRIPTOR.services_by_name
    for service in services.values():
        stub_class = getattr(stubs, f"{service.name}Stub")
        for method in service.methods:
            if method.GetOptions().HasExtension(annotations_pb2.http):
                yield _read_method(method, owner, stub_class)


def _read_method(method: MethodDescriptor, owner: str, stub_class: type[Any]) -> RestMethod:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    path = getattr(rule, verb)
    path_fields = tuple(_PATH_FIELD.findall(path))
    unknown = set(path_fields) - set(method.input_type.fields_by_name)
    if verb == "custom" or rule.body not in {"", "*"} or len(path_fields) != path.count("{"):
        raise ContractUnfit(f"{method.full_name}: only plain verbs and paths, body all or none")
    if unknown:
        raise ContractUnfit(f"{method.full_name} has no field {', '.join(unknown)}")
    return RestMethod(
        verb=verb,
        path=path,
        path_fields=path_fields,
        has_body=bool(rule.body),
        service=owner,
        name=method.name,
        group=method.containing_service.name.removesuffix("Service"),
        request=method.input_type,
        response=method.output_type,
        access=access_of(method),
        seconds=seconds_of(method),
        owned=owned_by(method),
        sheet=_sheet_of(method, verb),
        comment=comments().of(method),
        stub_class=stub_class,
    )


def _sheet_of(method: MethodDescriptor, verb: str) -> FieldDescriptor | None:
    """Return the field of the reply that is served as a sheet: the one named, else its only list.

    Raises:
        ContractUnfit: the one named is not there.
    """
    fields = method.output_type.fields_by_name
    named = method.GetOptions().Extensions[options_pb2.sheet]
    if named:
        if named not in fields:
            raise ContractUnfit(f"{method.full_name} answers with no {named}")
        return fields[named]
    rest = [field for field in fields.values() if field.name != "next_page_token"]
    is_list = len(rest) == 1 and rest[0].is_repeated and rest[0].message_type is not None
    return rest[0] if verb == "get" and is_list else None
