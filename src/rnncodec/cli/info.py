"""The description of an .rnnc file, for programs and for the terminal."""

from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from rnncodec.fileformat import bitstream
from rnncodec.terminal import counted
from rnncodec.weights.released import former_model, released_name


def describe(source: str, file: bitstream.File) -> dict[str, Any]:
    """The header and the layers of a file, as values that JSON can hold."""
    header = file.header
    pixels = header.width * header.height
    return {
        "file": source,
        "version": header.version,
        "model": header.model.hex(),
        "model_name": released_name(header.model) or former_model(header.model),
        "coder": header.coder,
        "width": header.width,
        "height": header.height,
        "bits_per_position": header.bits,
        "layers_written": header.layers,
        "damage": file.damage,
        "metadata": {
            "exif": len(file.metadata.exif),
            "xmp": len(file.metadata.xmp),
            "srgb": file.metadata.srgb,
            "alpha": len(file.metadata.alpha),
            "bytes": file.metadata_size,
        },
        "layers": [
            {
                "layer": t,
                "bytes": len(payload),
                "saved": 1 - len(payload) / header.raw_size,
                "ends_at": end,
                "bpp": 8 * end / pixels,
            }
            for t, (payload, end) in enumerate(zip(file.layers, file.ends, strict=True), start=1)
        ],
    }


def table(described: dict[str, Any]) -> Group:
    """The values of `describe` as a table for the terminal."""
    layers = Table("layer", "bytes", "saved", "file ends at", "bpp")
    for column in layers.columns:
        column.justify = "right"
    for layer in described["layers"]:
        layers.add_row(
            str(layer["layer"]),
            f"{layer['bytes']:,}",
            f"{layer['saved']:.1%}",
            f"{layer['ends_at']:,}",
            f"{layer['bpp']:.3f}",
        )
    coder = bitstream.CODERS.get(described["coder"], "unknown")
    parts: list[Any] = [
        escape(described["file"]),
        f"  {described['width']}×{described['height']} pixels, {len(described['layers'])} of "
        f"{counted(described['layers_written'], 'layer')}, coder {described['coder']} ({coder})",
        f"  format version {described['version']}, model {described['model']} "
        f"({described['model_name'] or 'not a released one'})",
        layers,
        f"  metadata: {metadata_line(described['metadata'])}",
    ]
    if described["damage"]:
        parts.append(f"[yellow]warning[/] {described['damage']}")
    return Group(*parts)


def metadata_line(metadata: dict[str, Any]) -> str:
    """The metadata of `describe` in words."""
    sizes = [f"{name.upper()} of {metadata[name]:,} bytes" for name in ("exif", "xmp", "alpha") if metadata[name]]
    sizes += ["tagged as sRGB"] if metadata["srgb"] else []
    return f"{', '.join(sizes)}; {metadata['bytes']:,} bytes of the file" if sizes else "none"
