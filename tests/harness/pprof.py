"""Reads a profile in pprof's format: profile.proto of github.com/google/pprof, by Protocol Buffers' own library."""

import gzip

import harness.protobuf  # noqa: F401
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELDS = {  # message: (number, name, type, repeated)
    "ValueType": [(1, "type", "int64", False), (2, "unit", "int64", False)],
    "Label": [(1, "key", "int64", False), (2, "str", "int64", False), (3, "num", "int64", False)],
    "Sample": [(1, "location_id", "uint64", True), (2, "value", "int64", True), (3, "label", "Label", True)],
    "Mapping": [(1, "id", "uint64", False), (2, "memory_start", "uint64", False), (3, "memory_limit", "uint64", False),
                (4, "file_offset", "uint64", False), (5, "filename", "int64", False), (6, "build_id", "int64", False),
                (7, "has_functions", "bool", False)],
    "Line": [(1, "function_id", "uint64", False), (2, "line", "int64", False)],
    "Location": [(1, "id", "uint64", False), (2, "mapping_id", "uint64", False), (3, "address", "uint64", False),
                 (4, "line", "Line", True)],
    "Function": [(1, "id", "uint64", False), (2, "name", "int64", False), (3, "system_name", "int64", False),
                 (4, "filename", "int64", False)],
    "Profile": [(1, "sample_type", "ValueType", True), (2, "sample", "Sample", True), (3, "mapping", "Mapping", True),
                (4, "location", "Location", True), (5, "function", "Function", True), (6, "string_table", "string", True),
                (9, "time_nanos", "int64", False), (10, "duration_nanos", "int64", False),
                (11, "period_type", "ValueType", False), (12, "period", "int64", False), (13, "comment", "int64", True),
                (14, "default_sample_type", "int64", False)],
}


def _message():
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="profile.proto", package="perftools.profiles", syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for number, key, kind, repeated in fields:
            one = message.field.add(number=number, name=key,
                                    label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL)
            if kind in FIELDS:
                one.type, one.type_name = field.TYPE_MESSAGE, ".perftools.profiles." + kind
            else:
                one.type = getattr(field, "TYPE_" + kind.upper())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("perftools.profiles.Profile"))


class Profile:
    """`stacks`: the functions' names, the innermost first, and the values by their measure's name."""

    def __init__(self, data):
        self.raw = _message()()
        self.raw.ParseFromString(gzip.decompress(data))
        texts = self.raw.string_table
        assert texts[0] == ""
        self.measures = [(texts[one.type], texts[one.unit]) for one in self.raw.sample_type]
        functions = {one.id: texts[one.name] for one in self.raw.function}
        mappings = {one.id: one for one in self.raw.mapping}
        places = {}
        for place in self.raw.location:
            if place.mapping_id:
                mapping = mappings[place.mapping_id]
                assert mapping.memory_start <= place.address < mapping.memory_limit, place
            places[place.id] = [functions[line.function_id] for line in place.line]
        self.stacks = []
        for sample in self.raw.sample:
            assert len(sample.value) == len(self.measures), sample
            names = [name for place in sample.location_id for name in places[place]]
            self.stacks.append((names, dict(zip([name for name, _ in self.measures], sample.value))))
        self.files = [texts[one.filename] for one in self.raw.mapping]
        self.shown = texts[self.raw.default_sample_type]

    def sum(self, measure, below=""):
        """Of the stacks that have a function whose name holds `below`."""
        return sum(values[measure] for names, values in self.stacks if any(below in name for name in names))
