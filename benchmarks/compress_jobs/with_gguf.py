"""Quantise a float32 GGUF file as llama.cpp does: the `gguf` package's reference quantiser writes the same blocks.

    python with_gguf.py SPEC.json OUT_FOLDER

As llama.cpp's own tool: norms stay float32, and the tied head of a Q4_0 file is not put on 4 bits. That tool would take
Q6_K for it, whose blocks of 256 do not fit 576 inputs, and then takes Q8_0.
"""

import json
import sys
import tempfile
from pathlib import Path

import gguf

from burnish.compress.export.gguf import FILE, save_gguf
from burnish.compress.export.source import Source


def main() -> int:
    spec, out = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=out) as folder:
        save_gguf(Source.read(Path(spec["prepared"]["float"])), Path(folder), float_type="f32", pre_tokenizer=None)
        requantize(Path(folder) / FILE, out / FILE, spec["settings"]["type"])
    return 0


def requantize(source: Path, target: Path, kind: str) -> None:
    """Copy a file, its matrices as blocks of the type."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.get_field("general.architecture").contents())
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name not in ("general.architecture", "general.file_type"):
            nested = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], nested)
    writer.add_file_type(int(gguf.LlamaFileType[f"MOSTLY_{kind}"]))
    for tensor in reader.tensors:
        if len(tensor.shape) < 2:
            writer.add_tensor(tensor.name, tensor.data)
            continue
        taken = gguf.GGMLQuantizationType["Q8_0" if tensor.name == "token_embd.weight" else kind]
        writer.add_tensor(tensor.name, gguf.quants.quantize(tensor.data, taken), raw_dtype=taken)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    sys.exit(main())
