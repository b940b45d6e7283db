/**
 * The part that both context models share: a checkerboard predicts the bits of one layer. All arithmetic is in whole
 * numbers below 2^24, so that every machine gets the same probabilities.
 */

import { channelRuns, earlierNeighbours, Neighbour, STAGES, stageOf } from "./order";
import type { BitCoder } from "./range_coder";

export const TOP_LEVEL = 1023;
const TABLE = 1024;

/** The codes of a layer, -1 or +1, position after position: `[h · w, bits]`. */
export interface Codes {
  values: Int8Array;
  h: number;
  w: number;
}

/** The tensors of docs/FORMAT.md that one layer uses, flat. */
export interface Weights {
  window: Int32Array;
  centre: Int32Array;
  /** `[stages, first]` */
  stage: Int32Array;
  group: Int32Array;
  hidden: Int32Array;
  hiddenBias: Int32Array;
  output: Int32Array;
  outputBias: Int32Array;
  table: Int32Array;
  /** Of the first hidden layer, the second one, and the logits. */
  shifts: [number, number, number];
}

export class Predictor {
  private readonly runs: [number, number][];
  private readonly neighbours: Neighbour[][];
  private readonly first: number;
  private readonly second: number;

  constructor(
    private readonly bits: number,
    groups: number,
    radius: number,
    private readonly weights: Weights,
  ) {
    this.runs = channelRuns(bits, groups);
    this.neighbours = earlierNeighbours(radius);
    this.first = weights.stage.length / STAGES;
    this.second = weights.hiddenBias.length;
  }

  /**
   * Codes all bits of a layer: `coder` decodes them into `codes`, or encodes those that `codes` holds. `features`
   * `[h · w, first]` is the part of the first layer's sums that depends on earlier layers.
   */
  run(coder: BitCoder, codes: Codes, features: Int32Array): void {
    const { bits, first, weights } = this;
    const { values, h, w } = codes;
    for (let stage = 0; stage < STAGES; stage++) {
      const places: number[] = [];
      for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) if (stageOf(y, x) === stage) places.push(y * w + x);
      const seen = new Int32Array(places.length * first);
      places.forEach((place, n) => {
        const sums = seen.subarray(n * first, (n + 1) * first);
        for (let u = 0; u < first; u++) sums[u] = features[place * first + u] + weights.stage[stage * first + u];
        const y = Math.floor(place / w);
        const x = place % w;
        for (const { dy, dx, k } of this.neighbours[stage]) {
          if (y + dy < 0 || y + dy >= h || x + dx < 0 || x + dx >= w) continue;
          addSigned(sums, values, (place + dy * w + dx) * bits, bits, weights.window, k * bits * first);
        }
      });
      this.runs.forEach(([start, end], g) => {
        const frequencies = this.frequencies(values, places, seen, g, start, end);
        for (let c = start; c < end; c++) {
          for (let n = 0; n < places.length; n++) {
            const at = places[n] * bits + c;
            values[at] = coder.code(frequencies[n * (end - start) + c - start], values[at] > 0 ? 1 : 0) ? 1 : -1;
          }
        }
      });
    }
  }

  /** The probabilities that the bits of a group are 1, in 1/65536: `[places, end - start]`. */
  private frequencies(
    values: Int8Array,
    places: number[],
    seen: Int32Array,
    g: number,
    start: number,
    end: number,
  ): Int32Array {
    const { bits, first, second, weights } = this;
    const { shifts } = weights;
    const found = new Int32Array(places.length * (end - start));
    const a = new Int32Array(first);
    const b = new Int32Array(second);
    places.forEach((place, n) => {
      for (let u = 0; u < first; u++) a[u] = seen[n * first + u] + weights.group[g * first + u];
      addSigned(a, values, place * bits, start, weights.centre, g * bits * first);
      for (let u = 0; u < first; u++) a[u] = level(a[u] >> shifts[0]);
      b.set(weights.hiddenBias);
      addProducts(b, a, 0, first, weights.hidden, 0);
      for (let v = 0; v < second; v++) b[v] = level(b[v] >> shifts[1]);
      for (let c = start; c < end; c++) {
        let logit = weights.outputBias[c];
        for (let v = 0; v < second; v++) logit += b[v] * weights.output[c * second + v];
        const entry = Math.min(Math.max((logit >> shifts[2]) + TABLE / 2, 0), TABLE - 1);
        found[n * (end - start) + c - start] = weights.table[entry];
      }
    });
    return found;
  }
}

/** An activation: clipped to 0 … TOP_LEVEL. */
export function level(value: number): number {
  return value < 0 ? 0 : value > TOP_LEVEL ? TOP_LEVEL : value;
}

/** `sums += inputs · rows`, for `count` inputs of -1 and +1; `row` is where the first row of the matrix begins. */
function addSigned(
  sums: Int32Array,
  inputs: Int8Array,
  at: number,
  count: number,
  matrix: Int32Array,
  row: number,
): void {
  const width = sums.length;
  for (let i = 0; i < count; i++, row += width) {
    if (inputs[at + i] > 0) for (let u = 0; u < width; u++) sums[u] += matrix[row + u];
    else for (let u = 0; u < width; u++) sums[u] -= matrix[row + u];
  }
}

/** As `addSigned`, for any whole numbers. */
export function addProducts(
  sums: Int32Array,
  inputs: Int32Array | Int8Array,
  at: number,
  count: number,
  matrix: Int32Array,
  row: number,
): void {
  const width = sums.length;
  for (let i = 0; i < count; i++, row += width) {
    const value = inputs[at + i];
    if (value) for (let u = 0; u < width; u++) sums[u] += value * matrix[row + u];
  }
}

/**
 * `sums` `[h · w, outputs]` `+=` a convolution of `inputs` `[h · w, channels]`, which are 0 outside of the picture. The
 * rows of the matrix begin at `row`: positions within `radius` in raster order, the channels of each in order.
 */
export function convolve(
  sums: Int32Array,
  inputs: Int32Array | Int8Array,
  h: number,
  w: number,
  radius: number,
  matrix: Int32Array,
  row = 0,
): void {
  const channels = inputs.length / (h * w);
  const outputs = sums.length / (h * w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const place = y * w + x;
      const own = sums.subarray(place * outputs, (place + 1) * outputs);
      let from = row;
      for (let dy = -radius; dy <= radius; dy++) {
        for (let dx = -radius; dx <= radius; dx++, from += channels * outputs) {
          if (y + dy < 0 || y + dy >= h || x + dx < 0 || x + dx >= w) continue;
          addProducts(own, inputs, (place + dy * w + dx) * channels, channels, matrix, from);
        }
      }
    }
  }
}
