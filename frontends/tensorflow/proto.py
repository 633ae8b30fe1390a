"""The messages of TensorFlow's files, with the fields that matter for inference.

After tensorflow/core/framework/{graph,node_def,function,op_def,attr_value,tensor,tensor_shape,types}.proto and
tensorflow/core/protobuf/{saved_model,meta_graph,saver,tensor_bundle}.proto. Messages that stand nested there have the
outer one's name before their own. Enums are plain numbers here: a file may hold ones that are newer than this table.
"""

from __future__ import annotations

from typing import Any

from ..protobuf import schema

_SCHEMA = """
message GraphDef {
  repeated NodeDef node = 1; optional FunctionDefLibrary library = 2; optional VersionDef versions = 4;
}
message VersionDef { optional int32 producer = 1; optional int32 min_consumer = 2; repeated int32 bad_consumers = 3; }
message NodeDef {
  optional string name = 1; optional string op = 2; repeated string input = 3; map<string, AttrValue> attr = 5;
}
message FunctionDefLibrary { repeated FunctionDef function = 1; }
message FunctionDef {
  optional OpDef signature = 1; repeated NodeDef node_def = 3; map<string, string> ret = 4;
  map<string, AttrValue> attr = 5; map<string, string> control_ret = 6;
}
message OpDef {
  optional string name = 1; repeated OpDefArgDef input_arg = 2; repeated OpDefArgDef output_arg = 3;
  repeated OpDefAttrDef attr = 4;
}
message OpDefArgDef {
  optional string name = 1; optional int32 type = 3; optional string type_attr = 4; optional string number_attr = 5;
  optional string type_list_attr = 6; optional bool is_ref = 16;
}
message OpDefAttrDef { optional string name = 1; optional string type = 2; optional AttrValue default_value = 3; }

message AttrValue {
  optional AttrValueListValue list = 1; optional bytes s = 2; optional int64 i = 3; optional float f = 4;
  optional bool b = 5; optional int32 type = 6; optional TensorShapeProto shape = 7; optional TensorProto tensor = 8;
  optional string placeholder = 9; optional NameAttrList func = 10;
}
message AttrValueListValue {
  repeated bytes s = 2; repeated int64 i = 3 [packed = true]; repeated float f = 4 [packed = true];
  repeated bool b = 5 [packed = true]; repeated int32 type = 6 [packed = true]; repeated TensorShapeProto shape = 7;
  repeated TensorProto tensor = 8; repeated NameAttrList func = 9;
}
message NameAttrList { optional string name = 1; map<string, AttrValue> attr = 2; }
message TensorShapeProto { repeated TensorShapeProtoDim dim = 2; optional bool unknown_rank = 3; }
message TensorShapeProtoDim { optional int64 size = 1; optional string name = 2; }
message TensorProto {
  optional int32 dtype = 1; optional TensorShapeProto tensor_shape = 2; optional bytes tensor_content = 4;
  repeated float float_val = 5 [packed = true]; repeated double double_val = 6 [packed = true];
  repeated int32 int_val = 7 [packed = true]; repeated bytes string_val = 8;
  repeated float scomplex_val = 9 [packed = true]; repeated int64 int64_val = 10 [packed = true];
  repeated bool bool_val = 11 [packed = true]; repeated double dcomplex_val = 12 [packed = true];
  repeated int32 half_val = 13 [packed = true]; repeated uint32 uint32_val = 16 [packed = true];
  repeated uint64 uint64_val = 17 [packed = true]; optional bytes float8_val = 18; optional bytes mark = 19999;
}

message SavedModel { optional int64 saved_model_schema_version = 1; repeated MetaGraphDef meta_graphs = 2; }
message MetaGraphDef {
  optional MetaGraphDefMetaInfoDef meta_info_def = 1; optional GraphDef graph_def = 2; optional SaverDef saver_def = 3;
  map<string, CollectionDef> collection_def = 4; map<string, SignatureDef> signature_def = 5;
}
message MetaGraphDefMetaInfoDef {
  optional string meta_graph_version = 1; repeated string tags = 4; optional string tensorflow_version = 5;
  optional bool stripped_default_attrs = 7; map<string, string> function_aliases = 8;
}
message SaverDef {
  optional string filename_tensor_name = 1; optional string save_tensor_name = 2; optional string restore_op_name = 3;
}
message CollectionDef {
  optional CollectionDefNodeList node_list = 1; optional CollectionDefBytesList bytes_list = 2;
}
message CollectionDefNodeList { repeated string value = 1; }
message CollectionDefBytesList { repeated bytes value = 1; }
message SignatureDef {
  map<string, TensorInfo> inputs = 1; map<string, TensorInfo> outputs = 2; optional string method_name = 3;
}
message TensorInfo {
  optional string name = 1; optional int32 dtype = 2; optional TensorShapeProto tensor_shape = 3;
  optional TensorInfoCooSparse coo_sparse = 4; optional TensorInfoCompositeTensor composite_tensor = 5;
}
message TensorInfoCooSparse {
  optional string values_tensor_name = 1; optional string indices_tensor_name = 2;
  optional string dense_shape_tensor_name = 3;
}
message TensorInfoCompositeTensor { repeated TensorInfo components = 2; }

message BundleHeader { optional int32 num_shards = 1; optional int32 endianness = 2; }
message BundleEntry {
  optional int32 dtype = 1; optional TensorShapeProto shape = 2; optional int32 shard_id = 3; optional int64 offset = 4;
  optional int64 size = 5; optional fixed32 crc32c = 6; repeated BundleSlice slices = 7;
}
message BundleSlice { optional bytes extent = 1; }
"""
# mark: no field of TensorFlow's; it stands for content that was left in the file (frontends/wire.py)

messages: dict[str, Any] = schema(_SCHEMA, "mconv.tensorflow")
"""Message classes by name."""

GraphDef = messages["GraphDef"]
NodeDef = messages["NodeDef"]
FunctionDef = messages["FunctionDef"]
AttrValue = messages["AttrValue"]
TensorProto = messages["TensorProto"]
SavedModel = messages["SavedModel"]
MetaGraphDef = messages["MetaGraphDef"]
SignatureDef = messages["SignatureDef"]
TensorInfo = messages["TensorInfo"]
CollectionDef = messages["CollectionDef"]
SaverDef = messages["SaverDef"]
BundleHeader = messages["BundleHeader"]
BundleEntry = messages["BundleEntry"]
