/** Coder 1 of docs/FORMAT.md: the checkerboard context model. */

import type { ContextModel, PictureContext, Tensors } from "./context_model";
import { Codes, convolve, Predictor } from "./predictor";
import type { BitCoder } from "./range_coder";

const OLDEST = 8; // sums of older codes are clipped to ±OLDEST

interface Config {
  bits: number;
  iterations: number;
  groups: number;
  radius: number;
  past_radius: number;
  hidden: [number, number];
}

export class CheckerboardContext implements ContextModel {
  private readonly predictors: Predictor[];

  constructor(
    readonly coder: number,
    readonly config: Config,
    readonly tensors: Tensors,
  ) {
    const { bits, groups, radius, iterations } = config;
    const [first] = config.hidden;
    const [s0, s1, s2] = tensors.shifts;
    this.predictors = Array.from({ length: iterations }, (_, t) => {
      const stage = tensors.stage.map((value, i) => value + tensors.iteration[t * first + (i % first)]);
      return new Predictor(bits, groups, radius, {
        window: tensors.window,
        centre: tensors.centre,
        stage,
        group: tensors.group,
        hidden: tensors.hidden,
        hiddenBias: tensors.hidden_bias,
        output: tensors.output,
        outputBias: tensors.output_bias.subarray(t * bits, (t + 1) * bits),
        table: tensors.table,
        shifts: [s0, s1, s2],
      });
    });
  }

  start(): PictureContext {
    return new Picture(this.config, this.tensors, this.predictors);
  }
}

class Picture implements PictureContext {
  private readonly history: Codes[] = [];

  constructor(
    private readonly config: Config,
    private readonly tensors: Tensors,
    private readonly predictors: Predictor[],
  ) {}

  run(coder: BitCoder, codes: Codes): void {
    const t = Math.min(this.history.length, this.config.iterations - 1);
    this.predictors[t].run(coder, codes, this.features(codes));
  }

  remember(codes: Codes): void {
    this.history.push(codes);
  }

  private features({ h, w }: Codes): Int32Array {
    const { bits, past_radius: radius } = this.config;
    const [first] = this.config.hidden;
    const rows = (2 * radius + 1) ** 2 * bits * first;
    const sums = new Int32Array(h * w * first);
    const [last, before, ...older] = [...this.history].reverse();
    if (last) convolve(sums, last.values, h, w, radius, this.tensors.past, 0);
    if (before) convolve(sums, before.values, h, w, radius, this.tensors.past, rows);
    if (older.length) {
      const total = new Int32Array(h * w * bits);
      for (const { values } of older) for (let i = 0; i < total.length; i++) total[i] += values[i];
      const clipped = total.map((value) => Math.min(Math.max(value, -OLDEST), OLDEST));
      convolve(sums, clipped, h, w, 0, this.tensors.past, 2 * rows);
    }
    return sums;
  }
}
