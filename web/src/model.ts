/** The exported network: model.json, context.bin, and the two graphs in onnxruntime, as docs/ONNX.md describes them. */

import * as ort from "onnxruntime-web/wasm";

import type { ContextModel } from "./context_model";
import { contextModel, ContextDescription } from "./contexts";
import type { Codes } from "./predictor";

interface State {
  channels: number[];
  scale: number;
}

interface Description {
  format: string;
  identities: Record<string, string>;
  iterations: number;
  stride: number;
  config: { bits: number; priming: number; diffusion: number };
  encoder_states: State[];
  decoder_states: State[];
  context: ContextDescription | null;
}

const FORMAT = "rnncodec-onnx-1";

/** Fetches a file of the page's own folder. `onBytes` hears of each piece that arrives. */
export type Fetch = (name: string, onBytes?: (count: number) => void) => Promise<Uint8Array>;

export class Model {
  private encoder: Promise<ort.InferenceSession> | null = null;

  private constructor(
    readonly description: Description,
    /** Null if its files hold raw bits. */
    readonly context: ContextModel | null,
    private readonly decoder: ort.InferenceSession,
    private readonly fetchFile: Fetch,
  ) {}

  /** Loads what decoding needs; the encoder is loaded when it is first used. */
  static async load(fetchFile: Fetch, onBytes: (count: number) => void): Promise<Model> {
    const names = ["ort-wasm-simd-threaded.wasm", "model.json", "context.bin.split", "decoder.onnx.split"];
    const [runtime, json, numbers, graph] = await Promise.all(names.map((name) => fetchFile(name, onBytes)));
    ort.env.wasm.numThreads = 1; // more need headers that not every file server sends
    ort.env.wasm.wasmBinary = runtime.buffer as ArrayBuffer;
    const description = JSON.parse(new TextDecoder().decode(json)) as Description;
    if (description.format !== FORMAT) throw new Error(`model.json has the format ${description.format}, not ${FORMAT}.`);
    const context = description.context && contextModel(description.context, numbers);
    return new Model(description, context, await session(graph), fetchFile);
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
    return new Run(this.description, h, w, this.decoder, () => this.loadEncoder());
  }

  private loadEncoder(): Promise<ort.InferenceSession> {
    this.encoder ??= this.fetchFile("encoder.onnx.split").then(session);
    return this.encoder;
  }
}

function session(graph: Uint8Array): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(graph, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
}

/** The network while it codes one picture: an iteration for each layer. */
export class Run {
  private previous: ort.Tensor;
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
    private readonly encoder: () => Promise<ort.InferenceSession>,
  ) {
    this.height = h * description.stride;
    this.width = w * description.stride;
    this.previous = this.picture(new Float32Array(3 * this.height * this.width));
    this.encoderStates = description.encoder_states.map((state) => this.zero(state));
    this.decoderStates = description.decoder_states.map((state) => this.zero(state));
  }

  /** The codes of the next layer, for a picture `[3, height, width]` of whole positions, in [0, 1] minus ½. */
  async encode(picture: Float32Array): Promise<Codes> {
    const feeds = { picture: this.picture(picture), previous: this.previous };
    const output = await this.step(await this.encoder(), "codes", this.encoderStates, feeds);
    const { bits } = this.description.config;
    const places = this.h * this.w;
    const values = new Int8Array(bits * places);
    for (let c = 0, i = 0; c < bits; c++) {
      for (let place = 0; place < places; place++) values[place * bits + c] = output[i++] > 0 ? 1 : -1;
    }
    return { values, h: this.h, w: this.w };
  }

  /** The picture after a layer, `[height · width, 4]` in 8-bit RGBA, of whole positions. */
  async decode(codes: Codes): Promise<Uint8ClampedArray<ArrayBuffer>> {
    const { bits } = this.description.config;
    const places = this.h * this.w;
    const planes = new Float32Array(bits * places);
    for (let c = 0, i = 0; c < bits; c++) {
      for (let place = 0; place < places; place++) planes[i++] = codes.values[place * bits + c];
    }
    const feeds = { codes: new ort.Tensor("float32", planes, [1, bits, this.h, this.w]), previous: this.previous };
    const output = await this.step(this.decoder, "reconstruction", this.decoderStates, feeds);
    this.previous = this.picture(output);
    this.t++;
    const size = this.height * this.width;
    const pixels = new Uint8ClampedArray(4 * size); // clamps, and rounds half to even
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < 3; c++) pixels[4 * i + c] = (output[c * size + i] + 0.5) * 255;
      pixels[4 * i + 3] = 255;
    }
    return pixels;
  }

  /** Runs a graph as often as this iteration asks for; `states` are replaced by the new ones. */
  private async step(
    graph: ort.InferenceSession,
    name: string,
    states: ort.Tensor[],
    feeds: Record<string, ort.Tensor>,
  ): Promise<Float32Array> {
    const { priming, diffusion } = this.description.config;
    const t = new ort.Tensor("int64", BigInt64Array.of(BigInt(this.t)), []);
    let output;
    for (let run = this.t ? diffusion : priming; run >= 0; run--) {
      const named = Object.fromEntries(states.map((state, i) => [`state_${i}`, state]));
      // An input that the graph does not use is not in it.
      const given = Object.entries({ ...feeds, ...named, t }).filter(([key]) => graph.inputNames.includes(key));
      output = await graph.run(Object.fromEntries(given));
      for (let i = 0; i < states.length; i++) states[i] = output[`new_state_${i}`];
    }
    return output![name].data as Float32Array;
  }

  private picture(values: Float32Array): ort.Tensor {
    return new ort.Tensor("float32", values, [1, 3, this.height, this.width]);
  }

  private zero({ channels, scale }: State): ort.Tensor {
    const shape = [1, ...channels, scale * this.h, scale * this.w];
    return new ort.Tensor("float32", new Float32Array(shape.reduce((size, side) => size * side)), shape);
  }
}
