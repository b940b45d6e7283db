/** What the page and its worker say to each other. `job` is the number of the file at hand; older ones are dropped. */

import type { Block, Header } from "./bitstream";

export type Order =
  | { type: "open"; job: number; source: Blob | string }
  | { type: "compress"; job: number; pixels: Uint8ClampedArray; width: number; height: number; blocks: Block[] }
  /** Compute the pictures that were left out while the file at hand, which is all there, was opened. */
  | { type: "pictures"; job: number };

export type Report =
  | { type: "loading"; bytes: number }
  | { type: "ready" }
  | { type: "broken"; message: string }
  | { type: "progress"; job: number; received: number; total: number | null }
  | { type: "header"; job: number; width: number; height: number; layers: number }
  /** The picture that a part of the first layer gives, when so many bytes of the file have arrived. */
  | { type: "preview"; job: number; pixels: ImageData; bytes: number }
  | { type: "layer"; job: number; layer: Layer }
  /** The picture of a layer that came without one; the first is 1. */
  | { type: "picture"; job: number; number: number; pixels: ImageData }
  | { type: "done"; job: number; file: FileParts; warning: string | null }
  | { type: "error"; job: number; message: string };

/** What a file was read as, or is written from. */
export interface FileParts {
  header: Header;
  payloads: Uint8Array[];
  blocks: Block[];
}

/** A layer, and the picture after it. */
export interface Layer {
  /** Null if it was left out, because the next layer was there already. */
  pixels: ImageData | null;
  /** Bytes of the file up to the end of this layer. */
  bytes: number;
  /** The first half of the SHA-256 of its codes, as int8 in the order channel, row, column; null without https. */
  hash: string | null;
}
