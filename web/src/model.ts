/** The exported network: model.json, context.bin, and the graphs in onnxruntime, as docs/ONNX.md describes them. */

import * as ort from "onnxruntime-web/wasm";

import type { ContextModel } from "./context_model";
import { contextModel, ContextDescription } from "./contexts";
import type { Codes } from "./predictor";

/** The shape of a state or sum. */
interface Shape {
  channels: number[];
  scale: number;
}

interface Description {
  format: string;
  identities: Record<string, string>;
  iterations: number;
  stride: number;
  config: { bits: number; priming: number; diffusion: number };
  encoder_states: Shape[];
  decoder_states: Shape[];
  sums: Shape[];
  context: ContextDescription | null;
}

const FORMAT = "rnncodec-onnx-2";

/** Fetches a file of a folder. `onBytes` hears of each piece that arrives. */
export type Fetch = (name: string, onBytes?: (count: number) => void) => Promise<Uint8Array>;

/** Loads what runs the graphs of all models. */
export async function loadRuntime(fetchFile: Fetch, onBytes: (count: number) => void): Promise<void> {
  const runtime = await fetchFile("ort-wasm-simd-threaded.wasm", onBytes);
  ort.env.wasm.numThreads = 1; // more need headers that not every file server sends
  ort.env.wasm.wasmBinary = runtime.buffer as ArrayBuffer;
}

export class Model {
  private encoder: Promise<ort.InferenceSession> | null = null;

  private constructor(
    readonly description: Description,
    /** Null if its files hold raw bits. */
    readonly context: ContextModel | null,
    private readonly decoder: ort.InferenceSession,
    private readonly pixels: ort.InferenceSession,
    private readonly fetchFile: Fetch,
  ) {}

  /** Loads what decoding needs, after the `runtime`; the encoder is loaded when it is first used. */
  static async load(runtime: Promise<void>, fetchFile: Fetch, onBytes: (count: number) => void): Promise<Model> {
    const names = ["model.json", "context.bin.split", "decoder.onnx.split", "pixels.onnx.split"];
    const [json, numbers, decoder, pixels] = await Promise.all(names.map((name) => fetchFile(name, onBytes)));
    await runtime;
    const description = JSON.parse(new TextDecoder().decode(json)) as Description;
    if (description.format !== FORMAT) throw new Error(`model.json has the format ${description.format}, not ${FORMAT}.`);
    const context = description.context && contextModel(description.context, numbers);
    return new Model(description, context, await session(decoder), await session(pixels), fetchFile);
  }

  get bits(): number {
    return this.description.config.bits;
  }

  /** The coder of the files that are written. */
  get coder(): number {
    return this.context ? this.context.coder : 0;
  }

  /** The context model that codes files of this coder, null for raw bits; undefined if the model cannot read them. */
  contextOf(coder: number): ContextModel | null | undefined {
    if (coder === 0) return null;
    return coder === this.context?.coder ? this.context : undefined;
  }

  /** The network at the beginning of a picture of `h × w` positions. */
  start(h: number, w: number): Run {
    return new Run(this.description, h, w, this.decoder, this.pixels, () => this.loadEncoder());
  }

  private loadEncoder(): Promise<ort.InferenceSession> {
    if (!this.encoder) {
      this.encoder = this.fetchFile("encoder.onnx.split").then(session);
      this.encoder.catch(() => (this.encoder = null)); // so that the next photo tries again
    }
    return this.encoder;
  }
}

function session(graph: Uint8Array): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(graph, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
}

/** Tensors of one kind by their names in a graph. */
function numbered(kind: string, tensors: ort.Tensor[]): Record<string, ort.Tensor> {
  return Object.fromEntries(tensors.map((tensor, i) => [`${kind}_${i}`, tensor]));
}

/** Those of the feeds that the graph has: an input that no result depends on is not in it. */
function used(graph: ort.InferenceSession, feeds: Record<string, ort.Tensor>): Record<string, ort.Tensor> {
  return Object.fromEntries(Object.entries(feeds).filter(([key]) => graph.inputNames.includes(key)));
}

/** The network while it codes one picture: an iteration for each layer. */
export class Run {
  /** The reconstruction after the layers so far; null until it is asked for. */
  private latest: ort.Tensor | null;
  /** What the layers so far add up to. */
  private sums: ort.Tensor[];
  private readonly encoderStates: ort.Tensor[];
  private readonly decoderStates: ort.Tensor[];
  private readonly height: number;
  private readonly width: number;
  private t = 0;

  constructor(
    private readonly description: Description,
    private readonly h: number,
    private readonly w: number,
    private readonly decoder: ort.InferenceSession,
    private readonly pixels: ort.InferenceSession,
    private readonly encoder: () => Promise<ort.InferenceSession>,
  ) {
    this.height = h * description.stride;
    this.width = w * description.stride;
    this.latest = this.picture(new Float32Array(3 * this.height * this.width));
    this.sums = description.sums.map((sum) => this.zero(sum));
    this.encoderStates = description.encoder_states.map((state) => this.zero(state));
    this.decoderStates = description.decoder_states.map((state) => this.zero(state));
  }

  /** The codes of the next layer, for a picture `[3, height, width]` of whole positions, in [0, 1] minus ½. */
  async encode(picture: Float32Array): Promise<Codes> {
    const feeds = { picture: this.picture(picture), previous: await this.reconstruction() };
    const output = (await this.step(await this.encoder(), this.encoderStates, feeds)).codes.data as Float32Array;
    const { bits } = this.description.config;
    const places = this.h * this.w;
    const values = new Int8Array(bits * places);
    for (let c = 0, i = 0; c < bits; c++) {
      for (let place = 0; place < places; place++) values[place * bits + c] = output[i++] > 0 ? 1 : -1;
    }
    return { values, h: this.h, w: this.w };
  }

  /** Takes in the next layer. Its picture is not computed before it is asked for. */
  async decode(codes: Codes): Promise<void> {
    const { bits } = this.description.config;
    const places = this.h * this.w;
    const planes = new Float32Array(bits * places);
    for (let c = 0, i = 0; c < bits; c++) {
      for (let place = 0; place < places; place++) planes[i++] = codes.values[place * bits + c];
    }
    const feeds = { codes: new ort.Tensor("float32", planes, [1, bits, this.h, this.w]), ...numbered("sum", this.sums) };
    const output = await this.step(this.decoder, this.decoderStates, feeds);
    this.sums = this.sums.map((_, i) => output[`new_sum_${i}`]);
    this.latest = null;
    this.t++;
  }

  /** The picture after the layers so far, `[height · width, 4]` in 8-bit RGBA, of whole positions. */
  async shown(): Promise<Uint8ClampedArray<ArrayBuffer>> {
    const output = (await this.reconstruction()).data as Float32Array;
    const size = this.height * this.width;
    const pixels = new Uint8ClampedArray(4 * size); // clamps, and rounds half to even
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < 3; c++) pixels[4 * i + c] = (output[c * size + i] + 0.5) * 255;
      pixels[4 * i + 3] = 255;
    }
    return pixels;
  }

  private async reconstruction(): Promise<ort.Tensor> {
    this.latest ??= (await this.pixels.run(used(this.pixels, numbered("sum", this.sums)))).reconstruction;
    return this.latest;
  }

  /** Runs a graph as often as this iteration asks for; `states` are replaced by the new ones. */
  private async step(
    graph: ort.InferenceSession,
    states: ort.Tensor[],
    feeds: Record<string, ort.Tensor>,
  ): Promise<ort.InferenceSession.OnnxValueMapType> {
    const { priming, diffusion } = this.description.config;
    const t = new ort.Tensor("int64", BigInt64Array.of(BigInt(this.t)), []);
    let output;
    for (let run = this.t ? diffusion : priming; run >= 0; run--) {
      output = await graph.run(used(graph, { ...feeds, ...numbered("state", states), t }));
      for (let i = 0; i < states.length; i++) states[i] = output[`new_state_${i}`];
    }
    return output!;
  }

  private picture(values: Float32Array): ort.Tensor {
    return new ort.Tensor("float32", values, [1, 3, this.height, this.width]);
  }

  private zero({ channels, scale }: Shape): ort.Tensor {
    const shape = [1, ...channels, scale * this.h, scale * this.w];
    return new ort.Tensor("float32", new Float32Array(shape.reduce((size, side) => size * side)), shape);
  }
}
