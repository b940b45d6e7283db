/** The context models, by the name that model.json gives. To add one, write a file like checkerboard.ts. */

import { CheckerboardContext } from "./checkerboard";
import type { ContextModel, Tensors } from "./context_model";
import { RecurrentCheckerboardContext } from "./recurrent_checkerboard";

/** A context model as model.json holds it. */
export interface ContextDescription {
  name: string;
  coder: number;
  config: Record<string, number | number[]>;
  tensors: Record<string, { type: string; shape: number[]; offset: number }>;
}

type Make = (coder: number, config: never, tensors: Tensors) => ContextModel;

const CONTEXTS: Record<string, Make> = {
  checkerboard: (coder, config, tensors) => new CheckerboardContext(coder, config, tensors),
  recurrent_checkerboard: (coder, config, tensors) => new RecurrentCheckerboardContext(coder, config, tensors),
};

/** The context model with the `numbers` of context.bin. */
export function contextModel({ name, coder, config, tensors }: ContextDescription, numbers: Uint8Array): ContextModel {
  const make = CONTEXTS[name];
  if (!make) throw new Error(`This page does not know the context model ${name}.`);
  const view = new DataView(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  const unpacked = Object.entries(tensors).map(([key, { type, shape, offset }]) => {
    return [key, unpack(view, type, offset, shape.reduce((size, side) => size * side, 1))];
  });
  return make(coder, config as never, Object.fromEntries(unpacked));
}

/** So many little-endian whole numbers. */
function unpack(view: DataView, type: string, offset: number, count: number): Int32Array {
  if (type === "int16") return Int32Array.from({ length: count }, (_, i) => view.getInt16(offset + 2 * i, true));
  if (type === "int32") return Int32Array.from({ length: count }, (_, i) => view.getInt32(offset + 4 * i, true));
  throw new Error(`This page cannot read numbers of the type ${type}.`);
}
