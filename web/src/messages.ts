/** What the page and its worker say to each other. `job` is the number of the file at hand; older ones are dropped. */

import type { Block, Header } from "./bitstream";

export type Order =
  | { type: "open"; job: number; source: Blob | string }
  | { type: "compress"; job: number; pixels: Uint8ClampedArray; width: number; height: number; blocks: Block[] };

export type Report =
  | { type: "loading"; bytes: number }
  | { type: "ready" }
  | { type: "broken"; message: string }
  | { type: "progress"; job: number; received: number; total: number | null }
  | { type: "header"; job: number; width: number; height: number; layers: number }
  /** The picture that a part of the first layer gives, when so many bytes of the file have arrived. */
  | { type: "preview"; job: number; pixels: ImageData; bytes: number }
  | { type: "layer"; job: number; layer: Layer }
  | { type: "done"; job: number; file: FileParts; warning: string | null }
  | { type: "error"; job: number; message: string };

/** What a file was read as, or is written from. */
export interface FileParts {
  header: Header;
  payloads: Uint8Array[];
  blocks: Block[];
}

/** The picture after a layer. */
export interface Layer {
  pixels: ImageData;
  /** Bytes of the file up to the end of this layer. */
  bytes: number;
  /** The first half of the SHA-256 of its codes, as int8 in the order channel, row, column; null without https. */
  hash: string | null;
}
