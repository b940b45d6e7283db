/** The metadata of a photo's file → the blocks of metadata of an .rnnc file, as docs/FORMAT.md specifies. */

import { Block, joined } from "./bitstream";
import { correctedExif, correctedXmp, isExif, takeOrientation, xmpOrientation } from "./exif";

const MAX_SIZE = 2 ** 24;

/** What the file of a photo holds. */
interface Found {
  /** A TIFF stream, without the prefix Exif\0\0. */
  exif?: Uint8Array;
  xmp?: Uint8Array;
  /** The content of the chunk of a PNG file that has the EXIF data, which may begin with the prefix. */
  chunk?: Uint8Array;
  /** It has a colour profile. */
  profile?: boolean;
}

/** The blocks for a photo whose picture is written with this size; none if it has no metadata. */
export async function metadataBlocks(photo: Uint8Array, width: number, height: number): Promise<Block[]> {
  const { exif, xmp, profile = false } = read(photo);
  const blocks: Block[] = [];
  if (exif && isExif(exif) && exif.length <= MAX_SIZE) {
    blocks.push({ kind: "EXIF", content: await deflated(correctedExif(exif, width, height, profile)) });
  }
  if (xmp?.length && xmp.length <= MAX_SIZE) {
    blocks.push({ kind: "XMP ", content: await deflated(correctedXmp(xmp, width, height, profile)) });
  }
  if (profile) blocks.push({ kind: "sRGB", content: new Uint8Array(0) });
  return blocks;
}

/**
 * The file of a photo without its orientation, and this orientation, from 1 to 8. Some browsers turn a photo upright when
 * they decode it and some do not, depending on the format; of this file all decode the same pixels.
 */
export function withoutOrientation(photo: Uint8Array): { content: Uint8Array; orientation: number } {
  const content = photo.slice();
  const { exif, xmp, chunk } = read(content);
  if (!exif || !isExif(exif)) return { content, orientation: xmpOrientation(xmp) };
  const orientation = takeOrientation(exif, xmp);
  if (!chunk) return { content, orientation };
  const [start, end] = [chunk.byteOffset - 8, chunk.byteOffset + chunk.length + 4]; // its check is wrong now
  return { content: joined([content.subarray(0, start), content.subarray(end)]), orientation };
}

function read(photo: Uint8Array): Found {
  const found: Found = {};
  const view = new DataView(photo.buffer, photo.byteOffset, photo.length);
  try {
    if (startsWith(photo, "\xff\xd8")) readJpeg(photo, view, found);
    else if (startsWith(photo, PNG)) readPng(photo, view, found);
    else if (startsWith(photo, "RIFF") && startsWith(photo.subarray(8), "WEBP")) readWebp(photo, view, found);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // it ends early: what was found before holds
  }
  return found;
}

const PNG = "\x89PNG";
const EXIF = "Exif\0\0";
const XMP = "http://ns.adobe.com/xap/1.0/\0";
const PNG_XMP = "XML:com.adobe.xmp\0\0\0\0\0"; // not compressed, without language and translation

function readJpeg(photo: Uint8Array, view: DataView, found: Found): void {
  for (let at = 2; view.getUint8(at) === 0xff; ) {
    const marker = view.getUint8(at + 1);
    if (marker === 0xda) return; // the picture begins
    const content = photo.subarray(at + 4, at + 2 + view.getUint16(at + 2));
    if (marker === 0xe1 && startsWith(content, EXIF)) found.exif ??= content.subarray(EXIF.length);
    if (marker === 0xe1 && startsWith(content, XMP)) found.xmp ??= content.subarray(XMP.length);
    if (marker === 0xe2 && startsWith(content, "ICC_PROFILE\0")) found.profile = true;
    at += 2 + view.getUint16(at + 2);
  }
}

function readPng(photo: Uint8Array, view: DataView, found: Found): void {
  for (let at = 8; at < photo.length; at += 12 + view.getUint32(at)) {
    const chunk = photo.subarray(at + 4, at + 8 + view.getUint32(at));
    if (startsWith(chunk, "eXIf")) {
      found.chunk = chunk.subarray(4);
      found.exif = startsWith(found.chunk, EXIF) ? found.chunk.subarray(EXIF.length) : found.chunk;
    }
    if (startsWith(chunk, `iTXt${PNG_XMP}`)) found.xmp = chunk.subarray(4 + PNG_XMP.length);
    if (startsWith(chunk, "iCCP")) found.profile = true;
  }
}

function readWebp(photo: Uint8Array, view: DataView, found: Found): void {
  for (let at = 12; at < photo.length; ) {
    const length = view.getUint32(at + 4, true);
    const chunk = photo.subarray(at, at + 8 + length);
    const content = chunk.subarray(8);
    if (startsWith(chunk, "EXIF")) found.exif = startsWith(content, EXIF) ? content.subarray(EXIF.length) : content;
    if (startsWith(chunk, "XMP ")) found.xmp = content;
    if (startsWith(chunk, "ICCP")) found.profile = true;
    at += 8 + length + (length % 2);
  }
}

/** `start` has a character for each byte. */
function startsWith(bytes: Uint8Array, start: string): boolean {
  return [...start].every((character, i) => bytes[i] === character.charCodeAt(0));
}

/** A zlib stream. */
async function deflated(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
