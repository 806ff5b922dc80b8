"""Writes safetensors files: eight bytes of length, a JSON header, the data of the tensors."""
import json

import numpy

METADATA = {"format": "pt"}


def to_bfloat16(values):
    """The upper halves of float32 values, rounded to nearest even, as uint16."""
    bits = numpy.ascontiguousarray(values, numpy.float32).view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def encode(values, kind):
    if kind == "BF16":
        return to_bfloat16(values)
    return values.astype({"F32": numpy.float32, "F16": numpy.float16}[kind])


def write(path, tensors, kind="F32"):
    """Write named float32 arrays as `kind`; returns the bytes of data."""
    header, data, end = {"__metadata__": METADATA}, [], 0
    for name, values in tensors.items():
        data.append(encode(values, kind).tobytes())
        header[name] = {"dtype": kind, "shape": list(values.shape),
                        "data_offsets": [end, end + len(data[-1])]}
        end += len(data[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(data)
    return end


def write_folder(folder, tensors, kind="F32", shards=1):
    """model.safetensors, or several with their index."""
    if shards == 1:
        write(folder / "model.safetensors", tensors, kind)
        return
    names, place, size = list(tensors), {}, 0
    for shard in range(shards):
        part = names[len(names) * shard // shards:len(names) * (shard + 1) // shards]
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        size += write(folder / file, {name: tensors[name] for name in part}, kind)
        place.update({name: file for name in part})
    index = {"metadata": {"total_size": size}, "weight_map": place}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")
