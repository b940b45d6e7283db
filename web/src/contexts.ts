/** The context models, by the name that model.json gives. To add one, write a file like checkerboard.ts. */

import { CheckerboardContext } from "./checkerboard";
import type { Codes } from "./predictor";
import type { BitCoder } from "./range_coder";
import { RecurrentCheckerboardContext } from "./recurrent_checkerboard";

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

/** A context model as model.json holds it. */
export interface ContextDescription {
  name: string;
  coder: number;
  config: Record<string, number | number[]>;
  tensors: Record<string, { type: string; shape: number[]; data: string }>;
}

type Make = (coder: number, config: never, tensors: Tensors) => ContextModel;

const CONTEXTS: Record<string, Make> = {
  checkerboard: (coder, config, tensors) => new CheckerboardContext(coder, config, tensors),
  recurrent_checkerboard: (coder, config, tensors) => new RecurrentCheckerboardContext(coder, config, tensors),
};

export function contextModel({ name, coder, config, tensors }: ContextDescription): ContextModel {
  const make = CONTEXTS[name];
  if (!make) throw new Error(`This page does not know the context model ${name}.`);
  const unpacked = Object.entries(tensors).map(([key, { type, data }]) => [key, unpack(type, data)]);
  return make(coder, config as never, Object.fromEntries(unpacked));
}

/** Little-endian whole numbers in base64. */
function unpack(type: string, data: string): Int32Array {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  if (type === "int16") return Int32Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true));
  if (type === "int32") return Int32Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(4 * i, true));
  throw new Error(`This page cannot read numbers of the type ${type}.`);
}
