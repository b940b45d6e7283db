/** The codec, in a thread of its own: reads files while they arrive, and compresses photos. */

import { Header, joined, positions, Reader, VERSION, write } from "./bitstream";
import { PREFIX } from "./cache";
import { FormatError } from "./errors";
import { Layers } from "./layers";
import { tooLarge } from "./limits";
import { Order, Report } from "./messages";
import { Fetch, loadRuntime, Model, Run } from "./model";
import type { Codes } from "./predictor";

const LAYERS = 8; // one bit a pixel before entropy coding, as the command writes

/** The share of the first layer that is enough for a preview. With half of it most objects can be recognized. */
const ENOUGH = 0.5;
/** Milliseconds after which a picture is shown although the next layer is there already. */
const PATIENCE = 1000;
/** Milliseconds without a byte before a preview is made: where bytes come faster, the layer is soon whole. */
const PAUSE = 20;

interface Scope extends DedicatedWorkerGlobalScope {
  /** The folder of each model by its identities, and a name for this version of all files: files.js has both. */
  MODELS: Record<string, string>;
  VERSION: string;
}

const scope = self as unknown as Scope;

function report(message: Report, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}

/** Fetches the files of a folder of the page's own. */
function fetchFrom(folder: string): Fetch {
  return async (name, onBytes = () => {}) => {
    const address = new URL(`${folder}${name}.gz`, scope.location.href).href;
    const response = await fetch(address, { cache: "no-cache" }); // a copy in the browser may be of an older version
    if (!response.ok || !response.body) throw new Error(`${name} cannot be loaded: ${response.status}.`);
    const parts: Uint8Array[] = [];
    for await (const part of pieces(response.body)) {
      parts.push(part);
      onBytes(part.length);
    }
    const content = joined(parts);
    await keep(address, content).catch(() => undefined); // there may be no room; then the page works online alone
    const isPacked = content[0] === 0x1f && content[1] === 0x8b; // some servers decompress it
    const unpacked = isPacked ? await decompressed(content) : content;
    return name.endsWith(".split") ? merged(unpacked) : unpacked;
  };
}

async function decompressed(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Puts the bytes of a file, of which those at even places come first, in their order. */
function merged(content: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(content.length);
  const half = Math.ceil(content.length / 2);
  for (let i = 0; i < content.length; i++) all[i] = content[i % 2 ? half + (i >> 1) : i >> 1];
  return all;
}

/** Keeps a file where the service worker looks for it, so that it is not loaded twice. */
async function keep(address: string, content: Uint8Array<ArrayBuffer>): Promise<void> {
  if (!("caches" in scope)) return; // without https
  await listed;
  const cache = await caches.open(PREFIX + scope.VERSION);
  await cache.put(address, new Response(content));
}

const OWN = ""; // the folder of the model that compresses photos
const listed: Promise<unknown> = import(new URL("files.js", scope.location.href).href); // sets MODELS and VERSION
const countBytes = (bytes: number) => report({ type: "loading", bytes });
const runtime = loadRuntime(fetchFrom(OWN), countBytes);
const models = new Map<string, Promise<Model>>();

/** The model in `folder`. It is loaded when it is first asked for, and again if that has failed. */
function load(folder: string): Promise<Model> {
  let model = models.get(folder);
  if (!model) {
    model = Model.load(runtime, fetchFrom(folder), countBytes);
    models.set(folder, model);
    model.catch(() => models.delete(folder));
  }
  return model;
}

Promise.all([load(OWN), listed]).then(
  () => report({ type: "ready" }),
  (error) => report({ type: "broken", message: String(error.message ?? error) }),
);

let current = 0;
let opened: Decompressor | null = null;
let stop = new AbortController();

scope.onmessage = async ({ data: order }: MessageEvent<Order>) => {
  const { job } = order;
  if (order.type !== "pictures") {
    current = job;
    opened = null;
    stop.abort();
    stop = new AbortController();
  }
  try {
    if (order.type === "open") await open(order.source, job, stop.signal);
    else if (order.type === "compress") await compress(order);
    else await opened?.pictures();
  } catch (error) {
    if (job !== current) return;
    const known = error instanceof FormatError;
    report({ type: "error", job, message: known ? error.message : `This went wrong: ${(error as Error).message ?? error}` });
  }
};

/** Decodes a file layer by layer, each as soon as its bytes have arrived. */
async function open(source: Blob | string, job: number, signal: AbortSignal): Promise<void> {
  const { stream, total } = typeof source === "string" ? await request(source, signal) : { stream: source.stream(), total: source.size };
  const reader = new Reader();
  const payloads: Uint8Array[] = [];
  const arriving = stream.getReader();
  // The bytes are read on while the network works on a layer.
  let waiting: Promise<ReadableStreamReadResult<Uint8Array>> | null = arriving.read();
  let decompressor: Decompressor | null = null;
  let previewed = false;
  let broken = "";
  while (waiting) {
    const { done, value }: ReadableStreamReadResult<Uint8Array> = await waiting.catch((error) => {
      if (!reader.header) throw error;
      broken = "The connection broke. ";
      return { done: true as const, value: undefined };
    });
    if (job !== current) return;
    waiting = done ? null : arriving.read();
    if (!done) {
      reader.push(value);
      report({ type: "progress", job, received: reader.received, total });
    }
    if (reader.header && !decompressor) decompressor = await Decompressor.start(reader.header, job);
    if (!decompressor) continue;
    for (let payload = reader.next(); payload; ) {
      const { end } = reader;
      const next = reader.next();
      payloads.push(payload);
      await decompressor.layer(payload, end, next === null);
      if (job !== current) return;
      payload = next;
    }
    reader.readBlocks();
    if (reader.finished) break; // what follows is not read
    const part = reader.layersRead || previewed ? null : reader.beginning();
    if (part && part.payload.length >= ENOUGH * part.length && (await comesNothing(waiting))) {
      previewed = true;
      await decompressor.preview(part.payload, part.length, reader.received);
    }
  }
  arriving.cancel().catch(() => undefined);
  opened = decompressor;
  const warning = broken + (reader.finish() ?? "") || null;
  report({ type: "done", job, file: { header: reader.header!, payloads, blocks: reader.blocks }, warning });
}

async function request(source: string, signal: AbortSignal): Promise<{ stream: ReadableStream<Uint8Array>; total: number | null }> {
  let response;
  try {
    response = await fetch(source, { signal, mode: "same-origin" }); // so that no answer sends it to another site
  } catch {
    throw new FormatError(`${source} cannot be loaded: its server does not answer, or it answers with another site.`);
  }
  if (!response.ok || !response.body) throw new FormatError(`${source} cannot be loaded: its server says ${response.status}.`);
  const packed = response.headers.get("Content-Encoding"); // then the length is not that of the file
  const length = packed ? null : response.headers.get("Content-Length");
  return { stream: response.body, total: length === null ? null : Number(length) };
}

/** Whether nothing arrives for a while. */
async function comesNothing(waiting: Promise<unknown> | null): Promise<boolean> {
  const pause = new Promise((resolve) => setTimeout(resolve, PAUSE, true));
  return waiting === null || (await Promise.race([waiting.then(() => false), pause])) === true;
}

/** Decodes the layers of a file in order, and reports the pictures. */
class Decompressor {
  private run: Run;
  private readonly codes: Codes[] = [];
  /** The numbers of the layers whose pictures were left out; the first is 1. */
  private readonly leftOut = new Set<number>();
  /** When a picture was shown last. */
  private last = -Infinity;

  private constructor(
    private readonly header: Header,
    private readonly job: number,
    private readonly layers: Layers,
    private readonly start: () => Run,
  ) {
    this.run = start();
  }

  /** Throws if the page cannot decode the file. */
  static async start(header: Header, job: number): Promise<Decompressor> {
    const { width, height, coder, bits } = header;
    const complaint = tooLarge(width, height, header.layers);
    if (complaint !== null) throw new FormatError(complaint);
    await listed;
    const loaded = await load(scope.MODELS[header.model] ?? OWN);
    const context = loaded.contextOf(coder);
    if (context === undefined || loaded.description.identities[coder] !== header.model || bits !== loaded.bits) {
      const known = Object.keys(scope.MODELS).join(" or ");
      throw new FormatError(`It was written with the model ${header.model}, coder ${coder}; this page has the model ${known}.`);
    }
    report({ type: "header", job, width, height, layers: header.layers });
    const { h, w } = positions(header);
    return new Decompressor(header, job, new Layers(bits, h, w, context), () => loaded.start(h, w));
  }

  /**
   * The next layer, which ends at the byte `end` of the file. Its picture is left out if it is not the `latest` that has
   * arrived, and one was shown a moment ago.
   */
  async layer(payload: Uint8Array, end: number, latest: boolean): Promise<void> {
    const codes = this.layers.decode(payload);
    this.codes.push(codes);
    await this.run.decode(codes);
    const isShown = latest || performance.now() - this.last > PATIENCE;
    const pixels = isShown ? cropped(await this.run.shown(), codes, this.header) : null;
    if (isShown) this.last = performance.now();
    else this.leftOut.add(this.codes.length);
    await reportLayer(this.job, pixels, codes, end);
  }

  /** The pictures that were left out. The network runs anew from the first layer. */
  async pictures(): Promise<void> {
    const run = this.start();
    for (const [t, codes] of this.codes.entries()) {
      if (this.leftOut.size === 0) return;
      await run.decode(codes);
      if (this.job !== current) return;
      if (!this.leftOut.delete(t + 1)) continue;
      const pixels = cropped(await run.shown(), codes, this.header);
      report({ type: "picture", job: this.job, number: t + 1, pixels }, [pixels.data.buffer]);
    }
  }

  /** Before the first layer: the picture that its `beginning` gives, whose check against damage comes with the rest. */
  async preview(beginning: Uint8Array, length: number, bytes: number): Promise<void> {
    const codes = this.layers.guess(beginning, length);
    if (codes === null) return;
    await this.run.decode(codes);
    const pixels = cropped(await this.run.shown(), codes, this.header);
    this.run = this.start(); // the layers of the file have not begun
    report({ type: "preview", job: this.job, pixels, bytes }, [pixels.data.buffer]);
  }
}

/** Compresses a photo, and reports the picture after each layer. */
async function compress({ job, pixels, width, height, blocks }: Order & { type: "compress" }): Promise<void> {
  const loaded = await load(OWN);
  const count = Math.min(LAYERS, loaded.description.iterations);
  const { h, w } = positions({ width, height });
  const identity = loaded.description.identities[loaded.coder];
  const { coder, bits } = loaded;
  const header: Header = { version: VERSION, model: identity, coder, bits, layers: count, width, height };
  report({ type: "header", job, width, height, layers: count });
  const picture = padded(pixels, width, height, 16 * h, 16 * w);
  const layers = new Layers(loaded.bits, h, w, loaded.context);
  const run = loaded.start(h, w);
  const payloads: Uint8Array[] = [];
  for (let t = 0; t < count; t++) {
    const codes = await run.encode(picture);
    payloads.push(layers.encode(codes));
    await run.decode(codes);
    const shown = await run.shown();
    if (job !== current) return;
    await reportLayer(job, cropped(shown, codes, header), codes, write(header, payloads).length);
  }
  report({ type: "done", job, file: { header, payloads, blocks }, warning: null });
}

/** 8-bit RGBA to planes in [0, 1] minus ½; the last row and column are repeated. */
function padded(pixels: Uint8ClampedArray, width: number, height: number, rows: number, columns: number): Float32Array {
  const planes = new Float32Array(3 * rows * columns);
  for (let c = 0, i = 0; c < 3; c++) {
    for (let y = 0; y < rows; y++) {
      const row = Math.min(y, height - 1) * width;
      for (let x = 0; x < columns; x++) {
        planes[i++] = Math.fround(pixels[4 * (row + Math.min(x, width - 1)) + c] / 255) - 0.5;
      }
    }
  }
  return planes;
}

async function reportLayer(job: number, pixels: ImageData | null, codes: Codes, bytes: number): Promise<void> {
  const hash = await digest(codes);
  report({ type: "layer", job, layer: { pixels, bytes, hash } }, pixels ? [pixels.data.buffer] : []);
}

/** A picture of whole positions, cut to the size of the file's. */
function cropped(shown: Uint8ClampedArray<ArrayBuffer>, { w }: Codes, { width, height }: Header): ImageData {
  const pixels = new ImageData(width, height);
  for (let y = 0; y < height; y++) {
    pixels.data.set(shown.subarray(4 * y * 16 * w, 4 * (y * 16 * w + width)), 4 * y * width);
  }
  return pixels;
}

async function digest({ values, h, w }: Codes): Promise<string | null> {
  if (!crypto.subtle) return null;
  const places = h * w;
  const bits = values.length / places;
  const ordered = new Int8Array(values.length);
  for (let place = 0; place < places; place++) {
    for (let c = 0; c < bits; c++) ordered[c * places + place] = values[place * bits + c];
  }
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", ordered)).subarray(0, 8);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The pieces of a stream, as they arrive. */
async function* pieces(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
