/** Coder 3 of docs/FORMAT.md: the recurrent checkerboard context model. */

import type { ContextModel, PictureContext, Tensors } from "./context_model";
import { Codes, convolve, level, Predictor } from "./predictor";
import type { BitCoder } from "./range_coder";

interface Config {
  bits: number;
  iterations: number;
  groups: number;
  radius: number;
  memory: number;
  hidden: [number, number];
}

export class RecurrentCheckerboardContext implements ContextModel {
  private readonly sets: Tensors[];
  private readonly predictors: Predictor[];

  constructor(
    readonly coder: number,
    readonly config: Config,
    tensors: Tensors,
  ) {
    const { table, ...all } = tensors;
    this.sets = Array.from({ length: config.iterations }, (_, t) =>
      Object.fromEntries(
        Object.entries(all).map(([name, tensor]) => {
          const size = tensor.length / config.iterations;
          return [name, tensor.subarray(t * size, (t + 1) * size)];
        }),
      ),
    );
    this.predictors = this.sets.map((own) => {
      const [, s0, s1, s2] = own.shifts;
      return new Predictor(config.bits, config.groups, config.radius, {
        window: own.window,
        centre: own.centre,
        stage: own.stage,
        group: own.group,
        hidden: own.hidden,
        hiddenBias: own.hidden_bias,
        output: own.output,
        outputBias: own.output_bias,
        table,
        shifts: [s0, s1, s2],
      });
    });
  }

  start(): PictureContext {
    return new Picture(this.config, this.sets, this.predictors);
  }
}

class Picture implements PictureContext {
  private layers = 0;
  private last: Codes | null = null;
  private memory: Int32Array | null = null;

  constructor(
    private readonly config: Config,
    private readonly sets: Tensors[],
    private readonly predictors: Predictor[],
  ) {}

  run(coder: BitCoder, codes: Codes): void {
    const { h, w } = codes;
    const own = this.sets[this.set()];
    const features = new Int32Array(h * w * this.config.hidden[0]);
    if (this.last && this.memory) {
      convolve(features, this.last.values, h, w, 1, own.past);
      convolve(features, this.memory, h, w, 0, own.recall);
    }
    this.predictors[this.set()].run(coder, codes, features);
  }

  remember(codes: Codes): void {
    const { h, w } = codes;
    const { memory } = this.config;
    const own = this.sets[this.set()];
    const sums = new Int32Array(h * w * memory);
    for (let i = 0; i < sums.length; i++) sums[i] = own.memory_bias[i % memory];
    convolve(sums, codes.values, h, w, 1, own.codes);
    if (this.memory) convolve(sums, this.memory, h, w, 1, own.state);
    this.memory = sums.map((sum) => level(sum >> own.shifts[0]));
    this.last = codes;
    this.layers++;
  }

  /** Which of the weights serve the next layer. */
  private set(): number {
    return Math.min(this.layers, this.config.iterations - 1);
  }
}
