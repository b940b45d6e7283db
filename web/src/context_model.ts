/** What a context model does, whichever it is. */

import type { Codes } from "./predictor";
import type { BitCoder } from "./range_coder";

export interface ContextModel {
  /** The id in the header of the files that it codes. */
  coder: number;
  /** For the layers of one picture, in order. */
  start(): PictureContext;
}

/** A context model while it codes one picture; it remembers the layers before. */
export interface PictureContext {
  /** Decodes the next layer into `codes`, or encodes the layer that `codes` holds. */
  run(coder: BitCoder, codes: Codes): void;
  /** Remembers the next layer, once its codes are known. */
  remember(codes: Codes): void;
}

/** The tensors of a context model, by name, flat. */
export type Tensors = Record<string, Int32Array>;
