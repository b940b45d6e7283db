/** The alpha of a picture ↔ its block in a file, as docs/FORMAT.md specifies. */

import type { Block } from "./bitstream";

export const ALPHA = "ALPH";
const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const MAX_SIZE = 2 ** 25;

/** How opaque each pixel is, from 0 to 255; null if a block holds no such image. Its size is compared before it is
 * decoded. */
export async function unpackAlpha(png: Uint8Array, width: number, height: number): Promise<Uint8Array | null> {
  const view = new DataView(png.buffer, png.byteOffset, png.length);
  if (png.length < 24 || PNG.some((byte, at) => png[at] !== byte)) return null;
  if (view.getUint32(16) !== width || view.getUint32(20) !== height) return null;
  try {
    const bitmap = await createImageBitmap(new Blob([png as Uint8Array<ArrayBuffer>]), { colorSpaceConversion: "none" });
    const context = new OffscreenCanvas(width, height).getContext("2d")!;
    context.drawImage(bitmap, 0, 0);
    return channelOf(context.getImageData(0, 0, width, height), 0);
  } catch {
    return null; // this browser cannot decode it
  }
}

/** The block of an alpha; none if all of it is opaque, or if it does not fit into a file. */
export async function alphaBlocks(pixels: ImageData): Promise<Block[]> {
  const alpha = channelOf(pixels, 3);
  if (alpha.every((value) => value === 255)) return [];
  const grey = new ImageData(pixels.width, pixels.height);
  alpha.forEach((value, at) => grey.data.set([value, value, value, 255], 4 * at));
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext("2d")!.putImageData(grey, 0, 0);
  const png = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
  return png.length > MAX_SIZE ? [] : [{ kind: ALPHA, content: png }];
}

/** Gives a picture over white its alpha: the colours become those that look the same on white. */
export function applyAlpha({ data }: ImageData, alpha: Uint8Array): void {
  alpha.forEach((value, at) => {
    for (let c = 4 * at; c < 4 * at + 3; c++) data[c] = value ? 255 - ((255 - data[c]) * 255) / value : 255; // clamps
    data[4 * at + 3] = value;
  });
}

/** One of the four channels. */
function channelOf({ data }: ImageData, channel: number): Uint8Array {
  return Uint8Array.from({ length: data.length / 4 }, (_, at) => data[4 * at + channel]);
}
