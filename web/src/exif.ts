/**
 * EXIF and XMP data of a photo, corrected for the picture that is written: upright, of another size, in sRGB. The same
 * as src/rnncodec/pictures/exif.py: values are overwritten in place, and the thumbnail is left out.
 */

const ORIENTATION = 0x0112;
const COLOR_SPACE = 0xa001;
const [WIDTH, HEIGHT] = [0x0100, 0x0101];
const [EXIF_WIDTH, EXIF_HEIGHT] = [0xa002, 0xa003];
const [EXIF_DIRECTORY, INTEROP_DIRECTORY] = [0x8769, 0xa005];
const INTEROP_INDEX = 1;
const [THUMBNAIL_START, THUMBNAIL_LENGTH] = [0x0201, 0x0202];

/** What a tag becomes. */
interface Value {
  type: number;
  count: number;
  value: number;
}

const short = (value: number): Value => ({ type: 3, count: 1, value });
const long = (value: number): Value => ({ type: 4, count: 1, value });

export function isExif(data: Uint8Array): boolean {
  const start = String.fromCharCode(...data.subarray(0, 4));
  return start === "II*\0" || start === "MM\0*";
}

/** The orientation that a TIFF stream names, from 1 to 8, which becomes 1 in the stream: upright. If there is none, that
 * of an XMP packet. */
export function takeOrientation(data: Uint8Array, xmp?: Uint8Array): number {
  const stream = new Stream(data);
  const first = stream.pointer(4);
  const orientation = stream.small(first, ORIENTATION) || xmpOrientation(xmp);
  stream.overwrite(first, new Map([[ORIENTATION, short(1)]]));
  return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

/** The orientation that an XMP packet names; 1 if there is none. */
export function xmpOrientation(packet?: Uint8Array): number {
  const found = /tiff:Orientation(="|>)([1-8])/.exec(new TextDecoder().decode(packet ?? new Uint8Array()));
  return found ? Number(found[2]) : 1;
}

/** A TIFF stream, to that of a picture of this size. `srgb`: the picture was converted to sRGB. */
export function correctedExif(data: Uint8Array, width: number, height: number, srgb: boolean): Uint8Array {
  const stream = new Stream(data.slice());
  const size: [number, Value][] = [[WIDTH, long(width)], [HEIGHT, long(height)]];
  const exifSize: [number, Value][] = [[EXIF_WIDTH, long(width)], [EXIF_HEIGHT, long(height)]];
  const colours: [number, Value][] = srgb ? [[COLOR_SPACE, short(1)]] : [];
  const first = stream.pointer(4);
  stream.overwrite(first, new Map([[ORIENTATION, short(1)], ...size, ...exifSize, ...colours]));
  const main = stream.subdirectory(first, EXIF_DIRECTORY);
  stream.overwrite(main, new Map([...exifSize, ...colours]));
  if (srgb) stream.nameSrgb(stream.subdirectory(main, INTEROP_DIRECTORY));
  return stream.withoutThumbnail(first);
}

/** A TIFF stream; what lies behind its end is left alone. */
class Stream {
  private readonly view: DataView;
  private readonly little: boolean;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.little = bytes[0] === 0x49;
  }

  /** The number at this position; where the stream has ended, its end. */
  pointer(at: number): number {
    return at + 4 > this.bytes.length ? this.bytes.length : this.view.getUint32(at, this.little);
  }

  /** Where the directory is to which the first such tag points; the end of the stream if there is none. */
  subdirectory(directory: number, tag: number): number {
    return this.entries(directory).find((entry) => entry.tag === tag)?.value ?? this.bytes.length;
  }

  /** The value of a tag that is a SHORT or a LONG; 0 if it is not there. */
  small(directory: number, tag: number): number {
    const entry = this.entries(directory).find((each) => each.tag === tag);
    if (!entry) return 0;
    const isShort = this.view.getUint16(entry.at + 2, this.little) === 3;
    return isShort ? this.view.getUint16(entry.at + 8, this.little) : entry.value;
  }

  overwrite(directory: number, values: Map<number, Value>): void {
    for (const { tag, at } of this.entries(directory)) {
      const wanted = values.get(tag);
      if (!wanted) continue;
      this.view.setUint16(at + 2, wanted.type, this.little);
      this.view.setUint32(at + 4, wanted.count, this.little);
      this.view.setUint32(at + 8, 0);
      if (wanted.type === 3) this.view.setUint16(at + 8, wanted.value, this.little);
      else this.view.setUint32(at + 8, wanted.value, this.little);
    }
  }

  /** Let a directory of interoperability say sRGB, which is called R98. */
  nameSrgb(directory: number): void {
    this.overwrite(directory, new Map([[INTEROP_INDEX, { type: 2, count: 4, value: 0 }]]));
    for (const { tag, at } of this.entries(directory)) {
      if (tag === INTEROP_INDEX) this.bytes.set(new TextEncoder().encode("R98\0"), at + 8);
    }
  }

  /** Without the link to the second directory and its JPEG data; they are cut off, or overwritten with zeros. */
  withoutThumbnail(first: number): Uint8Array {
    const { bytes } = this;
    if (first + 2 > bytes.length) return bytes;
    const link = first + 2 + 12 * this.view.getUint16(first, this.little);
    if (link + 4 > bytes.length) return bytes;
    const values = new Map(this.entries(this.pointer(link)).map(({ tag, value }) => [tag, value]));
    this.view.setUint32(link, 0);
    const start = values.get(THUMBNAIL_START) ?? bytes.length;
    const end = start + (values.get(THUMBNAIL_LENGTH) ?? 0);
    if (bytes[start] !== 0xff || bytes[start + 1] !== 0xd8) return bytes;
    if (end >= bytes.length) return bytes.slice(0, start);
    bytes.fill(0, start, end);
    return bytes;
  }

  /** The entries of a directory, as far as the stream holds them. */
  private entries(directory: number): { tag: number; value: number; at: number }[] {
    const found: { tag: number; value: number; at: number }[] = [];
    if (directory + 2 > this.bytes.length) return found;
    const count = this.view.getUint16(directory, this.little);
    for (let at = directory + 2; at < directory + 2 + 12 * count && at + 12 <= this.bytes.length; at += 12) {
      found.push({ tag: this.view.getUint16(at, this.little), value: this.pointer(at + 8), at });
    }
    return found;
  }
}

/** An XMP packet, to that of a picture of this size. */
export function correctedXmp(packet: Uint8Array, width: number, height: number, srgb: boolean): Uint8Array {
  const values: Record<string, string> = {
    "tiff:Orientation": "1",
    "tiff:ImageWidth": String(width),
    "exif:PixelXDimension": String(width),
    "tiff:ImageLength": String(height),
    "exif:PixelYDimension": String(height),
    ...(srgb ? { "exif:ColorSpace": "1", "photoshop:ICCProfile": "sRGB IEC61966-2.1" } : {}),
  };
  let text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(packet);
  for (const [name, value] of Object.entries(values)) {
    text = text.replace(new RegExp(`${name}\\s*=\\s*("[^"]*"|'[^']*')`, "g"), `${name}="${value}"`);
    text = text.replace(new RegExp(`<(${name}(\\s[^<>]*)?)>[^<]*</`, "g"), `<$1>${value}</`);
  }
  return new TextEncoder().encode(text);
}
