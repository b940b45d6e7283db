/** The bytes of a file ↔ its header and layers, as docs/FORMAT.md specifies. */

import { FormatError } from "./errors";

const MAGIC = [0x52, 0x4e, 0x4e, 0x43];
const VERSION = 1;
const MAX_SIDE = 2 ** 28;

export interface Header {
  /** The identity of the weights, in hex. */
  model: string;
  coder: number;
  bits: number;
  layers: number;
  width: number;
  height: number;
}

/** The codes of a layer have `bits · h · w` values; a position stands for 16×16 pixels. */
export function positions(header: { width: number; height: number }): { h: number; w: number } {
  return { h: Math.ceil(header.height / 16), w: Math.ceil(header.width / 16) };
}

/** The bytes of a layer of raw bits. */
export function rawSize(header: Header): number {
  const { h, w } = positions(header);
  return Math.ceil((header.bits * h * w) / 8);
}

/** Reads a file whose bytes arrive in pieces. */
export class Reader {
  header: Header | null = null;
  /** Bytes that have arrived. */
  received = 0;
  /** Where in the file the last whole layer that was read ends. */
  end = 0;
  layersRead = 0;
  damaged = false;
  private rest = new Uint8Array(0);
  private expected = 0;

  push(chunk: Uint8Array): void {
    const joined = new Uint8Array(this.rest.length + chunk.length);
    joined.set(this.rest);
    joined.set(chunk, this.rest.length);
    this.rest = joined;
    this.received += chunk.length;
    if (this.header === null) this.readHeader();
  }

  /** The payload of the next layer, or null if it has not arrived, or is damaged. */
  next(): Uint8Array | null {
    const layer = this.layer();
    if (layer === null) return null;
    const { start, length } = layer;
    if (start + length > this.rest.length) return null;
    const payload = this.rest.slice(start, start + length);
    const check = checksum(payload, checksum(this.rest.subarray(0, start - 2)));
    if (check !== ((this.rest[start - 2] << 8) | this.rest[start - 1])) {
      this.damaged = true;
      return null;
    }
    this.rest = this.rest.slice(start + length);
    this.expected = length;
    this.layersRead++;
    this.end += start + length;
    return payload;
  }

  /** What has arrived of the payload of the next layer, and its whole length in bytes; null if this is not known. */
  beginning(): { payload: Uint8Array; length: number } | null {
    const layer = this.layer();
    return layer && { payload: this.rest.slice(layer.start, layer.start + layer.length), length: layer.length };
  }

  /** Says, after the last byte, what is wrong with the file; null if it is whole. Throws if nothing can be shown. */
  finish(): string | null {
    if (this.header === null) {
      throw new FormatError(this.received ? "It was cut inside its header: nothing can be decoded." : "It is empty.");
    }
    if (this.layersRead === this.header.layers) return null;
    const number = this.layersRead + 1;
    const where = this.damaged ? "is damaged" : this.rest.length ? "was cut" : "is missing";
    const damage = `layer ${number} of ${this.header.layers} ${where}`;
    if (this.layersRead === 0) throw new FormatError(`No layer is whole: ${damage}.`);
    return `${damage[0].toUpperCase()}${damage.slice(1)}. The picture is that of the layers before it.`;
  }

  /** The bytes behind the last layer, which are metadata; empty if layers are missing. */
  metadata(): Uint8Array {
    return this.layersRead === this.header?.layers ? this.rest : new Uint8Array(0);
  }

  /** Where in `rest` the payload of the next layer starts, and its length; null if this is not known, or damaged. */
  private layer(): { start: number; length: number } | null {
    if (this.header === null || this.damaged || this.layersRead === this.header.layers) return null;
    const difference = readVarint(this.rest, 0);
    if (difference === null) return null;
    const length = difference === "too long" ? -1 : this.expected + unzigzag(difference.value);
    if (difference === "too long" || length < 0) {
      this.damaged = true;
      return null;
    }
    return { start: difference.end + 2, length };
  }

  private readHeader(): void {
    const bytes = this.rest;
    if (MAGIC.some((value, at) => at < bytes.length && bytes[at] !== value)) {
      throw new FormatError("It is not an .rnnc file.");
    }
    if (bytes.length > 4 && bytes[4] !== VERSION) {
      throw new FormatError(`It has version ${bytes[4]} of the format; this page reads version ${VERSION}.`);
    }
    if (bytes.length < 12) return;
    const width = readVarint(bytes, 12);
    const height = width === null || width === "too long" ? width : readVarint(bytes, width.end);
    if (width === null || height === null) return;
    if (width === "too long" || height === "too long") throw new FormatError(BROKEN_HEADER);
    const end = height.end;
    if (bytes.length < end + 2) return;
    const [coder, bits, layers] = bytes.subarray(9, 12);
    const sensible = [width, height].every(({ value }) => value >= 1 && value <= MAX_SIDE) && bits && layers;
    if (checksum(bytes.subarray(0, end)) !== ((bytes[end] << 8) | bytes[end + 1]) || !sensible) {
      throw new FormatError(BROKEN_HEADER);
    }
    const model = toHex(bytes.subarray(5, 9));
    this.header = { model, coder, bits, layers, width: width.value, height: height.value };
    this.expected = rawSize(this.header);
    this.end = end + 2;
    this.rest = bytes.slice(end + 2);
  }
}

const BROKEN_HEADER = "Its header is damaged: nothing can be decoded.";

/** The file of a header, the payload of each layer, and the metadata part. */
export function write(header: Header, payloads: Uint8Array[], metadata: Uint8Array = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const head = [...MAGIC, VERSION, ...fromHex(header.model), header.coder, header.bits, payloads.length];
  head.push(...varint(header.width), ...varint(header.height));
  const parts = [Uint8Array.from(head), twoBytes(checksum(Uint8Array.from(head)))];
  let expected = rawSize(header);
  for (const payload of payloads) {
    const length = Uint8Array.from(varint(zigzag(payload.length - expected)));
    parts.push(length, twoBytes(checksum(payload, checksum(length))), payload);
    expected = payload.length;
  }
  return joined([...parts, metadata]);
}

/** The bytes of all parts. */
export function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

/** CRC-16/XMODEM of bytes that follow others whose CRC is `crc`. */
export function checksum(bytes: Uint8Array, crc = 0): number {
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ CRC_TABLE[(crc >> 8) ^ byte];
  return crc;
}

/** The unsigned LEB128 number at `at`; null if the bytes end first. */
function readVarint(bytes: Uint8Array, at: number): { value: number; end: number } | null | "too long" {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    if (at + i >= bytes.length) return null;
    const byte = bytes[at + i];
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: at + i + 1 };
  }
  return "too long";
}

export function varint(value: number): number[] {
  const bytes = [];
  while (value > 0x7f) {
    bytes.push((value % 0x80) + 0x80);
    value = Math.floor(value / 0x80);
  }
  return [...bytes, value];
}

function zigzag(value: number): number {
  return value >= 0 ? 2 * value : -2 * value - 1;
}

function unzigzag(value: number): number {
  return value % 2 ? -(value + 1) / 2 : value / 2;
}

export function twoBytes(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromHex(hex: string): number[] {
  return hex.match(/../g)!.map((pair) => parseInt(pair, 16));
}
