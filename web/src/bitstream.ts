/** The bytes of a file ↔ its header and layers, as docs/FORMAT.md specifies. */

import { blockCheck, CHECK_SIZES, headerCheck, layerCheck } from "./checksum";
import { FormatError } from "./errors";

const MAGIC = [0x52, 0x4e, 0x4e, 0x43];
/** That is written; files of version 1 are read too. */
export const VERSION = 2;
const MAX_SIDE = 2 ** 28;
const MAX_BLOCKS = 255;
const MAX_BLOCKS_SIZE = 2 ** 26;
/** The kinds of blocks that are known; of others only the check is looked at. */
const KINDS = ["EXIF", "XMP ", "sRGB", "ALPH"].map((kind) => new TextEncoder().encode(kind));

export interface Header {
  /** Of the format that the file was written in. */
  version: number;
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

/** A block of metadata: its kind, four characters, and its content. */
export interface Block {
  kind: string;
  content: Uint8Array;
}

/** Reads a file whose bytes arrive in pieces. */
export class Reader {
  header: Header | null = null;
  /** Bytes that have arrived. */
  received = 0;
  /** Where in the file the last whole layer that was read ends. */
  end = 0;
  layersRead = 0;
  /** The whole blocks of metadata that were read. */
  readonly blocks: Block[] = [];
  /** What is wrong with the file where it was read last; null if nothing is. */
  private damage: "layer" | "metadata" | null = null;
  private readonly rest = new Arrived();
  private fields = new Uint8Array(0);
  private expected = 0;
  private metadataSize = 0;

  push(chunk: Uint8Array): void {
    this.rest.push(chunk);
    this.received += chunk.length;
    if (this.header === null) this.readHeader();
  }

  /** The payload of the next layer, or null if it has not arrived, or is damaged. */
  next(): Uint8Array | null {
    const layer = this.layer();
    if (layer === null) return null;
    const bytes = this.rest.bytes();
    const { length, field, start } = layer;
    if (start + length > bytes.length) return null;
    const payload = bytes.slice(start, start + length);
    const parts = [bytes.subarray(0, field), payload];
    if (!holds(bytes.subarray(field, start), layerCheck(this.version, this.fields, this.layersRead + 1, parts))) {
      this.damage = "layer";
      return null;
    }
    this.rest.drop(start + length);
    this.expected = length;
    this.layersRead++;
    this.end += start + length;
    return payload;
  }

  /** What has arrived of the payload of the next layer, and its whole length in bytes; null if this is not known. */
  beginning(): { payload: Uint8Array; length: number } | null {
    const layer = this.layer();
    if (layer === null) return null;
    const { start, length } = layer;
    return { payload: this.rest.bytes().slice(start, start + length), length };
  }

  /** Reads the blocks of metadata that have arrived. */
  readBlocks(): void {
    while (this.layersRead === this.header?.layers && this.damage === null && this.readBlock());
  }

  /** Whether nothing more can be read, whatever arrives. */
  get finished(): boolean {
    return this.damage !== null;
  }

  /** Says, after the last byte, what is wrong with the file; null if it is whole. Throws if nothing can be shown. */
  finish(): string | null {
    if (this.header === null) {
      throw new FormatError(this.received ? "It was cut inside its header: nothing can be decoded." : "It is empty.");
    }
    const rest = this.rest.bytes();
    if (this.layersRead === this.header.layers) {
      const known = KINDS.some((kind) => startsWith(rest, kind) || startsWith(kind, rest));
      if (rest.length === 0) return null;
      if (!known) return "Bytes that are not its own follow the file.";
      return this.damage ? "Its metadata are damaged." : "It was cut inside its metadata.";
    }
    const number = this.layersRead + 1;
    const where = this.damage ? "is damaged" : rest.length ? "was cut" : "is missing";
    const damage = `layer ${number} of ${this.header.layers} ${where}`;
    if (this.layersRead === 0) throw new FormatError(`No layer is whole: ${damage}.`);
    return `${damage[0].toUpperCase()}${damage.slice(1)}. The picture is that of the layers before it.`;
  }

  private get version(): number {
    return this.header!.version;
  }

  /** Of the next layer, where in `rest` its length field ends, where its payload starts, and its length; null if this is
   * not known, or damaged. */
  private layer(): { field: number; start: number; length: number } | null {
    if (this.header === null || this.damage || this.layersRead === this.header.layers) return null;
    const difference = readVarint(this.rest.bytes(), 0);
    if (difference === null) return null;
    const length = difference === "too long" ? -1 : this.expected + unzigzag(difference.value);
    if (difference === "too long" || length < 0 || length > rawSize(this.header)) {
      this.damage = "layer";
      return null;
    }
    return { field: difference.end, start: difference.end + CHECK_SIZES[this.version], length };
  }

  /** Reads the next block of metadata. False if it has not arrived, or is damaged. */
  private readBlock(): boolean {
    const bytes = this.rest.bytes();
    if (bytes.length < 4) return false;
    const kind = String.fromCharCode(...bytes.subarray(0, 4));
    const length = readVarint(bytes, 4);
    if (!/^[ -~]{4}$/.test(kind) || this.blocks.length === MAX_BLOCKS || length === "too long") return this.damaged();
    if (length === null) return false;
    const start = length.end + CHECK_SIZES[this.version];
    if (this.metadataSize + start + length.value > MAX_BLOCKS_SIZE) return this.damaged();
    if (bytes.length < start + length.value) return false;
    const content = bytes.slice(start, start + length.value);
    const parts = [bytes.subarray(0, length.end), content];
    const check = blockCheck(this.version, this.fields, this.blocks.length + 1, parts);
    if (!holds(bytes.subarray(length.end, start), check)) return this.damaged();
    this.blocks.push({ kind, content });
    this.metadataSize += start + length.value;
    this.rest.drop(start + length.value);
    return true;
  }

  private damaged(): false {
    this.damage = "metadata";
    return false;
  }

  private readHeader(): void {
    const bytes = this.rest.bytes();
    if (MAGIC.some((value, at) => at < bytes.length && bytes[at] !== value)) {
      throw new FormatError("It is not an .rnnc file.");
    }
    const version = bytes[4];
    if (bytes.length > 4 && !(version in CHECK_SIZES)) {
      throw new FormatError(`It has version ${version} of the format; this page reads versions 1 to ${VERSION}.`);
    }
    if (bytes.length < 12) return;
    const width = readVarint(bytes, 12);
    const height = width === null || width === "too long" ? width : readVarint(bytes, width.end);
    if (width === null || height === null) return;
    if (width === "too long" || height === "too long") throw new FormatError(BROKEN_HEADER);
    const end = height.end + CHECK_SIZES[version];
    if (bytes.length < end) return;
    const [coder, bits, layers] = bytes.subarray(9, 12);
    const sensible = [width, height].every(({ value }) => value >= 1 && value <= MAX_SIDE) && bits && layers;
    this.fields = bytes.slice(0, height.end);
    if (!holds(bytes.subarray(height.end, end), headerCheck(version, this.fields)) || !sensible) {
      throw new FormatError(BROKEN_HEADER);
    }
    const model = toHex(bytes.subarray(5, 9));
    this.header = { version, model, coder, bits, layers, width: width.value, height: height.value };
    this.expected = rawSize(this.header);
    this.end = end;
    this.rest.drop(end);
  }
}

const BROKEN_HEADER = "Its header is damaged: nothing can be decoded.";

/** Bytes that have arrived and were not read. Each is copied a few times at most, however small the pieces are. */
class Arrived {
  private held = new Uint8Array(2 ** 16);
  private start = 0;
  private end = 0;

  push(chunk: Uint8Array): void {
    const size = this.end - this.start;
    if (this.end + chunk.length > this.held.length) {
      const room = size + chunk.length > this.held.length / 2 ? new Uint8Array(2 * (size + chunk.length)) : this.held;
      room.set(this.bytes());
      [this.held, this.start, this.end] = [room, 0, size];
    }
    this.held.set(chunk, this.end);
    this.end += chunk.length;
  }

  bytes(): Uint8Array {
    return this.held.subarray(this.start, this.end);
  }

  drop(count: number): void {
    this.start += count;
  }
}

/** The file of a header, the payload of each layer, and the blocks of metadata, in the version that is written. */
export function write(header: Header, payloads: Uint8Array[], blocks: Block[] = []): Uint8Array<ArrayBuffer> {
  const head = [...MAGIC, VERSION, ...fromHex(header.model), header.coder, header.bits, payloads.length];
  head.push(...varint(header.width), ...varint(header.height));
  const fields = Uint8Array.from(head);
  const parts = [fields, headerCheck(VERSION, fields)];
  let expected = rawSize(header);
  payloads.forEach((payload, t) => {
    const length = Uint8Array.from(varint(zigzag(payload.length - expected)));
    parts.push(length, layerCheck(VERSION, fields, t + 1, [length, payload]), payload);
    expected = payload.length;
  });
  blocks.forEach(({ kind, content }, n) => {
    const start = joined([new TextEncoder().encode(kind), Uint8Array.from(varint(content.length))]);
    parts.push(start, blockCheck(VERSION, fields, n + 1, [start, content]), content);
  });
  return joined(parts);
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

function holds(found: Uint8Array, wanted: Uint8Array): boolean {
  return found.every((byte, at) => byte === wanted[at]);
}

/** Whether `bytes` begin with `start`. */
function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, at) => bytes[at] === byte);
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

function varint(value: number): number[] {
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

function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromHex(hex: string): number[] {
  return hex.match(/../g)!.map((pair) => parseInt(pair, 16));
}
